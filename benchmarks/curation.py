"""Speed and memory of curation beside its baselines, all in one run on one generated file.

    python benchmarks/curation.py                  # 500,000 rows; some minutes
    python benchmarks/curation.py --parts scale default   # 100,000 to 2,250,000 rows, and `default` on the largest

Each candidate runs in a process of its own and does the ``seed-readme`` recipe with the token counts of the whole file:

* ``pandas``: what the original project did: read_json(lines=True), df.apply(len(enc.encode(...)))
* ``datasets``: load_dataset("json"), map and filter with two processes
* ``ours``: the fast tokenizer;  ``ours, tiktoken``: the reference alone;  ``ours, kept``: an overview of the kept rows only
* ``ours, all``: as ``ours``, but every row that passes the rules is written, not the recipe's first 2,000

All must let the same number of rows pass, and the same first 2,000; ``ours, all`` shows that it is all the same rows. Wall seconds depend on what
else the machine does, and CPU seconds too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
FIRST = 2_000  # rows that the recipe takes
Passed = tuple[int, list[str]]  # how many rows pass the rules, and the ids of those that are handed on
RULES = {"title": 40, "content": 400, "words": ("copyright", "author"), "tokens": 257}


def count_tokens(text: str) -> int:
    """As the original did, offline."""
    from ftlib.curation.tokens import tiktoken_encoding

    return len(tiktoken_encoding("o200k_base").encode(text, disallowed_special=()))


def with_pandas(path: str, _: str) -> Passed:
    import pandas as pd

    df = pd.read_json(path, lines=True, dtype={"uid": str})
    df = df[(df["title"].str.strip() != "") & (df["content"].str.strip() != "")].copy()
    df["n"] = df.apply(lambda row: count_tokens(row["title"]) + count_tokens(row["content"]), axis=1)
    text = (df["title"] + "\n" + df["content"]).str.lower()
    words = text.str.contains(RULES["words"][0], regex=False) | text.str.contains(RULES["words"][1], regex=False)
    kept = df[(df["title"].str.len() > RULES["title"]) & (df["content"].str.len() > RULES["content"]) & words & (df["n"] >= RULES["tokens"])]
    return len(kept), [str(uid) for uid in kept["uid"]]


def _count_row(row: dict[str, Any]) -> dict[str, int]:
    return {"n": count_tokens(row["title"]) + count_tokens(row["content"]) if row["title"].strip() and row["content"].strip() else 0}


def _keep_row(row: dict[str, Any]) -> bool:
    text = f"{row['title']}\n{row['content']}".lower()
    long = len(row["title"]) > RULES["title"] and len(row["content"]) > RULES["content"] and row["n"] >= RULES["tokens"]
    return long and any(word in text for word in RULES["words"])


def with_datasets(path: str, scratch: str) -> Passed:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    rows = load_dataset("json", data_files=path, split="train", cache_dir=scratch)
    kept = list(rows.map(_count_row, num_proc=2).filter(_keep_row, num_proc=2)["uid"])
    return len(kept), kept


def ours(path: str, scratch: str, *, fast: bool = True, overview: str = "file", recipe: str = "seed-readme", everything: bool = False) -> Passed:
    """A curation; with ``everything`` all rows that pass are split up and written, else the recipe's own numbers."""
    from ftlib.curation.pipeline import Job
    from ftlib.curation.source import Source
    from ftlib.curation.work import curate_source

    out = Path(scratch) / "out"
    sizes = {"train": 0.9, "valid": 0, "test": 0.1} if everything else {}
    funnel = curate_source(Source(path), recipe, out, sizes, Job(fast=fast, overview=overview))
    return funnel["steps"][-1]["rows_in"], [json.loads(line)["id"] for name in ("train", "test") for line in (out / f"{name}.jsonl").open("rb")]


CANDIDATES = {
    "pandas": with_pandas,
    "datasets": with_datasets,
    "ours": ours,
    "ours, tiktoken": lambda path, scratch: ours(path, scratch, fast=False),
    "ours, kept": lambda path, scratch: ours(path, scratch, overview="kept"),
    "ours, all": lambda path, scratch: ours(path, scratch, everything=True),
    "default": lambda path, scratch: ours(path, scratch, recipe="default"),
}


def limits(path: str) -> dict[str, float]:
    """Seconds of unpacking, parsing and tokenizing, each alone at full speed (two threads for the tokens)."""
    from ftlib.curation.jsonlines import read_jsonl
    from ftlib.curation.overview import tally
    from ftlib.curation.parallel import in_order
    from ftlib.curation.records import Fields
    from ftlib.curation.streams import open_bytes
    from ftlib.curation.tokens import counter

    seconds = {}
    started = time.perf_counter()
    size = 0
    with open_bytes(Path(path)) as (stream, _):
        while chunk := stream.read(1 << 20):
            size += len(chunk)
    seconds["unpack"] = time.perf_counter() - started
    started = time.perf_counter()
    with open_bytes(Path(path)) as (stream, _):
        batches = [batch.records for batch in read_jsonl(stream, Fields("uid"))]
    seconds["parse"] = time.perf_counter() - started - seconds["unpack"]
    tokens = counter("o200k_base")
    started = time.perf_counter()
    for _ in in_order(batches, lambda rows: tally(rows, tokens), 2):
        pass
    seconds["tokenize"] = time.perf_counter() - started
    return {**{key: round(value, 2) for key, value in seconds.items()}, "megabytes": round(size / 1e6, 1)}


