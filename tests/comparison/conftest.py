"""A complete, made-up run folder: every file that the comparison reads, plausible and small, from a seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ftlib.files import hash_json, write_json, write_jsonl
from ftlib.profile import Profile
from ftlib.runs import Run

METRICS = {"rouge1": 30.0, "rougeL": 24.0, "chrf": 28.0, "title_faithfulness": 60.0}
LEVEL = {"llama.base": 0.55, "llama.tuned": 1.0, "gpt.base": 0.62, "gpt.tuned": 1.02, "echo": 0.3, "constant": 0.35, "nearest": 0.6}
FLAGS = ("empty", "looping", "cut", "generic", "echo_of_prompt")
WORDS = [
    "sturdy",
    "blue",
    "ceramic",
    "mug",
    "with",
    "a",
    "handle",
    "for",
    "tea",
    "or",
    "coffee",
    "that",
    "keeps",
    "warm",
    "and",
    "fits",
    "any",
    "kitchen",
    "shelf",
    "gift",
    "box",
    "included",
]

CONTESTANTS: list[dict[str, Any]] = [
    {"name": "llama", "trainer": "local", "model": "llama-3.2-1b", "epochs": 2},
    {"name": "gpt", "trainer": "hosted", "provider": "openai", "model": "gpt-4o-mini-2024-07-18", "epochs": 3},
    {"name": "gone", "trainer": "hosted", "provider": "openai", "model": "gpt-4.1-mini", "epochs": 3},
]


def training(name: str) -> dict[str, Any]:
    """training.json of a contestant."""
    if name == "gone":
        return {
            "contestant": name,
            "trainer": "hosted",
            "model": {"id": "gpt-4.1-mini"},
            "status": "refused",
            "reason": "403: this organisation cannot create fine-tuning jobs; nothing was spent",
        }
    local = name == "llama"
    loss = [
        {
            "step": step,
            "tokens": step * 800,
            "train": round(4.0 / (1 + step / 20) + 1, 4),
            "valid": round(4.2 / (1 + min(step, 80) / 20) + 1.1, 4) if step % 20 == 0 else None,
        }
        for step in range(5, 125, 5)
    ]
    return {
        "contestant": name,
        "trainer": "local" if local else "hosted",
        "model": {"id": "m/" + name, "revision": "abc123"},
        "status": "done",
        "reason": None,
        "method": "qlora" if local else "hosted",
        "seconds": {
            "load": 20.0,
            "tokenise": 2.0,
            "train": 740.0,
            "evaluate": 30.0,
            "save": 5.0,
            "queue": None if local else 300.0,
            "total": 797.0 if local else 1609.0,
        },
        "examples": {"seen": 1200, "distinct": 600},
        "epochs": 2.0,
        "steps": 120,
        "tokens": {"seen": 96_000, "supervised": 60_000, "padding": 9_000, "billed": None if local else 990_507},
        "rates": {"tokens_per_second": 129.7, "examples_per_second": 1.62} if local else {"tokens_per_second": None, "examples_per_second": None},
        "loss": loss,
        "memory": {"allocated_bytes": 6_500_000_000, "reserved_bytes": 7_900_000_000, "rss_bytes": 3_000_000_000}
        if local
        else {"allocated_bytes": None, "reserved_bytes": None, "rss_bytes": None},
        "parameters": {"total": 1_235_000_000, "trainable": 11_000_000, "share": 0.0089}
        if local
        else {"total": None, "trainable": None, "share": None},
        "adapter_bytes": 45_000_000 if local else None,
        "energy_wh": 14.2 if local else None,
        "money_usd": 0.0 if local else 2.971521,
        "device": {"name": "Tesla T4", "kind": "cuda"} if local else {"name": "openai", "kind": "hosted"},
        "precision": {"dtype": "float16", "reason": "a T4 has no bf16"},
        "versions": {"trl": "1.14.2"},
        "settings": {"lr": 2e-4},
        "inputs": {"train": "0" * 64},
        "how": {"seconds.train": "measured", "money_usd": "measured" if local else "billed"},
        "na": {} if local else {"energy_wh": "the provider does not say", "memory.reserved_bytes": "the provider does not say"},
    }


def mean_interval(values: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Mean with a percentile bootstrap interval."""
    means = values[rng.integers(0, len(values), (400, len(values)))].mean(axis=1)
    return {"value": float(values.mean()), "low": float(np.quantile(means, 0.025)), "high": float(np.quantile(means, 0.975))}


