"""The metrics of a job: its result file, as CSV or base64 of CSV, or what its events said."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
import re
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]
_STEP = re.compile(r"Step (\d+)(?:/(\d+))?: .*?loss=([\d.eE+-]+)")


def parse_metrics(raw: bytes) -> list[Json]:
    """The loss curve in a result file: [{step, train, valid}]; empty where the bytes hold no such table."""
    text = _decoded(raw)
    reader = csv.DictReader(io.StringIO(text))
    if not reader.fieldnames or "step" not in reader.fieldnames:
        return []
    points: dict[int, Json] = {}
    for row in reader:
        step = _number(row.get("step"))
        if step is None:
            continue
        point = points.setdefault(int(step), {"step": int(step), "train": None, "valid": None})
        for name, key in (("train", "train_loss"), ("valid", "valid_loss")):
            value = _number(row.get(key))
            point[name] = point[name] if value is None else value
    return list(points.values())


def _decoded(raw: bytes) -> str:
    """Text of bytes that are CSV or, as one provider delivers them, base64 of CSV."""
    text = raw.decode("utf-8-sig", "replace")
    if "step" in text.split("\n", 1)[0]:
        return text
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8-sig", "replace")
    except (binascii.Error, ValueError):
        return text


def from_events(events: Iterable[Json]) -> list[Json]:
    """The loss curve as a job's events tell it, in any order."""
    points: dict[int, Json] = {}
    for event in events:
        data = event.get("data") if isinstance(event.get("data"), dict) else {}
        assert isinstance(data, dict)
        said = _STEP.search(str(event.get("message", "")))
        step = _number(data.get("step")) or (float(said[1]) if said else None)
        if step is None:
            continue
        point = points.setdefault(int(step), {"step": int(step), "train": None, "valid": None})
        for name, key in (("train", "train_loss"), ("valid", "valid_loss")):
            value = _number(data.get(key))
            if value is not None:
                point[name] = value
        if said and point["train"] is None and "training loss" in said[0]:
            point["train"] = _number(said[3])
    return [points[step] for step in sorted(points)]


def from_checkpoints(checkpoints: Iterable[Json]) -> list[Json]:
    """The loss curve as a job's checkpoints tell it, a point each: all that Nebius says of losses."""
    rows = [(row.get("step_number"), row.get("metrics")) for row in checkpoints]
    points = from_events({"data": {**metrics, "step": step}} for step, metrics in rows if isinstance(metrics, dict))
    return [point for point in points if point["train"] is not None or point["valid"] is not None]


def progress_of(events: Iterable[Json]) -> tuple[int, int] | None:
    """The furthest step that the events name, and how many there will be; None where they name none."""
    best: tuple[int, int] | None = None
    for event in events:
        said, data = _STEP.search(str(event.get("message", ""))), event.get("data")
        told = (_number(data.get("step")), _number(data.get("total_steps"))) if isinstance(data, dict) else (None, None)
        step, steps = (_number(said[1]), _number(said[2])) if said and said[2] else told
        if step and steps:
            here = (int(step), int(steps))
            best = max(best, here) if best else here
    return best


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
