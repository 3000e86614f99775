"""What can be known to be wrong before a run folder is made."""

from __future__ import annotations

from pathlib import Path

from ftlib.errors import DataError
from ftlib.profile import Profile, read_yaml


def preflight(profile: Profile) -> None:
    """Check that everything a profile names exists. Raises ProfileError or DataError."""
    from ftlib.catalogue import find_model
    from ftlib.catalogue.prices import read_prices
    from ftlib.evaluation.questions import check_evaluation
    from ftlib.formatting.task import load_task

    check_evaluation(profile.evaluation)
    for recipe in profile.recipes():
        read_yaml(recipe, "recipes", "recipe")
    load_task(profile.task)
    if profile.prices:
        read_prices(profile.prices)
    for contestant in profile.contestants:
        if contestant.task:
            load_task(contestant.task)
        if contestant.model:
            find_model(contestant.model, profile.models)
        if contestant.recorded and not Path(contestant.recorded).is_file():
            raise DataError(f"Contestant {contestant.name}: recorded answers {contestant.recorded} do not exist.")
    source = profile.data.source
    looks_like_path = source.startswith((".", "/", "~")) or "." in Path(source).name
    if source != "sample" and looks_like_path and not Path(source).expanduser().is_file():
        raise DataError(f"data.source {source} does not exist; give a file, a hub dataset id, or `sample`.")