def make_items(n: int, rng: np.random.Generator, hostile: str | None, level: dict[str, float]) -> list[dict[str, Any]]:
    """scores/items.jsonl: every system's answer to every test item."""
    rows = []
    for i in range(n):
        hard = rng.normal(1, 0.25)
        reference = " ".join(rng.choice(WORDS, 18))
        for system, factor in level.items():
            metrics = {name: float(np.clip(size * factor * hard + rng.normal(0, 3), 0, 100)) for name, size in METRICS.items()}
            metrics["length_ratio"] = float(np.clip(rng.normal(1, 0.2), 0.1, 3))
            flags = [flag for flag in FLAGS if rng.random() < (0.12 if system.endswith("base") else 0.03)]
            answer = " ".join(rng.choice(WORDS, int(rng.integers(6, 26))))
            title = f"Blue mug {i}"
            if hostile:
                title, answer, reference = f"{hostile} {i}", hostile, hostile
            rows.append(
                {
                    "id": f"{i:07d}",
                    "system": system,
                    "set": "test",
                    "title": title,
                    "reference": reference,
                    "answer": answer,
                    "failed": None,
                    "metrics": metrics,
                    "flags": flags,
                }
            )
    return rows


def make_summary(rows: list[dict[str, Any]], n: int, test_hash: str, rng: np.random.Generator) -> dict[str, Any]:
    """scores/summary.json for those items."""
    by_system: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_system.setdefault(row["system"], []).append(row)
    systems: dict[str, Any] = {}
    for system, own in by_system.items():
        contestant, _, state = system.rpartition(".")
        hosted = contestant == "gpt"
        metrics = {
            name: {
                **mean_interval(np.array([row["metrics"][name] for row in own]), rng),
                "n": n,
                "signature": f"{name}|tok:unicode|v:0.1",
                "unit": "ratio" if name == "length_ratio" else "points",
                "higher_is_better": True,
            }
            for name in own[0]["metrics"]
        }
        flags = {}
        for flag in FLAGS:
            count = sum(flag in row["flags"] for row in own)
            flags[flag] = {"rate": count / n, "low": max(0.0, count / n - 0.05), "high": min(1.0, count / n + 0.05), "count": count, "n": n}
        trivial = not contestant
        systems[system] = {
            "contestant": contestant or None,
            "state": state if contestant else "trivial",
            "status": "done",
            "reason": None,
            "failed": 0,
            "metrics": metrics,
            "flags": flags,
            "bits_per_byte": None if hosted or trivial else 1.4 if state == "base" else 1.1,
            "latency": {"p50": None if trivial else 0.8, "p95": None if trivial else 1.9},
            "tokens_in": n * 40,
            "tokens_out": n * 60,
            "usd": 0.00006 * n if hosted else None,
            "usd_per_1000": 0.06 if hosted else None,
            "how": {"usd_per_1000": "billed"} if hosted else {},
            "na": {}
            if hosted
            else {"usd_per_1000": "nothing is charged here", "latency": "not a model"}
            if trivial
            else {"usd_per_1000": "nothing is charged here"},
        }
    for state in ("base", "tuned"):
        if n:
            systems[f"gone.{state}"] = {
                "contestant": "gone",
                "state": state,
                "status": "refused",
                "reason": "403: this organisation cannot create fine-tuning jobs",
                "failed": 0,
                "metrics": {},
                "flags": {},
                "bits_per_byte": None,
                "latency": {"p50": None, "p95": None},
                "tokens_in": None,
                "tokens_out": None,
                "usd": None,
                "usd_per_1000": None,
                "how": {},
                "na": {"metrics": "refused"},
            }
    pairs = []
    for a, b in itertools.combinations(by_system, 2):
        for metric in ("rougeL", "chrf"):
            d = np.array([x["metrics"][metric] - y["metrics"][metric] for x, y in zip(by_system[a], by_system[b], strict=True)])
            got = mean_interval(d, rng)
            p = 0.0002 if got["low"] > 0 or got["high"] < 0 else 0.4
            pairs.append(
                {
                    "a": a,
                    "b": b,
                    "metric": metric,
                    "difference": got["value"],
                    "low": got["low"],
                    "high": got["high"],
                    "p": p,
                    "p_permutation": p,
                    "p_holm": p,
                    "n": n,
                }
            )
    flexibility = {
        system: {
            "retention": {"rate": 0.4 if system.endswith("base") else 0.3, "low": 0.28, "high": 0.52, "n": 60},
            "forgetting": {"bits_per_byte": None if system.startswith("gpt") else 1.6},
            "wording": {"mean": 22.0, "worst": 19.5, "spread": 3.1},
            "transfer": {"value": 18.2, "low": 16.0, "high": 20.1, "n": 60, "reverse": {"value": 9.5, "low": 8.0, "high": 11.0, "n": 60}},
            "bleeding": {"rate": 0.1, "low": 0.05, "high": 0.2, "n": 60},
            "na": {"forgetting": "a hosted chat API cannot score a given text"} if system.startswith("gpt") else {},
        }
        for system in by_system
        if "." in system
    }
    return {
        "test_hash": test_hash,
        "n": n,
        "primary": "rougeL",
        "task": "describe",
        "settings": {"seed": 42, "resamples": 400},
        "systems": systems,
        "pairs": pairs,
        "mcnemar": [{"a": "llama.tuned", "b": "llama.base", "flag": "looping", "only_a": 1, "only_b": 7, "p": 0.07}],
        "smallest_difference": {"metric": "rougeL", "value": 2.9, "unit": "points"},
        "flexibility": flexibility,
        "judge": None,
        "seeds": {"metric": "rougeL", "groups": [], "na": "seed variance not measured"},
    }


