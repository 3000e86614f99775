"""What only a GPU, or the model hub, can show. By hand: ``pytest -m gpu``, ``pytest -m network``; neither runs in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftlib.catalogue import find_model
from ftlib.files import read_json
from ftlib.profile import load_profile
from ftlib.training.local.tuning import tune
from tests.training.local import micro

torch = pytest.importorskip("torch")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")


@pytest.mark.gpu
@needs_gpu
def test_a_training_on_a_gpu_tells_its_memory_and_format(tmp_path: Path) -> None:
    report = tune(micro.model(), micro.examples(40), micro.examples(5, 900), micro.settings(epochs=2), tmp_path)
    assert report["device"]["kind"] == "cuda"
    assert report["memory"]["allocated_bytes"] > 0
    assert report["precision"]["dtype"] in ("bfloat16", "float16")
    assert report["loss"][-1]["train"] < report["loss"][0]["train"]


@pytest.mark.gpu
@pytest.mark.network
@pytest.mark.timeout(3600)
@needs_gpu
def test_the_t4_profile_goes_through_on_few_rows(tmp_path: Path) -> None:
    from ftlib.batch import run_profile

    few = ["data.train=40", "data.valid=8", "data.test=12", "evaluation.probe_items=2"]
    report = run_profile("colab-t4", out=tmp_path / "run", overrides=few)
    assert report.code == 0, report.findings
    training = read_json(report.run.folder(report.run.profile.contestants[0]) / "training.json")
    assert (training["status"], training["method"], training["device"]["loader"]) == ("done", "qlora", "unsloth")


@pytest.mark.network
@pytest.mark.parametrize("profile", ["colab-t4", "seed"])
def test_the_hub_has_the_models_of_the_profiles_in_the_revision_and_shape_of_the_catalogue(profile: str) -> None:
    from transformers import AutoConfig

    for contestant in load_profile(profile).contestants:
        model = find_model(contestant.model)
        if contestant.trainer == "local" and model.shape:
            config = AutoConfig.from_pretrained(model.id, revision=model.revision)
            shape = (config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.vocab_size)
            assert shape == (model.shape.layers, model.shape.hidden, model.shape.intermediate, model.shape.vocab)
