"""Tables and figures for notebook 05. Texts from data are always escaped: nothing of them is rendered as markup."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftlib.evaluation.flags import KINDS
from ftlib.evaluation.flexibility import failed_items
from ftlib.evaluation.trivial import BY_CONSTRUCTION
from ftlib.files import read_jsonl
from ftlib.runs import Run
from ftlib.terminal import printable

NAMES = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "chrf": "chrF2",
    "length_ratio": "length ratio",
    "title_faithfulness": "title kept, %",
    "semantic": "semantic",
    "bits_per_byte": "bits/byte",
}
Row = Sequence[object]


@dataclass(frozen=True)
class Table:
    """A small table that a notebook shows as HTML and a terminal as text."""

    head: Sequence[str]
    rows: Sequence[Row]
    note: str = ""

    def _repr_html_(self) -> str:
        cells = "".join(f'<th style="text-align:left">{html.escape(name)}</th>' for name in self.head)
        style = "text-align:left;vertical-align:top;max-width:34em;white-space:pre-wrap"
        body = "".join(
            "<tr>" + "".join(f'<td style="{style}">{html.escape(printable(str(cell)))}</td>' for cell in row) + "</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(printable(self.note))}</p>"

    def __repr__(self) -> str:
        texts = [[printable(str(cell)).replace("\n", " ") for cell in row] for row in [self.head, *self.rows]]
        widths = [min(48, max(len(row[i]) for row in texts)) for i in range(len(self.head))]
        lines = ["  ".join(cell[:width].ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts]
        return "\n".join([*lines, *([printable(self.note)] if self.note else [])])


def _figure(found: Mapping[str, Any] | None, scale: float = 1.0, digits: int = 1, key: str = "value") -> str:
    """A value with its interval, or n/a."""
    if not found or found.get(key) is None:
        return "n/a"
    interval = f" [{scale * found['low']:.{digits}f}, {scale * found['high']:.{digits}f}]" if found.get("low") is not None else ""
    return f"{scale * found[key]:.{digits}f}{interval}"


def answers(run: Run, count: int = 3) -> Table:
    """What every system answered to the first few test titles, beside the reference."""
    rows: list[Row] = []
    items: dict[str, dict[str, dict[str, Any]]] = {}
    for row in read_jsonl(run.path / "scores" / "items.jsonl"):
        if row["set"] == "test" and (row["id"] in items or len(items) < count):
            items.setdefault(row["id"], {})[row["system"]] = row
    for by_system in items.values():
        first = next(iter(by_system.values()))
        rows.append((first["title"], "the reference", short(first["reference"]), ""))
        rows += [("", system, short(row["answer"]), ", ".join(row["flags"])) for system, row in by_system.items()]
    return Table(("title", "who", "text", "flags"), rows)


def short(text: str | None, most: int = 300) -> str:
    """A text cut to a readable length; a missing one is said to be missing."""
    if text is None:
        return "(no answer)"
    return text if len(text) <= most else text[:most].rstrip() + " …"


def metrics(summary: Mapping[str, Any]) -> Table:
    """Every system's figures with their 95 % intervals."""
    names = [name for name in [*summary["settings"]["metrics"], "bits_per_byte"] if any(name in s["metrics"] for s in summary["systems"].values())]
    rows = [
        (
            system,
            data["failed"] if data["n"] else data["status"],
            *(_figure(data["metrics"].get(name), digits=2 if name in ("length_ratio", "bits_per_byte") else 1) for name in names),
        )
        for system, data in summary["systems"].items()
    ]
    return Table(
        ("system", "failed", *(NAMES.get(name, name) for name in names)),
        rows,
        f"{summary['n']} test items. Intervals: {summary['settings']['interval']}. {_smallest(summary)}{_failed(summary)}{_few(summary)}",
    )


def parts(summary: Mapping[str, Any]) -> Table:
    """Precision and recall behind every ROUGE, in points."""
    found = {name: metric for data in summary["systems"].values() for name, metric in data["metrics"].items() if metric.get("part_of")}
    names = [f"{NAMES.get(metric['part_of'], metric['part_of'])} {name.rpartition('_')[2]}" for name, metric in found.items()]
    rows = [(system, *(_figure(data["metrics"].get(name)) for name in found)) for system, data in summary["systems"].items()]
    return Table(("system", *names), rows, f"In points, with the 95 % interval.{_failed(summary)}{_few(summary)}")


def _smallest(summary: Mapping[str, Any]) -> str:
    """The smallest difference on the primary metric that the items can show, or why it is not known."""
    small = summary["smallest_difference"]
    said = f"{small['value']:.2f} {small['unit']}" if small["value"] is not None else f"n/a, {small['na']}"
    return f"Smallest {NAMES.get(small['metric'], small['metric'])} difference that {summary['n']} items can show: {said}."


def _failed(summary: Mapping[str, Any]) -> str:
    """How many items failed in which systems, and how they were scored; empty where none did."""
    found = [f"{system} {data['failed']}" for system, data in summary["systems"].items() if data["failed"]]
    return f" Failed items, scored as {summary['settings']['failed_score']:g} and never dropped: {', '.join(found)}." if found else ""


def _few(summary: Mapping[str, Any]) -> str:
    """The warning where there are few items; empty where there are enough."""
    return f" {said}" if (said := summary["settings"].get("few_items")) else ""


