"""What each command takes, with examples; light, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import ftlib

FORMAT_FOR = (
    "whose rules to write for: with --to chat openai (default), azure, nebius, together, sandbox or local; with --to instruction local (default)"
)
CHECK = """Is this training file good there.

Exits with 0 where it is, though there may be warnings; with 1 where an error would have it refused; with 2 where it cannot be read."""
CANCEL = """Cancel the job of a hosted contestant, for real.

A run that is interrupted leaves its job at the provider, where it goes on and costs what it costs; this ends it. What it cost until then
is billed. Some providers let a job be paused and resumed instead."""
SANDBOX = """The loopback service that speaks the hosted API.

It takes files, really tunes a small model, answers, and charges nothing. It prints what to export; commands and notebooks
started with that use it for `provider: sandbox`. Each --fault is something that a real service does on a bad day: replies that are
lost, stall, drip or are no JSON, errors, limits, refusals, jobs that fail in each state. Files and jobs are kept in FTLIB_HOME/sandbox."""
RUN = "a run folder, as `ftlib run` makes it"
CONTESTANT = "its name in the run's profile"
EXPORT_TO = "the adapter, the model with the adapter merged into it, that as one GGUF file, or the adapter on the Hugging Face hub"
METRICS = (
    "which: rouge1, rouge2, rougeL (also as rougeL_google, rougeL_stem), chrf, length_ratio, title_faithfulness, semantic "
    "(all without a suffix; semantic where --embedding is given)"
)
CHECK_FOR = "openai, azure, nebius, together or sandbox (chat rows); local or local:MODEL (instruction and chat rows)"


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="ftlib", description="Which foundation model should I fine-tune on my rows, and what do I get for it?")
    top.add_argument("--version", action="version", version=f"ftlib {ftlib.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in (_chain, _curation, _formatting, _contestant, _evaluation):
        group(commands)
    return top


def spread(argv: Sequence[str]) -> list[str]:
    """``--set a=1 b=2`` as ``--set a=1 --set b=2``: every further word with a ``=`` belongs to it, a word without one does not."""
    made: list[str] = []
    setting = False
    for word in argv:
        if setting and made[-1] != "--set" and "=" in word and not word.startswith("-"):
            made.append("--set")
        elif word.startswith("-") or (setting and made[-1] != "--set"):
            setting = word == "--set"
        made.append(word)
    return made


def size(text: str) -> int | float:
    """A number of rows, or a share below 1."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of rows nor a share such as 0.8") from None


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A checked whole number, for ``type=``."""

    def read(text: str) -> int:
        number = int(text)
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"{number} is not {f'between {least} and {most}' if most is not None else f'{least} or more'}")
        return number

    return read


def _add(commands: Any, name: str, about: str, *examples: str) -> argparse.ArgumentParser:
    sub: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  ftlib {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.add_argument("--json", action="store_true", help="one JSON document on standard output; messages on standard error")
    sub.add_argument("--quiet", action="store_true", help="no messages and no progress on standard error; the result is still printed")
    sub.set_defaults(parser=sub)
    return sub


def refuse(command: argparse.ArgumentParser, left: Sequence[str]) -> NoReturn:
    """End with a command's usage and what it does not know, with the option that was probably meant."""
    word = next((text for text in left if text.startswith("-")), "").partition("=")[0]
    close = difflib.get_close_matches(word, re.findall(r"--[a-z][\w-]*", command.format_help()), n=1)
    command.error(f"unrecognized arguments: {' '.join(left)}" + (f" (did you mean {close[0]}?)" if close else ""))


