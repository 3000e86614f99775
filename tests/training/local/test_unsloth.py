"""Our calls to Unsloth, executed by its CPU backend: separate code from its GPU kernels, the same functions called the same way.
And weights in 4 bits with the 8-bit optimiser, by bitsandbytes' CPU code.

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

IN_FOUR_BITS = """
import json, sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, LlamaConfig
from ftlib.files import read_json
from ftlib.single import export_one
from ftlib.training import train_contestant
from ftlib.training.local.trainer import LocalTrainer
from tests.training.local import micro
from tests.training.local.test_trainer import make_run

place = Path(sys.argv[1])
sizes = dict(vocab_size=520, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1)
whole = AutoModelForCausalLM.from_config(LlamaConfig(**sizes))
whole.save_pretrained(place / "whole")
four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32)
AutoModelForCausalLM.from_pretrained(str(place / "whole"), quantization_config=four, device_map="cpu").save_pretrained(place / "four")
AutoTokenizer.from_pretrained(str(micro.model())).save_pretrained(place / "four")
run = make_run(place / "run", model=str(place / "four"), epochs=4)
report = train_contestant(run, run.contestant("micro"))
export_one(run.path, "micro", to="merged", out=place / "merged")
merged = AutoModelForCausalLM.from_pretrained(str(place / "merged"))
ids = torch.tensor([[5, 6, 7, 8]])
trainer = LocalTrainer(run, run.contestant("micro"))
logits = {}
for tuned in (False, True):
    with trainer.loaded().state(tuned=tuned) as model, torch.inference_mode():
        logits[tuned] = model(ids).logits
found = {"report": report, "parameters": sum(p.numel() for p in whole.parameters()), "config": read_json(place / "merged" / "config.json"),
         "apart": float((merged(ids).logits - logits[True]).abs().max()), "moved": float((logits[False] - logits[True]).abs().max())}
(place / "found.json").write_text(json.dumps(found))
"""
needs_unsloth = pytest.mark.skipif(
    importlib.util.find_spec("unsloth") is None and not os.environ.get("FTLIB_NEEDS_UNSLOTH"), reason="Unsloth is not installed here"
)


def work(code: str, *arguments: Path) -> str:
    """Run code in a process of its own; returns what it said on standard error."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "UNSLOTH_FORCE_CPU": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=Path(__file__).parents[3], env=environment, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


@pytest.mark.slow
@needs_unsloth
def test_unsloth_loads_wraps_trains_and_answers(tmp_path: Path) -> None:
    said = work(WORK, micro.model(), tmp_path / "out")
    found = json.loads((tmp_path / "out" / "found.json").read_text())
    report = found["report"]
    assert report["device"]["loader"] == "unsloth"
    assert report["steps"] == 12
    assert report["examples"] == {"seen": 48, "distinct": 24, "cut": 0}
    assert report["tokens"]["supervised"] < report["tokens"]["seen"]
    assert report["loss"][-1]["train"] < report["loss"][0]["train"]
    assert found["nats"][1] < found["nats"][0]
    assert found["answers"][0] != found["answers"][1]
    assert "should be imported before" not in said, "Unsloth patches what is imported after it"
    # without a GPU's attention kernels Unsloth pads instead, and the report says so
    assert found["packed"]["settings"]["packing"] is False
    assert found["packed"]["examples"]["seen"] == 8
    assert "turned packing off" in said


@pytest.mark.slow
@needs_unsloth
def test_weights_in_four_bits_are_tuned_by_the_8_bit_optimiser_and_merged_into_whole_ones(tmp_path: Path) -> None:
    micro.model()
    work(IN_FOUR_BITS, tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())
    report = found["report"]
    assert report["method"] == "qlora"
    assert report["parameters"]["total"] == found["parameters"] + report["parameters"]["trainable"]
    assert report["loss"][-1]["train"] < report["loss"][0]["train"]
    assert "quantization_config" not in found["config"]
    assert found["apart"] < 1e-4 < found["moved"]
