"""Random models of the catalogue's architectures, a few thousand parameters each: the trainer tunes their language parts, all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftlib.training.local import load
from ftlib.training.local.tuning import tune
from tests.training.local import micro

TEXT: dict[str, Any] = {
    "vocab_size": 520, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 512,
}  # fmt: skip
SIGHT = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


def random_model(kind: str, folder: Path) -> Path:
    """A model of that architecture with random weights and the micro model's tokenizer."""
    import transformers as t

    configs: dict[str, Any] = {
        "llama": lambda: t.LlamaConfig(**TEXT), "qwen3": lambda: t.Qwen3Config(**TEXT, head_dim=16),
        "phi3": lambda: t.Phi3Config(**TEXT, pad_token_id=0),
        "mistral": lambda: t.MistralConfig(**TEXT, head_dim=16), "gemma3_text": lambda: t.Gemma3TextConfig(**TEXT, head_dim=16, sliding_window=64),
        "gemma3": lambda: t.Gemma3Config(text_config={**TEXT, "head_dim": 16, "sliding_window": 64}, vision_config=SIGHT, mm_tokens_per_image=4),
    }  # fmt: skip
    make = t.Gemma3ForConditionalGeneration if kind == "gemma3" else t.AutoModelForCausalLM.from_config
    make(configs[kind]()).save_pretrained(folder)
    t.AutoTokenizer.from_pretrained(micro.model()).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["llama", "qwen3", "phi3", "mistral", "gemma3_text", "gemma3"])
def test_it_is_tuned_and_answers(kind: str, tmp_path: Path) -> None:
    from safetensors import safe_open

    from ftlib.training.local.generate import answer_batch

    model = random_model(kind, tmp_path / "model")
    settings = micro.settings(checkpoint_steps=None, packing=True, dropout=0.0)
    report = tune(model, micro.examples(8), micro.examples(2, 900), settings, tmp_path / "out")
    assert report["examples"]["seen"] == 8
    with safe_open(str(tmp_path / "out" / "adapter" / "adapter_model.safetensors"), "pt") as file:
        names = list(file.keys())
    modules = {name.split(".lora_")[0].rpartition(".")[2] for name in names}
    assert modules == set(("qkv_proj", "o_proj", "gate_up_proj", "down_proj") if kind == "phi3" else load.MODULES)
    assert not [name for name in names if "vision" in name]
    assert len(names) == 2 * 2 * len(modules)
    loaded = load.load(model, settings, adapter=tmp_path / "out" / "adapter")
    made = answer_batch(loaded, [list(e.prompt) for e in micro.examples(2, 500)], tuned=True, max_new_tokens=4)
    assert len(made) == 2
