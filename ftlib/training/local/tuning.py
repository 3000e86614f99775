"""Tune a model on examples: the one function behind local contestants and the sandbox's jobs."""

from __future__ import annotations

import functools
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftlib.errors import TrainingFailed
from ftlib.files import hash_json, read_json, sha256_file, write_json
from ftlib.training.local.checkpoints import all_of, disk_errors, newest_whole, replace_folder
from ftlib.training.local.distributed import main_process, processes, wait
from ftlib.training.local.hub import out_of_memory
from ftlib.training.local.load import Loaded, load, require_training_extra, wrap
from ftlib.training.local.packing import one_by_one, require_isolation
from ftlib.training.local.rows import Example, Tokens, tokenise
from ftlib.training.local.settings import TuneSettings, libraries
from ftlib.training.local.tally import Tally

log = logging.getLogger("ftlib")


@dataclass(frozen=True)
class Hooks:
    """What a caller wants to be told, and may ask for, while a training runs (see ``tune``)."""

    on_event: Callable[[dict[str, Any]], None] | None
    should_stop: Callable[[], bool] | None
    on_save: Callable[[], None] | None


def tune(
    source: str | Path,
    train: Sequence[Example],
    valid: Sequence[Example],
    settings: TuneSettings,
    out: Path,
    *,
    revision: str | None = None,
    about: Mapping[str, Any] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_save: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """LoRA-tune a model, resumably.

    Args:
        source: a hub id or a local folder; ``revision`` a branch, tag or commit of the former.
        train, valid: examples (``ftlib.training.local.rows``); ``valid`` may be empty.
        out: gets ``adapter/``, ``training.json``, and while training ``checkpoints/``. Called again with the same model, rows
            and settings it goes on from the newest checkpoint that verifies, or returns the report of a finished training.
        about: fields put into training.json besides the measured ones (contestant, inputs).
        on_event: gets {step, steps, epoch, tokens, train_loss, train_accuracy, valid_loss, valid_accuracy} after every step
            and every evaluation (what was not measured then is None).
        on_save: called when a checkpoint has been sealed in ``out/checkpoints``.
        should_stop: asked after every step; True ends the training there, with everything saved and ``stopped`` in the report.

    Returns what training.json holds. Raises Refused (before anything starts), DataError, MissingExtra or TrainingFailed.
    """
    require_training_extra()
    out.mkdir(parents=True, exist_ok=True)
    settings = one_by_one(settings)
    fingerprint = identity(source, revision, train, valid, settings)
    done = finished(out, fingerprint)
    if done is not None:
        return done
    hooks = Hooks(on_event, should_stop, on_save)
    try:
        return _attempt(source, train, valid, settings, out, revision, about or {}, hooks, fingerprint)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        if settings.batch == 1:
            raise TrainingFailed(f"Memory ran out at batch 1, max_length {settings.max_length}; lower max_length or take a smaller model.") from error
        if processes() > 1:  # the others are in the middle of a step and wait for this one
            where = f"batch {settings.batch} in one of {processes()} processes"
            raise TrainingFailed(f"Memory ran out at {where}; lower batch and raise accumulate.") from error
    smaller = replace(settings, batch=settings.batch // 2, accumulate=settings.accumulate * 2)
    log.warning("memory ran out at batch %d: once more with batch %d and accumulation %d", settings.batch, smaller.batch, smaller.accumulate)
    free_memory()
    if smaller.batch * smaller.accumulate != settings.batch * settings.accumulate:  # an odd batch: other steps, so other checkpoints
        fingerprint = identity(source, revision, train, valid, smaller)
    try:
        return _attempt(source, train, valid, smaller, out, revision, about or {}, hooks, fingerprint)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise TrainingFailed(f"Memory ran out again at batch {smaller.batch}; set batch: 1, lower max_length, or choose a smaller model.") from error


def identity(source: str | Path, revision: str | None, train: Sequence[Example], valid: Sequence[Example], settings: TuneSettings) -> str:
    """Hash of everything that the resulting weights depend on: what a checkpoint must match to be resumed."""
    model = model_hash(Path(source)) or str(source)
    rows = [[list(e.prompt), e.answer] for e in (*train, *valid)]
    return hash_json([model, revision, len(train), hash_json(rows), settings.decisive()])


def model_hash(folder: Path) -> str | None:
    """Hash of the files of a model on this machine; None where it is no folder. A process reads files of the same size and time once."""
    if not folder.is_dir():
        return None
    found = [(p, p.stat()) for p in sorted(folder.iterdir()) if p.is_file()]
    return _hash_of(tuple((str(p), status.st_size, status.st_mtime_ns) for p, status in found))


@functools.cache
def _hash_of(files: tuple[tuple[str, int, int], ...]) -> str:
    return hash_json({Path(path).name: sha256_file(path) for path, _, _ in files})


def finished(out: Path, fingerprint: str) -> dict[str, Any] | None:
    """The report of a training that has been done already with the same libraries; None without one, or where its adapter is not what was saved."""
    if not (out / "training.json").exists() or not (out / "adapter").exists():
        return None
    report = dict(read_json(out / "training.json"))
    same = report.get("fingerprint") == fingerprint and report.get("adapter_sha256") == sha256_file(out / "adapter" / "adapter_model.safetensors")
    return report if same and libraries(report.get("versions", {})) == libraries() else None


def free_memory() -> None:
    """Give back what a failed attempt held."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _attempt(
    source: str | Path, train: Sequence[Example], valid: Sequence[Example], settings: TuneSettings, out: Path, revision: str | None,
    about: Mapping[str, Any], hooks: Hooks, fingerprint: str,
) -> dict[str, Any]:  # fmt: skip
    """One training with one batch size, from the newest whole checkpoint where there is one."""
    checkpoints = out / "checkpoints"
    if main_process():
        newest_whole(checkpoints, fingerprint)  # removes what is newer and damaged
    wait()
    start = next(iter(all_of(checkpoints)), None)
    tally = Tally.load(start) if start else Tally()
    tally.pieces += 1
    with tally.phase("load"):
        loaded = load(source, settings, revision=revision, longest=settings.max_length)
        from ftlib.training.local.memory import require_fit

        require_fit(loaded, settings)
        wrap(loaded, settings)
        if settings.packing:
            require_isolation(loaded)
        energy = tally.meter(loaded.device.kind)
    with tally.phase("tokenise"):
        limits: dict[str, Any] = {"max_length": settings.max_length, "truncate": settings.truncate}
        rows = tokenise(train, loaded.template, **limits, where="train")
        held_out = tokenise(valid, loaded.template, **limits, where="valid")
    trainer, watch = _train(loaded, settings, rows, held_out, checkpoints, start, tally, fingerprint, hooks)
    with tally.phase("save"):
        if settings.early_stopping:
            _go_back_to_best(trainer, checkpoints)
        if main_process():
            _save_adapter(loaded, out)
        wait()  # the others read it for their report
    tally.measure()
    from ftlib.training.local.report import build

    done = replace(settings, packing=bool(trainer.args.packing))  # Unsloth may have turned it off
    report = build(loaded, trainer, done, tally, rows, out, energy_reason=energy.reason)
    model = {"id": str(source), **about.get("model", {})}
    model["revision"] = model.get("revision") or getattr(loaded.model.config, "_commit_hash", None)  # what an open revision came to
    report = {**about, "model": model, **report, "stopped": watch.stopped, "fingerprint": fingerprint}
    if main_process():
        write_json(out / "training.json", report)
        shutil.rmtree(checkpoints, ignore_errors=True)
    wait()
    return report


def _train(
    loaded: Loaded, settings: TuneSettings, rows: Sequence[Tokens], held_out: Sequence[Tokens], checkpoints: Path, start: Path | None,
    tally: Tally, fingerprint: str, hooks: Hooks,
) -> tuple[Any, Any]:  # fmt: skip
    """Run SFTTrainer to its end; returns it and the callback that watched it."""
    with tally.phase("load"):  # TRL takes seconds to import, and goes after Unsloth
        from ftlib.training.local.sft import as_dataset, config, make_trainer
        from ftlib.training.local.watch import Watch

    with tally.phase("train"):
        watch = Watch(settings, tally, held_out=len(held_out), on_event=hooks.on_event, should_stop=hooks.should_stop)
        arguments = config(loaded, settings, checkpoints)
        valid = as_dataset(held_out) if held_out else None
        trainer = make_trainer(loaded, settings, arguments, as_dataset(rows), valid, tally, fingerprint, watch, hooks.on_save)
        if start is not None:
            log.info("going on from %s", start.name)
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    return trainer, watch


def _go_back_to_best(trainer: Any, checkpoints: Path) -> None:
    """Put the weights of the evaluation with the lowest validation loss back into the model."""
    from peft import load_peft_weights, set_peft_model_state_dict

    from ftlib.training.local.sft import best_step

    best = best_step(trainer.state.log_history)
    if best is not None and best != trainer.state.global_step:
        set_peft_model_state_dict(trainer.model, load_peft_weights(str(checkpoints / f"checkpoint-{best}")))
        log.info("the weights are those of step %d, which had the lowest validation loss", best)


def _save_adapter(loaded: Loaded, out: Path) -> None:
    """Write the adapter and its tokenizer into ``out/adapter``, whole or not at all."""
    temporary = out / ".adapter.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    for config in loaded.model.peft_config.values():
        if isinstance(config.target_modules, set):  # written in another order by each process
            config.target_modules = sorted(config.target_modules)
    with disk_errors(out):
        loaded.model.save_pretrained(str(temporary))
    (temporary / "README.md").unlink(missing_ok=True)  # PEFT's form with nothing filled in; the card is written when the adapter leaves
    loaded.template.tokenizer.save_pretrained(str(temporary))
    replace_folder(temporary, out / "adapter")
