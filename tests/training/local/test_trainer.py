"""A contestant from its profile to its answers, its export, and a second place to keep it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ftlib.catalogue import Model
from ftlib.configuration import convert
from ftlib.drive import pull, push
from ftlib.errors import DataError, MissingExtra, ProfileError, Refused, TrainingFailed
from ftlib.files import read_json, sha256_file, write_jsonl
from ftlib.formatting.task import load_task
from ftlib.profile import Profile
from ftlib.runs import Run, StepNeeded
from ftlib.single import ask_one, export_one
from ftlib.training import train_contestant, train_or_report
from ftlib.training.local import showing
from ftlib.training.local.export import export
from ftlib.training.local.trainer import LocalTrainer
from ftlib.training.local.tuning import _hash_of, model_hash
from tests.training.local import micro

ROWS = [{"id": str(n), "title": f"red mug {n}", "content": f"This mug is red. It is number {n}."} for n in range(24)]


def make_run(path: Path, **contestant: object) -> Run:
    """A run with its curated and formatted files in place."""
    settings = {"loader": "transformers", "epochs": 1, "lr": 0.01, "batch": 4, "accumulate": 1, "max_length": 256}
    fields = {"name": "micro", "trainer": "local", "model": str(micro.model()), **settings, **contestant}
    drive = fields.pop("drive", None)
    run = Run.create(path, convert({"name": "x", "contestants": [fields], "drive": drive}, Profile, "test"))
    task = load_task("describe")
    for name, rows in (("train", ROWS[:16]), ("valid", ROWS[16:20]), ("test", ROWS[20:])):
        write_jsonl(run.curated / f"{name}.jsonl", rows)
        if name != "test":
            made = [{"instruction": task.instruction, "input": r["title"], "output": r["content"], "system": task.system} for r in rows]
            write_jsonl(run.folder("micro") / f"{name}.jsonl", made)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = make_run(tmp_path_factory.mktemp("trainer") / "run")
    report = train_contestant(made, made.contestant("micro"))
    assert report["status"] == "done"
    return made


def test_training_json_has_what_the_other_rooms_read(run: Run) -> None:
    report = read_json(run.folder("micro") / "training.json")
    assert report["contestant"] == "micro"
    assert report["trainer"] == "local"
    files = {name: sha256_file(run.folder("micro") / f"{name}.jsonl") for name in ("train", "valid")}
    assert report["inputs"] == {**files, "model": model_hash(micro.model())}
    assert read_json(run.finish())["steps"]["train:micro"]["note"]["model"] == report["model"]
    for key in ("model", "seconds", "examples", "epochs", "steps", "tokens", "rates", "loss", "memory", "parameters", "adapter_bytes", "device",
                "precision", "versions", "settings", "how", "na"):  # fmt: skip
        assert report[key] is not None


def test_a_second_training_is_skipped_and_a_changed_setting_is_not(run: Run, tmp_path: Path) -> None:
    run.only_look = True
    try:
        train_contestant(run, run.contestant("micro"))
    finally:
        run.only_look = False
    shutil.copytree(run.path, tmp_path / "copy")
    other = make_run(tmp_path / "copy", lr=0.02)
    other.only_look = True
    with pytest.raises(StepNeeded, match=r"lr 0\.01 -> 0\.02"):
        train_contestant(other, other.contestant("micro"))


def test_one_byte_of_a_model_folder_trains_again(tmp_path: Path) -> None:
    import os

    model = shutil.copytree(micro.model(), tmp_path / "model")
    made = make_run(tmp_path / "run", model=str(model))
    before = LocalTrainer(made, made.contestant("micro")).settings()
    weights = model / "model.safetensors"
    status, data = weights.stat(), bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    _hash_of.cache_clear()  # as in the next process
    after = LocalTrainer(made, made.contestant("micro")).settings()
    assert after["weights"] != before["weights"]
    assert {**after, "weights": ""} == {**before, "weights": ""}


def test_looking_at_a_run_loads_no_library() -> None:
    import subprocess
    import sys

    code = "import sys, ftlib.training.local.trainer, ftlib.single; print([m for m in ('torch', 'transformers', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ask_answers_as_base_and_as_tuned(run: Run) -> None:
    rows = ask_one(run.path, "micro", "blue boat", base=True)
    assert [row["system"] for row in rows] == ["micro.base", "micro.tuned"]
    assert all(row["input"] == "blue boat" and row["finish"] in ("stop", "length") for row in rows)
    assert [row["system"] for row in ask_one(run.path, "micro")] == ["micro.tuned"]
    assert ask_one(run.path, "micro")[0]["input"] == "red mug 20"
    assert all(row["answer"] is not None and row["error"] is None for row in rows)


def test_answers_come_with_their_positions_and_hashes(run: Run) -> None:
    trainer = LocalTrainer(run, run.contestant("micro"))
    task = load_task("describe")
    prompts = [task.prompt(row) for row in (*ROWS[:3], {"id": "long", "title": "mug " * 20, "content": ""})]
    found = dict(trainer.ask(prompts, tuned=True))
    assert sorted(found) == [0, 1, 2, 3]
    assert len({answer.rendered_hash for answer in found.values()}) == 4
    likely = dict(trainer.likelihood(prompts[:3], [row["content"] for row in ROWS[:3]], tuned=False))
    assert sorted(likely) == [0, 1, 2]
    assert all(found.bits_per_byte and found.bits_per_byte > 0 for found in likely.values())
    trainer.close()


def test_few_shot_trains_nothing_and_answers_with_its_shots(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", few_shot=2, epochs=None)
    report = train_contestant(made, made.contestant("micro"))
    assert report["status"] == "nothing_to_train"
    assert "few_shot" in report["reason"]
    assert [row["system"] for row in ask_one(made.path, "micro", "blue boat")] == ["micro.base"]
    with pytest.raises(TrainingFailed, match="nothing of its own"):
        export_one(made.path, "micro", to="adapter")


def test_recorded_answers_build_and_load_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from ftlib.training.local import load, tiny

    for module, name in ((tiny, "build_tiny"), (load, "load")):
        monkeypatch.setattr(module, name, lambda *a, **k: pytest.fail("a model was built or loaded"))
    made = make_run(tmp_path / "run", model="tiny-llama", recorded="answers.jsonl", epochs=None)
    report = train_contestant(made, made.contestant("micro"))
    assert (report["status"], report["reason"]) == ("nothing_to_train", "its answers were recorded earlier (answers.jsonl)")
    trainer = LocalTrainer(made, made.contestant("micro"))
    showing.plan(trainer)
    assert showing.loss_figure(made, "micro") is None
    showing.took(made, "micro")
    showing.side_by_side(trainer)
    assert capsys.readouterr().out.count("were recorded earlier") == 4
    with pytest.raises(Refused, match="there is no model to ask"):
        list(trainer.ask([], tuned=True))


def test_a_refusal_is_written_down_and_nothing_else(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", require_gpu=True)
    report = train_or_report(made, made.contestant("micro"))
    assert report["status"] == "refused"
    assert "A GPU is demanded" in report["reason"]
    with pytest.raises(TrainingFailed, match="is not trained yet"):
        ask_one(made.path, "micro", "x")


def test_a_changed_adapter_is_not_asked(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "copy")
    weights = tmp_path / "copy" / "micro" / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(TrainingFailed, match="not what training wrote"):
        ask_one(tmp_path / "copy", "micro", "x")


def test_the_adapter_leaves_with_a_card(run: Run, tmp_path: Path) -> None:
    assert not (run.folder("micro") / "adapter" / "README.md").exists(), "an empty form is no card"
    made = export_one(run.path, "micro", to="adapter", out=tmp_path / "taken")
    assert made["bytes"] > 0
    text = (tmp_path / "taken" / "README.md").read_text()
    assert "Not evaluated yet." in text
    assert "recipe `default`" in text
    assert sha256_file(tmp_path / "taken" / "adapter_model.safetensors") == read_json(run.folder("micro") / "training.json")["adapter_sha256"]
    with pytest.raises(DataError, match="is there already"):
        export_one(run.path, "micro", to="adapter", out=tmp_path / "taken")


def test_merged_weights_answer_as_the_adapter_does(run: Run, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    export_one(run.path, "micro", to="merged", out=tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(str(tmp_path / "merged"))
    trainer = LocalTrainer(run, run.contestant("micro"))
    ids = torch.tensor([trainer.loaded().template.tokenizer("This mug is red.")["input_ids"]])
    with trainer.loaded().state(tuned=True) as tuned, torch.inference_mode():
        assert torch.allclose(merged(ids).logits, tuned(ids).logits, atol=1e-4)
    assert (tmp_path / "merged" / "chat_template.jinja").exists()


def test_weights_are_merged_in_the_format_that_the_base_has(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 bits stay 16, whatever the training computed in; what memory has no room for is refused before it is loaded."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.copytree(run.path, tmp_path / "run")
    AutoModelForCausalLM.from_pretrained(str(micro.model()), dtype=torch.bfloat16).save_pretrained(tmp_path / "base")
    shutil.copytree(micro.model(), tmp_path / "whole")
    shutil.copytree(tmp_path / "base", tmp_path / "whole", dirs_exist_ok=True)
    monkeypatch.setattr(LocalTrainer, "source", tmp_path / "whole")
    export_one(tmp_path / "run", "micro", to="merged", out=tmp_path / "merged")
    assert AutoConfig.from_pretrained(str(tmp_path / "merged")).dtype == torch.bfloat16
    trainer = LocalTrainer(run, run.contestant("micro"))
    trainer.model = Model(name="large", id="owner/large", parameters=10**15)
    with pytest.raises(Refused, match=r"Merging takes owner/large in 16 bits, .* GiB are free; export --to adapter, and merge on a larger machine"):
        export(trainer, to="merged", out=tmp_path / "not", quantisation="q8_0", repo=None)


def test_what_cannot_be_exported_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP", "/nowhere")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(MissingExtra, match=r"GGUF needs llama\.cpp"):
        export_one(run.path, "micro", to="gguf")
    with pytest.raises(ProfileError, match="--repo owner/name"):
        export_one(run.path, "micro", to="hub")
    with pytest.raises(Refused, match="set HF_TOKEN"):
        export_one(run.path, "micro", to="hub", repo="owner/name")


def test_the_converter_of_llama_cpp_is_called_as_it_wants(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that copies what it was given, in place of llama.cpp's, which is not on this machine."""
    tool = tmp_path / "llama.cpp"
    tool.mkdir()
    (tool / "convert_hf_to_gguf.py").write_text(
        "import sys, pathlib\nsource, _, out, _, kind = sys.argv[1:]\n"
        "pathlib.Path(out).write_bytes(kind.encode() + (pathlib.Path(source) / 'model.safetensors').read_bytes())\n"
    )
    monkeypatch.setenv("LLAMA_CPP", str(tool))
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: object())
    made = export_one(run.path, "micro", to="gguf", out=tmp_path / "m.gguf", quantisation="q8_0")
    assert made["what"] == "GGUF, q8_0"
    assert (tmp_path / "m.gguf").read_bytes().startswith(b"q8_0")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    with pytest.raises(MissingExtra, match="llama-quantize"):
        export_one(run.path, "micro", to="gguf", out=tmp_path / "n.gguf", quantisation="q4_k_m")


