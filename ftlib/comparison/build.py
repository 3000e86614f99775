"""All that is said about a run, once, for workbook, page and text alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ftlib.comparison.choice import choices, sensitivity
from ftlib.comparison.cost import SystemCost, costs
from ftlib.comparison.criteria import break_evens, cost, precision, training
from ftlib.comparison.flexibility import flexibility
from ftlib.comparison.load import Material
from ftlib.comparison.questions import Question, questions
from ftlib.comparison.ranking import ranking
from ftlib.comparison.table import Cell, Column, Figure, Table
from ftlib.comparison.verdict import Verdict, verdict

DEMO = "This is the demo: the models are tiny and built on the spot, and the hosted one is our own loopback service. Its figures say nothing about real models; they show what a comparison looks like."


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
    tables = [precision(material), training(material), cost(material, found), flexibility(material), break_evens(found), sensitivity(material, found), pairwise(material), flags(material)]
    if material.weights:
        tables.append(ranking(material, found, material.weights))
    demo = any(name == "demo" for name in material.names)
    return Comparison(
        material, verdict(material, made), {table.key: table for table in tables}, found, provenance(material), limits(material),
        questions(material) if {"seed", "demo"} & set(material.names) else [], "Comparison: " + " + ".join(material.names), DEMO if demo else "",
    )


def pairwise(material: Material) -> Table:
    """Every tested difference."""
    columns = [Column("a", "A"), Column("b", "B"), Column("metric", "Metric"), Column("difference", "A minus B", "", "mean of the paired differences with its 95 % interval"),
               Column("p", "p bootstrap"), Column("p_permutation", "p permutation"), Column("p_holm", "p after Holm"), Column("n", "items")]
    rows: list[dict[str, Cell]] = []
    for row in material.summary.get("pairs") or []:
        cells: dict[str, Cell] = {"a": row["a"], "b": row["b"], "metric": row["metric"],
                                  "difference": Figure(row["difference"], low=row["low"], high=row["high"], digits=2), "n": Figure(row["n"], digits=0)}
        for key in ("p", "p_permutation", "p_holm"):
            value = row.get(key)
            cells[key] = Figure(None, na="not tested") if value is None else Figure(value, digits=4)
        rows.append(cells)
    return Table("pairwise", "Pairwise differences", "Every two systems on the same resampled items.", columns, rows)


def flags(material: Material) -> Table:
    """Rates of each kind of degenerate answer."""
    names = list(dict.fromkeys(name for system in material.systems.values() for name in system.get("flags") or {}))
    columns = [Column("system", "System"), *(Column(name, name.replace("_", " "), "%") for name in names)]
    rows: list[dict[str, Cell]] = []
    for system, data in material.systems.items():
        row: dict[str, Cell] = {"system": system}
        for name in names:
            found = (data.get("flags") or {}).get(name)
            known = found and found.get("rate") is not None
            row[name] = Figure(100 * found["rate"], "%", low=100 * found["low"], high=100 * found["high"]) if known else Figure(None, "%", na=str(data.get("reason") or "not measured"))
        rows.append(row)
    notes = [f"{row['a']} and {row['b']}, {row['flag']}: only the first {row['only_a']}, only the second {row['only_b']}, p {row['p']:.4f} (exact McNemar)."
             for row in material.summary.get("mcnemar") or [] if row.get("p") is not None and row["p"] < 0.05]
    return Table("degenerate", "Degenerate answers", "Share of test answers with each defect, with Wilson's 95 % interval.", columns, rows, notes)


def provenance(material: Material) -> list[tuple[str, str]]:
    """What the figures were made from: data, task, models, settings, by name and hash."""
    facts = [("test set", f"{material.n} rows, hash {material.summary['test_hash']}"), ("task", str(material.summary.get("task", "n/a")))]
    if material.funnel:
        funnel = material.funnel
        splits = ", ".join(f"{name} {count:,}" for name, count in (funnel.get("splits") or {}).items())
        facts += [("source", f"{funnel.get('source')}, sha256 {funnel.get('source_sha256')}"), ("recipe", f"{funnel.get('recipe')}, seed {funnel.get('seed')}"), ("splits", splits)]
    for name, report in material.trainings.items():
        model = report.get("model") or {}
        revision = f", revision {model['revision']}" if model.get("revision") else ""
        inputs = ", ".join(f"{key} {value}" for key, value in (report.get("inputs") or {}).items())
        facts.append((f"contestant {name}", f"{report.get('trainer')}: {model.get('id')}{revision}" + (f"; {inputs}" if inputs else "")))
        if report.get("versions"):
            facts.append((f"versions of {name}", ", ".join(f"{key} {value}" for key, value in report["versions"].items())))
    signatures = {name: found["signature"] for system in material.systems.values() for name, found in (system.get("metrics") or {}).items() if found.get("signature")}
    facts += [(f"signature of {name}", str(value)) for name, value in signatures.items()]
    settings = material.summary.get("settings") or {}
    facts.append(("evaluation settings", ", ".join(f"{key} {value}" for key, value in settings.items() if isinstance(value, int | float | str)) or "n/a"))
    return facts


def limits(material: Material) -> list[str]:
    """What the figures cannot say."""
    said = [f"All systems answered the same {material.n} test rows; other rows may order them otherwise."]
    if not material.summary.get("seeds"):
        said.append("Each contestant was trained with one seed; how much another seed would change is not measured.")
    if not material.summary.get("judge"):
        said.append("No judge was run: fluency and coherence are not measured, only nearness to the expected answer and defects that a program can see.")
    said.append("Overlap metrics reward the wording of the expected answer; a good answer in other words scores low.")
    leaks = material.funnel.get("leaks") or {}
    if leaks.get("exact") or leaks.get("near"):
        said.append(f"The test set is not clean: {leaks.get('exact') or 0} exact and {leaks.get('near') or 0} near duplicates of training rows are in it, so every tuned system looks better than it is.")
    refused = [name for name, report in material.trainings.items() if report.get("status") in ("refused", "failed")]
    if refused:
        said.append(f"Not compared, because refused or failed: {', '.join(refused)}.")
    said.append("Prices are those of the price book on the day stated; hours were measured on the device stated.")
    return said
