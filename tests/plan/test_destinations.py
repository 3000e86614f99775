"""The last table of notebook 02."""

from __future__ import annotations

from pathlib import Path

from ftlib.files import dump_line
from ftlib.formatting import format_run
from ftlib.formatting.destinations import DESTINATIONS
from ftlib.plan.destinations import destination_table
from ftlib.plan.tokenizers import row_counter
from ftlib.profile import load_profile
from ftlib.runs import Run


def a_run(tmp_path: Path, rows: int = 12) -> Run:
    run = Run.create(tmp_path / "run", load_profile("demo"))
    run.curated.mkdir(parents=True)
    lines = [dump_line({"id": str(n), "title": f"Cup {n}", "content": f"A cup, number {n}."}) + "\n" for n in range(rows)]
    (run.curated / "train.jsonl").write_text("".join(lines))
    format_run(run)
    return run


def test_every_destination_has_its_row_with_rows_tokens_price_and_verdict(tmp_path: Path) -> None:
    table = destination_table(a_run(tmp_path))
    assert {row["destination"] for row in table} == set(DESTINATIONS)
    for row in table:
        assert list(row) == ["destination", "model", "rows", "tokens", "price", "verdict"]
        assert row["rows"] == 12
        assert row["tokens"] > 0
        assert row["verdict"].startswith("good")
    prices = {row["destination"]: row["price"] for row in table}
    assert prices["sandbox"] == "0.00 dollars"
    assert prices["openai"].endswith("dollars")
    assert prices["azure"].endswith("hosting 1.70 dollars an hour")
    assert "hosting 4.05 dollars (2.00 to 8.10) an hour" in prices["nebius"]
    assert prices["together"].startswith("4.00 dollars (0.00")  # the minimum charge, which some models are exempt from


def test_a_destination_that_would_refuse_says_so(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (run.curated / "train.jsonl").write_text(dump_line({"id": "1", "title": "Cup", "content": "A cup."}) + "\n")
    verdicts = {row["destination"]: row["verdict"] for row in destination_table(run)}
    assert verdicts["openai"].startswith("refused:")
    assert verdicts["together"].startswith("good")


def test_only_local_models_are_counted_here_and_one_that_is_not_here_is_not() -> None:
    assert row_counter("gpt-4o-mini-2024-07-18") is None
    count = row_counter("someone/Not-On-This-Machine")
    assert count is not None
    assert count({"instruction": "a", "input": "", "output": "b"}) is None