def test_checkpoints_and_adapter_are_kept_on_the_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    made = make_run(tmp_path / "run", drive=str(drive), checkpoints={"steps": 1, "keep": 1})
    seen: list[list[str]] = []
    keep = LocalTrainer._keep

    def keep_and_look(self: LocalTrainer) -> None:
        keep(self)
        seen.append(sorted(p.name for p in (drive / "run" / "micro" / "checkpoints").iterdir()))

    monkeypatch.setattr(LocalTrainer, "_keep", keep_and_look)
    train_contestant(made, made.contestant("micro"))
    assert seen == [["checkpoint-1"], ["checkpoint-2"], ["checkpoint-3"], ["checkpoint-4"]]
    weights = Path("micro") / "adapter" / "adapter_model.safetensors"
    assert sha256_file(drive / "run" / weights) == sha256_file(made.path / weights)
    assert not (drive / "run" / "micro" / "checkpoints").exists()


def test_a_finished_training_is_not_done_again_on_a_fresh_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftlib.training.local import tuning

    (tmp_path / "drive").mkdir()
    made = make_run(tmp_path / "run", drive=str(tmp_path / "drive"))
    report = train_contestant(made, made.contestant("micro"))
    shutil.rmtree(made.path)
    monkeypatch.setattr(tuning, "_attempt", lambda *a: pytest.fail("it was trained again"))
    fresh = make_run(tmp_path / "run", drive=str(tmp_path / "drive"))
    assert train_contestant(fresh, fresh.contestant("micro")) == report
    assert LocalTrainer(fresh, fresh.contestant("micro")).adapter() is not None


