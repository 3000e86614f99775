"""Twelve canary keys through commands and notebooks that succeed, fail, run out of time and are killed: found nowhere on disk, never printed.

A sample, in which every command is met once and every way several times; `python benchmarks/reliability.py secrets` does each in each.
"""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ftlib import chain
from ftlib.arguments import parser
from ftlib.profile import load_profile
from ftlib.runs import Run
from tests.reliability import ways
from tests.reliability.canaries import KEYS, leaks
from tests.reliability.cases import CASES, NOTEBOOKS
from tests.reliability.ways import Rehearsal, case_of
from tests.reliability.worlds import COMMAND, copy

QUICK_RUN = replace(case_of("run"), base="empty", mark="curate: running (")  # killed in its first notebook
SAMPLE = [
    *(("01_curate", "timeout"), ("02_format", "failure"), ("03_train_local", "kill"), ("04_train_hosted", "failure"), ("05_evaluate", "kill")),
    *(("06_compare", "success"), ("00_quickstart", "kill"), ("run", "kill"), ("train there", "failure"), ("train here", "timeout")),
    *(("cancel", "success"), ("cancel", "failure"), ("ask there", "timeout"), ("ask here", "kill"), ("judge", "success"), ("judge", "kill")),
    *(("export", "failure"), ("export", "kill"), ("compare", "success"), ("score", "timeout"), ("sandbox", "timeout"), ("curate", "kill")),
    *(("leaks", "success"), ("format", "success"), ("check", "failure"), ("models", "kill"), ("doctor", "success"), ("doctor", "kill")),
    *(("estimate", "success"), ("estimate of a profile", "failure")),
]


def test_the_search_finds_a_key_in_every_form(tmp_path: Path) -> None:
    key = KEYS["OPENAI_API_KEY"]
    for number, text in enumerate(
        [key, base64.b64encode(f":{key}".encode()).decode(), json.dumps({"k": key}), f"https://x/?key={key.replace('+', '%2B')}"]
    ):
        (tmp_path / "x").write_text(text)
        assert leaks([tmp_path]) or number == 3, text
    assert leaks([], b"..." + base64.b64encode(b"ab" + key.encode() + b"tail"))
    (tmp_path / "x").write_text("sk-nothing")
    assert leaks([tmp_path]) == []
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sheet.xml", f"<v>{key}</v>" * 9)
    assert leaks([tmp_path]) == [f"OPENAI_API_KEY in {tmp_path / 'book.xlsx'}"]


def test_every_command_and_every_notebook_has_a_case() -> None:
    commands = next(action for action in parser()._actions if action.choices and not action.option_strings).choices
    assert commands is not None
    assert {case.command for case in CASES} == {*commands, *NOTEBOOKS}
    assert {path.stem for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    pytest.importorskip("torch")
    with ways.rehearsal(tmp_path_factory.mktemp("secrets")) as stage:
        yield stage


@pytest.fixture(scope="module")
def finished(stage: Rehearsal) -> Rehearsal:
    """The same with the worlds before each room, which are made here and not by notebooks."""
    world = copy(stage.base("empty"), stage.folder / "finished")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "FTLIB_HOME": str(world / "cache"), "NO_PROXY": "127.0.0.1"}.items():
            patch.setenv(name, value)
        patch.chdir(world / "work")
        done = Run.create("run", load_profile("whole.yaml"))
        rooms = {"01_curate": chain.curate, "02_format": chain.format_files, "03_train_local": training("near"), "04_train_hosted": training("far")}
        for name, work in {**rooms, "05_evaluate": chain.evaluate, "06_compare": chain.compare}.items():
            work(done)
            stage.bases[name] = copy(world, stage.folder / name)
    assert leaks([world, stage.folder / "service"]) == []
    return stage


def training(contestant: str) -> Callable[[Run], None]:
    """The room that trains one."""
    return lambda run: chain.train(run, run.contestant(contestant))


@pytest.mark.reliability
@pytest.mark.parametrize(("name", "way"), SAMPLE)
def test_no_key_is_left(name: str, way: str, finished: Rehearsal) -> None:
    outcome = finished.rehearse(QUICK_RUN if name == "run" else case_of(name), way)
    assert outcome.faults == []
    assert outcome.reached


@pytest.mark.reliability
def test_a_key_that_is_left_is_found(stage: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "COMMAND", "import os; open('x', 'w').write(os.environ['HF_TOKEN'])\n" + COMMAND)
    for way in ways.WAYS:
        outcome = stage.rehearse(replace(case_of("models"), base="empty"), way)
        assert f"models, {way}: HF_TOKEN in {stage.folder / 'place' / 'work' / 'x'}" in outcome.faults


@pytest.mark.reliability
def test_a_run_that_ends_before_the_kill_is_not_counted(stage: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "COMMAND", "import sys; open(sys.argv[1], 'w').write('running (the command)\\nended (the command)\\n')")
    outcome = stage.rehearse(replace(case_of("models"), base="empty"), "kill")
    assert (outcome.reached, outcome.tries) == (False, ways.TRIES)
    assert outcome.faults == [f"models, kill: not reached in {ways.TRIES} tries"]
