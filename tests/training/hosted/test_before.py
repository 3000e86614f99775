"""Before anything is paid: no worst case is below what may be billed, and odd replies stop nobody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ftlib.catalogue import find_model
from ftlib.errors import Refused
from ftlib.files import write_jsonl
from ftlib.formatting.tokens import text_tokens
from ftlib.training.hosted import before
from ftlib.training.hosted.provider import load_provider
from ftlib.training.hosted.rates import most_tokens
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeTrainer

TEMPLATES = {  # what the models' own chat templates make of one question without a system text, as the hub has them
    "llama 3.1": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "qwen 2.5": "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
    "<|im_start|>assistant\n",
    "gpt-oss": "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: "
    "2026-11-27\n\nReasoning: medium\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>"
    "<|start|>user<|message|>{}<|end|><|start|>assistant",
}


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_a_short_question_is_not_longer_than_its_bound_in_any_template(template: str) -> None:
    question = "A mug"
    pieces = re.split(r"<\|[a-z_]+\|>", TEMPLATES[template].format(question))
    tokens = len(pieces) - 1 + sum(text_tokens(pieces, "o200k_base"))
    assert tokens > len(question) + 16
    assert tokens <= most_tokens([{"role": "user", "content": question}])


@pytest.mark.parametrize("model", ["gpt-4.1-mini-2025-04-14", "llama-3.1-8b"])
def test_the_worst_case_takes_the_dearest_of_prices_that_differ(tmp_path: Path, model: str) -> None:
    provider, entry = load_provider("azure"), find_model(model)
    offer = entry.at("azure")
    name = offer.id if offer else entry.id
    row = "- {{provider: azure, model: {!r}, unit: training_token, usd: 6, low: 4, high: 9, per: 1000000, date: 2026-11-01, source: t}}\n"
    (tmp_path / "prices.yaml").write_text(row.format(name))
    messages = [{"role": "user", "content": "a mug"}, {"role": "assistant", "content": "A mug."}]
    write_jsonl(tmp_path / "train.jsonl", [{"messages": messages}] * 12)
    cost = before.training_cost(provider, entry, name, tmp_path / "train.jsonl", 2, str(tmp_path / "prices.yaml"))
    assert cost.usd == pytest.approx(cost.tokens * 6e-6)
    assert cost.worst_usd >= cost.tokens * 9e-6 * (1 - 1e-9)


@pytest.mark.parametrize("date", [None, "soon", "2027-1-14", "20-27-xx-1", 7, "2099-01-01"])
def test_a_shutdown_date_that_is_none_stops_nobody(sandbox: Sandbox, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, date: Any) -> None:
    trainer = make_trainer()
    monkeypatch.setattr(sandbox.api.models, "shown", lambda name: {"id": name, "shutdown_date": date})
    assert before.check_available(trainer.link(), "tiny-hosted")["id"] == "tiny-hosted"
    monkeypatch.setattr(sandbox.api.models, "shown", lambda name: {"id": name, "shutdown_date": "2026-01-14T00:00:00Z"})
    with pytest.raises(Refused, match="shut tiny-hosted down on 2026-01-14"):
        before.check_available(trainer.link(), "tiny-hosted")
