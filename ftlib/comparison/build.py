"""All that is said about a run, once, for workbook, page and text alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftlib.comparison.choice import choices
from ftlib.comparison.cost import SystemCost, costs
from ftlib.comparison.criteria import break_evens, cost, precision, seed_note, training
from ftlib.comparison.flexibility import flexibility
from ftlib.comparison.judged import judged
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import ALPHA, holm_p
from ftlib.comparison.questions import Question, questions
from ftlib.comparison.ranking import ranking
from ftlib.comparison.sensitivity import sensitivity
from ftlib.comparison.table import Cell, Column, Figure, Table, told_once
from ftlib.comparison.tiny import warning
from ftlib.comparison.verdict import Verdict, verdict

MANY_CUT = 0.1  # share of a model's answers that come to their limit above which it is said what the limit is


@dataclass
class Comparison:
    """What the workbook, the page and the text show."""

    material: Material
    verdict: Verdict
    tables: dict[str, Table]
    costs: dict[str, SystemCost]
    provenance: list[tuple[str, str]]
    limits: list[str]
    questions: list[Question]
    title: str
    warning: str = ""
    charts: list[Any] = field(default_factory=list)  # ftlib.comparison.charts.Chart


def build(material: Material) -> Comparison:
    """Everything computed from what is stored; nothing is called."""
    found = costs(material)
    made = choices(material, found)
    tables = [
        precision(material),
        training(material),
        cost(material, found),
        flexibility(material),
        break_evens(found),
        sensitivity(material, found),
        pairwise(material),
        pairwise(material, primary=True),
        flags(material),
        mcnemar(material),
    ]
    said = judged(material)
    if said:
        tables.append(said)
    if material.weights:
        tables.append(ranking(material, found, material.weights))
    return Comparison(
        material,
        verdict(material, made),
        {table.key: told_once(table, material.why_stopped) for table in tables},
        found,
        provenance(material),
        limits(material),
        questions(material) if {"seed", "demo"} & set(material.names) else [],
        "Comparison: " + " + ".join(material.names),
        warning(material),
    )


def pairwise(material: Material, *, primary: bool = False) -> Table:
    """Every tested difference, or those of the primary metric alone (the page has these, the workbook all)."""
    columns = [
        Column("a", "A"),
        Column("b", "B"),
        Column("metric", "Metric"),
        Column("difference", "A minus B", "", "mean of the paired differences with its 95 % interval"),
        Column("p", "p bootstrap"),
        Column("p_permutation", "p permutation"),
        Column("p_holm", "p after Holm"),
        Column("n", "items"),
    ]
    rows: list[dict[str, Cell]] = []
    for row in material.summary.get("pairs") or []:
        if primary and row["metric"] != material.primary:
            continue
        cells: dict[str, Cell] = {
            "a": row["a"],
            "b": row["b"],
            "metric": row["metric"],
            "difference": Figure(row["difference"], low=row["low"], high=row["high"], digits=2),
            "n": Figure(row["n"], digits=0),
        }
        for key in ("p", "p_permutation", "p_holm"):
            value = row.get(key)
            cells[key] = Figure(None, na="not tested") if value is None else Figure(value, digits=4)
        rows.append(cells)
    key, notes = ("pairs", ["All other metrics stand in the workbook's Pairwise sheet."]) if primary else ("pairwise", [])
    return Table(key, "Pairwise differences", "Every two systems on the same resampled items.", columns, rows, notes)


def rate(found: Mapping[str, Any] | None, why: str) -> Figure:
    """A stored rate with its interval, in per cent."""
    if not found or found.get("rate") is None:
        return Figure(None, "%", na=why)
    return Figure(100 * found["rate"], "%", low=100 * found["low"], high=100 * found["high"])


def flags(material: Material) -> Table:
    """Rates of each kind of degenerate answer."""
    from ftlib.evaluation.flags import KINDS

    names = list(dict.fromkeys(name for system in material.systems.values() for name in system.get("flags") or {}))
    columns = [Column("system", "System"), *(Column(name, name.replace("_", " "), "%", KINDS.get(name, "")) for name in names)]
    rows: list[dict[str, Cell]] = []
    for system, data in material.systems.items():
        reasons = data.get("na") or {}
        row: dict[str, Cell] = {"system": system}
        for name in names:
            why = str(reasons.get(f"flags.{name}") or reasons.get("flags") or data.get("reason") or "not measured")
            row[name] = rate((data.get("flags") or {}).get(name), why)
        rows.append(row)
    about = "Share of test answers with each defect, with Wilson's 95 % interval."
    return Table("degenerate", "Degenerate answers", about, columns, rows, _flag_notes(material, names))


def _flag_notes(material: Material, names: list[str]) -> list[str]:
    """What the defects are, where they are no finding, what tuning changed."""
    from ftlib.evaluation.flags import KINDS
    from ftlib.evaluation.trivial import BY_CONSTRUCTION

    notes = [
        f"{row['flag'].replace('_', ' ')}: {row['only_a']} items of {row['a']} alone, {row['only_b']} of {row['b']} alone, p {holm_p(row):.2g}."
        for row in material.summary.get("mcnemar") or []
        if holm_p(row) < ALPHA and row["a"].rpartition(".")[0] == row["b"].rpartition(".")[0] != ""
    ]
    if notes:
        notes.insert(
            0, "Base and tuned of one contestant differ in these (exact McNemar, after Holm; all tests stand in the workbook's Degenerate sheet):"
        )
    if any(material.state(system) == "trivial" for system in material.systems):
        notes.insert(0, BY_CONSTRUCTION)
    for system, data in material.systems.items():
        cut = (data.get("flags") or {}).get("cut") or {}
        if cut.get("rate", 0.0) >= MANY_CUT and material.state(system) != "trivial":
            limit = "their limit (max_new_tokens of the task, or decoding.max_new_tokens of the contestant), and stop in mid-sentence"
            notes.insert(0, f"{cut['count']} of {cut['n']} answers of {system} come to {limit}.")
    seen = [name for name in names if any((data.get("flags") or {}).get(name, {}).get("count") for data in material.systems.values())]
    if meanings := [f"{name.replace('_', ' ')}: {KINDS[name]}" for name in seen if name in KINDS]:
        notes.insert(0, f"What those found are. {'. '.join(meanings)}.")
    return notes


def mcnemar(material: Material) -> Table:
    """Every tested difference of a defect's rate."""
    columns = [Column("flag", "Defect"), Column("a", "A"), Column("b", "B"), Column("only_a", "only A", "items"), Column("only_b", "only B", "items"),
               Column("p", "p exact McNemar"), Column("p_holm", "p after Holm")]  # fmt: skip
    rows: list[dict[str, Cell]] = [
        {
            "flag": row["flag"],
            "a": row["a"],
            "b": row["b"],
            "only_a": Figure(row["only_a"], digits=0),
            "only_b": Figure(row["only_b"], digits=0),
            "p": Figure(row["p"], digits=4),
            "p_holm": Figure(holm_p(row), digits=4),
        }
        for row in material.summary.get("mcnemar") or []
    ]
    return Table("mcnemar", "Differences of these rates", "The same items under two systems: where only one of them shows the defect.", columns, rows)


