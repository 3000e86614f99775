"""A finished run whose titles, references and answers are the payloads."""

from __future__ import annotations

from pathlib import Path

from ftlib.evaluation import answer_run, score_run
from ftlib.files import write_json, write_jsonl
from ftlib.formatting import format_run
from ftlib.runs import Run
from tests.reliability import chain
from tests.reliability.payloads import PAYLOADS

ROWS = [{"id": name, "title": text, "content": text} for name, text in PAYLOADS.items()]
IDS = [{"id": text, "title": f"a title {number}", "content": "plain"} for number, text in enumerate(["=1+1", "../../x", "<b>1</b>", "a\x1b[31mb"])]
TRAIN = [{"id": f"t{n}", "title": f"A mug, number {n}", "content": f"It holds {n} cups of tea; {'=1+1' if n == 3 else 'plain'}."} for n in range(20)]


def make(folder: Path) -> Run:
    """Curated files by hand (a recipe would drop half of the payloads), the rest by the rooms."""
    profile = chain.recorded_profile(folder, trivial=["echo", "constant"])
    run = Run.create(folder / "run", profile)
    write_jsonl(run.test_file, ROWS + IDS)
    write_jsonl(run.curated / "train.jsonl", TRAIN)
    write_jsonl(run.curated / "valid.jsonl", TRAIN[:5])
    dropped = [{"id": row["id"], "title": row["title"][:200], "content": row["content"][:200]} for row in ROWS]
    funnel = {
        "recipe": "default", "source": PAYLOADS["script"], "source_sha256": "0" * 64, "seed": 42, "rows_read": 100, "rejected": {"=1+1": 2},
        "rejected_examples": [{"line": 3, "reason": PAYLOADS["script"]}],
        "steps": [{"name": "drop", "params": {}, "rows_in": 100, "rows_out": 60, "dropped": dropped}],
        "counted_by": "tiktoken", "splits": {"train": 20, "valid": 5, "test": len(ROWS) + len(IDS)}, "leaks": {"exact": 0, "near": 0}, "seconds": 1.0,
    }  # fmt: skip
    write_json(run.curated / "funnel.json", funnel)
    format_run(run)
    chain.train(run.path)
    for contestant in run.profile.contestants:
        assert contestant.recorded is not None
        write_jsonl(contestant.recorded, [{"id": row["id"], "answer": row["content"] if contestant.name == "one" else "plain"} for row in ROWS + IDS])
    answer_run(run)
    score_run(run)
    chain.compare(run.path)
    return run
