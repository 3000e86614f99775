"""Is a training file good at its destination? Known before anything leaves the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model, find_model
from ftlib.formatting.checker import Checker, Limits
from ftlib.formatting.destinations import VALIDATION, Destination, rules_for
from ftlib.formatting.tokens import example_tokens

SHOWN = 5  # findings of one rule that check_text prints


def check_file(
    file: Path | str,
    *,
    destination: str | Destination,
    validation: Path | str | None = None,
    model: str | Model | None = None,
    suffix: str | None = None,
    tokens: Callable[[Any], int | None] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """Check a training file against every rule of a destination, in one pass.

    Args:
        file: JSON lines. One named valid.jsonl or validation.jsonl is held to a validation file's rules: one example is enough.
        destination: openai, azure, nebius, together, sandbox, local, local:MODEL, a provider of one's own, or the rules themselves.
        validation: the validation file that goes with it; it is checked too, and rows that stand in both are found.
        model: the model to be tuned, for its context length, its special tokens and, where it is a hosted one, its tokenizer.
        suffix: the suffix of the job that is to follow.
        tokens: counts a row's tokens with the model's own tokenizer, where it is at hand.
        name: the name that the file is going to have, where it is not its own.

    Returns {file, destination, model, rules, ok, rows, counts: {"rule (severity)": n}, findings: [{line, rule, severity, field, message,
    remedy, file}]}. Line 0 is the file as a whole; ``ok`` is false when any finding is an error.
    Raises DataError for a file that cannot be read as text at all, ProfileError for an unknown destination or model.
    """
    rules, named = (destination, None) if isinstance(destination, Destination) else rules_for(destination)
    wanted = model or named
    entry = find_model(wanted) if isinstance(wanted, str) else wanted
    limits = limits_of(rules, entry)
    limits.tokens = tokens or limits.tokens
    findings, others = [], {}
    if validation is not None:
        other = Checker(rules, limits, file="validation")
        other.read(Path(validation), name=Path(validation).name, minimum=1)
        findings, others = other.findings, other.seen
    checker = Checker(rules, limits, others=others)
    name = name or Path(file).name
    checker.read(Path(file), name=name, minimum=1 if name in VALIDATION else rules.min_examples)
    _check_suffix(checker, suffix)
    findings = sorted(checker.findings, key=lambda found: found.line) + findings
    return {
        "file": str(file),
        "destination": rules.name,
        "model": entry.name if entry else None,
        "rules": rules.source,
        "ok": not any(found.severity == "error" for found in findings),
        "rows": checker.rows,
        "counts": dict(Counter(f"{found.rule} ({found.severity})" for found in findings)),
        "findings": [found.data() for found in findings],
    }


def limits_of(rules: Destination, entry: Model | None) -> Limits:
    """What a model adds to a destination's rules: context, special tokens, and a counter where its encoding is known.

    The context, encoding and special tokens of a destination that has house models are theirs; one with open weights that it also tunes has its own.
    """
    offer = entry.at(rules.name) if entry else None
    if entry and offer and entry.open_weights and not entry.build and rules.family:
        rules = replace(rules, context=None, encoding=None, family=None)
    context = (offer.context if offer else None) or rules.context or (entry.context if entry else None)
    encoding = (entry.encoding if entry else None) or rules.encoding
    family = "tiny" if entry and entry.build else entry.family if entry else None
    limits = Limits(rules.family or family, context)
    if encoding:
        limits.tokens = lambda row: example_tokens(row, encoding)
    return limits


def _check_suffix(checker: Checker, suffix: str | None) -> None:
    """The suffix of the job that is to follow, which becomes part of the tuned model's name."""
    rules = checker.destination
    if suffix is None or rules.suffix_max is None:
        return
    if not 0 < len(suffix) <= rules.suffix_max:
        what = f"the suffix has {len(suffix)} characters, and {rules.name} takes 1 to {rules.suffix_max}"
        checker.add(0, "suffix", "error", what, "choose another", "suffix")
    if "." in suffix and not rules.suffix_dots:
        checker.add(0, "suffix", "error", f"the suffix {suffix!r} holds a dot, which {rules.name} refuses", "write a hyphen instead", "suffix")


def check_text(found: dict[str, Any]) -> str:
    """A check's result for a reader: the verdict, then the first findings of each rule."""
    verdict = "good" if found["ok"] else "would be refused"
    lines = [f"{found['file']}: {found['rows']} examples, {verdict} at {found['destination']}" + (f" ({found['model']})" if found["model"] else "")]
    shown: Counter[str] = Counter()
    for item in found["findings"]:
        kind = f"{item['rule']} ({item['severity']})"
        shown[kind] += 1
        if shown[kind] <= SHOWN:
            place = f"line {item['line']}" if item["line"] else "the file"
            where = ("validation, " if item["file"] == "validation" else "") + place + (f", {item['field']}" if item["field"] else "")
            lines.append(f"  {item['severity']:7} {where}: {item['message']}; {item['remedy']}. [{item['rule']}]")
    lines += [f"  ... and {count - SHOWN} more of {kind}" for kind, count in found["counts"].items() if count > SHOWN]
    return "\n".join(lines)
