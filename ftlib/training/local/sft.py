"""TRL's SFTTrainer with three additions: it counts what it sees, times its phases, and seals its checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ftlib.training.local.checkpoints import disk_errors, prune, seal
from ftlib.training.local.distributed import processes
from ftlib.training.local.load import Loaded
from ftlib.training.local.rows import IGNORED, Tokens
from ftlib.training.local.settings import TuneSettings
from ftlib.training.local.tally import Tally
from ftlib.training.local.watch import warmup_steps

log = logging.getLogger("ftlib")


def as_dataset(rows: Sequence[Tokens]) -> Any:
    """Tokens as the dataset that SFTTrainer takes for tokenised already."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [row.input_ids for row in rows],
            "labels": [row.labels for row in rows],
            "completion_mask": [[int(label != IGNORED) for label in row.labels] for row in rows],  # what TRL before 1.0 goes by
        }
    )


def planned_steps(rows: int, settings: TuneSettings, processes: int = 1) -> int:
    """Optimiser steps of a whole training, as transformers counts them; packed rows count as they are after packing."""
    if settings.steps is not None:
        return settings.steps
    batches = -(-rows // (settings.batch * processes))
    return max(1, -(-int(1e6 * settings.epochs * max(1, -(-batches // settings.accumulate))) // 1_000_000))


def config(loaded: Loaded, settings: TuneSettings, out: Path) -> Any:
    """The arguments of SFTTrainer for a device and settings; ``make_trainer`` sets the steps, which packing decides on."""
    from trl import SFTConfig

    checkpointing = loaded.device.gpu and loaded.loader != "unsloth"  # Unsloth brings its own
    return SFTConfig(
        output_dir=str(out), num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch, per_device_eval_batch_size=settings.batch, gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.lr, lr_scheduler_type=settings.schedule, weight_decay=settings.weight_decay,
        optim="adamw_8bit" if loaded.quant == 4 else "adamw_torch", seed=settings.seed,
        max_length=settings.max_length, packing=settings.packing, eval_packing=False, completion_only_loss=True,
        loss_type="nll" if loaded.loader == "unsloth" else None,  # Unsloth has its own chunked loss; else TRL's default
        bf16=loaded.precision.dtype == "bfloat16", fp16=loaded.precision.dtype == "float16", use_cpu=loaded.device.kind == "cpu",
        gradient_checkpointing=checkpointing, gradient_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
        logging_steps=1, logging_first_step=False, save_strategy="no", eval_strategy="no", report_to="none", disable_tqdm=True,
        logging_nan_inf_filter=False,  # a loss that is no number is seen, not smoothed over
        dataloader_pin_memory=loaded.device.gpu,
    )  # fmt: skip


def make_trainer(
    loaded: Loaded, settings: TuneSettings, config: Any, train: Any, valid: Any, tally: Tally, fingerprint: str, callback: Any,
    on_save: Callable[[], None] | None = None,
) -> Any:  # fmt: skip
    """The trainer. It is made in a function because TRL (which Unsloth must patch first) takes seconds to import."""
    from transformers import PrinterCallback
    from trl import SFTTrainer  # imported now, because Unsloth replaces it

    class Sft(SFTTrainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            tally.count(inputs)
            return super().training_step(model, inputs, num_items_in_batch)

        def evaluate(self, *args: Any, **kwargs: Any) -> Any:
            with tally.phase("evaluate"):
                return super().evaluate(*args, **kwargs)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            with tally.phase("save"):
                with disk_errors(Path(self.args.output_dir)):
                    super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    root = Path(self.args.output_dir)
                    folder = root / f"checkpoint-{self.state.global_step}"
                    tally.save(folder)
                    seal(folder, fingerprint)
                    prune(root, settings.keep, best_step(self.state.log_history) if settings.early_stopping else None)
                    if on_save is not None:
                        on_save()
                self.accelerator.wait_for_everyone()

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """The adapter's card is ours; a checkpoint needs none."""

    tokenizer = loaded.template.tokenizer
    trainer = Sft(model=loaded.model, args=config, train_dataset=train, eval_dataset=valid, processing_class=tokenizer, callbacks=[callback])
    trainer.remove_callback(PrinterCallback)
    if settings.packing and not trainer.args.packing:
        log.warning("%s turned packing off, as it cannot keep examples apart here: rows are padded", loaded.loader)
    steps = tally.planned or planned_steps(len(trainer.train_dataset), settings, processes())
    trainer.args.max_steps, trainer.args.warmup_steps = steps, warmup_steps(settings, steps)
    return trainer


def best_step(log_history: list[dict[str, Any]]) -> int | None:
    """The step with the lowest validation loss; None before the first evaluation."""
    entries = [entry for entry in log_history if "eval_loss" in entry]
    return int(min(entries, key=lambda entry: entry["eval_loss"])["step"]) if entries else None