def _overrides(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override keys of the profile, as data.train=200 seed=7")


def _chain(commands: Any) -> None:
    sub = _add(
        commands, "run", "the whole chain, notebook by notebook, into a run folder", "run demo", "run my.yaml --out results/mine --set data.test=100"
    )
    sub.add_argument("profile", help="a built-in profile (demo, colab-t4, hosted, seed) or a YAML file")
    sub.add_argument("--out", type=Path, help="the run folder (results/NAME by default)")
    _overrides(sub)
    sub.add_argument("--take-over", action="store_true", help="take the folder over from a machine that is gone")
    sub.add_argument("--jobs", type=whole(1), default=1, help="train so many contestants at once")
    sub.add_argument("--timeout", type=float, help="seconds a notebook cell may take before it counts as hung (no limit by default)")
    _add(commands, "doctor", "what will work on this machine", "doctor")


def _curation(commands: Any) -> None:
    sub = _add(
        commands,
        "curate",
        "raw rows to train, valid, test and a funnel",
        "curate trn.json.gz --recipe default --out curated",
        "curate my.csv --title-field name --content-field text --train 1000 --test 200 --out curated",
    )
    sub.add_argument("raw", help="JSON lines (.gz, .zst, .zip), CSV, Parquet, a hub dataset as hf://OWNER/NAME, or `sample`")
    sub.add_argument(
        "--recipe",
        default="default",
        help="a built-in recipe (default unless given, books, no-books, seed-readme, -gpt, -llama) or a YAML file",
    )
    sub.add_argument("--out", type=Path, required=True, help="folder to write")
    for name, share in (("train", 0.9), ("valid", 0.05), ("test", 0.05)):
        sub.add_argument(f"--{name}", type=size, help=f"rows, or a share below 1 (as the recipe says; in `default` {share})")
    sub.add_argument("--seed", type=whole(0), default=42, help="of everything random (%(default)s)")
    sub.add_argument("--limit", type=int, help="read at most so many rows (all)")
    _fields(sub)
    sub.add_argument("--max-bad-share", type=float, default=0.01, help="stop when more than this share of rows is unreadable (%(default)s)")
    sub.add_argument("--rejected", action="store_true", help="write every rejected and every dropped row to rejected.jsonl, whole, with its reason")
    sub.add_argument("--overview", choices=["file", "kept"], default="file", help="tokens.json counts the whole file, or only kept rows (file)")
    sub = _add(commands, "leaks", "exact and near duplicates between files of any of our formats", "leaks curated/train.jsonl curated/test.jsonl")
    sub.add_argument("files", nargs="+", type=Path, help="two or more: records, training rows, or tables")
    sub.add_argument("--threshold", type=float, default=0.8, help="Jaccard similarity from which two texts are near-duplicates (%(default)s)")
    _fields(sub)


def _fields(sub: Any) -> None:
    for name in ("id", "title", "content"):
        default = "uid or id, else the row's number" if name == "id" else name
        sub.add_argument(f"--{name}-field", help=f"the source's name for {name} ({default})")


def _formatting(commands: Any) -> None:
    sub = _add(commands, "format", "records to training files", "format curated --to chat --task describe --out files")
    sub.add_argument("folder", type=Path, help="what `ftlib curate` wrote: train.jsonl, valid.jsonl, test.jsonl")
    sub.add_argument("--to", choices=["instruction", "chat"], required=True, help="hosted services take chat rows, the local trainer both")
    sub.add_argument("--task", default="describe", help="a built-in task (describe, title, seed-gpt, seed-llama) or a YAML file (%(default)s)")
    sub.add_argument("--out", type=Path, required=True, help="folder to write")
    sub.add_argument("--for", dest="destination", metavar="DESTINATION", help=FORMAT_FOR)
    sub.add_argument("--model", help="the model to be tuned (its context length, tokenizer and special tokens)")
    sub.add_argument("--truncate", type=int, metavar="TOKENS", help="cut answers of longer examples, and list them; nothing is cut unless given")
    sub = _add(
        commands, "check", "is this training file good there", "check train.jsonl --for openai", "check train.jsonl --for local:tiny-llama --json"
    )
    sub.description = CHECK
    sub.add_argument("file", type=Path, help="a training file (JSON lines)")
    sub.add_argument("--for", dest="destination", required=True, metavar="DESTINATION", help=CHECK_FOR)
    sub.add_argument("--validation", type=Path, help="the validation file that goes with it")
    sub.add_argument("--model", help="the model to be tuned (its context length, tokenizer and special tokens)")
    sub.add_argument("--suffix", help="the suffix of the job that is to follow, to be checked too")
    sub = _add(commands, "models", "the catalogue of models", "models", "models --fits t4")
    sub.add_argument("--fits", metavar="GPU", help="only what QLoRA trains there: t4, l4, a100 ...")
    sub = _add(
        commands,
        "estimate",
        "tokens, money, time and memory before anything is spent",
        "estimate demo",
        "estimate train.jsonl --model gpt-4o-mini-2024-07-18 --epochs 3",
    )
    sub.add_argument("what", metavar="PROFILE|FILE", help="a profile, or a training file")
    sub.add_argument("--model", help="of a training file, required: as `ftlib models` names it")
    sub.add_argument("--provider", help="of a training file: who trains it (this machine, or the first that offers the model)")
    sub.add_argument("--epochs", type=float, help="of all contestants, or of the file (the profile's, or the service's own choice)")
    sub.add_argument("--gpu", default="t4", help="where local models are trained (%(default)s)")
    sub.add_argument(
        "--prices", type=Path, help="a price file of your own, over the built-in one (FTLIB_OLD_PRICE_DAYS sets from which age a price is warned of)"
    )
    _overrides(sub)


def _contestant(commands: Any) -> None:
    sub = _add(commands, "train", "one contestant by itself", "train demo tiny-llama --out results/demo")
    sub.add_argument("profile", help="a built-in profile (demo, colab-t4, hosted, seed) or a YAML file")
    sub.add_argument("contestant", help="its name in the profile")
    sub.add_argument("--out", type=Path, help="the run folder (results/NAME by default)")
    _overrides(sub)
    sub = _add(commands, "ask", "ask a contestant of a run a question", 'ask results/demo tiny-llama "Blue ceramic mug"')
    sub.add_argument("run", type=Path, help=RUN)
    sub.add_argument("contestant", help=CONTESTANT)
    sub.add_argument("text", nargs="?", help="the input; the first test row where none is given")
    sub.add_argument("--base", action="store_true", help="the base model too")
    sub = _add(commands, "cancel", "cancel the job of a hosted contestant, for real", "cancel results/hosted gpt-4o-mini")
    sub.description = CANCEL
    sub.add_argument("run", type=Path, help=RUN)
    sub.add_argument("contestant", help=f"{CONTESTANT}; a hosted one")
    sub.add_argument("--verb", choices=["cancel", "pause", "resume"], default="cancel", help="what to do with it (%(default)s)")
    sub = _add(commands, "export", "take a tuned model away", "export results/demo tiny-llama --to merged --out my-model")
    sub.add_argument("run", type=Path, help=RUN)
    sub.add_argument("contestant", help=f"{CONTESTANT}; a local one")
    sub.add_argument("--to", choices=["adapter", "merged", "gguf", "hub"], required=True, help=EXPORT_TO)
    sub.add_argument("--out", type=Path, help="where to, new: a folder, for gguf a file (export/ in the contestant's folder by default)")
    sub.add_argument("--quantisation", default="q8_0", help="of gguf, as llama.cpp names it: q8_0, f16, q4_k_m ... (%(default)s)")
    sub.add_argument("--repo", help="for hub: owner/name")
    sub = _add(
        commands,
        "sandbox",
        "the loopback service that speaks the hosted API",
        "sandbox --port 8801",
        "sandbox --fault list                                          # every fault, and the endpoints",
        "sandbox --fault reset-after-commit@jobs.create                # the job is made, the reply is lost",
        "sandbox --fault '429@chat*5' --fault html@chat --fault quota@chat",
        "sandbox --fault fail-running                                  # also fail-validating, fail-queued",
    )
    sub.description = SANDBOX
    sub.add_argument("--host", default="127.0.0.1", help="a loopback address; another one only with a key of your own in FTLIB_SANDBOX_KEY")
    sub.add_argument("--port", type=whole(0, 65535), default=0, help="0, the default, takes a free one and prints it")
    sub.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[@ENDPOINT][*TIMES]",
        help="a bad day to rehearse; may be repeated; `list` explains them all",
    )
    sub.add_argument("--rpm", type=whole(1, 1_000_000), metavar="N", help="answer so many chat requests a minute, others with 429 and Retry-After")


