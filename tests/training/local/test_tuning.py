"""What a training reports, when it stops, and what it refuses."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import MissingExtra, Refused, TrainingFailed
from ftlib.training.local import hub, load, memory, tuning
from ftlib.training.local.precision import Device, choose_precision
from ftlib.training.local.rows import Tokens, tokenise
from ftlib.training.local.sft import best_step, planned_steps
from ftlib.training.local.tally import Tally
from ftlib.training.local.tuning import tune
from tests.training.local import micro

PLAIN = {"checkpoint_steps": None}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("report")
    made = tune(micro.model(), micro.examples(20), micro.examples(5, 900), micro.settings(epochs=2, **PLAIN), out, about={"contestant": "c"})
    return {**made, "out": out}


def test_the_report_counts_what_was_really_seen(report: dict[str, Any]) -> None:
    template = load.load(micro.model(), micro.settings()).template
    rows = tokenise(micro.examples(20), template, max_length=256, truncate=False, where="train")
    assert report["examples"] == {"seen": 40, "distinct": 20, "cut": 0}
    assert report["steps"] == 10
    assert report["epochs"] == 2
    assert report["tokens"]["seen"] == 2 * sum(len(row.input_ids) for row in rows)
    # transformers shifts the labels, so every supervised token is predicted
    assert report["tokens"]["supervised"] == 2 * sum(row.supervised for row in rows)
    assert report["tokens"]["padding"] > 0
    assert report["contestant"] == "c"


def test_the_curve_has_every_step_and_the_validation_loss(report: dict[str, Any]) -> None:
    assert [point["step"] for point in report["loss"]] == list(range(1, 11))
    assert all(point["train"] is not None for point in report["loss"])
    assert report["loss"][-1]["valid"] is not None
    assert report["loss"][-1]["tokens"] == report["tokens"]["seen"]
    assert report["loss"][-1]["train"] < report["loss"][0]["train"]


def test_phases_add_up_and_what_is_unknown_has_its_reason(report: dict[str, Any]) -> None:
    seconds = report["seconds"]
    assert seconds["total"] == pytest.approx(sum(seconds[key] for key in ("load", "tokenise", "train", "evaluate", "save")), abs=0.01)
    for absent in ("energy_wh", "memory.allocated_bytes", "money_usd"):
        assert report["na"][absent]
    assert report["memory"]["rss_bytes"] > 1e7
    assert report["precision"] == {"dtype": "float32", "reason": report["precision"]["reason"]}
    assert report["parameters"]["trainable"] < report["parameters"]["total"]
    modules = json.loads((report["out"] / "adapter" / "adapter_config.json").read_bytes())["target_modules"]
    assert modules == sorted(modules)  # the same file from every process
    assert report["adapter_bytes"] == (report["out"] / "adapter" / "adapter_model.safetensors").stat().st_size


def test_a_budget_in_minutes_shortens_the_plan_and_ends_in_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ftlib")
    events: list[dict[str, Any]] = []
    report = tune(micro.model(), micro.examples(48), [], micro.settings(epochs=400, minutes=0.12, **PLAIN), tmp_path, on_event=events.append)
    assert "the plan is shortened to" in caplog.text
    assert 5 < report["steps"] < 4800
    assert sum(report["seconds"][key] for key in ("load", "tokenise", "train", "evaluate")) < 0.12 * 60 * 1.3 + 2
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()


def test_rows_longer_than_the_model_takes_are_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"max_length: 1,025 tokens are more than the 1,024 that .*tiny-micro.* takes; set 1024 or less"):
        tune(micro.model(), micro.examples(8), [], micro.settings(max_length=1025), tmp_path)


@pytest.mark.parametrize("valid", [0, 4])
def test_a_training_that_diverges_says_so_and_leaves_no_adapter(tmp_path: Path, valid: int) -> None:
    with pytest.raises(TrainingFailed, match=r"loss is (nan|inf) at step \d+: the training has diverged.*it was 1e\+30"):
        tune(micro.model(), micro.examples(24), micro.examples(valid, 900), micro.settings(lr=1e30, **PLAIN), tmp_path)
    assert not (tmp_path / "adapter").exists()
    assert not (tmp_path / "training.json").exists()


def test_checkpoints_are_written_by_minutes_too_and_only_so_many_kept(tmp_path: Path) -> None:
    saved: list[list[str]] = []

    def look() -> None:
        saved.append(sorted(p.name for p in (tmp_path / "checkpoints").iterdir()))

    settings = micro.settings(checkpoint_steps=None, checkpoint_minutes=1e-6, keep=2)
    tune(micro.model(), micro.examples(12), [], settings, tmp_path, on_save=look)
    assert saved == [["checkpoint-1"], ["checkpoint-1", "checkpoint-2"], ["checkpoint-2", "checkpoint-3"]]


def test_an_open_revision_is_recorded_as_what_it_came_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tuning.load

    def from_the_hub(*args: Any, **kwargs: Any) -> load.Loaded:
        loaded = real(*args, **kwargs)
        loaded.model.config._commit_hash = "abc123"
        return loaded

    monkeypatch.setattr(tuning, "load", from_the_hub)
    report = tune(micro.model(), micro.examples(4), [], micro.settings(**PLAIN), tmp_path / "open", about={"model": {"id": "x/y", "revision": None}})
    assert report["model"] == {"id": "x/y", "revision": "abc123"}
    pinned = tune(micro.model(), micro.examples(4), [], micro.settings(**PLAIN), tmp_path / "p", about={"model": {"id": "x/y", "revision": "v1"}})
    assert pinned["model"]["revision"] == "v1"


def test_told_to_stop_it_saves_and_says_so(tmp_path: Path) -> None:
    steps: list[int] = []
    report = tune(micro.model(), micro.examples(48), [], micro.settings(**PLAIN), tmp_path, on_event=lambda e: steps.append(e["step"]),
                  should_stop=lambda: len(steps) >= 2)  # fmt: skip
    assert report["stopped"] == "it was told to stop"
    assert report["steps"] < 12


def test_early_stopping_goes_back_to_the_best_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    valid = [type(e)(e.prompt, "zzz qqq " * 5) for e in micro.examples(4, 900)]  # what training makes less likely
    report = tune(micro.model(), micro.examples(48), valid, micro.settings(epochs=3, early_stopping=2, lr=2e-2, **PLAIN), tmp_path)
    measured = {point["step"]: point["valid"] for point in report["loss"] if point["valid"] is not None}
    best = min(measured, key=lambda step: measured[step])
    assert report["stopped"] == "the validation loss has not improved for 2 evaluations"
    assert best < report["steps"] < 36
    tuned = load.load(micro.model(), micro.settings(), adapter=tmp_path / "adapter")
    from ftlib.training.local.likelihood import likelihood_batch

    found = likelihood_batch(tuned, valid, tuned=True)
    loss = sum(f.nats + f.end_nats for f in found) / sum(f.tokens + 1 for f in found)
    assert loss == pytest.approx(measured[best], rel=0.02)
    assert load_file(str(tmp_path / "adapter" / "adapter_model.safetensors"))


def test_out_of_memory_is_retried_once_with_half_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    real, batches = tuning._attempt, []

    def attempt(source: Any, train: Any, valid: Any, settings: Any, *rest: Any) -> Any:
        batches.append((settings.batch, settings.accumulate))
        if settings.batch > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(source, train, valid, settings, *rest)

    monkeypatch.setattr(tuning, "_attempt", attempt)
    report = tune(micro.model(), micro.examples(16), [], micro.settings(**PLAIN), tmp_path)
    assert batches == [(4, 1), (2, 2)]
    assert report["steps"] == 4
    assert "once more with batch 2 and accumulation 2" in caplog.text
    monkeypatch.setattr(tuning, "_attempt", lambda *a: (_ for _ in ()).throw(RuntimeError("CUDA out of memory")))
    with pytest.raises(TrainingFailed, match="Memory ran out again at batch 2"):
        tune(micro.model(), micro.examples(16), [], micro.settings(**PLAIN), tmp_path / "again")


def test_after_memory_ran_out_it_goes_on_from_its_checkpoint_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory runs out in the fifth step, after the checkpoint of the fourth: the other rows follow, none twice, in smaller batches."""
    import torch
    from safetensors.torch import load_file

    caplog.set_level(logging.INFO, "ftlib")
    settings = micro.settings(checkpoint_steps=2, dropout=0.0)
    whole = tune(micro.model(), micro.examples(32), [], settings, tmp_path / "whole")
    real, seen = Tally.count, []

    def count(self: Tally, inputs: Any) -> None:
        seen.append([tuple(row[row_mask.bool()].tolist()) for row, row_mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)])
        real(self, inputs)
        if len(seen) == 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Tally, "count", count)
    report = tune(micro.model(), micro.examples(32), [], settings, tmp_path / "retried")
    assert "once more with batch 2 and accumulation 2" in caplog.text
    assert "going on from checkpoint-4" in caplog.text
    assert (report["settings"]["batch"], report["settings"]["accumulate"], report["pieces"]) == (2, 2, 2)
    for key in ("steps", "examples", "epochs"):
        assert report[key] == whole[key]
    assert {key: report["tokens"][key] for key in ("seen", "supervised")} == {key: whole["tokens"][key] for key in ("seen", "supervised")}
    assert [len(batch) for batch in seen] == [4] * 5 + [2] * 8
    rows = [row for batch in [*seen[:4], *seen[5:]] for row in batch]  # the fifth was not finished
    assert len(set(rows)) == len(rows) == 32
    assert [point["train"] for point in report["loss"]] == pytest.approx([point["train"] for point in whole["loss"]], rel=1e-3)
    ours, theirs = (load_file(str(tmp_path / name / "adapter" / "adapter_model.safetensors")) for name in ("retried", "whole"))
    assert all(torch.allclose(ours[name], theirs[name], atol=2e-3) for name in theirs)