def test_a_fresh_machine_brings_back_what_the_drive_has(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    made = make_run(tmp_path / "run", drive=str(drive))
    folder = made.folder("micro") / "checkpoints"
    (folder / "checkpoint-3").mkdir(parents=True)
    (folder / "checkpoint-3" / "optimizer.pt").write_bytes(b"state")
    assert push(made, folder) == 1
    assert push(made, folder) == 0
    shutil.rmtree(folder)
    assert pull(made, folder) == 1
    assert (folder / "checkpoint-3" / "optimizer.pt").read_bytes() == b"state"


def test_a_drive_that_is_not_mounted_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    made = make_run(tmp_path / "run", drive=str(tmp_path / "drive"))
    (tmp_path / "drive").rmdir()
    with pytest.raises(DataError, match="does not exist; mount it first"):
        push(made, made.folder("micro"))


def test_the_notebook_shows_what_was_measured(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    showing.took(run, "micro")
    said = capsys.readouterr().out
    assert "n/a (NVML measures NVIDIA GPUs only)" in said
    figure = showing.loss_figure(run, "micro")
    assert [line.get_label() for line in figure.axes[0].lines] == [
        "training rows, step by step", "training rows, averaged over 10 steps", "validation rows",
    ]  # fmt: skip
    assert showing.png(figure).startswith(b"\x89PNG")
    trainer = LocalTrainer(run, run.contestant("micro"))
    showing.plan(trainer)
    showing.side_by_side(trainer, rows=2)
    said = capsys.readouterr().out
    assert "16, 4 at once x 1 batches = 4 a step" in said
    assert said.count("TITLE") == 2
    assert said.count("\ntuned ") == 2


def test_a_wrong_contestant_of_the_notebook_is_named() -> None:
    assert showing.local_name("demo", "") == "tiny-llama"
    with pytest.raises(ProfileError, match="'tiny-hosted' is no local contestant"):
        showing.local_name("demo", "tiny-hosted")
    assert json.dumps(showing.local_name("demo", "tiny-llama"))
