"""The price book: dated, sourced, overridable, and silent about nothing."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import pytest
import yaml

from ftlib.catalogue import find_model
from ftlib.catalogue.prices import UnknownPrice, example, find_price, read_prices
from ftlib.configuration import builtin_names
from ftlib.errors import ProfileError

GPT = "gpt-4o-mini-2024-07-18"


def test_every_row_has_a_date_and_a_source() -> None:
    rows = [row for book in builtin_names("prices") for row in read_prices(book)]
    assert len(rows) > 20
    for row in rows:
        assert datetime.date.fromisoformat(row.date) <= datetime.date.today()
        assert row.source
        assert row.low <= row.usd <= row.high


@pytest.mark.parametrize(
    ("provider", "model", "unit"),
    [
        ("openai", "gpt-4.1-mini-2025-04-14", "training_token"),
        ("openai", "gpt-4.1-2025-04-14", "training_token"),
        ("openai", "gpt-4o-2024-08-06", "training_token"),
        ("azure", "gpt-4o-mini-2024-07-18", "hosting_minute"),
        ("azure", "ft:gpt-4o-mini-2024-07-18", "output_token"),
        ("azure", "gpt-4.1-mini-2025-04-14", "training_token"),
        ("azure", "gpt-4.1-nano-2025-04-14", "training_token"),
        ("azure", "gpt-4.1-mini-2025-04-14", "hosting_minute"),
        ("nebius", "unsloth/gpt-oss-20b-BF16", "training_token"),
        ("nebius", "whatever", "hosting_minute"),
        ("together", "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference", "training_token"),
        ("together", "Qwen/Qwen3.5-9B", "training_token"),
        ("together", "whatever", "hosting_minute"),
        ("together", "whatever", "minimum_charge"),
    ],
)
def test_what_was_found_in_public_is_known(provider: str, model: str, unit: str) -> None:
    assert find_price(provider, model, unit).usd > 0


@pytest.mark.parametrize("gpu", ["t4", "l4", "a100", "a100-80", "h100", "h200"])
def test_every_gpu_of_the_catalogue_has_a_paid_hour(gpu: str) -> None:
    paid = [row for row in read_prices("machines") if row.unit == "gpu_hour" and row.model == gpu and row.usd > 0]
    assert paid


def test_every_model_of_a_price_is_one_that_the_catalogue_knows_at_that_provider() -> None:
    for book in ("azure", "nebius", "openai", "together"):
        for row in read_prices(book):
            if row.model != "*" and row.unit != "gpu_hour":
                offer = find_model(row.model.removeprefix("ft:")).at(book)
                assert offer is not None, row
                assert offer.id == row.model.removeprefix("ft:")


def test_the_original_job_costs_what_it_cost() -> None:
    assert find_price("openai", GPT, "training_token").cost(990_507) == pytest.approx(2.97, abs=0.005)


def test_a_tuned_model_is_never_priced_as_its_base() -> None:
    base, tuned = find_price("openai", GPT, "output_token"), find_price("openai", GPT, "output_token", tuned=True)
    assert (base.usd, tuned.usd) == (0.6, 1.2)
    assert find_price("openai", f"ft:{GPT}:acme:x:1", "output_token") == tuned
    assert find_price("openai", f"ft:{GPT}:acme:x:1", "training_token").usd == 3
    with pytest.raises(UnknownPrice, match="ft:meta-llama"):
        find_price("nebius", "meta-llama/Meta-Llama-3.1-8B-Instruct", "output_token", tuned=True)


def test_the_sandbox_charges_nothing_for_anything() -> None:
    assert find_price("sandbox", "whatever", "training_token").usd == 0
    assert find_price("sandbox", "ft:whatever", "output_token", tuned=True).usd == 0


def test_an_unknown_price_is_refused_with_a_row_that_works(tmp_path: Path) -> None:
    with pytest.raises(UnknownPrice) as error:
        find_price("nebius", "meta-llama/Meta-Llama-3.1-8B-Instruct", "training_token")
    row = "- {" + str(error.value).partition("- {")[2]
    assert row == example("nebius", "meta-llama/Meta-Llama-3.1-8B-Instruct", "training_token")
    own = tmp_path / "prices.yaml"
    own.write_text(row + "\n")
    with pytest.raises(ProfileError, match="row 1: source is 'SOURCE'; say where you read the price, and give the price itself as usd"):
        find_price("nebius", "meta-llama/Meta-Llama-3.1-8B-Instruct", "training_token", file=own)
    own.write_text(row.replace("usd: 0.0", "usd: 0.4").replace("SOURCE", "my bill") + "\n")
    assert find_price("nebius", "meta-llama/Meta-Llama-3.1-8B-Instruct", "training_token", file=own).usd == 0.4


def test_ones_own_file_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    row = {"provider": "openai", "model": GPT, "unit": "training_token", "usd": 25, "per": 1_000_000, "date": "2026-11-20", "source": "my bill"}
    own.write_text(yaml.safe_dump([row]))
    price = find_price("openai", GPT, "training_token", file=own)
    assert (price.usd, price.source, price.file) == (25, "my bill", str(own))
    assert find_price("openai", GPT, "input_token", file=own).usd == 0.15


def test_an_old_price_is_used_with_a_warning_that_says_how_old(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = tmp_path / "prices.yaml"
    old = (datetime.date.today() - datetime.timedelta(days=200)).isoformat()
    own.write_text(f"- {{provider: p, model: m, unit: input_token, usd: 1, per: 1000000, date: {old}, source: page}}\n")
    with caplog.at_level(logging.WARNING, "ftlib"):
        assert find_price("p", "m", "input_token", file=own, old_after_days=300).usd == 1
        assert not caplog.records
        assert find_price("p", "m", "input_token", file=own).usd == 1
    assert "200 days old" in caplog.text


def test_the_age_that_is_old_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    price = find_price("openai", GPT, "training_token")
    monkeypatch.setenv("FTLIB_OLD_PRICE_DAYS", str(price.age_days()))
    assert price.warning() is None
    monkeypatch.setenv("FTLIB_OLD_PRICE_DAYS", "0")
    assert "days old" in (price.warning() or "")
    monkeypatch.setenv("FTLIB_OLD_PRICE_DAYS", "soon")
    with pytest.raises(ProfileError, match="must be a number of days"):
        price.warning()


def test_the_newest_row_counts(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    row = {"provider": "p", "model": "m", "unit": "input_token", "source": "x"}
    own.write_text(yaml.safe_dump([{**row, "usd": 2, "date": "2026-02-01"}, {**row, "usd": 1, "date": "2026-01-01"}]))
    assert find_price("p", "m", "input_token", file=own).usd == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1", "a list of rows"),
        ("- {provider: p, model: m, unit: training_tokens, usd: 1, date: 2026-01-01, source: x}", "row 1"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, date: 2026-13-01, source: x}", "month must be in"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, date: yesterday, source: x}", "not a day"),
        ("- {provider: p, model: m, unit: input_token, usd: -1, date: 2026-01-01, source: x}", "must not be negative"),
        ("- {provider: p, model: m, unit: input_token, usd: .nan, date: 2026-01-01, source: x}", "must not be negative"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, low: -1, date: 2026-01-01, source: x}", "must not be negative"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, high: .inf, date: 2026-01-01, source: x}", "none endless"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, per: .inf, date: 2026-01-01, source: x}", "per must be above 0"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, per: .nan, date: 2026-01-01, source: x}", "per must be above 0"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, date: 2026-01-01, source: ''}", "say where you read the price"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, low: 2, date: 2026-01-01, source: x}", "not between low"),
        ("- {provider: p, model: m, unit: input_token, usd: 1, date: 2026-01-01, sorce: x}", "did you mean 'source'"),
    ],
)
def test_a_price_file_that_cannot_be_used_says_why(text: str, what: str, tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(text)
    with pytest.raises(ProfileError, match=what):
        find_price("p", "m", "input_token", file=own)


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(ProfileError, match="did you mean 'training_token'"):
        find_price("openai", GPT, "training_tokens")
