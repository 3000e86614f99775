"""Work that is no longer true: what a change touches is done again, with the reason said, and nothing else."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path

import msgspec
import pytest
import yaml

from ftlib.curation.source import Source
from ftlib.files import read_json
from ftlib.runs import Run
from tests.reliability import chain

ALL = {"curate", "format", "train", "answer", "score", "compare"}


@pytest.fixture(scope="module", autouse=True)
def quickly() -> Iterator[None]:
    """Without the charts, which take most of the time and have no part in what is asked here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ftlib.comparison.charts.draw_all", lambda *_: [])
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on a source, a task and a price file of its own."""
    folder = tmp_path_factory.mktemp("stale")
    packed = resources.files("ftlib").joinpath("sample", "sample.jsonl.gz").read_bytes()
    (folder / "rows.jsonl").write_bytes(gzip.decompress(packed))
    (folder / "task.yaml").write_text(yaml.safe_dump({"name": "mine", "instruction": "Describe it.", "input": "{title}"}))
    (folder / "prices.yaml").write_text(yaml.safe_dump([]))
    profile = chain.recorded_profile(folder, source=str(folder / "rows.jsonl"))
    profile = msgspec.structs.replace(profile, task=str(folder / "task.yaml"), prices=str(folder / "prices.yaml"))
    run = Run.create(chain.up_to("answer", folder / "run", profile), profile)
    for room in ("answer", "score", "compare"):
        chain.ROOMS[room](run.path)
    return run


def redone(run: Run, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Do all that is to be done; returns the rooms where something was, with the first reason."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "ftlib"):
        for room, work in chain.ROOMS.items():
            work(run.path)
            if room == "curate":
                chain.record_answers(run)
    found: dict[str, str] = {}
    for message in caplog.messages:
        step, _, rest = message.partition(": running (")
        if rest:
            found.setdefault(step.split(":")[0], rest.rstrip(")"))
    return found


def change(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes and keep size and times."""
    status, data = path.stat(), path.read_bytes()
    assert old in data
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new, 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert path.stat().st_mtime_ns == status.st_mtime_ns