def test_weights_that_do_not_fit_are_refused_and_not_tried_with_a_smaller_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    tried: list[object] = []

    def full(*_: Any) -> Any:
        tried.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(load, "_by_transformers", full)
    with pytest.raises(Refused, match=r"The weights of .* do not fit into memory; set quant: 4 on a GPU, or choose a smaller model"):
        tune(micro.model(), micro.examples(16), [], micro.settings(**PLAIN), tmp_path)
    assert len(tried) == 1


def test_what_does_not_fit_is_refused_with_what_would(caplog: pytest.LogCaptureFixture) -> None:
    loaded = load.load(micro.model(), micro.settings())
    settings = micro.settings(batch=64, max_length=1024)
    need = memory.require_fit(loaded, settings, free=10**12)
    with pytest.raises(Refused, match=r"batch 64 and max_length 1024 needs about .* GiB are free .*; set batch: 32 with accumulate: 2\."):
        memory.require_fit(loaded, settings, free=int(need * 0.7))
    with pytest.raises(Refused, match=r"set batch: 1 with max_length: \d+\."):
        memory.require_fit(loaded, settings, free=int(memory.require_fit(loaded, micro.settings(batch=1, max_length=1024), free=10**12) * 0.8))
    with pytest.raises(Refused, match="choose a smaller model"):
        memory.require_fit(loaded, settings, free=0)


