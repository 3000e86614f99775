"""CONTRIBUTING's examples of a model, a provider, a filter and a metric, each tried as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ftlib.catalogue import find_model
from ftlib.curation import curate, filters, recipe
from ftlib.evaluation import metrics, score_files
from ftlib.files import read_jsonl, write_jsonl
from ftlib.training.hosted.provider import load_provider

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text("utf-8")


def block(of: str) -> str:
    """The first block of code after the paragraph that begins with **A ...**."""
    found = re.search(rf"\*\*A {of}\*\*.*?```(?:yaml|python)\n(.*?)```", TEXT, re.S)
    assert found
    return found[1]


def test_a_model() -> None:
    model = find_model("my-model-3b", yaml.safe_load(block("model")))
    assert (model.id, model.shape.layers if model.shape else None) == ("owner/My-Model-3B-Instruct", 28)


def test_a_provider() -> None:
    provider = load_provider("my-service", yaml.safe_load(block("provider"))["providers"])
    assert (provider.address, provider.can.metadata, provider.can.events) == ("https://api.example.com/v1", False, True)


def test_a_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {}
    exec(block("filter"), {**vars(filters), "FILTERS": known})
    monkeypatch.setitem(recipe.KINDS, "ends_well", known["ends_well"])
    monkeypatch.setitem(recipe.NAMES, known["ends_well"], "ends_well")
    (tmp_path / "mine.yaml").write_text("steps: [{ends_well: {marks: [.]}}, {split: {train: 2, valid: 1, test: 1}}]", "utf-8")
    write_jsonl(tmp_path / "rows.jsonl", [{"title": f"Mug {n}", "content": f"A mug, number {n}" + (n % 2) * "."} for n in range(12)])
    funnel = curate(str(tmp_path / "rows.jsonl"), recipe=str(tmp_path / "mine.yaml"), out=tmp_path / "out")
    assert funnel["dropped"]["ends_well"] == 6
    assert all(row["content"].endswith(".") for row in read_jsonl(tmp_path / "out" / "train.jsonl"))


def test_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {}
    exec(block("metric"), {**vars(metrics), "np": np, "OTHERS": known})
    monkeypatch.setitem(metrics.OTHERS, "first_word", known["first_word"])
    monkeypatch.setattr(metrics, "NAMES", [*metrics.NAMES, "first_word"])
    write_jsonl(tmp_path / "r.jsonl", [{"id": str(n), "title": "abcdefgh"[n] * 6, "reference": f"word{n} more"} for n in range(8)])
    write_jsonl(tmp_path / "a.jsonl", [{"id": str(n), "answer": f"word{n % 4} other"} for n in range(8)])
    scored = score_files(tmp_path / "r.jsonl", [tmp_path / "a.jsonl"], metrics=["rougeL", "first_word"], resamples=200)
    assert scored["systems"]["a"]["metrics"]["first_word"]["value"] == 50.0
    assert scored["systems"]["a"]["metrics"]["first_word"]["low"] < 50.0
