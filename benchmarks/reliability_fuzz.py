"""Coverage-guided fuzzing of the readers and the checker: `python benchmarks/reliability_fuzz.py -max_total_time=60 CORPUS`.

Needs atheris, which has a Python of its own to be installed into. Anything but an FtlibError ends it with the input that did it.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ftlib"]):
    from ftlib.curation.source import Source
    from ftlib.errors import FtlibError
    from ftlib.evaluation.items import read_answers, read_references
    from ftlib.formatting.check import check_file
    from ftlib.formatting.destinations import find_destination
    from ftlib.profile import load_profile

from tests.reliability.malformed import KINDS, line

HOME = Path(tempfile.mkdtemp(prefix="ftlib-fuzz-"))
DESTINATIONS = [find_destination(name)[0] for name in ("openai", "local", "azure")]
SUFFIXES = (".jsonl", ".csv", ".json.gz", ".zip", ".parquet")


def read(path: Path) -> None:
    """All rows of a source."""
    for batch in Source(path).batches():
        for row in batch.records:
            f"{row.id}{row.title}{row.content}".encode()


def one(data: bytes) -> None:
    """One input through one reader."""
    if not data:
        return
    which, rest = data[0], data[1:]
    path = HOME / f"input{SUFFIXES[which // 8 % len(SUFFIXES)] if which % 8 < 3 else '.jsonl' if which % 8 < 7 else '.yaml'}"
    path.write_bytes(rest)
    try:
        if which % 8 < 3:
            read(path)
        elif which % 8 < 5:
            check_file(path, destination=DESTINATIONS[which // 8 % 3])
        elif which % 8 == 5:
            read_references(path)
        elif which % 8 == 6:
            read_answers(path)
        else:
            load_profile(path)
    except FtlibError:
        pass
    finally:
        path.unlink(missing_ok=True)


def main() -> None:
    """Fuzz from the kinds of malformed line onwards."""
    logging.disable(logging.CRITICAL)
    os.environ["FTLIB_QUIET"] = "1"
    corpus = Path(sys.argv[-1])
    if corpus.is_dir():
        rng = random.Random(1)
        for number, kind in enumerate(KINDS.values()):
            (corpus / f"kind{number}").write_bytes(bytes([number]) + kind(rng)[:3000] + b"\n" + line(rng) + b"\n")
        (corpus / "profile").write_bytes(b"\x07name: x\ncontestants:\n- {name: a, trainer: local, model: tiny-llama, lora: {r: 8}}\n")
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
