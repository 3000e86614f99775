"""The funnel: what each step of a recipe did, with three examples of what it dropped, and the same for a reader."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftlib.curation.records import Record, Rejected
from ftlib.files import atomic_path, dump_line
from ftlib.terminal import printable

EXAMPLES = 3
SHOWN = 400  # characters of an example's content
REJECTED_EXAMPLES = 20
SHOWN_WORDS = 4  # of a step's keywords; funnel.json has all of them
PRINTED = 60  # characters of an example's title on a terminal


@dataclass
class StepCount:
    """What one step did so far."""

    name: str
    params: dict[str, Any]
    rows_in: int = 0
    rows_out: int = 0
    changed: int = 0  # rows that have another text after it
    dropped: list[dict[str, str]] = field(default_factory=list)
    label: str = ""  # the name, with a number where an earlier step has it too
    gone: list[dict[str, str]] | None = None  # all rows dropped since a log took them; None where nobody asks for them

    def empty(self) -> StepCount:
        """The same step, nothing counted yet."""
        return StepCount(self.name, self.params, label=self.label, gone=None if self.gone is None else [])

    def add(self, before: list[Record], after: list[Record], like: Iterable[str] = ()) -> None:
        """Count a batch and keep its first dropped rows as examples; ``like``: the id of the row that each of them repeats, where that is known."""
        self.rows_in += len(before)
        self.rows_out += len(after)
        if len(after) < len(before) and (len(self.dropped) < EXAMPLES or self.gone is not None):
            kept = iter(after)  # in the order of before, so that the first ones dropped are soon found
            following, matched = next(kept, None), iter(like)
            for row in before:
                if row is following:
                    following = next(kept, None)
                    continue
                name = next(matched, None)
                if len(self.dropped) < EXAMPLES:
                    self.dropped.append(example(row, name))
                elif self.gone is None:
                    break
                if self.gone is not None:
                    self.gone.append(whole(row, name))

    def merge(self, other: StepCount) -> None:
        """Add what the same step did to a later batch."""
        self.rows_in += other.rows_in
        self.rows_out += other.rows_out
        self.changed += other.changed
        self.dropped += other.dropped[: EXAMPLES - len(self.dropped)]
        if self.gone is not None and other.gone is not None:
            self.gone += other.gone

    def plain(self) -> dict[str, Any]:
        """As it stands in funnel.json."""
        rows = {"rows_in": self.rows_in, "rows_out": self.rows_out, "changed": self.changed}
        return {"name": self.name, "params": self.params, **rows, "dropped": self.dropped}


def example(row: Record, like: str | None = None) -> dict[str, str]:
    """A dropped row as an example, a long content cut, with the id of the row that it is like, where that is known."""
    content = row.content if len(row.content) <= SHOWN else row.content[:SHOWN] + "…"
    return {**whole(row, like), "title": row.title[:SHOWN], "content": content}


def whole(row: Record, like: str | None = None) -> dict[str, str]:
    """A dropped row, with the id of the row that it is like, where that is known."""
    return {"id": row.id, **({} if like is None else {"like": like}), "title": row.title, "content": row.content}


class RejectedLog:
    """Every row that is lost on the way, unreadable or dropped by a step, in a file without a name until it is written out."""

    def __init__(self, folder: Path) -> None:
        while not folder.is_dir():
            folder = folder.parent
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".ftlib-rejected-")

    def unreadable(self, rows: Iterable[Rejected]) -> None:
        """Rows that could not be read."""
        self._file.writelines(f"{dump_line(rejected_row(row))}\n".encode() for row in rows)

    def dropped(self, label: str, rows: Iterable[dict[str, str]]) -> None:
        """Rows that a step dropped."""
        reason = f"step: {label}"
        self._file.writelines(f"{dump_line({'id': row['id'], 'reason': reason, **row})}\n".encode() for row in rows)

    def take(self, counts: Sequence[StepCount]) -> None:
        """The rows that steps dropped since this was last called."""
        for count in counts:
            if count.gone:
                self.dropped(count.label, count.gone)
                count.gone.clear()

    def write(self, path: Path) -> None:
        """Write all of it to ``path``, where there is any, and give the disk space back."""
        if self._file.tell():
            self._file.seek(0)
            with atomic_path(path) as temporary, temporary.open("wb") as handle:
                shutil.copyfileobj(self._file, handle, 1 << 20)
        self._file.close()


def rejected_row(row: Rejected) -> dict[str, Any]:
    """An unreadable row as it stands in rejected.jsonl."""
    return {"line": row.line, "reason": row.reason, "text": row.text}


def labels(names: Iterable[str]) -> list[str]:
    """Names made unique: the second of a kind gets a 2."""
    seen: Counter[str] = Counter()
    made = []
    for name in names:
        seen[name] += 1
        made.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return made


def dropped_by(steps: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many rows each step dropped, by its name made unique."""
    return {name: step["rows_in"] - step["rows_out"] for name, step in zip(labels(step["name"] for step in steps), steps, strict=True)}


