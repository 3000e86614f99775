"""Settings come from the contestant, then from the catalogue's entry of its model, then from ftlib; the catalogue's fit 16 GB."""

from __future__ import annotations

import pytest

from ftlib.catalogue import Model, find_model
from ftlib.catalogue.models import catalogue
from ftlib.configuration import convert
from ftlib.plan.training import on_machine
from ftlib.profile import Contestant
from ftlib.training.local.settings import TuneSettings, settings_for


def contestant(**fields: object) -> Contestant:
    return convert({"name": "c", "trainer": "local", "model": "m", **fields}, Contestant, "test")


def test_a_contestants_own_come_before_the_catalogues_and_those_before_the_defaults() -> None:
    model = convert({"name": "m", "id": "m", "tune": {"batch": 4, "r": 8, "lr": 1e-3}}, Model, "test")
    found = settings_for(contestant(lr=5e-4, lora={"alpha": 32}), model=model, seed=7)
    assert (found.lr, found.batch, found.r, found.alpha, found.seed) == (5e-4, 4, 8, 32, 7)
    assert found.accumulate == TuneSettings.accumulate
    assert settings_for(contestant(), model=Model(name="x", id="x"), seed=42) == TuneSettings()


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-4b", "gemma-3-4b"])
def test_the_catalogues_settings_fit_16_gb_at_1024_tokens_with_the_estimates_error_added(name: str) -> None:
    model = find_model(name)
    assert model.tune.batch, "the entry carries its own settings"
    settings = settings_for(contestant(), model=model, seed=1)
    assert settings.max_length == 1024
    assert settings.batch * settings.accumulate == 8
    report = on_machine(model, settings, "t4", tokens=1e6, longest=settings.max_length)
    assert report["fits"] is True
    assert report["memory_bytes_high"] < 15.6e9
    twice = settings_for(contestant(batch=4 * settings.batch), model=model, seed=1)
    assert on_machine(model, twice, "t4", tokens=1e6, longest=1024)["fits"] is not True


def test_every_model_said_to_fit_a_t4_does_so_with_its_own_settings() -> None:
    for model in catalogue().values():
        if model.qlora == "t4" and model.shape:
            settings = settings_for(contestant(), model=model, seed=1)
            report = on_machine(model, settings, "t4", tokens=1e6, longest=settings.max_length)
            assert report["memory_bytes"] < 15.6e9, model.name


def test_rows_are_cut_where_the_contestant_or_else_the_catalogue_says_so() -> None:
    tiny = find_model("tiny-llama")
    assert settings_for(contestant(), model=tiny, seed=1).truncate, "rehearsals on anybody's rows must not stop at a long one"
    assert not settings_for(contestant(truncate=False), model=tiny, seed=1).truncate
    assert settings_for(contestant(truncate=True), model=find_model("llama-3.2-1b"), seed=1).truncate
