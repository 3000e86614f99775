"""What the comparison reads of a run: files only, nothing is computed again and nothing is called."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec

from ftlib.errors import DataError
from ftlib.files import read_json
from ftlib.runs import Run

TRIVIAL = {"echo": "the echo of the title", "constant": "one constant answer", "nearest": "the description of the nearest training title"}


def label(system: str) -> str:
    """A system's name in a sentence."""
    return TRIVIAL.get(system, system)


class Item(msgspec.Struct, kw_only=True):
    """One line of scores/items.jsonl."""

    id: str
    system: str
    set: str = "test"
    title: str = ""
    reference: str = ""
    answer: str | None = None
    failed: Any = None
    metrics: dict[str, float | None] = {}
    flags: list[str] = []


@dataclass(frozen=True)
class Answers:
    """What is needed of a system's answers besides their scores: means over those that carry the figure."""

    seconds: float | None
    tokens_out: float | None
    n: int


@dataclass
class Material:
    """Everything that the comparison is made from, of one run or of several merged ones."""

    names: list[str]  # of the runs
    profiles: list[dict[str, Any]]  # as resolved, in the order of names
    summary: dict[str, Any]
    trainings: dict[str, dict[str, Any]]
    contestants: dict[str, dict[str, Any]]  # name -> as the profile has it
    items: dict[str, dict[str, Item]]  # system -> id -> item, test set only
    answers: dict[str, Answers]
    funnel: dict[str, Any]
    tokens: dict[str, Any]
    formats: dict[str, dict[str, Any]]
    steps: list[dict[str, Any]] = field(default_factory=list)
    prices: str | None = None
    review: dict[str, Any] = field(default_factory=dict)  # the key of evaluation's blind sheet, where there is one of these answers
    old_review: str = ""  # where there is one of other answers: a sentence that says so
    weights: str | None = None

    @property
    def systems(self) -> dict[str, dict[str, Any]]:
        """Name -> scores, in the order of the summary; those of refused contestants too."""
        return dict(self.summary["systems"])

    @cached_property
    def flagged(self) -> dict[str, int]:
        """System -> its test answers with a defect or more."""
        return {system: sum(bool(item.flags) for item in items.values()) for system, items in self.items.items()}

    @property
    def scored(self) -> list[str]:
        """The systems that have the primary metric."""
        return [name for name, system in self.systems.items() if (system.get("metrics") or {}).get(self.primary)]

    @property
    def stopped(self) -> dict[str, dict[str, Any]]:
        """What was refused or failed, with its ``status`` and ``reason``: contestants in training, systems of the others while they answered."""
        ends = ("refused", "failed")
        trained = {name: report for name, report in self.trainings.items() if report.get("status") in ends}
        return trained | {name: told for name, told in self.systems.items() if told.get("status") in ends and told.get("contestant") not in trained}

    @property
    def why_stopped(self) -> dict[str, str]:
        """Reason -> ``refused`` or ``failed``, of all contestants and systems that were."""
        told = [*self.trainings.values(), *self.systems.values()]
        return {str(one["reason"]): str(one["status"]) for one in told if one.get("status") in ("refused", "failed") and one.get("reason")}

    @property
    def primary(self) -> str:
        """The declared primary metric."""
        return str(self.summary["primary"])

    @property
    def n(self) -> int:
        """Number of test items."""
        return int(self.summary["n"])

    def ids(self) -> list[str]:
        """Ids of the test items, in the order they stand in."""
        return list(dict.fromkeys(i for of_system in self.items.values() for i in of_system))

    def state(self, system: str) -> str:
        """base, tuned or trivial."""
        return str(self.systems[system].get("state") or "trivial")

    def base_of(self, system: str) -> str | None:
        """The base system of a tuned one, where it was scored."""
        name = f"{system.removesuffix('.tuned')}.base"
        return name if system.endswith(".tuned") and name in self.scored else None

    def contestant_of(self, system: str) -> str | None:
        """The contestant that a system belongs to."""
        return self.systems[system].get("contestant")


