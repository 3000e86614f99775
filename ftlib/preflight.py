"""What can be known to be wrong before a run folder is made."""

from __future__ import annotations

from pathlib import Path

from ftlib.errors import DataError, FtlibError
from ftlib.profile import Profile


def preflight(profile: Profile) -> None:
    """Check that everything a profile names exists. Raises ProfileError or DataError."""
    from ftlib.catalogue import find_model
    from ftlib.catalogue.prices import read_prices
    from ftlib.curation.recipe import check_shares, load_recipe
    from ftlib.curation.source import looked_for
    from ftlib.evaluation.questions import check_evaluation
    from ftlib.formatting.task import load_task
    from ftlib.training.hosted.provider import load_provider

    check_evaluation(profile.evaluation)
    for recipe in [*profile.recipes(), *([profile.data.held_out] if profile.data.held_out else [])]:
        load_recipe(recipe)
    check_shares([profile.data.train, profile.data.valid, profile.data.test], "data: train, valid and test")
    load_task(profile.task)
    if profile.prices:
        read_prices(profile.prices)
    for contestant in profile.contestants:
        if contestant.task:
            load_task(contestant.task)
        if contestant.model:
            find_model(contestant.model, profile.models)
        if contestant.provider:
            load_provider(contestant.provider, profile.providers)
        if contestant.recorded and not Path(contestant.recorded).is_file():
            raise DataError(f"Contestant {contestant.name}: recorded answers {contestant.recorded} do not exist.")
    source = profile.data.source
    looks_like_path = source.startswith((".", "/", "~")) or "." in Path(source).name
    if source != "sample" and looks_like_path and not Path(source).expanduser().is_file():
        raise DataError(f"data.source {source} does not exist{looked_for(source)}; give a file, a hub dataset id, or `sample`.")


def missing_keys(profile: Profile) -> list[str]:
    """A sentence for each provider of the profile whose key is not at hand; its contestants will stand as refused."""
    from ftlib.training.hosted.keys import find_key
    from ftlib.training.hosted.provider import load_provider

    found: dict[str, str] = {}
    for contestant in profile.contestants:
        if contestant.provider and contestant.provider != "sandbox" and not contestant.recorded and contestant.provider not in found:
            try:
                find_key(load_provider(contestant.provider, profile.providers))
            except FtlibError as error:
                found[contestant.provider] = str(error)
    return list(found.values())
