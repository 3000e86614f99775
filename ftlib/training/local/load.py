"""One model in memory, loaded by Unsloth or by transformers; everything after this is the same for both."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftlib.errors import MissingExtra, Refused
from ftlib.training.local.precision import Device, Precision, choose_device, choose_precision
from ftlib.training.local.settings import TuneSettings
from ftlib.training.local.template import Template

log = logging.getLogger("ftlib")
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "gate_up_proj")  # what Phi has in place of five of them
OTHER_SENSES = r".*(vision|visual|audio|multi_modal).*"  # parts that no text row ever reaches


@dataclass
class Loaded:
    """A model with its tokenizer, ready to be wrapped, trained or asked."""

    model: Any
    template: Template
    source: str
    loader: str  # unsloth or transformers
    device: Device
    precision: Precision
    quant: int
    adapted: bool = False

    @contextmanager
    def state(self, *, tuned: bool) -> Iterator[Any]:
        """The model for inference: tuned, or with its adapter switched off (the base, from the same weights in memory)."""
        training = self.model.training
        self.model.eval()
        if self.loader == "unsloth":
            unsloth_for(self.model, inference=True)
        try:
            if self.adapted and not tuned:
                with self.model.disable_adapter():
                    yield self.model
            else:
                yield self.model
        finally:
            if training:
                self.model.train()


def choose_loader(wanted: str, device: Device) -> str:
    """Unsloth where there is a GPU and it is installed, transformers elsewhere. Raises MissingExtra."""
    present = importlib.util.find_spec("unsloth") is not None
    if wanted == "unsloth" and not present:
        raise MissingExtra("loader: unsloth is asked for and Unsloth is not installed; pip install -r requirements-gpu.txt, or set loader: auto.")
    if wanted == "auto":
        return "unsloth" if present and device.gpu else "transformers"
    return wanted


def require_training_extra() -> None:
    """Raises MissingExtra in one sentence where the training libraries are absent."""
    missing = [name for name in ("torch", "transformers", "trl", "peft", "datasets", "accelerate") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"Local training needs {', '.join(missing)}; pip install 'ftlib[training]' (on a CPU ask for torch==2.13.0 with it).")


def load(
    source: str | Path, settings: TuneSettings, *, revision: str | None = None, adapter: Path | None = None, longest: int | None = None
) -> Loaded:
    """Load a model, with an adapter on it where one is given.

    Args:
        longest: tokens of the longest row that it will see, which Unsloth cuts longer ones to; None: as many as the model takes.

    Raises Refused (no GPU, gated, unknown, unreachable) or MissingExtra, each in one sentence.
    """
    require_training_extra()
    device = choose_device(settings.require_gpu)
    loader = choose_loader(settings.loader, device)
    if loader == "unsloth":
        if not device.gpu:
            os.environ.setdefault("UNSLOTH_FORCE_CPU", "1")
        import unsloth  # noqa: F401  # it patches transformers and trl, so it goes first
    quiet_libraries()
    quant = settings.quant or (4 if device.gpu else 16)
    if quant == 4 and not device.gpu:
        raise Refused("quant: 4 needs an NVIDIA GPU (bitsandbytes); set quant: 16, or remove it.")
    if quant == 4 and importlib.util.find_spec("bitsandbytes") is None:  # Unsloth would load 16 bits instead
        raise MissingExtra("4-bit weights need bitsandbytes, which is not installed; pip install -r requirements-gpu.txt, or set quant: 16.")
    from ftlib.training.local.hub import explained

    with explained(str(source), revision):
        from transformers import AutoConfig

        known = AutoConfig.from_pretrained(str(source), revision=revision)
        context = getattr(known.get_text_config(), "max_position_embeddings", None)
        if context and longest is not None and longest > context:  # one loader would stretch its positions, the other go past them
            raise Refused(f"max_length: {longest:,} tokens are more than the {context:,} that {source} takes; set {context} or less.")
        precision = choose_precision(device, known.model_type)
        if loader == "unsloth":
            model, tokenizer = _by_unsloth(str(source), revision, device, precision, quant, _room(known, settings, longest))
        else:
            model, tokenizer = _by_transformers(str(source), revision, device, precision, quant)
    template = Template(tokenizer, settings.template, str(source))
    template.stop_at(model.generation_config.eos_token_id)
    quant = 4 if getattr(model, "is_loaded_in_4bit", False) else 16  # a repository may hold weights in 4 bits, whatever was asked for
    loaded = Loaded(model, template, str(source), loader, device, precision, quant)
    log.info("loaded %s with %s on %s in %s: %s", source, loader, device.name, precision.dtype, precision.reason)
    if adapter is not None:
        from peft import PeftModel

        loaded.model, loaded.adapted = PeftModel.from_pretrained(model, str(adapter), is_trainable=False), True
    return loaded


def wrap(loaded: Loaded, settings: TuneSettings) -> None:
    """Put fresh LoRA matrices on the model, with the seed set so that they are the same each time."""
    from transformers import set_seed

    set_seed(settings.seed)
    shape: dict[str, Any] = {
        "r": settings.r,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": list(settings.modules or MODULES),
        "use_rslora": settings.rslora,
        "bias": "none",
    }
    if loaded.loader == "unsloth":
        from unsloth import FastLanguageModel

        loaded.model = FastLanguageModel.get_peft_model(
            loaded.model,
            **shape,
            use_gradient_checkpointing="unsloth" if loaded.device.gpu else False,
            random_state=settings.seed,
            max_seq_length=settings.max_length,
        )
    else:
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

        if loaded.quant == 4:
            loaded.model = prepare_model_for_kbit_training(loaded.model, use_gradient_checkpointing=True)
        if settings.modules is None:
            shape["target_modules"] = [*MODULES, *FUSED]
        if loaded.model.config.get_text_config() is not loaded.model.config:
            shape["exclude_modules"] = OTHER_SENSES
        loaded.model = get_peft_model(loaded.model, LoraConfig(task_type="CAUSAL_LM", **shape))
    loaded.adapted = True


def unsloth_for(model: Any, *, inference: bool) -> None:
    """Switch Unsloth's kernels between training and inference."""
    from unsloth import FastLanguageModel

    (FastLanguageModel.for_inference if inference else FastLanguageModel.for_training)(model)