def load_run(run: Run) -> Material:
    """Read one run. Raises DataError where its scores are missing or a file is damaged."""
    import yaml

    path = run.path
    again = f"`ftlib run {shlex.quote(str(path / 'profile.yaml'))} --out {shlex.quote(str(path))}`"
    for name in ("summary.json", "items.jsonl"):
        if not (path / "scores" / name).exists():
            raise DataError(f"{path} has no scores/{name}, because its run has not come so far; {again} goes on with it.")
    summary = read_json(path / "scores" / "summary.json")
    for key in ("test_hash", "n", "primary", "systems"):
        if key not in summary:
            raise DataError(f"{path / 'scores' / 'summary.json'} has no {key!r}; {again} scores the run again.")
    contestants = {c.name: msgspec.to_builtins(c) for c in run.profile.contestants}
    items = read_items(path / "scores" / "items.jsonl")
    trainings = {name: _optional(path / name / "training.json") for name in contestants}
    return Material(
        names=[run.profile.name],
        profiles=[yaml.safe_load((path / "profile.yaml").read_text("utf-8"))],
        summary=summary,
        trainings={name: report for name, report in trainings.items() if report},
        contestants=contestants,
        items=items,
        answers={system: _answers(path / "answers" / system / "test.jsonl") for system in summary["systems"]},
        funnel=_optional(path / "curated" / "funnel.json"),
        tokens=_optional(path / "curated" / "tokens.json"),
        formats={name: found for name in contestants if (found := _optional(path / name / "format.json"))},
        steps=[record for file in sorted((path / "steps").glob("*.json")) if (record := read_json(file)).get("step") != "compare"],
        prices=run.profile.prices,
        **_review(run, items),
    )


def _review(run: Run, items: Mapping[str, Mapping[str, Item]]) -> dict[str, Any]:
    """The key of the blind sheet; only a sentence where answers, systems or test rows have changed since it was written."""
    from ftlib.evaluation.judge import outdated

    key = _optional(run.path / "scores" / "blind_key.json")
    if not key or (not outdated(run, key) and all(pair["id"] in items.get(key[side], {}) for pair in key["pairs"].values() for side in "ab")):
        return {"review": key}
    return {"old_review": "The blind sheet of this run is of earlier answers, so it is not shown; `ftlib judge RUN` writes a new one."}


