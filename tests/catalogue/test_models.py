"""The catalogue: what each entry must hold, and how a model is found."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest

from ftlib.catalogue import find_model, list_models, models_text
from ftlib.catalogue import hardware as hw
from ftlib.catalogue.models import Model, catalogue
from ftlib.cli import main
from ftlib.errors import ProfileError

ASKED_FOR = [
    "llama-3.1-8b", "llama-3.2-1b", "llama-3.2-3b", "qwen3-0.6b", "qwen3-1.7b", "qwen3-4b", "qwen3-8b", "gemma-3-1b", "gemma-3-4b", "mistral-7b",
    "phi-4-mini", "smollm2-135m", "smollm2-360m", "smollm2-1.7b", "gpt-4o-mini-2024-07-18", "gpt-4.1-mini-2025-04-14", "tiny-llama", "tiny-hosted",
]  # fmt: skip


def test_the_models_that_were_asked_for_are_there() -> None:
    assert set(ASKED_FOR) <= set(catalogue())
    assert {offer.provider for model in catalogue().values() for offer in model.hosted} >= {"openai", "azure", "nebius", "together", "sandbox"}


@pytest.mark.parametrize("model", catalogue().values(), ids=lambda model: model.name)
def test_every_figure_has_its_source(model: Model) -> None:
    for field in ("revision", "parameters", "context", "shape", "licence", "gated", "qlora", "hosted", "encoding"):
        value = getattr(model, field)
        if value not in (None, ()) and not (field == "licence" and value == "proprietary"):
            assert model.sources.get(field), f"{model.name}.{field} has no source"


@pytest.mark.parametrize("model", [model for model in catalogue().values() if model.shape], ids=lambda model: model.name)
def test_sizes_add_up_to_the_parameters(model: Model) -> None:
    """The shape and the count come from different places: they must tell the same (gemma-3-4b also has eyes)."""
    assert model.shape is not None
    assert model.parameters is not None
    assert hw.parameters(model.shape) == pytest.approx(model.parameters, rel=0.11 if model.name == "gemma-3-4b" else 2e-4)


def test_revisions_are_commit_hashes_and_dates_are_dates() -> None:
    for model in catalogue().values():
        assert model.revision is None or re.fullmatch(r"[0-9a-f]{40}", model.revision)
        for offer in model.hosted:
            for date in (offer.shutdown, offer.tunable_until):
                assert date is None or datetime.date.fromisoformat(date)


def test_the_smallest_gpu_is_the_one_that_the_formula_says() -> None:
    for row in list_models():
        model = catalogue()[row["name"]]
        if model.shape:
            assert row["smallest_gpu"] == model.qlora


def test_a_model_is_found_by_name_hub_id_original_and_provider_id() -> None:
    at_together = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
    for name in ("llama-3.1-8b", "unsloth/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct", at_together):
        assert find_model(name).name == "llama-3.1-8b"


@pytest.mark.parametrize("name", ["gpt-4.1-mini-2025-04-14", "gpt-4.1-2025-04-14", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"])
def test_a_dated_model_is_found_without_its_date(name: str) -> None:
    assert find_model(name[: -len("-2025-04-14")]).name == name


@pytest.mark.parametrize("name", ["gpt-4", "gpt-4.1-mini-2025", "gpt-4.1-", "gpt-4o-mini-2024-07-19"])
def test_another_part_of_a_name_finds_nothing(name: str) -> None:
    with pytest.raises(ProfileError, match="There is no model"):
        find_model(name)


def test_a_model_outside_the_catalogue_works(tmp_path: Path) -> None:
    for name in ("someone/Some-Model-7B", str(tmp_path), "ft:gpt-4o-mini-2024-07-18:acme::abc"):
        model = find_model(name)
        assert model.id == name
        assert model.local or name.startswith("ft:")
    with pytest.raises(ProfileError, match=r"did you mean 'qwen3-4b'.*under models:"):
        find_model("qwen3-4bb")


def test_fields_in_the_profile_make_or_override_an_entry() -> None:
    extra = {"mine": {"id": "me/mine", "family": "llama", "context": 4096}, "qwen3-4b": {"revision": "0" * 40}}
    assert find_model("mine", extra).context == 4096
    changed = find_model("qwen3-4b", extra)
    assert changed.revision == "0" * 40
    assert changed.shape == catalogue()["qwen3-4b"].shape
    with pytest.raises(ProfileError, match="did you mean 'context'"):
        find_model("mine", {"mine": {"id": "x", "contxt": 1}})


def test_published_runs_are_met_within_the_stated_error() -> None:
    errors = hw.against_published()
    assert max(abs(row["memory_error"]) for row in errors if row["memory_error"] is not None) <= hw.MEMORY_ERROR
    assert max(abs(row["time_error"]) for row in errors if row["time_error"] is not None) <= hw.TIME_ERROR
    assert len(errors) >= 4


def test_more_memory_for_more_of_anything() -> None:
    shape = catalogue()["llama-3.2-3b"].shape
    assert shape is not None
    small = hw.memory_bytes(shape, batch=1, longest=512)["total"]
    assert hw.memory_bytes(shape, batch=2, longest=512)["total"] > small
    assert hw.memory_bytes(shape, batch=1, longest=1024)["total"] > small
    assert hw.memory_bytes(shape, batch=1, longest=512, r=64)["total"] > small
    assert hw.memory_bytes(shape, batch=1, longest=512, quant=16)["total"] > 2 * small


def test_lora_parameters_are_those_of_peft() -> None:
    """Against PEFT itself, on a small model with the catalogue's own field names."""
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    from ftlib.catalogue import Shape

    shape = Shape(layers=2, hidden=32, intermediate=48, heads=4, kv_heads=2, head_dim=8, vocab=64, tied=True)
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model = transformers.LlamaForCausalLM(config)
    assert sum(p.numel() for p in model.parameters()) == hw.parameters(shape)
    tuned = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules="all-linear"))
    assert sum(p.numel() for p in tuned.parameters() if p.requires_grad) == hw.lora_parameters(shape, 4)


def test_the_command_lists_and_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} == set(catalogue())
    assert main(["models", "--fits", "t4"]) == 0
    text = capsys.readouterr().out
    assert "llama-3.1-8b" in text
    assert "gpt-4o-mini" not in text
    assert main(["models", "--fits", "t5"]) == 2
    assert "t4, l4" in capsys.readouterr().err


def test_the_table_says_na_where_nothing_is_known() -> None:
    line = next(line for line in models_text(list_models()).splitlines() if line.startswith("mistral-7b"))
    assert "n/a" in line


def test_the_table_says_at_how_many_tokens_its_memory_is() -> None:
    lines = models_text(list_models()).splitlines()
    assert "QLoRA at 2,048 tokens" in lines[0]
    assert lines[-1].startswith("QLoRA at 2,048 tokens: estimated")
    assert {model.qlora_length for model in catalogue().values()} <= {2048, None}