def build(
    path: Path,
    *,
    n: int = 60,
    hostile: str | None = None,
    name: str = "synthetic",
    test_hash: str = "a" * 64,
    level: dict[str, float] = LEVEL,
    contestants: list[dict[str, Any]] = CONTESTANTS,
    seed: int = 7,
) -> Run:
    """Write the whole run folder; returns the run."""
    rng = np.random.default_rng(seed)
    run = Run.create(path, msgspec.convert({"name": name, "contestants": contestants, "evaluation": {"primary": "rougeL"}}, Profile))
    rows = make_items(n, rng, hostile, level)
    write_jsonl(path / "scores" / "items.jsonl", rows)
    write_json(path / "scores" / "summary.json", make_summary(rows, n, test_hash, rng))
    for contestant in contestants:
        write_json(path / contestant["name"] / "training.json", training(contestant["name"]))
        write_json(
            path / contestant["name"] / "format.json",
            {"task": "describe", "task_hash": "b" * 64, "format": "chat", "rows": 600, "tokens": 72_000, "checked": {"ok": True, "findings": []}},
        )
    for system in level:
        write_jsonl(
            path / "answers" / system / "test.jsonl",
            [
                {
                    "id": row["id"],
                    "task": "describe",
                    "prompt_hash": hash_json(row["id"]),
                    "rendered_hash": "c" * 64,
                    "answer": row["answer"],
                    "finish": "stop",
                    "tokens_in": 40,
                    "tokens_out": 60,
                    "seconds": 0.8 + 0.01 * (i % 7),
                    "usd": 0.00006 if system.startswith("gpt") else None,
                    "fingerprint": None,
                    "error": None,
                }
                for i, row in enumerate(row for row in rows if row["system"] == system)
            ],
        )
    write_json(
        path / "curated" / "funnel.json",
        {
            "recipe": "default",
            "source": "sample",
            "source_sha256": "d" * 64,
            "seed": 42,
            "rows_read": 3000,
            "rejected": {"empty title": 120},
            "rejected_examples": [{"line": 7, "reason": "empty title"}],
            "steps": [
                {"name": "clean", "params": {}, "rows_in": 2880, "rows_out": 2880, "dropped": []},
                {
                    "name": "length",
                    "params": {"title": 10},
                    "rows_in": 2880,
                    "rows_out": 2000,
                    "dropped": [{"id": "3", "title": hostile or "x", "content": hostile or "y"}],
                },
                {"name": "duplicates", "params": {}, "rows_in": 2000, "rows_out": 1700, "dropped": []},
            ],
            "counted_by": "tiktoken",
            "splits": {"train": 600, "valid": 60, "test": n},
            "leaks": {"exact": 0, "near": 0},
            "seconds": 0.4,
        },
    )
    histogram = {"edges": [0, 64, 128, 192], "counts": [10, 500, 900, 40]}
    field = {"min": 5, "mean": 110.0, "max": 490, "quantiles": {"0.5": 105, "0.95": 240}, "histogram": histogram, "over": {"256": 0.03}}
    write_json(
        path / "curated" / "tokens.json",
        {"encoding": "o200k_base", "counted_by": "tiktoken", "rows": 1450, "fields": dict.fromkeys(("title", "content", "sum"), field)},
    )
    write_json(
        path / "steps" / "curate.json",
        {
            "step": "curate",
            "ftlib": "0.1.0",
            "inputs": {"source": "d" * 64},
            "settings": {"recipe": "default"},
            "outputs": {"curated/test.jsonl": "e" * 64},
            "seconds": 0.4,
            "note": {},
        },
    )
    return run


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Builds made-up runs below the test's own folder."""

    def make(folder: str = "run", **options: Any) -> Run:
        return build(tmp_path / folder, **options)

    return make


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One made-up run; tests only read it."""
    return build(tmp_path_factory.mktemp("shared") / "run")
