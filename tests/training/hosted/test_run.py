"""A whole run in which hosted contestants end badly, each in its own way: the others go on, and the page says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ftlib.batch import run_profile
from ftlib.files import read_json
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import QUICK

ENDS = {"locked-out": "refused: ", "lost": "failed: The reply to the creation of the job at mute was lost", "broken": "failed: Job ftjob-"}


def profile(sandbox: Sandbox, path: Path, *contestants: dict[str, Any]) -> str:
    mute = {"base_url": sandbox.url, "key_env": ["FTLIB_SANDBOX_KEY"], "free": True, "can": {"jobs_list": False}, **QUICK}
    hosted = {"trainer": "hosted", "provider": "sandbox"}
    wanted = {
        "name": "bad-day",
        "data": {"train": 40, "valid": 10, "test": 12},
        "providers": {"sandbox": QUICK, "mute": mute},
        "contestants": [{**hosted, **contestant} for contestant in contestants],
        "evaluation": {"probe_items": 2, "resamples": 300},
    }
    path.write_text(yaml.safe_dump(wanted), "utf-8")
    return str(path)


@pytest.mark.slow
def test_contestants_that_end_badly_stand_with_their_reason_and_the_others_go_on(sandbox: Sandbox, tmp_path: Path) -> None:
    for fault in ("403@jobs.create", "reset-after-commit@jobs.create", "fail-running"):  # in the order in which the contestants meet them
        sandbox.faults.add(fault)
    tuned = {"model": "tiny-hosted", "epochs": 1}
    bad = ({**tuned, "name": "locked-out"}, {**tuned, "name": "lost", "provider": "mute"}, {**tuned, "name": "broken"})
    named = profile(sandbox, tmp_path / "bad.yaml", *bad, {"name": "good", "existing": "tiny-hosted"})
    report = run_profile(named, out=tmp_path / "run")
    assert report.code == 1
    assert list(report.findings) == list(ENDS)
    assert all(report.findings[name].startswith(said) for name, said in ENDS.items()), report.findings
    systems = read_json(report.run.path / "scores" / "summary.json")["systems"]
    assert systems["good.tuned"]["metrics"]["rougeL"]["n"] == 12
    page = (report.run.path / "report.md").read_text("utf-8")
    for name, said in ENDS.items():
        assert systems[f"{name}.tuned"]["status"] == said.partition(":")[0]
        assert f"\n- {name}: {said.partition(':')[0]}. " in page
    sandbox.faults.clear()
    sandbox.faults.add("403@chat*all")
    again = run_profile(named, out=tmp_path / "run")  # the one that was locked out is let in, but nobody answers it
    assert list(again.findings) == ["locked-out.base", "locked-out.tuned", "lost", "broken"]
    assert again.findings["locked-out.tuned"].startswith("refused: sandbox refused ft:tiny-hosted")
    assert read_json(again.run.folder("locked-out") / "training.json")["status"] == "done"
    assert "\n- locked-out: refused. locked-out.tuned: sandbox refused" in (again.run.path / "report.md").read_text("utf-8")
