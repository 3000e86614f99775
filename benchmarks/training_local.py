"""Our trainer beside the bare libraries, packing beside padding, batched beside one-by-one answering: one run, ratios.

    python benchmarks/training_local.py [--out benchmarks/training_local.json] [--rows 400] [--rounds 7] [--loader unsloth] [--shape llama-3.2-1b]

The candidates of a comparison run by turns in one process, each from loading the model to the adapter on disk (libraries are imported
before), and change places every round, so that what else a machine does falls on all of them. A ratio is the median of the rounds' own;
on a busy machine processor seconds, and the best rounds, tell more than wall seconds.
The model is ftlib's tiny Llama, or one of a catalogue entry's true sizes with random weights (``--shape``; a GPU's work).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

COMMON: dict[str, Any] = {"lr": 8e-3, "batch": 8, "max_length": 512, "seed": 1}
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
Found = dict[str, Any]


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


def settings(loader: str, **changes: Any) -> Any:
    """The settings that all training candidates share."""
    from ftlib.training.local.settings import TuneSettings

    return TuneSettings(**{**COMMON, "accumulate": 1, "quant": 16, "loader": loader, "checkpoint_minutes": None, **changes})


def source(shape: str | None) -> Path:
    """The tiny model, or one of a catalogue entry's sizes with random weights and the tiny model's tokenizer, kept beside it."""
    from ftlib.training.local.tiny import build_tiny, home

    tiny = build_tiny("tiny-llama")
    if shape is None:
        return tiny
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from ftlib.catalogue import find_model

    folder = home() / f"random-{shape}"
    if not (folder / "config.json").exists():
        sizes = find_model(shape).shape
        if sizes is None:
            sys.exit(f"the sizes of {shape} are not in the catalogue")
        config = LlamaConfig(
            vocab_size=sizes.vocab, hidden_size=sizes.hidden, intermediate_size=sizes.intermediate, num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads, num_key_value_heads=sizes.kv_heads, head_dim=sizes.head_dim, tie_word_embeddings=sizes.tied,
        )  # fmt: skip
        AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def ours(model: Path, rows: list[Any], loader: str, **changes: Any) -> Found:
    """``tune``: from the rows to the adapter and the report."""
    from ftlib.training.local.tuning import tune

    with tempfile.TemporaryDirectory() as folder:
        report = tune(model, rows, [], settings(loader, **changes), Path(folder))
    return {"tokens": report["tokens"]["seen"], "padding": report["tokens"]["padding"], "steps": report["steps"], "loss": report["loss"][-1]["train"],
            "phases": report["seconds"], "memory": report["memory"]}  # fmt: skip


def bare(model: Path, rows: list[Any], loader: str) -> Found:
    """The libraries' own script, as their documentation shows it: the same settings, nothing of ours."""
    import torch
    from datasets import Dataset
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    cpu = not torch.cuda.is_available()
    bf16 = not cpu and torch.cuda.get_device_capability()[0] >= 8
    dtype = torch.float32 if cpu else torch.bfloat16 if bf16 else torch.float16
    talks = [{"prompt": [{key: turn[key] for key in ("role", "content")} for turn in e.prompt],
              "completion": [{"role": "assistant", "content": e.answer}]} for e in rows]  # fmt: skip
    lora: Found = {"r": 16, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": MODULES}
    if loader == "unsloth":
        from unsloth import FastLanguageModel

        network, tokenizer = FastLanguageModel.from_pretrained(str(model), max_seq_length=512, dtype=dtype, load_in_4bit=False)
        network = FastLanguageModel.get_peft_model(network, **lora, random_state=1, use_gradient_checkpointing=False if cpu else "unsloth")
    else:
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
        set_seed(1)
        network = get_peft_model(network, LoraConfig(task_type="CAUSAL_LM", **lora))
    with tempfile.TemporaryDirectory() as out:
        args = SFTConfig(
            out, num_train_epochs=1, per_device_train_batch_size=COMMON["batch"], learning_rate=COMMON["lr"], max_length=COMMON["max_length"],
            seed=1, bf16=bf16, fp16=not cpu and not bf16, use_cpu=cpu, gradient_checkpointing=not cpu and loader != "unsloth", logging_steps=1,
            warmup_steps=int(0.03 * -(-len(rows) // COMMON["batch"])), save_strategy="no", report_to="none", disable_tqdm=True,
            dataloader_pin_memory=not cpu, **({"loss_type": "nll"} if loader == "unsloth" else {}),
        )  # fmt: skip
        trainer = SFTTrainer(model=network, args=args, train_dataset=Dataset.from_list(talks), processing_class=tokenizer)
        trainer.train()
        trainer.save_model(out)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"steps": trainer.state.global_step, "loss": losses[-1]}


def answers(loaded: Any, asked: list[Any], batch: int, limit: int | None) -> Found:
    """Greedy answers, so many at a time; to ``limit`` tokens each, or (None) to the end of the turn and at most 64."""
    from ftlib.training.local.generate import answer_batch, by_length

    ends = loaded.template.stop_ids
    loaded.template.stop_ids = [loaded.template.pad_id] if limit else ends
    texts: dict[int, str] = {}
    try:
        for places in by_length(loaded, asked, batch):
            made = answer_batch(loaded, [asked[p] for p in places], tuned=False, max_new_tokens=limit or 64)
            texts.update({place: one.text for place, one in zip(places, made, strict=True)})
    finally:
        loaded.template.stop_ids = ends
    return {"texts": [texts[place] for place in sorted(texts)]}


def by_turns(candidates: dict[str, Callable[[], Found]], rounds: int) -> dict[str, Found]:
    """Each candidate's last result with ``wall`` and ``processor`` seconds by round; a first, shorter round of all is thrown away."""
    found: dict[str, Found] = {name: {"wall": [], "processor": []} for name in candidates}
    for turn in range(-1, rounds):
        names = list(candidates) if turn % 2 else list(reversed(candidates))
        for name in names:
            wall, processor = time.perf_counter(), time.process_time()
            made = candidates[name]()
            if turn >= 0:
                found[name]["wall"].append(round(time.perf_counter() - wall, 3))
                found[name]["processor"].append(round(time.process_time() - processor, 3))
                found[name].update(made)
                print(name, found[name]["wall"][-1], found[name]["processor"][-1], file=sys.stderr)
    return found


def ratio(found: dict[str, Found], over: str, under: str, clock: str) -> Found:
    """Median, least and most of the rounds' ratios of two candidates, and the ratio of their best rounds: other work only adds seconds."""
    each = [a / b for a, b in zip(found[over][clock], found[under][clock], strict=True)]
    best = min(found[over][clock]) / min(found[under][clock])
    made = {"median": statistics.median(each), "best": best, "least": min(each), "most": max(each)}
    return {**{name: round(value, 4) for name, value in made.items()}, "rounds": len(each)}


def train(args: argparse.Namespace) -> Found:
    """Ours beside bare, and packed beside padded."""
    from ftlib.training.local.load import quiet_libraries

    if args.loader == "unsloth":
        os.environ.setdefault("UNSLOTH_FORCE_CPU", "1")
        import unsloth  # noqa: F401
    from trl import SFTConfig, SFTTrainer  # noqa: F401

    quiet_libraries()
    model, rows = source(args.shape), examples(args.rows)
    found = by_turns(
        {"ours": partial(ours, model, rows, args.loader), "bare": partial(bare, model, rows, args.loader),
         **({"packed": partial(ours, model, rows, args.loader, packing=True, batch=2)} if args.loader == "transformers" else {})},
        args.rounds,
    )  # fmt: skip
    ratios = {f"ours / bare, {clock} seconds": ratio(found, "ours", "bare", clock) for clock in ("wall", "processor")}
    if "packed" in found:
        ratios |= {f"packed / padded, {clock} seconds of the same rows": ratio(found, "packed", "ours", clock) for clock in ("wall", "processor")}
    return {"candidates": found, "ratios": ratios, "last_losses": [found["ours"]["loss"], found["bare"]["loss"]]}


def answer(args: argparse.Namespace) -> Found:
    """Sixteen at a time beside one by one: all to 64 tokens, and to the end of the turn."""
    from ftlib.training.local.load import load, quiet_libraries

    quiet_libraries()
    loaded = load(source(args.shape), settings("transformers"))
    asked = [list(e.prompt) for e in examples(64)]
    found: dict[str, Found] = {}
    ratios: Found = {}
    same = {}
    for what, limit in (("64 tokens each", 64), ("to the end of the turn", None)):
        made = by_turns({f"{size} at a time, {what}": partial(answers, loaded, asked, size, limit) for size in (16, 1)}, args.rounds)
        many, single = made
        ratios |= {f"one by one / batched, {clock} seconds, {what}": ratio(made, single, many, clock) for clock in ("wall", "processor")}
        same[what] = made[many].pop("texts") == made[single].pop("texts")
        found |= made
    return {"candidates": found, "ratios": ratios, "same_greedy_answers": same, "items": len(asked)}


def main() -> None:
    """Run both parts, each in a process of its own on one thread, and write their figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/training_local.json"))
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loader", choices=("transformers", "unsloth"), default="transformers")
    parser.add_argument("--shape", help="a model of the catalogue whose sizes to take, with random weights")
    parser.add_argument("--part", choices=("train", "answer"))
    args = parser.parse_args()
    if args.part:
        print(json.dumps({"train": train, "answer": answer}[args.part](args)))
        return
    from ftlib.files import write_json
    from ftlib.runs import machine, versions
    from ftlib.training.local.precision import choose_device

    load_before, parts = os.getloadavg()[0], {}
    for part in ("train", "answer") if args.loader == "transformers" else ("train",):
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--part", part], stdout=subprocess.PIPE, text=True, check=False,
                              env={**os.environ, "FTLIB_QUIET": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"})  # fmt: skip
        if done.returncode:
            sys.exit(f"{part} ended with {done.returncode}")
        parts[part] = json.loads(done.stdout.splitlines()[-1])
    about = {"model": args.shape or "tiny-llama", "loader": args.loader, "device": choose_device(False).name, "threads": 1, "rows": args.rows,
             "load_average": [load_before, os.getloadavg()[0]], "machine": machine(), "versions": versions()}  # fmt: skip
    write_json(args.out, {**about, **parts})
    print(json.dumps({part: made["ratios"] for part, made in parts.items()}, indent=2))


if __name__ == "__main__":
    main()
