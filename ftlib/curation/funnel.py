"""The funnel: what each step of a recipe did, with three examples of what it dropped, and the same for a reader."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ftlib.curation.records import Record, Rejected

EXAMPLES = 3
SHOWN = 400  # characters of an example's content
REJECTED_EXAMPLES = 20


@dataclass
class StepCount:
    """What one step did so far."""

    name: str
    params: dict[str, Any]
    rows_in: int = 0
    rows_out: int = 0
    dropped: list[dict[str, str]] = field(default_factory=list)

    def add(self, before: list[Record], after: list[Record]) -> None:
        """Count a batch and keep its first dropped rows as examples."""
        self.rows_in += len(before)
        self.rows_out += len(after)
        if len(after) < len(before) and len(self.dropped) < EXAMPLES:
            kept = iter(after)  # in the order of before, so that the first ones dropped are soon found
            following = next(kept, None)
            for row in before:
                if row is following:
                    following = next(kept, None)
                elif len(self.dropped) < EXAMPLES:
                    self.dropped.append(example(row))
                else:
                    break

    def merge(self, other: StepCount) -> None:
        """Add what the same step did to a later batch."""
        self.rows_in += other.rows_in
        self.rows_out += other.rows_out
        self.dropped += other.dropped[: EXAMPLES - len(self.dropped)]

    def plain(self) -> dict[str, Any]:
        """As it stands in funnel.json."""
        return {"name": self.name, "params": self.params, "rows_in": self.rows_in, "rows_out": self.rows_out, "dropped": self.dropped}


def example(row: Record) -> dict[str, str]:
    """A row as an example, a long content cut."""
    content = row.content if len(row.content) <= SHOWN else row.content[:SHOWN] + "…"
    return {"id": row.id, "title": row.title[:SHOWN], "content": content}


@dataclass
class Rejections:
    """Rows that could not be read: counts by reason, and the first of them (or all)."""

    keep_all: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Rejected] = field(default_factory=list)

    def add(self, rejected: list[Rejected]) -> None:
        """Take in some rows."""
        self.counts.update(row.reason for row in rejected)
        room = len(rejected) if self.keep_all else max(0, REJECTED_EXAMPLES - len(self.examples))
        self.examples += rejected[:room]

    @property
    def total(self) -> int:
        """How many rows."""
        return sum(self.counts.values())

    def plain(self) -> dict[str, int]:
        """Counts by reason, the most frequent first."""
        return dict(self.counts.most_common())


def funnel_text(funnel: dict[str, Any]) -> str:
    """A funnel as a table for a terminal."""
    lines = [f"recipe {funnel['recipe']} on {funnel['source']}", f"{'rows read':<28}{funnel['rows_read']:>12,}"]
    lines += [f"  rejected: {reason:<16}{-count:>12,}" for reason, count in funnel["rejected"].items()]
    for step in funnel["steps"]:
        dropped = step["rows_out"] - step["rows_in"]
        lines.append(f"{describe(step):<28}{step['rows_out']:>12,}{f'{dropped:,}' if dropped else '':>12}")
    splits = funnel["splits"]
    lines.append("  ".join(f"{side} {rows:,}" for side, rows in splits.items()))
    leaks = funnel["leaks"]
    lines.append(f"rows of one side found again on another: {leaks['exact']:,} exact, {leaks['near']:,} near")
    lines.append(f"{funnel['seconds']:.1f} s; tokens counted by {funnel['counted_by']}" if funnel["counted_by"] else f"{funnel['seconds']:.1f} s")
    return "\n".join(lines)


def describe(step: dict[str, Any]) -> str:
    """A step's name with what matters of its parameters, short."""
    params = step["params"]
    match step["name"]:
        case "title_chars" | "content_chars" | "tokens":
            bounds = [f"at least {params['min']}"] * bool(params["min"]) + [f"at most {params['max']}"] * (params["max"] is not None)
            return f"{step['name']} {', '.join(bounds)}".strip()
        case "keywords" | "exclude_keywords":
            return f"{step['name']} {(' or ' if params['match'] == 'any' else ' and ').join(params['words'])}"
        case "deduplicate":
            return f"deduplicate by {params['by']}"
        case "sample":
            return f"sample {params['method']} {params['size']}"
    return str(step["name"])