def signatures(summary: Mapping[str, Any]) -> Table:
    """How each metric was computed, to be cited with it."""
    found = {name: metric for system in summary["systems"].values() for name, metric in system["metrics"].items()}
    return Table(("metric", "unit", "signature"), [(name, metric["unit"], metric["signature"]) for name, metric in found.items()])


def pairs(summary: Mapping[str, Any], metric: str = "") -> Table:
    """Differences between systems on one metric (the primary one), with interval and p."""
    metric = metric or summary["primary"]
    rows = [
        (
            f"{row['a']} − {row['b']}",
            f"{row['difference']:+.2f}",
            f"[{row['low']:+.2f}, {row['high']:+.2f}]",
            f"{row['p']:.4f}",
            f"{row['p_permutation']:.4f}",
            f"{row['p_holm']:.4f}",
            "yes" if row["p_holm"] < 0.05 else "no",
        )
        for row in summary["pairs"]
        if row["metric"] == metric
    ]
    head = ("difference", NAMES.get(metric, metric), "95 % interval", "p, bootstrap", "p, sign flips", "p, Holm", "told apart?")
    return Table(head, rows, _smallest(summary) + _failed(summary) + _few(summary))


def flags(summary: Mapping[str, Any]) -> Table:
    """Share of degenerate answers of each kind, for the kinds that occur."""
    systems = {name: data for name, data in summary["systems"].items() if data["flags"]}
    seen = [kind for kind in KINDS if any(data["flags"].get(kind, {}).get("count") for data in systems.values())]
    changed = {(row["flag"], row["a"], row["b"]) for row in summary["mcnemar"] if row["p_holm"] < 0.05}

    def cell(kind: str, system: str) -> str:
        own = (system.removesuffix(".tuned") + ".base", system)
        star = "*" if {(kind, *own), (kind, *reversed(own))}.intersection(changed) else ""
        return _figure(systems[system]["flags"].get(kind), 100, 0, "rate") + star

    rows = [(kind, KINDS[kind], *(cell(kind, system) for system in systems)) for kind in seen]
    never = ", ".join(kind for kind in KINDS if kind not in seen)
    note = "Percent of answers, with Wilson's 95 % interval; * differs from its own base (exact McNemar, p < 0.05 after Holm)."
    note += f" Never seen: {never or 'none'}.{_failed(summary)}"
    openings = {name: data["flags"]["common_opening"] for name, data in systems.items()}
    said = "; ".join(f"{name} “{found['opening']}” ({found['count']})" for name, found in openings.items() if found["count"])
    note += f" Commonest openings, without capitals and signs: {said}." if said else ""
    if any(data["state"] == "trivial" for data in systems.values()):
        note += f" {BY_CONSTRUCTION}"
    return Table(("flag", "what it means", *systems), rows, note)


def flexibility(summary: Mapping[str, Any]) -> Table:
    """What every model can do besides its task."""
    rows: list[Row] = []
    for system, part in summary["flexibility"].items():
        wording, transfer, forgetting = part["wording"], part["transfer"] or {}, part["forgetting"]
        rows.append(
            (
                system,
                _figure(part["retention"], 100, 0, "rate") + _against_base(part["retention"]),
                f"{forgetting['bits_per_byte']:.2f}" + (f" ({forgetting['change']:+.2f})" if "change" in forgetting else "") if forgetting else "n/a",
                f"{wording['original']:.1f} | {_figure(wording, key='mean')}{_against_base(wording)} | "
                f"{wording['worst']:.1f} ({wording['worst_wording']})"
                if wording
                else "n/a",
                _figure(transfer) + _against_base(transfer),
                _figure(transfer.get("reverse")) + _against_base(transfer.get("reverse")),
                _figure(part["bleeding"], 100, 0, "rate") + _against_base(part["bleeding"]),
            )
        )
    parts = summary["flexibility"].items()
    missing = dict.fromkeys(f"{name.removesuffix('.value')}: {why}" for _, part in parts for name, why in part["na"].items())
    note = f"n/a: {'; '.join(missing)}. " if missing else ""
    asked = {name: found["n"] for _, part in parts for name, found in part.items() if isinstance(found, dict) and found.get("n")}
    note += f"Questions: {', '.join(f'{name} {count}' for name, count in asked.items())}. " if asked else ""
    note += failed_items(summary["flexibility"], summary["settings"]["failed_score"])
    head = (
        "system",
        "retention, %",
        "neutral text, bits/byte",
        "own words | mean of the other wordings | worst wording",
        "held-out slice",
        "reverse task",
        "bleeding, %",
    )
    return Table(head, rows, note.strip())


def _against_base(found: Mapping[str, Any] | None) -> str:
    """How a tuned model differs from its base on the same items, where that was tested."""
    test = (found or {}).get("against_base")
    if not test:
        return ""
    told = f"base alone {test['only_base']}, tuned alone {test['only_tuned']}" if "only_base" in test else f"{test['value']:+.1f} by tuning"
    return f", {told}, p {test['p']:.2g}"


def judged(summary: Mapping[str, Any]) -> Table:
    """What the judge and a person said, with what tells whether to believe it."""
    found = summary["judge"]
    if not found:
        return Table(("judge", "result"), [("none was run", "relevance, faithfulness, fluency and coherence: n/a without a judge")])
    from ftlib.evaluation.judge.text import judge_text

    who, *lines = judge_text(found).splitlines()
    return Table(("judge", who), [line.strip().partition(": ")[::2] for line in lines])
