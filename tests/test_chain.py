"""The whole chain on tiny settings: every notebook executed, every artifact there, nothing done twice."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import ftlib.chain
from ftlib.batch import Report, cost_text, plan_text, run_profile
from ftlib.chain import ensure
from ftlib.files import read_json, read_jsonl, write_json
from ftlib.profile import load_profile
from ftlib.runs import Run

pytest.importorskip("torch")
pytest.importorskip("papermill")
pytestmark = pytest.mark.timeout(900)  # the first test waits for the whole chain, on a machine that may be busy

TINY = [
    "data.train=40",
    "data.valid=10",
    "data.test=12",
    "contestants.tiny-llama.steps=4",
    "contestants.tiny-llama.epochs=null",
    "contestants.tiny-hosted.epochs=1",
    "contestants.tiny-llama.decoding.max_new_tokens=24",
    "contestants.tiny-hosted.decoding.max_new_tokens=24",
    "evaluation.probe_items=2",
    "evaluation.resamples=500",
]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run_profile("demo", out=tmp_path_factory.mktemp("chain") / "run", overrides=TINY)


def test_all_notebooks_are_executed_and_all_artifacts_there(first: Report) -> None:
    assert first.code == 0, first.findings
    assert first.done == [
        "01_curate.ipynb",
        "02_format.ipynb",
        "03_train_local__tiny-llama.ipynb",
        "04_train_hosted__tiny-hosted.ipynb",
        "05_evaluate.ipynb",
        "06_compare.ipynb",
    ]
    run = first.run
    for name in ("manifest.json", "curated/funnel.json", "curated/tokens.json", "scores/summary.json", "comparison.xlsx", "report.html", "report.md"):
        assert (run.path / name).stat().st_size > 0, name
    assert (run.folder("tiny-llama") / "adapter" / "adapter_model.safetensors").exists()
    assert (run.folder("tiny-hosted") / "job.json").exists()
    assert not list(run.path.rglob("*.failed.ipynb"))
    assert not [p for p in run.path.rglob("*") if p.name.endswith(".ftlib-tmp") or p.name == ".lock"]


def test_both_trainings_really_happened(first: Report) -> None:
    for name in ("tiny-llama", "tiny-hosted"):
        training = read_json(first.run.folder(name) / "training.json")
        assert training["status"] == "done"
        losses = [point["train"] for point in training["loss"] if point.get("train") is not None]
        assert losses, training
        assert losses[-1] < losses[0]
    local = read_json(first.run.folder("tiny-llama") / "training.json")
    assert local["steps"] == 4
    assert local["examples"]["distinct"] <= 40


def test_base_and_tuned_answered_the_same_questions(first: Report) -> None:
    run = first.run
    test_ids = [row["id"] for row in read_jsonl(run.test_file)]
    assert len(test_ids) == 12
    hashes: dict[str, dict[str, str]] = {}
    for contestant in run.profile.contestants:
        for system in contestant.systems():
            rows = list(read_jsonl(run.answers_file(system)))
            assert sorted(row["id"] for row in rows) == sorted(test_ids)
            hashes[system] = {row["id"]: row["prompt_hash"] for row in rows}
    assert len({json.dumps(h, sort_keys=True) for h in hashes.values()}) == 1
    train_titles = {row["title"] for row in read_jsonl(run.curated / "train.jsonl")}
    assert not train_titles & {row["title"] for row in read_jsonl(run.test_file)}


def test_executed_notebooks_ran_to_their_end_without_widgets(first: Report) -> None:
    for path in (first.run.path / "notebooks").glob("*.ipynb"):
        document = json.loads(path.read_text("utf-8"))
        assert all(cell["execution_count"] for cell in document["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()), (
            path.name
        )
        assert "widget" not in path.read_text("utf-8"), path.name
        assert path.stat().st_size < 3_000_000, path.name


def test_a_second_run_recomputes_nothing_and_a_changed_setting_redoes_what_depends_on_it(first: Report, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ftlib")
    before = {p: p.read_bytes() for p in first.run.path.rglob("*") if p.is_file() and p.name != "manifest.json"}
    second = run_profile("demo", out=first.run.path, overrides=TINY)
    assert second.done == []
    assert caplog.messages[0].startswith("plan of ")
    assert not [said for said in caplog.messages if "billed training tokens" in said]
    caplog.clear()
    assert len(second.skipped) == 6
    assert {p: p.read_bytes() for p in before} == before

    third = run_profile("demo", out=first.run.path, overrides=[*TINY, "evaluation.resamples=600"])
    assert third.done == ["05_evaluate.ipynb", "06_compare.ipynb"]
    assert len([said for said in caplog.messages if "billed training tokens" in said]) == 1  # asking again may be paid too
    assert (first.run.folder("tiny-llama") / "training.json").read_bytes() == before[first.run.folder("tiny-llama") / "training.json"]


def test_the_plan_says_what_will_be_done_and_what_it_takes(first: Report, tmp_path: Path) -> None:
    fresh = plan_text(Run.create(tmp_path / "fresh", first.run.profile))
    assert "03_train_local__tiny-llama.ipynb         train:tiny-llama: not done yet" in fresh
    assert "up to date" not in fresh
    settled = plan_text(Run.open(first.run.path))
    assert "not done yet" not in settled
    assert "as far as is known now" not in settled
    again = Run(first.run.path, load_profile("demo", [*TINY, "data.valid=9"]))
    curate, written, *_ = plan_text(again).splitlines()[1:]
    assert curate.startswith("  01_curate.ipynb")
    assert "up to date" not in curate
    assert written.startswith("  02_format.ipynb")
    assert "as far as is known now" in written
    assert "no key yet" not in fresh
    cost = cost_text(first.run)
    for part in ("tiny-llama (local", "billed training tokens", "within the budget"):
        assert part in cost


def test_the_manifest_names_every_file_by_hash(first: Report) -> None:
    manifest = read_json(first.run.path / "manifest.json")
    there = {first.run.relative(p) for p in first.run.path.rglob("*") if p.is_file()} - {"manifest.json"}
    assert set(manifest["files"]) >= {name for name in there if "checkpoints" not in Path(name).parts}
    assert Run.open(first.run.path).whole


def test_a_users_own_rows_with_other_field_names(tmp_path: Path) -> None:
    rows = [row for row in read_jsonl_sample() if row["title"] and row["content"]][:150]
    own = tmp_path / "own.jsonl"
    own.write_text("\n".join(json.dumps({"name": row["title"], "text": row["content"]}) for row in rows), "utf-8")
    sets = [*TINY, f"data.source={own}", "data.title_field=name", "data.content_field=text", "data.train=20", "data.valid=5", "data.test=6"]
    sets.append('contestants=[{"name": "few", "trainer": "local", "model": "tiny-llama", "few_shot": 1, "decoding": {"max_new_tokens": 8}}]')
    report = run_profile("demo", out=tmp_path / "run", overrides=[s for s in sets if not s.startswith("contestants.")])
    assert report.code == 0
    assert len(list(read_jsonl(report.run.answers_file("few.base")))) == 6


def test_a_training_that_took_its_kernel_with_it_is_not_tried_again_by_a_later_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run.create(tmp_path / "run", load_profile("demo"))
    write_json(run.folder("tiny-llama") / "training.json", {"status": "failed", "reason": "its kernel died"})
    done: list[str] = []
    monkeypatch.setattr(ftlib.chain, "curate", lambda run: done.append("curate"))
    monkeypatch.setattr(ftlib.chain, "format_files", lambda run: done.append("format"))
    monkeypatch.setattr(ftlib.chain, "train", lambda run, contestant: done.append(contestant.name))
    with caplog.at_level("INFO", "ftlib"):
        ensure(run, "05_evaluate")
    assert done == ["curate", "format", "tiny-hosted"]
    assert "tiny-llama: failed: its kernel died (03_train_local tries again)" in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(find_spec("unsloth") is not None, reason="the contestant that is to fail would not")
def test_a_matrix_goes_on_past_contestants_that_fail_and_are_refused(tmp_path: Path) -> None:
    tiny = {"trainer": "local", "model": "tiny-llama", "steps": 4, "decoding": {"max_new_tokens": 16}}
    wanted = {
        "name": "nights",
        "data": {"train": 40, "valid": 10, "test": 12},
        "contestants": [
            {**tiny, "name": "broken", "loader": "unsloth"},  # what is missing ends its notebook
            {"name": "unpaid", "trainer": "hosted", "provider": "openai", "model": "gpt-4o-mini-2024-07-18"},
        ],
        "matrix": {"models": ["tiny-llama"], "seeds": [1, 2], "base": tiny},
        "evaluation": {"probe_items": 2, "resamples": 300},
    }
    path = tmp_path / "nights.yaml"
    path.write_text(yaml.safe_dump(wanted), "utf-8")
    report = run_profile(str(path), out=tmp_path / "run")
    assert report.code == 1
    assert report.done[-2:] == ["05_evaluate.ipynb", "06_compare.ipynb"]
    assert list(report.findings) == ["broken", "unpaid"]
    assert "Unsloth is not installed" in report.findings["broken"]
    assert report.findings["unpaid"].startswith("refused: ")
    scored = read_json(report.run.path / "scores" / "summary.json")
    assert all(scored["systems"][f"tiny-llama-s{seed}.tuned"]["metrics"]["rougeL"]["n"] == 12 for seed in (1, 2))
    assert scored["seeds"]["groups"][0]["contestants"] == ["tiny-llama-s1", "tiny-llama-s2"]
    page = (report.run.path / "report.md").read_text("utf-8")
    assert "broken" in page
    assert "unpaid" in page


def read_jsonl_sample() -> list[dict[str, str]]:
    """Rows of the sample with both fields as texts."""
    import gzip
    from importlib import resources

    found = next(p for p in resources.files("ftlib").joinpath("sample").iterdir() if p.name.endswith((".jsonl", ".jsonl.gz")))
    data = found.read_bytes()
    text = gzip.decompress(data) if found.name.endswith(".gz") else data
    rows = [json.loads(line) for line in text.decode("utf-8").split("\n") if line.strip()]
    return [row for row in rows if isinstance(row.get("title"), str) and isinstance(row.get("content"), str)]
