"""A judge favours texts of its own family: say so where it is one of the contestants'."""

from __future__ import annotations

from ftlib.catalogue import find_model
from ftlib.errors import ProfileError
from ftlib.profile import Judge
from ftlib.runs import Run

MARKS = ("llama", "gpt", "qwen", "gemma", "mistral", "phi", "smollm", "claude", "deepseek", "gemini")


def family_of(run: Run, model: str) -> str | None:
    """A model's family, from the catalogue or from its name; None where neither says."""
    try:
        known = find_model(model, run.profile.models).family
    except ProfileError:
        known = None
    if known:
        return known
    return next((mark for mark in MARKS if mark in model.casefold()), None)


def family_warning(run: Run, judge: Judge) -> str | None:
    """A sentence where the judge's family is a contestant's, or one of the two is not known; else None."""
    own = family_of(run, judge.model)
    if own is None:
        return f"the family of the judge {judge.model} is not known; a judge of a contestant's family favours it"
    families = {c.name: (family_of(run, c.existing or c.model) or "").rstrip("0123456789") for c in run.profile.contestants}
    same = [name for name, family in families.items() if family == own.rstrip("0123456789")]
    unknown = [name for name, family in families.items() if not family]
    said = [f"the judge {judge.model} is of the family {own}, as {', '.join(same)} is: it may favour its own"] if same else []
    said += [f"the family of {', '.join(unknown)} is not known: the judge {judge.model} may be of it"] if unknown else []
    return "; ".join(said) or None