def test_nothing_is_done_where_nothing_changed(done: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert redone(done, caplog) == {}


def test_one_byte_of_the_source(done: Run, caplog: pytest.LogCaptureFixture) -> None:
    source = Path(done.profile.data.source)
    assert Source(source).paths == [source]
    change(source, b"and", b"end")
    found = redone(done, caplog)
    assert "inputs changed: source" in found["curate"]
    assert {"curate", "compare"} <= found.keys()
    assert redone(done, caplog) == {}


@pytest.mark.parametrize(
    ("file", "rooms"),
    [("curated/train.jsonl", {"curate"}), ("curated/test.jsonl", {"curate"}), ("scores/items.jsonl", {"score"}), ("report.html", {"compare"})],
)
def test_one_byte_of_what_a_room_wrote(done: Run, file: str, rooms: set[str], caplog: pytest.LogCaptureFixture) -> None:
    before = (done.path / file).read_bytes()
    change(done.path / file, before[40:41], b"#" if before[40:41] != b"#" else b"+")
    found = redone(done, caplog)
    assert rooms <= found.keys()
    assert all("is not what the step wrote" in found[room] for room in rooms)
    assert (done.path / file).read_bytes() == before
    assert redone(done, caplog) == {}


def test_an_answer_that_was_edited(done: Run, caplog: pytest.LogCaptureFixture) -> None:
    answers = done.answers_file("echo")
    before = answers.read_bytes()
    change(answers, b"stop", b"stap")
    assert "is not what the step wrote" in redone(done, caplog)["answer"]
    assert answers.read_bytes() == before


def test_a_setting_of_the_evaluation_touches_no_training_and_no_answer(done: Run, caplog: pytest.LogCaptureFixture) -> None:
    evaluation = msgspec.structs.replace(done.profile.evaluation, resamples=501)
    found = redone(Run.create(done.path, msgspec.structs.replace(done.profile, evaluation=evaluation)), caplog)
    assert found.keys() == {"score", "compare"}
    assert "settings changed: evaluation.resamples 500 -> 501" in found["score"]
    Run.create(done.path, done.profile)
    redone(done, caplog)


def test_a_prompt_touches_everything_but_the_curation(done: Run, caplog: pytest.LogCaptureFixture) -> None:
    task = Path(done.profile.task)
    change(task, b"Describe it.", b"Describe us.")
    found = redone(done, caplog)
    assert "curate" not in found
    assert {"answer", "score", "compare"} <= found.keys()


def test_a_prompt_writes_training_files_again_and_nothing_is_curated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = tmp_path / "task.yaml"
    task.write_text(yaml.safe_dump({"name": "mine", "instruction": "Describe it.", "input": "{title}"}))
    profile = msgspec.structs.replace(chain.with_training(chain.recorded_profile(tmp_path)), task=str(task))
    run = chain.up_to("train", tmp_path / "run", profile)
    change(task, b"Describe it.", b"Describe us.")
    with caplog.at_level(logging.INFO, "ftlib"):
        chain.curate(run)
        chain.format_files(run)
    assert "curate: skipped (nothing it depends on has changed)" in caplog.messages
    assert "format:micro: running (settings changed: task.instruction Describe it. -> Describe us.)" in caplog.messages


def test_a_price_touches_the_comparison_and_no_training(done: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert done.profile.prices is not None
    row = {"provider": "sandbox", "model": "x", "unit": "input_token", "usd": 1.0, "per": 1_000_000, "date": "2026-11-01", "source": "mine"}
    Path(done.profile.prices).write_text(yaml.safe_dump([row]))
    found = redone(done, caplog)
    assert "prices" in found["compare"]
    assert not {"curate", "format", "train", "answer"} & found.keys()


@pytest.mark.parametrize(
    ("library", "room"),
    [
        *(("sacrebleu", "score"), ("rapidfuzz", "score"), ("regex", "score"), ("numpy", "score")),
        *(("xlsxwriter", "compare"), ("matplotlib", "compare"), ("tiktoken", "curate"), ("gigatoken", "curate")),
    ],
)
def test_another_version_of_a_library(done: Run, library: str, room: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(library)
    real = metadata.version
    with monkeypatch.context() as patched:
        patched.setattr(metadata, "version", lambda name: "99.0" if name == library else real(name))
        found = redone(done, caplog)
        assert f"{library}" in found[room]
        assert "-> 99.0" in found[room]
    redone(done, caplog)


def test_another_tiktoken_counts_training_files_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    run = Run.open(chain.up_to("train", tmp_path / "run", chain.with_training(chain.recorded_profile(tmp_path))))
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "99.0" if name == "tiktoken" else real(name))
    with caplog.at_level(logging.INFO, "ftlib"):
        chain.format_files(run.path)
    assert [said for said in caplog.messages if said.startswith("format:micro: running (settings changed: versions.tiktoken")]


@pytest.mark.reliability
def test_another_torch_really_trains_again_and_the_same_one_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    profile = chain.with_training(chain.recorded_profile(tmp_path))
    few = [msgspec.structs.replace(c, steps=2, epochs=None) if c.trains else c for c in profile.contestants]
    run = Run.open(chain.up_to("answer", tmp_path / "run", msgspec.structs.replace(profile, contestants=few)))
    report, record = run.folder("micro") / "training.json", run.path / "steps" / "train__micro.json"
    before = report.stat().st_mtime_ns
    record.unlink()  # as after a kill between the end of a training and its record
    chain.train(run.path)
    assert report.stat().st_mtime_ns == before
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "99.0" if name == "torch" else real(name))
    chain.train(run.path)
    assert read_json(report)["versions"]["torch"] == read_json(record)["settings"]["versions"]["torch"] == "99.0"
    assert report.stat().st_mtime_ns != before


def test_another_ftlib_does_everything_again(done: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("ftlib.__version__", "99.0")
        found = redone(done, caplog)
        assert found.keys() >= ALL - {"train", "format"}
        assert "-> 99.0" in found["curate"]
    redone(done, caplog)
    assert read_json(done.path / "steps" / "curate.json")["ftlib"] != "99.0"