def _by_unsloth(source: str, revision: str | None, device: Device, precision: Precision, quant: int, room: dict[str, Any]) -> tuple[Any, Any]:
    from unsloth import FastLanguageModel

    # where a GPU must compute in 32 bits, Unsloth has a way of its own, which it takes where no format is asked for
    dtype = None if device.gpu and precision.dtype == "float32" else precision.torch_dtype
    # by its exact name: else Unsloth takes a copy of its own choice, and disregards the revision
    model, tokenizer = FastLanguageModel.from_pretrained(
        source, dtype=dtype, load_in_4bit=quant == 4, revision=revision, use_exact_model_name=True, **room
    )
    return model, tokenizer


def _room(known: Any, settings: TuneSettings, longest: int | None) -> dict[str, Any]:
    """How many tokens Unsloth lets through; to ask, all that the model takes, and nothing moved off the GPU to train on so many."""
    if longest is not None:
        return {"max_seq_length": longest}
    return {"max_seq_length": getattr(known.get_text_config(), "max_position_embeddings", settings.max_length), "offload_embedding": False}


def _by_transformers(source: str, revision: str | None, device: Device, precision: Precision, quant: int) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"dtype": precision.torch_dtype, "revision": revision, "use_safetensors": True}
    if quant == 4:
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=precision.torch_dtype
        )
    if device.gpu:
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
    model = AutoModelForCausalLM.from_pretrained(source, **options)
    if not device.gpu:
        model.to(device.kind)
    return model, AutoTokenizer.from_pretrained(source, revision=revision)


def quiet_libraries() -> None:
    """Keep transformers', TRL's and datasets' own bars and advice out of notebooks; our own messages say what matters."""
    import datasets
    import transformers

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # each try to reach the hub, twice over; what came of it is ours to say
    logging.getLogger("trl").setLevel(logging.ERROR)  # it doubts packing without FlashAttention, which ``require_isolation`` has tried
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
