"""Our calls to Unsloth, executed by its CPU backend: separate code from its GPU kernels, the same functions called the same way.

It needs Unsloth laid over the test set (requirements-unsloth-cpu.txt says how, .ci/run does it) and skips elsewhere.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.local import micro

WORK = """
import json, sys
from pathlib import Path
from ftlib.training.local.generate import answer_batch
from ftlib.training.local.likelihood import likelihood_batch
from ftlib.training.local.load import load
from ftlib.training.local.tuning import tune
from tests.training.local import micro

model, out = Path(sys.argv[1]), Path(sys.argv[2])
settings = micro.settings(loader="unsloth", dropout=0.0, lr=2e-2, epochs=2, checkpoint_steps=6)
report = tune(model, micro.examples(24), micro.examples(4, 900), settings, out)
loaded = load(model, settings, adapter=out / "adapter")
asked = [list(e.prompt) for e in micro.examples(3, 500)]
answers = {state: [a.text for a in answer_batch(loaded, asked, tuned=state, max_new_tokens=12)] for state in (False, True)}
nats = {state: sum(f.nats for f in likelihood_batch(loaded, micro.examples(6, 800), tuned=state)) for state in (False, True)}
packed = tune(model, micro.examples(8), [], micro.settings(loader="unsloth", dropout=0.0, checkpoint_steps=None, packing=True), out / "packed")
found = {"report": report, "packed": packed, "answers": [answers[False], answers[True]], "nats": [nats[False], nats[True]]}
(out / "found.json").write_text(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("unsloth") is None and not os.environ.get("FTLIB_NEEDS_UNSLOTH"), reason="Unsloth is not installed here")
def test_unsloth_loads_wraps_trains_and_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORK, str(micro.model()), str(tmp_path / "out")]
    environment = {**os.environ, "UNSLOTH_FORCE_CPU": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=Path(__file__).parents[3], env=environment, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((tmp_path / "out" / "found.json").read_text())
    report = found["report"]
    assert report["device"]["loader"] == "unsloth"
    assert report["steps"] == 12
    assert report["examples"] == {"seen": 48, "distinct": 24}
    assert report["tokens"]["supervised"] < report["tokens"]["seen"]
    assert report["loss"][-1]["train"] < report["loss"][0]["train"]
    assert found["nats"][1] < found["nats"][0]
    assert found["answers"][0] != found["answers"][1]
    assert "should be imported before" not in done.stderr, "Unsloth patches what is imported after it"
    # without a GPU's attention kernels Unsloth pads instead, and the report says so
    assert found["packed"]["settings"]["packing"] is False
    assert found["packed"]["examples"]["seen"] == 8
    assert "turned packing off" in done.stderr
