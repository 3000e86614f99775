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
TRAINED_HERE = [name for name in ASKED_FOR if not name.startswith(("gpt", "tiny"))]
# what each service was seen to tune, by its own spelling
TUNED = {
    "azure": ["gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06", "gpt-4.1-2025-04-14", "gpt-4.1-mini-2025-04-14", "gpt-4.1-nano-2025-04-14",
              "Ministral-3B", "Qwen-32B", "Llama-3.3-70B-Instruct", "gpt-oss-20b"],
    "nebius": ["meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.3-70B-Instruct", "Qwen/Qwen3-8B", "Qwen/Qwen3-0.6B",
               "unsloth/gpt-oss-20b-BF16", "unsloth/gpt-oss-120b-BF16", "Qwen/Qwen3-32B", "Qwen/Qwen2.5-14B-Instruct",
               "Qwen/Qwen2.5-72B-Instruct", "meta-llama/Llama-3.1-70B-Instruct", "Qwen/Qwen3.5-27B", "deepseek-ai/DeepSeek-V3-0324"],
    "together": ["meta-llama/Meta-Llama-3.1-8B-Instruct-Reference", "Qwen/Qwen3.5-9B", "google/gemma-4-31B-it", "openai/gpt-oss-120b",
                 "zai-org/GLM-5.1"],
}  # fmt: skip


def test_the_models_that_were_asked_for_are_there() -> None:
    assert set(ASKED_FOR) <= set(catalogue())
    assert {offer.provider for model in catalogue().values() for offer in model.hosted} >= {"openai", "azure", "nebius", "together", "sandbox"}


@pytest.mark.parametrize("name", TRAINED_HERE)
def test_a_model_to_train_here_has_all_its_figures(name: str) -> None:
    model = catalogue()[name]
    for field in ("revision", "family", "parameters", "shape", "context", "markers", "licence", "gated", "qlora", "qlora_length"):
        assert getattr(model, field) is not None, f"{name} has no {field}"


@pytest.mark.parametrize("name", [name for name in TRAINED_HERE if name.startswith(("llama", "qwen", "gemma"))])
def test_markers_stand_in_the_chat_template_that_trl_ships(name: str) -> None:
    trl = pytest.importorskip("trl")
    from jinja2 import Environment

    model = catalogue()[name]
    assert model.markers is not None
    file = model.sources["markers"].partition("(")[2].split()[0]
    template = Environment().from_string((Path(trl.__file__).parent / "chat_templates" / file).read_text("utf-8"))
    text = template.render(messages=[{"role": "user", "content": "QUESTION"}], add_generation_prompt=True)
    assert model.markers.instruction + "QUESTION" in text
    assert text.endswith(model.markers.response)


@pytest.mark.parametrize("provider", TUNED)
def test_what_a_service_tunes_is_found_by_its_spelling(provider: str) -> None:
    for name in TUNED[provider]:
        offer = find_model(name).at(provider)
        assert offer is not None
        assert (offer.id, offer.tunable) == (name, True)


def test_open_weights_are_known_from_those_that_only_a_service_has() -> None:
    assert find_model("qwen3.5-4b").open_weights
    assert not find_model("qwen3.5-4b").local
    assert not find_model("gpt-4.1-mini").open_weights


@pytest.mark.parametrize("model", catalogue().values(), ids=lambda model: model.name)
def test_every_figure_has_its_source(model: Model) -> None:
    for field in ("revision", "parameters", "context", "shape", "licence", "gated", "qlora", "hosted", "encoding", "markers"):
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
    with pytest.raises(ProfileError, match=r"did you mean 'qwen3-4b'.*under models:") as caught:
        find_model("qwen3-4bb")
    assert "tiny-llama" not in str(caught.value)  # the nearest few alone: `ftlib models` lists all of them


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
    line = next(line for line in models_text(list_models()).splitlines() if line.startswith("ministral-3b"))
    assert line.split()[2:7] == ["n/a"] * 5


def test_the_table_says_who_tunes_a_model_until_when_and_who_does_no_more() -> None:
    line = next(line for line in models_text(list_models()).splitlines() if line.startswith("gpt-4.1-nano"))
    assert line.endswith("openai (no more), azure (2027-04-14)")


def test_the_table_says_at_how_many_tokens_its_memory_is() -> None:
    lines = models_text(list_models()).splitlines()
    assert "QLoRA at 2,048 tokens" in lines[0]
    assert lines[-1].startswith("QLoRA at 2,048 tokens: estimated")
    assert {model.qlora_length for model in catalogue().values()} <= {2048, None}


def test_what_fits_a_gpu_needs_one_and_says_where_it_is_marginal() -> None:
    rows = {row["name"]: row for row in list_models(fits="t4")}
    assert not {"tiny-llama", "tiny-hosted"} & rows.keys()
    assert rows["qwen3-14b"]["marginal"] is True
    assert rows["llama-3.2-1b"]["marginal"] is False
    assert "15.6 GB (marginal)" in models_text(list(rows.values()))
    assert {row["name"]: row for row in list_models(fits="l4")}["qwen3-14b"]["marginal"] is False