def _evaluation(commands: Any) -> None:
    sub = _add(
        commands, "score", "metrics and statistics of answers, recorded anywhere", "score --references R.jsonl --answers A.jsonl B.jsonl --json"
    )
    sub.description = "Metrics and statistics of answers, recorded anywhere. Exits with 1 where answers failed (null), or all of a system are empty."
    sub.add_argument("--references", type=Path, required=True, help="lines {id, title?, reference}")
    sub.add_argument("--answers", type=Path, nargs="+", required=True, help="lines {id, answer}; one file a system")
    sub.add_argument("--metrics", nargs="+", metavar="METRIC", help=METRICS)
    sub.add_argument("--primary", default="rougeL", metavar="METRIC", help="the metric that pairs of systems are tested by (%(default)s)")
    sub.add_argument("--seed", type=whole(0), default=42, help="of everything random (%(default)s)")
    sub.add_argument("--resamples", type=int, default=10_000, help="of the bootstrap and the permutation test; 20 or more, 10,000 by default")
    sub.add_argument("--train", type=Path, help="the training file, for the memorisation flag")
    sub.add_argument("--language", default="en", help="of the answers, as a code of two letters")
    sub.add_argument("--embedding", metavar="MODEL", help="a sentence-embedding model, for semantic similarity")
    sub.add_argument("--failed-score", type=float, default=0.0, help="what an item scores whose answer failed (null); 0 by default")
    sub.add_argument("--out", type=Path, help="write the per-item table here")
    sub = _add(
        commands, "judge", "let a model compare the answers of a run pairwise", "judge results/demo --provider openai --model MODEL --pairs 100"
    )
    sub.description = "Let a model compare the answers of a run pairwise. Exits with 1 where it was refused, or failed one of its controls."
    sub.add_argument("run", type=Path, help=RUN)
    sub.add_argument("--provider", help="where the judge is: one of a profile's, or `local`; without one, the profile's judge or a blind sheet alone")
    sub.add_argument("--model", help="its id there")
    sub.add_argument("--pairs", type=whole(1), default=100, help="at most so many test items (%(default)s)")
    sub.add_argument("--systems", nargs=2, metavar=("A", "B"), help="the two to compare; the first two tuned ones where not given")
    sub.add_argument("--temperature", type=float, default=0.0, help="of the judge; some models take 1 alone (%(default)s)")
    sub.add_argument("--max-new-tokens", type=whole(1), help="of a reply (64 for a verdict, 96 for marks); more for a model that reasons first")
    sub.add_argument("--human", type=Path, help="a blind sheet that came back filled: agreement")
    sub = _add(
        commands,
        "compare",
        "workbook, charts and page from what is stored",
        "compare results/demo",
        "compare results/one results/two --out both",
    )
    sub.add_argument("runs", nargs="+", type=Path, help="run folders, one or several; several must have been tested on the same rows")
    sub.add_argument("--out", type=Path, help="folder to write (of a single run its own by default)")
    sub.add_argument("--weights", help="your own weights, as precision=2,cost=1")