def test_a_demanded_gpu_and_four_bits_are_refused_without_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="A GPU is demanded and there is none"):
        tune(micro.model(), micro.examples(8), [], micro.settings(require_gpu=True), tmp_path)
    with pytest.raises(Refused, match="quant: 4 needs an NVIDIA GPU"):
        tune(micro.model(), micro.examples(8), [], micro.settings(quant=4), tmp_path)
    assert not (tmp_path / "training.json").exists()


def test_unsloth_asked_for_and_absent_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name: None if name == "unsloth" else object())
    with pytest.raises(MissingExtra, match=r"pip install -r requirements-gpu\.txt"):
        load.choose_loader("unsloth", Device("cpu", "c"))
    assert load.choose_loader("auto", Device("cuda", "g")) == "transformers"


@pytest.mark.parametrize(
    ("capability", "model_type", "dtype"),
    [((7, 5), "llama", "float16"), ((7, 5), "gemma3", "float32"), ((7, 5), "gemma3_text", "float32"), ((7, 5), "qwen3", "float16"),
     ((7, 5), "qwen3_moe", "float32"), ((8, 0), "gemma3", "bfloat16"), ((9, 0), "llama", "bfloat16")],
)  # fmt: skip
def test_precision_goes_by_compute_capability_and_model(
    capability: tuple[int, int], model_type: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    chosen = choose_precision(Device("cuda", "Tesla T4"), model_type)
    assert chosen.dtype == dtype
    assert "Tesla T4" in chosen.reason


@pytest.mark.parametrize(
    ("message", "cause", "sentence"),
    [
        ("You are trying to access a gated repo.", None, "is gated: ask for access"),
        ("v9 is not a valid git identifier (branch name, tag name or commit id)", None, "has no revision 'v9'"),
        ("x/y is not a local folder and is not a valid model identifier listed on", None, "There is no model 'x/y' on the hub"),
        ("We couldn't connect to 'https://huggingface.co' to load the files", None, "cannot be reached"),
        ("failed", OSError(28, "No space left on device"), "The disk is full"),
    ],
)
def test_a_hub_error_is_one_sentence(message: str, cause: OSError | None, sentence: str) -> None:
    with pytest.raises(Refused) as caught, hub.explained("x/y", "v9"):
        raise OSError(message) from cause
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hub_error_that_unsloth_wraps_is_one_sentence() -> None:
    with pytest.raises(Refused, match="The disk is full while fetching x/y"), hub.explained("x/y", None):
        raise RuntimeError("Unsloth: Failed to load model. Both AutoConfig and PeftConfig loading failed.\n\n") from OSError(28, "No space left")
    with pytest.raises(RuntimeError, match="of its own"), hub.explained("x/y", None):
        raise RuntimeError("of its own")


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no whole model"):
        load.load(tmp_path, micro.settings())


def test_an_unreachable_hub_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Refused, match="hub cannot be reached for owner/name"):
        load.load("owner/name", micro.settings())


