"""The warning where models are tiny and built on the spot, whatever the profile is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftlib.comparison.load import Material
from ftlib.comparison.table import listed


def warning(material: Material) -> str:
    """What to say of the contestants whose models are built on the spot; empty where there is none."""
    extra = {name: entry for profile in material.profiles for name, entry in (profile.get("models") or {}).items()}
    sandbox = [name for name, one in material.contestants.items() if _hosted_here(one)]
    names = [name for name, one in material.contestants.items() if name in sandbox or _built(one, extra)]
    if not names:
        return ""
    whose = f"The models of {listed(names)} are" if len(names) > 1 else f"The model of {names[0]} is"
    behind = f", and {listed(sandbox)} {'stand' if len(sandbox) > 1 else 'stands'} behind our own loopback service" if sandbox else ""
    return (
        f"{whose} tiny and built on the spot{behind}. "
        "Such figures say nothing about real models; they show what a comparison looks like. "
        "Tiny models know some sentences and no facts: they join pieces that need not fit, and a broken word can spell anything, a rude one too."
    )


def _hosted_here(contestant: Mapping[str, Any]) -> bool:
    """Whether the sandbox answers, which has its own tiny model behind every name."""
    return contestant.get("provider") == "sandbox" and not contestant.get("recorded")


def _built(contestant: Mapping[str, Any], extra: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a contestant's model is one that the catalogue, or the profile, has built on the spot."""
    from ftlib.catalogue import find_model
    from ftlib.errors import ProfileError

    if contestant.get("recorded") or not contestant.get("model"):
        return False
    try:
        return find_model(str(contestant["model"]), extra).build is not None
    except ProfileError:  # a folder that was there when the run was made
        return False