@dataclass
class Rejections:
    """Rows that could not be read: counts by reason, and the first of them; all of them go to a log where there is one."""

    log: RejectedLog | None = None
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Rejected] = field(default_factory=list)

    def add(self, rejected: list[Rejected]) -> None:
        """Take in some rows."""
        self.counts.update(row.reason for row in rejected)
        self.examples += rejected[: REJECTED_EXAMPLES - len(self.examples)]
        if self.log is not None:
            self.log.unreadable(rejected)

    @property
    def total(self) -> int:
        """How many rows."""
        return sum(self.counts.values())

    def plain(self) -> dict[str, int]:
        """Counts by reason, the most frequent first."""
        return dict(self.counts.most_common())


def funnel_text(funnel: dict[str, Any]) -> str:
    """A funnel as a table for a terminal, with examples of what each step dropped."""
    lines = [f"recipe {funnel['recipe']} on {funnel['source']}", f"{'rows read':<28}{funnel['rows_read']:>12,}"]
    lines += [f"  rejected: {reason:<16}{-count:>12,}" for reason, count in funnel["rejected"].items()]
    for step in funnel["steps"]:
        dropped = step["rows_out"] - step["rows_in"]
        notes = [f"{step['changed']:,} row{'' if step['changed'] == 1 else 's'} changed"] * bool(step.get("changed"))
        if step["name"] == "split" and dropped:
            alike = step["params"].get("alike", 0)
            notes += [f"{alike:,} too like a row of another side"] * bool(alike) + ["no side has room for them"] * (alike < -dropped)
        lines.append(f"{describe(step):<28}{step['rows_out']:>12,}{f'{dropped:,}' if dropped else '':>12}  {'; '.join(notes)}".rstrip())
        lines += [f"      {_one_line(row)}" for row in step["dropped"][:EXAMPLES]]
    splits = funnel["splits"]
    lines.append("  ".join(f"{side} {rows:,}" for side, rows in splits.items()))
    tags = funnel.get("tags", {"rows": 0})  # a funnel of before has none
    if tags["rows"] and all(step["name"] != "strip_html" for step in funnel["steps"]):
        hold = "kept row holds" if tags["rows"] == 1 else "kept rows hold"
        lines.append(f"{tags['rows']:,} {hold} HTML tags such as {tags['first']}; the step strip_html takes them out")
    leaks = funnel["leaks"]
    lines.append(f"rows of one side found again on another: {leaks['exact']:,} exact, {leaks['near']:,} near")
    lines.append(f"{funnel['seconds']:.1f} s; tokens counted by {funnel['counted_by']}" if funnel["counted_by"] else f"{funnel['seconds']:.1f} s")
    return "\n".join(lines)


def _one_line(row: dict[str, str]) -> str:
    """An example as its title, or its id where it has none, short and harmless on a terminal; what is missing, or what it is like."""
    text = printable(" ".join(row["title"].split())) or f"(no title) id {printable(' '.join(row['id'].split()))}"
    notes = [" (no content)"] * (not row["content"].strip()) + [f" (like row {printable(row.get('like', ''))[:PRINTED]})"] * ("like" in row)
    return (text if len(text) <= PRINTED else text[: PRINTED - 1] + "…") + "".join(notes)


def describe(step: dict[str, Any]) -> str:
    """A step's name with what matters of its parameters, short."""
    params = step["params"]
    match step["name"]:
        case "title_chars" | "content_chars" | "tokens":
            bounds = [f"at least {params['min']}"] * bool(params["min"]) + [f"at most {params['max']}"] * (params["max"] is not None)
            return f"{step['name']} {', '.join(bounds)}".strip()
        case "keywords" | "exclude_keywords":
            words = params["words"] if len(params["words"]) <= SHOWN_WORDS else [*params["words"][:2], f"{len(params['words']) - 2} more"]
            return f"{step['name']} {(' or ' if params['match'] == 'any' else ' and ').join(words)}"
        case "deduplicate":
            return f"deduplicate by {params['by']}"
        case "sample":
            return f"sample {params['method']} {params['size']}"
    return str(step["name"])