def _optional(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.exists() else {}


def read_items(path: Path) -> dict[str, dict[str, Item]]:
    """scores/items.jsonl by system and id, the test set only. Raises DataError with the line where one does not parse."""
    decoder = msgspec.json.Decoder(Item)
    found: dict[str, dict[str, Item]] = {}
    shared: dict[str, tuple[str, str]] = {}  # title and reference are the same for every system: keep one copy
    with path.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                item = decoder.decode(line)
            except msgspec.DecodeError:
                item = _lenient(line, path, number)
            if item.set == "test":
                item.title, item.reference = shared.setdefault(item.id, (item.title, item.reference))
                found.setdefault(item.system, {})[item.id] = item
    return found


def _lenient(line: bytes, path: Path, number: int) -> Item:
    """A line with an escaped lone surrogate, which only the standard library reads; it becomes U+FFFD."""
    try:
        text = re.sub("[\ud800-\udfff]", "\ufffd", json.dumps(json.loads(line), ensure_ascii=False))
        return msgspec.json.decode(text, type=Item)
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise DataError(f"{path}, line {number}: not a scored item ({error}).") from error


def _answers(path: Path) -> Answers:
    """Means of seconds and tokens of one system's test answers."""
    if not path.exists():
        return Answers(None, None, 0)
    seconds: list[float] = []
    tokens: list[float] = []
    count = 0
    with path.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: not valid JSON ({error}).") from error
            count += 1
            seconds += [row["seconds"]] if row.get("seconds") is not None else []
            tokens += [row["tokens_out"]] if row.get("tokens_out") is not None else []
    return Answers(fmean(seconds) if seconds else None, fmean(tokens) if tokens else None, count)


def merge(parts: Sequence[Material]) -> Material:
    """Several runs as one. Raises DataError naming both hashes where their test sets differ.

    A contestant whose name stands in two runs is called NAME@RUN; trivial systems are the same everywhere and kept once.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.summary["test_hash"] != first.summary["test_hash"]:
            raise DataError(
                f"{first.names[0]} and {part.names[0]} were tested on different rows "
                f"(test_hash {first.summary['test_hash']} and {part.summary['test_hash']}); "
                "a comparison needs one test set, so run them with the same source, recipe, seed and sizes."
            )
        if part.primary != first.primary:
            raise DataError(
                f"{first.names[0]} has primary metric {first.primary}, {part.names[0]} {part.primary}; score both with the same evaluation.primary."
            )
    if len(parts) == 1:
        return first
    counts: dict[str, int] = {}
    for part in parts:
        for name in part.contestants:
            counts[name] = counts.get(name, 0) + 1
    taken: set[str] = set()
    renamed = []
    for part in parts:
        label = part.names[0]
        while label in taken:
            label += "'"
        taken.add(label)
        renamed.append(_rename(part, {name: f"{name}@{label}" for name in part.contestants if counts[name] > 1}))
    return _join(renamed)


def refuse_twice(parts: Sequence[Material], paths: Sequence[Path]) -> None:
    """Raise DataError where a run stands twice among several, or a copy of it: all its systems would count, and be corrected for, twice."""
    for i, part in enumerate(parts):
        for earlier, path in zip(parts[:i], paths, strict=False):
            if part.summary == earlier.summary and part.trainings == earlier.trainings:
                raise DataError(f"{path} and {paths[i]} hold the same run; give each run once.")


def _rename(part: Material, names: Mapping[str, str]) -> Material:
    """The same material with contestants under other names."""

    def system(name: str) -> str:
        contestant, dot, state = name.rpartition(".")
        return f"{names[contestant]}{dot}{state}" if contestant in names else name

    summary = dict(part.summary)
    summary["systems"] = {system(k): {**v, "contestant": names.get(str(v.get("contestant")), v.get("contestant"))} for k, v in part.systems.items()}
    for key in ("pairs", "mcnemar"):
        summary[key] = [{**row, "a": system(row["a"]), "b": system(row["b"])} for row in summary.get(key) or []]
    summary["flexibility"] = {system(k): v for k, v in (summary.get("flexibility") or {}).items()}
    items = {system(k): v for k, v in part.items.items()}
    return Material(
        part.names,
        part.profiles,
        summary,
        {names.get(k, k): v for k, v in part.trainings.items()},
        {names.get(k, k): v for k, v in part.contestants.items()},
        items,
        {system(k): v for k, v in part.answers.items()},
        part.funnel,
        part.tokens,
        {names.get(k, k): v for k, v in part.formats.items()},
        part.steps,
        part.prices,
    )


def _join(parts: Sequence[Material]) -> Material:
    """Material whose names no longer collide, as one; the first run wins where a trivial system stands in several."""
    summary = dict(parts[0].summary)
    for key in ("systems", "flexibility"):
        summary[key] = {name: value for part in reversed(parts) for name, value in (part.summary.get(key) or {}).items()}
        order = dict.fromkeys(name for part in parts for name in part.summary.get(key) or {})
        summary[key] = {name: summary[key][name] for name in sorted(order, key=lambda name: name in TRIVIAL)}
    for key in ("pairs", "mcnemar"):
        seen: dict[tuple[Any, ...], Any] = {}
        for part in parts:
            for row in part.summary.get(key) or []:
                seen.setdefault((row["a"], row["b"], row.get("metric") or row.get("flag")), row)
        summary[key] = list(seen.values())

    def together(attribute: str) -> dict[str, Any]:
        return {name: value for part in reversed(parts) for name, value in getattr(part, attribute).items()}

    return Material(
        [name for part in parts for name in part.names],
        [profile for part in parts for profile in part.profiles],
        summary,
        together("trainings"),
        together("contestants"),
        together("items"),
        together("answers"),
        parts[0].funnel,
        parts[0].tokens,
        together("formats"),
        [{**step, "step": f"{part.names[0]}: {step['step']}"} for part in parts for step in part.steps],
        parts[0].prices,
    )


def sources(run: Run) -> dict[str, Path | str | None]:
    """Everything that a run's comparison is made from, for the step that makes it; what is not there counts as None."""
    path = run.path
    names = ["scores/summary.json", "scores/items.jsonl", "scores/blind_key.json", "curated/funnel.json", "curated/tokens.json"]
    for contestant in run.profile.contestants:
        names += [f"{contestant.name}/{file}" for file in ("training.json", "format.json")]
    found: dict[str, Path | str | None] = {name: path / name if (path / name).exists() else None for name in names}
    found |= {f"answers/{file.parent.name}": file for file in sorted((path / "answers").glob("*/test.jsonl"))}
    found |= {f"steps/{file.name}": file for file in sorted((path / "steps").glob("*.json")) if file.name != "compare.json"}
    if run.profile.prices:
        found["prices"] = Path(run.profile.prices) if Path(run.profile.prices).is_file() else run.profile.prices
    return found | {"profile": path / "profile.yaml"}
