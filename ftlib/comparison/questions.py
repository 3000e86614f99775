"""The original project's own questions, on the pages of the profiles `seed` and `demo` only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftlib.comparison.load import Material
from ftlib.comparison.pairs import score
from ftlib.comparison.table import stored


@dataclass(frozen=True)
class Question:
    """A claim of the original, what its own files show, and what this run measured."""

    claim: str
    artefacts: str
    measured: str


def questions(material: Material) -> list[Question]:
    """Claim, artefact and measurement, side by side."""
    done = {name: report for name, report in material.trainings.items() if report.get("status") == "done"}
    steps = ", ".join(f"{step['name']} {step['rows_out']}" for step in material.funnel.get("steps") or [])
    tuned = [f"{name}: {score(material, name).text()} {material.primary}" for name in material.scored if material.state(name) == "tuned"]
    return [
        Question(
            "LLaMA learned from 5,000 examples in the time that GPT took for 1,500: up to 20 minutes.",
            "The LLaMA notebook ran 60 steps of 8 examples, so 480 were seen, in 13:39 minutes on a T4. "
            "The GPT job took 1,609 seconds from created to finished, for 3 epochs of 1,500.",
            _each(done, _seen),
        ),
        Question(
            "Fine-tuning GPT cost about 3 dollars.",
            "990,507 trained tokens were billed: (316,669 content tokens + 9 for each of 1,500 examples) x 3 epochs; "
            "at 3 dollars per million that is 2.97 dollars.",
            _each(done, _paid),
        ),
        Question(
            "The untuned models give generic answers; tuning makes them specific.",
            "Eleven answers were looked at, on different titles for the two models, three of them from the training file; nothing was scored. "
            "'I have reviewed this book' came from a base model that echoed its instruction.",
            "; ".join(_before_after(material, name) for name in done) or "nothing was tuned",
        ),
        Question(
            "Rows with at least 257 tokens were left out; rows with 'copyright' or 'author' were kept.",
            "The GPT notebook kept fewer than 257 tokens and asked for both words; the LLaMA notebook counted no tokens and filtered on other words.",
            f"Recipe {material.funnel.get('recipe', 'n/a')}: {material.funnel.get('rows_read', 'n/a')} rows read; left after each step: {steps}.",
        ),
        Question(
            "The two models can be compared by their answers.",
            "They were asked about different titles, so the original cannot say which is better.",
            f"On the same {material.n} titles: {'; '.join(tuned) or 'no tuned model was scored'}.",
        ),
    ]


def _seen(report: dict[str, Any]) -> str:
    return f"{stored(report, 'examples.seen', digits=0).text()} examples seen in {stored(report, 'seconds.total', digits=0).text()} s"


def _paid(report: dict[str, Any]) -> str:
    if report.get("trainer") == "local":
        return "nothing is charged on one's own machine"
    return f"USD {stored(report, 'money_usd', digits=2).text()} for {stored(report, 'tokens.billed', digits=0).text()} tokens"


def _each(done: dict[str, dict[str, Any]], say: Any) -> str:
    return "; ".join(f"{name}: {say(report)}" for name, report in done.items()) or "nothing was trained"


def _before_after(material: Material, name: str) -> str:
    """Rate of generic phrases and the primary metric, base and tuned."""
    parts = []
    for state in ("base", "tuned"):
        system = f"{name}.{state}"
        if system in material.scored:
            flags = material.systems[system].get("flags") or {}
            generic = next(
                (
                    f"{100 * found['rate']:.1f} % {key.replace('_', ' ')}"
                    for key, found in flags.items()
                    if "generic" in key and found.get("rate") is not None
                ),
                "",
            )
            parts.append(f"{state} {score(material, system).text()} {material.primary}" + (f", {generic}" if generic else ""))
    return f"{name}: " + ", ".join(parts)