def apart(*arguments: str) -> Any:
    """What ``--candidate`` prints in a process of its own. This one stays small: a child's peak counts what its parent had."""
    made = subprocess.run([sys.executable, __file__, "--candidate", *arguments], stdout=subprocess.PIPE, check=True)
    return json.loads(made.stdout.splitlines()[-1])


def watch_memory(pid: int, found: list[float]) -> None:
    """Append the memory of a process and its children together, ten times a second; what they share is counted once (proportional set size)."""
    import psutil

    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        while root.status() != psutil.STATUS_ZOMBIE:
            total = 0.0
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += process.memory_full_info().pss
            found.append(total)
            time.sleep(0.1)


def measure(name: str, path: Path, scratch: Path) -> dict[str, Any]:
    """Run one candidate in a process of its own: wall and CPU seconds, peak memory of its largest process and of all together, rows."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        environment = {**os.environ, "FTLIB_QUIET": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        started = time.perf_counter()
        child = subprocess.Popen([sys.executable, __file__, "--candidate", name, str(path), folder], stdout=subprocess.PIPE, env=environment)
        assert child.stdout is not None
        together: list[float] = [0.0]
        watch = threading.Thread(target=watch_memory, args=(child.pid, together), daemon=True)
        watch.start()
        answer = json.loads(child.stdout.read().splitlines()[-1])
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
    peak = max(answer.pop("children_kb"), used.ru_maxrss)
    made = {"wall_s": round(wall, 2), "cpu_s": round(used.ru_utime + used.ru_stime, 2), "peak_mb": round(peak * 1024 / 1e6)}
    made["peak_mb_together"] = round(max(together) / 1e6)
    return {**made, **answer, "load": [round(x, 1) for x in os.getloadavg()]}


def candidate(name: str, path: str, scratch: str) -> None:
    """The child process of ``measure``."""
    import resource

    from ftlib.files import hash_json

    if name == "generate":
        from curation_data import generate

        generate(Path(path), int(scratch))
        print("{}")
        return
    if name == "limits":
        print(json.dumps(limits(path)))
        return
    passed, ids = CANDIDATES[name](path, scratch)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"passed": passed, "first": hash_json(ids[:FIRST]), "all": hash_json(sorted(ids)), "children_kb": children}))


def main() -> None:
    """Generate, measure, check, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--parts", nargs="+", choices=["compare", "scale", "default"], default=["compare"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[100_000, 500_000, 2_250_000], help="rows of the scale part; `default`: the last")
    parser.add_argument("--out", type=Path, default=HERE / "curation.json")
    parser.add_argument("--candidate", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.candidate:
        candidate(*arguments.candidate)
        return
    from ftlib.runs import machine, versions

    result: dict[str, Any] = json.loads(arguments.out.read_text("utf-8")) if arguments.out.exists() else {}
    result |= {"machine": machine(), "versions": versions()}
    result["machine"].pop("free_disk_bytes")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl.gz"
        if "compare" in arguments.parts:
            result["compare"] = compare(path, arguments.rows)
        if "scale" in arguments.parts or "default" in arguments.parts:
            result |= scale(path, arguments.sizes, arguments.parts)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def compare(path: Path, rows: int) -> dict[str, Any]:
    """Ours beside the baselines on one file; all must keep the same rows."""
    apart("generate", str(path), str(rows))
    made: dict[str, Any] = {"rows": rows, "limit_s": apart("limits", str(path), "")}
    names = ("pandas", "datasets", "ours", "ours, tiktoken", "ours, kept", "ours, all")
    for name in names:
        made[name] = measure(name, path, path.parent)
        print(name, made[name], flush=True)
    assert len({made[name]["passed"] for name in names}) == 1, f"the candidates let different numbers of rows pass: {made}"
    assert len({made[name]["first"] for name in names[:-1]}) == 1, f"the candidates keep different rows first: {made}"
    assert len({made[name]["all"] for name in ("pandas", "datasets", "ours, all")}) == 1, f"the candidates keep different rows: {made}"
    return made


def scale(path: Path, sizes: list[int], parts: list[str]) -> dict[str, Any]:
    """Ours on files of several sizes, and ``default`` on the largest."""
    made: dict[str, Any] = {"scale": {}} if "scale" in parts else {}
    for rows in sizes if "scale" in parts else sizes[-1:]:
        apart("generate", str(path), str(rows))
        if "scale" in parts:
            used = measure("ours", path, path.parent)
            made["scale"][str(rows)] = {**used, "cpu_us_per_row": round(1e6 * used["cpu_s"] / rows, 2)}
            print(rows, made["scale"][str(rows)], flush=True)
    if "default" in parts:
        made["default"] = {"rows": sizes[-1], **measure("default", path, path.parent)}
        print("default", made["default"], flush=True)
    return made


if __name__ == "__main__":
    main()
