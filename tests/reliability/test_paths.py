"""Names and paths from profiles, notebooks and archives stay where they belong."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
import yaml

from ftlib.cli import main
from ftlib.errors import DataError, FtlibError, ProfileError
from ftlib.formatting.task import load_task
from ftlib.profile import load_profile
from ftlib.runs import Run
from tests.reliability.names import NAMES


def short(name: str) -> str:
    """A name for a test."""
    return ascii(name)[:30]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, whose parents must stay as they are."""
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return folder


def outside(inside: Path) -> list[str]:
    """Everything that stands beside the folder and not in it."""
    top = inside.parent.parent
    return sorted(str(p.relative_to(top)) for p in top.rglob("*") if not p.is_relative_to(inside) and p != inside.parent)


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_no_name_of_a_run_or_contestant_leaves_the_run_folder(name: str, inside: Path) -> None:
    profile = {"name": name, "contestants": [{"name": "a", "trainer": "local", "model": "tiny-llama"}]}
    Path("run.yaml").write_text(yaml.safe_dump(profile), "utf-8")
    with pytest.raises(ProfileError, match="must match"):
        load_profile("run.yaml")
    profile = {"name": "run", "contestants": [{"name": name, "trainer": "local", "model": "tiny-llama"}]}
    Path("run.yaml").write_text(yaml.safe_dump(profile), "utf-8")
    with pytest.raises(ProfileError, match="must match"):
        load_profile("run.yaml")
    assert outside(inside) == []


@pytest.mark.parametrize("name", ["profile.yaml", "manifest.json", "comparison.xlsx", "report.html", "report.md", "curated", "steps"])
def test_a_contestants_folder_is_nobody_elses(name: str) -> None:
    with pytest.raises(ProfileError, match="not be one of"):
        load_profile("demo", [f"contestants.tiny-llama.name={name}"])


@pytest.mark.parametrize("name", NAMES, ids=short)
def test_recipes_tasks_profiles_and_prices_are_built_in_or_files(name: str, inside: Path) -> None:
    for load in (load_task, load_profile):
        with pytest.raises(FtlibError) as caught:
            load(name)
        assert "\n" not in str(caught.value) or "\n" in name
    if "\x00" not in name:
        assert main(["curate", "sample", f"--recipe={name}", "--out", "curated", "--quiet"]) == 2
        assert main(["estimate", "demo", f"--prices={name}", "--quiet"]) in (1, 2)
    assert outside(inside) == []
    assert not Path("curated").exists()


@pytest.mark.parametrize("name", [n for n in NAMES if "\x00" not in n], ids=short)
def test_sources_and_recorded_answers_that_are_no_files_are_named_and_nothing_is_made(name: str, inside: Path) -> None:
    assert main(["curate", "--out", "curated", "--quiet", "--", name]) == 2
    assert not Path("curated").exists()
    assert main(["score", "--references=" + name, "--answers=" + name, "--quiet"]) == 2
    assert outside(inside) == []


def test_links_that_lead_out_of_a_run_are_refused(inside: Path) -> None:
    elsewhere = inside.parent.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("mine")
    profile = load_profile("demo")
    run = Run.create("run", profile)
    (run.path / "tiny-llama").symlink_to(elsewhere)
    for open_again in (lambda: Run.open("run"), lambda: Run.create("run", profile)):
        with pytest.raises(DataError, match="tiny-llama is a link that leads out of the run"):
            open_again()
    (run.path / "tiny-llama").unlink()
    (run.path / "answers" / "echo").mkdir(parents=True)
    (run.path / "answers" / "echo" / "test.jsonl").symlink_to(elsewhere / "precious.txt")
    with pytest.raises(DataError, match="leads out of the run"):
        Run.open("run")
    assert os.listdir(elsewhere) == ["precious.txt"]


def test_links_within_a_run_and_a_run_behind_a_link_are_fine(inside: Path) -> None:
    real = inside / "real"
    real.mkdir()
    Path("run").symlink_to(real)
    run = Run.create("run", load_profile("demo"))
    (run.path / "a.txt").write_text("a")
    (run.path / "b.txt").symlink_to("a.txt")
    assert Run.open("run").path == real


ROWS = "".join(json.dumps({"uid": str(n), "title": f"Mug number {n}", "content": f"It holds {n} cups of tea."}) + "\n" for n in range(400))


@pytest.mark.parametrize("member", ["../../trn.json", "/tmp/ftlib-absolute/trn.json", "..\\..\\trn.json", "C:\\trn.json", "a/../../trn.json"])
def test_an_archive_is_read_and_never_unpacked(member: str, inside: Path) -> None:
    with zipfile.ZipFile("rows.zip", "w") as archive:
        archive.writestr(member, ROWS)
    assert main(["curate", "rows.zip", "--out", "curated", "--recipe", "default", "--quiet"]) in (0, 2)
    assert outside(inside) == []
    assert not Path("/tmp/ftlib-absolute").exists()


def test_a_bomb_costs_time_and_no_memory_or_disk(inside: Path) -> None:
    """300 MB of one line, packed into 300 kB, twice over."""
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive, archive.open("trn.json", "w") as member:
        for _ in range(300):
            member.write(b" " * (1 << 20))
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert main(["curate", "bomb.zip", "--out", "curated", "--quiet"]) == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # kB
    assert not Path("curated").exists() or os.listdir("curated") == []
