"""The catalogue as a table."""

from __future__ import annotations

from typing import Any

import msgspec

from ftlib.catalogue.models import catalogue


def list_models(fits: str | None = None) -> list[dict[str, Any]]:
    """The entries of the catalogue, each as a JSON object."""
    return [msgspec.to_builtins(model) for model in catalogue().values()]


def models_text(rows: list[dict[str, Any]]) -> str:
    """The table for a reader."""
    return "\n".join(f"{row['name']:28} {row['id']}" for row in rows)
