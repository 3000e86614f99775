"""Our trainer beside the bare libraries, packing beside padding, batched beside one-by-one answering: one run, ratios.

    python benchmarks/training_local.py --out benchmarks/training_local.json [--rows 200]

Each measurement runs in a process of its own and reports wall and processor time of the training alone (libraries imported and the
model loaded before). On a busy machine the processor times are the ones to compare. On a CPU it measures ftlib's tiny Llama.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CASES = ("ours", "bare", "packed", "batched", "one-by-one")


def examples(count: int) -> list[Any]:
    """Rows of the sample of ordinary lengths, as training sees them."""
    import gzip
    from importlib import resources

    from ftlib.formatting.task import load_task
    from ftlib.training.local.rows import Example, from_prompt

    raw = gzip.decompress(resources.files("ftlib").joinpath("sample", "sample.jsonl.gz").read_bytes()).decode()
    rows = [json.loads(line) for line in raw.splitlines() if line.strip()]
    rows = [row for row in rows if row.get("title") and row.get("content") and 60 < len(row["content"]) < 1200][:count]
    task = load_task("describe")
    return [Example(tuple(from_prompt(task.prompt({"id": str(n), **row}))), row["content"]) for n, row in enumerate(rows)]


def settings(**changes: Any) -> Any:
    """The settings that all training cases share."""
    from ftlib.training.local.settings import TuneSettings

    common: dict[str, Any] = {"epochs": 1.0, "lr": 8e-3, "batch": 8, "accumulate": 1, "max_length": 512, "loader": "transformers", "seed": 1}
    return TuneSettings(**{**common, "checkpoint_minutes": None, **changes})


def training(count: int, **changes: Any) -> dict[str, Any]:
    """Ours: ``tune``, from rows to adapter, counting everything it adds; loading is apart in its own report."""
    import tempfile

    from ftlib.training.local.tiny import build_tiny
    from ftlib.training.local.tuning import tune

    model, rows = build_tiny("tiny-llama"), examples(count)
    import trl  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        report = tune(model, rows, [], settings(**changes), Path(folder))
    return {"seconds": report["seconds"]["train"] + report["seconds"]["tokenise"], "tokens": report["tokens"]["seen"], "steps": report["steps"],
            "padding": report["tokens"]["padding"], "loss_last": report["loss"][-1]["train"]}  # fmt: skip


def bare(count: int) -> dict[str, Any]:
    """transformers + PEFT + TRL as their documentation shows it, with the same settings and nothing of ours."""
    import tempfile

    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
    from trl import SFTConfig, SFTTrainer

    from ftlib.training.local.tiny import build_tiny

    folder = build_tiny("tiny-llama")
    rows = [{"prompt": [{k: m[k] for k in ("role", "content")} for m in e.prompt], "completion": [{"role": "assistant", "content": e.answer}]}
            for e in examples(count)]  # fmt: skip
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    set_seed(1)
    shape = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=16,
                       target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])  # fmt: skip
    model = get_peft_model(model, shape)
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        args = SFTConfig(out, num_train_epochs=1, per_device_train_batch_size=8, learning_rate=8e-3, max_length=512, bf16=False, use_cpu=True, seed=1,
                         gradient_checkpointing=False, logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True)  # fmt: skip
        trainer = SFTTrainer(model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        trainer.train()
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "steps": trainer.state.global_step, "tokens": int(trainer.state.log_history[-2].get("num_tokens", 0)),
            "loss_last": trainer.state.log_history[-2]["loss"]}  # fmt: skip


def answering(count: int, batch: int) -> dict[str, Any]:
    """Greedy answers of at most 64 tokens, so many at a time."""
    from ftlib.training.local.generate import answer_batch, by_length
    from ftlib.training.local.load import load
    from ftlib.training.local.tiny import build_tiny

    loaded = load(build_tiny("tiny-llama"), settings())
    loaded.template.stop_ids = [loaded.template.pad_id]  # every answer goes to its limit, so that both do the same work
    asked = [list(e.prompt) for e in examples(count)]
    answer_batch(loaded, asked[:1], tuned=False, max_new_tokens=4)
    began = time.perf_counter()
    texts: dict[int, str] = {}
    for places in by_length(loaded, asked, batch):
        made = answer_batch(loaded, [asked[p] for p in places], tuned=False, max_new_tokens=64)
        texts.update({place: one.text for place, one in zip(places, made, strict=True)})
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "items": count, "items_per_second": count / seconds, "texts": [texts[p] for p in range(count)]}


def one(case: str, rows: int) -> dict[str, Any]:
    """One case, in this process."""
    before = time.process_time()
    if case in ("ours", "packed"):
        found = training(rows, packing=case == "packed")
    elif case == "bare":
        found = bare(rows)
    else:
        found = answering(min(rows, 48), 16 if case == "batched" else 1)
    return {**found, "process_seconds": time.process_time() - before}


def pace(case: dict[str, Any]) -> float:
    """Seconds a token of a training."""
    return float(case["seconds"] / case["tokens"])


def main() -> None:
    """Run all cases and write their figures with the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/training_local.json"))
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--case", choices=CASES)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(one(args.case, args.rows)))
        return
    from ftlib.files import write_json
    from ftlib.runs import machine, versions
    from ftlib.training.local.precision import processor_name

    found: dict[str, Any] = {}
    for case in CASES:
        done = subprocess.run([sys.executable, __file__, "--case", case, "--rows", str(args.rows)], capture_output=True, text=True, check=False,
                              env={**os.environ, "FTLIB_QUIET": "1", "OMP_NUM_THREADS": "1"})  # fmt: skip
        if done.returncode:
            sys.exit(f"{case}: {done.stderr[-2000:]}")
        found[case] = json.loads(done.stdout.splitlines()[-1])
        print(case, {k: v for k, v in found[case].items() if k != "texts"})
    same = found["batched"].pop("texts") == found["one-by-one"].pop("texts")
    ratios = {
        "ours / bare, training seconds": found["ours"]["seconds"] / found["bare"]["seconds"],
        "packed / padded, seconds a token": pace(found["packed"]) / pace(found["ours"]),
        "batched / one by one, items a second": found["batched"]["items_per_second"] / found["one-by-one"]["items_per_second"],
    }
    load = os.getloadavg()[0]
    about = {"device": processor_name(), "threads": 1, "load_average": load, "rows": args.rows, "machine": machine(), "versions": versions()}
    write_json(args.out, {**about, "cases": found, "ratios": ratios, "same_greedy_answers": same})
    print(json.dumps(ratios, indent=2), "same greedy answers:", same)


if __name__ == "__main__":
    main()