@pytest.mark.parametrize(
    ("rows", "changes", "steps"), [(20, {}, 5), (21, {}, 6), (20, {"epochs": 1.5}, 8), (20, {"accumulate": 2}, 3), (5, {"steps": 9}, 9)]
)
def test_planned_steps(rows: int, changes: dict[str, Any], steps: int) -> None:
    assert planned_steps(rows, micro.settings(**changes)) == steps


def test_the_best_step_is_that_of_the_lowest_validation_loss() -> None:
    assert best_step([{"step": 1, "loss": 0.1}, {"step": 2, "eval_loss": 3.0}, {"step": 4, "eval_loss": 2.0}, {"step": 6, "eval_loss": 2.5}]) == 4
    assert best_step([{"step": 1, "loss": 0.1}]) is None


@pytest.mark.parametrize(("held_out", "early_stopping"), [(0, None), (100, None), (400, None), (400, 3), (4000, None)])
def test_evaluations_are_within_the_budget_too(held_out: int, early_stopping: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of our own: 8 rows a step of 6 s, the first of 60; an evaluation takes a fifth longer than foreseen."""
    from types import SimpleNamespace

    from ftlib.training.local import watch as watching

    now = 0.0
    monkeypatch.setattr(watching.time, "perf_counter", lambda: now)
    settings = micro.settings(batch=2, accumulate=4, minutes=30, early_stopping=early_stopping, checkpoint_minutes=5, **PLAIN)
    watch = watching.Watch(settings, Tally(), held_out=held_out, on_event=None, should_stop=None)
    state = SimpleNamespace(max_steps=2000, global_step=0, is_world_process_zero=False, log_history=[])
    control = SimpleNamespace(should_training_stop=False, should_evaluate=False, should_save=False)
    monkeypatch.setattr(watching, "reschedule", lambda *a: None)
    watch.on_train_begin(None, state, control)
    evaluated = []
    while not control.should_training_stop:
        state.global_step += 1
        now += 60 if state.global_step == 1 else 6
        watch.on_step_end(None, state, control, lr_scheduler=None)
        if control.should_evaluate:
            now += 6 / 8 / 3 * 1.2 * held_out
            evaluated.append(state.global_step)
            state.log_history.append({"eval_loss": -now})
            watch.on_evaluate(None, state, control)
    assert now <= 30 * 60
    assert state.global_step > (40 if held_out == 4000 else 100)
    if held_out in (100, 400):
        assert evaluated[-1] == state.global_step
        assert len(evaluated) > 2


def test_parameters_in_four_bits_count_two_a_byte(tmp_path: Path) -> None:
    from types import SimpleNamespace

    import torch

    from ftlib.training.local.report import build

    class Params4bit(torch.nn.Parameter):
        """As bitsandbytes holds them: two weights in a byte."""

    settings = micro.settings()
    loaded = load.load(micro.model(), settings)
    load.wrap(loaded, settings)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"x")
    trainer = SimpleNamespace(state=SimpleNamespace(global_step=1, log_history=[]))
    tally = Tally(rows=1, seconds={**Tally().seconds, "train": 1.0})
    counted = []
    for _ in range(2):
        counted.append(build(loaded, trainer, settings, tally, [Tokens([1], [1])], tmp_path, energy_reason="none")["parameters"])
        layer = loaded.model.base_model.model.model.layers[0].mlp.up_proj.base_layer
        layer.weight = Params4bit(torch.zeros(layer.weight.numel() // 2, 1, dtype=torch.uint8), requires_grad=False)
    assert counted[0] == counted[1]