def provenance(material: Material) -> list[tuple[str, str]]:
    """What the figures were made from: data, task, models, settings, by name and hash."""
    facts = [("test set", f"{material.n} rows, hash {material.summary['test_hash']}"), ("task", str(material.summary.get("task", "n/a")))]
    if material.funnel:
        funnel = material.funnel
        splits = ", ".join(f"{name} {count:,}" for name, count in (funnel.get("splits") or {}).items())
        facts += [
            ("source", f"{funnel.get('source')}, sha256 {funnel.get('source_sha256')}"),
            ("recipe", f"{funnel.get('recipe')}, seed {funnel.get('seed')}"),
            ("splits", splits),
        ]
    for name, report in material.trainings.items():
        model = report.get("model") or {}
        revision = f", revision {model['revision']}" if model.get("revision") else ""
        inputs = ", ".join(f"{key} {value}" for key, value in (report.get("inputs") or {}).items())
        facts.append((f"contestant {name}", f"{report.get('trainer')}: {model.get('id')}{revision}" + (f"; {inputs}" if inputs else "")))
        if report.get("versions"):
            facts.append((f"versions of {name}", ", ".join(f"{key} {value}" for key, value in report["versions"].items())))
    signatures = {
        name: found["signature"]
        for system in material.systems.values()
        for name, found in (system.get("metrics") or {}).items()
        if found.get("signature")
    }
    facts += [(f"signature of {name}", str(value)) for name, value in signatures.items()]
    settings = material.summary.get("settings") or {}
    facts.append(
        ("evaluation settings", ", ".join(f"{key} {value}" for key, value in settings.items() if isinstance(value, int | float | str)) or "n/a")
    )
    return facts


def _setting(value: Any) -> str:
    """A contestant's setting in words; how many answers a model gives at once is no part of how they are drawn."""
    if not isinstance(value, Mapping):
        return str(value)
    most = value.get("max_new_tokens")
    length = "as many new tokens as the task says" if most is None else f"at most {most:,} new tokens"
    return f"temperature {value.get('temperature', 0):g}, {length}"


def limits(material: Material) -> list[str]:
    """What the figures cannot say."""
    said = [f"All systems answered the same {material.n} test rows; other rows may order them otherwise.", seed_note(material)]
    few = (material.summary.get("settings") or {}).get("few_items")
    said += [str(few)] if few else []
    judge = material.summary.get("judge") or {}
    if judge.get("status") != "done":
        said.append(
            "No judge was run: relevance, fluency and coherence are not measured, only nearness to the expected answer and what a program can see."
        )
    elif not judge.get("trusted"):
        said.append(
            "The judge failed one of its controls (identical pair, shuffled reference, constant answer), so its figures are not to be relied on."
        )
    said.append("Overlap metrics reward the wording of the expected answer; a good answer in other words scores low.")
    leaks = material.funnel.get("leaks") or {}
    if leaks.get("exact") or leaks.get("near"):
        said.append(
            f"The test set is not clean: {leaks.get('exact') or 0} exact and {leaks.get('near') or 0} near duplicates of training rows are in it, "
            "so every tuned system looks better than it is."
        )
    for key, values in ((material.summary.get("settings") or {}).get("differing") or {}).items():
        if len({_setting(value) for value in values.values()}) < 2:
            continue  # they differ in nothing that changes an answer
        each = "; ".join(f"{name} {_setting(value)}" for name, value in values.items())
        said.append(f"The contestants differ in {key}, which a fair comparison would have equal: {each}.")
    said += [material.old_review] if material.old_review else []
    if material.stopped:
        said.append(f"Not compared, because refused or failed: {', '.join(material.stopped)}.")
    said.append("Prices are those of the price book on the day stated; hours were measured on the device stated.")
    return said
