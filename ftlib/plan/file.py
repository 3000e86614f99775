"""What answers like those of a training file would cost once the model is tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftlib.catalogue import Model
from ftlib.formatting.tokens import ENCODING, rows_tokens, text_tokens
from ftlib.plan.answers import hosted_answers
from ftlib.plan.money import Prices
from ftlib.plan.training import read_rows


def answers_of_file(path: Path, model: Model, provider: str, prices: Prices) -> dict[str, Any]:
    """``usd_per_1000_answers`` of base and tuned model for questions and answers as long as the file's own; ``na`` where a price is not known."""
    rows, encoding = read_rows(path), model.encoding or ENCODING
    answers = [row["messages"][-1].get("content") or "" if "messages" in row else row["output"] for row in rows]
    said = text_tokens(answers, encoding)
    sent = sum(rows_tokens(rows, encoding)) - sum(said)
    low, high = sum(said) // 2, len(rows) * max(said)
    test = {"items": len(rows), "tokens_in": sent, "tokens_out": sum(said), "tokens_out_low": low, "tokens_out_high": high}
    found = hosted_answers({"test": test}, provider, model.id_at(provider), prices, states=("base", "tuned"), share=1.0)
    return {"usd_per_1000_answers": found["usd_per_1000_answers"], "answers_na": found["na"]}
