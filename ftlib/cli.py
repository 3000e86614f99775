"""Every command, a few lines each. ``ftlib`` and ``python -m ftlib`` are the same.

Exit codes: 0 done, 1 done with findings (a check failed, a contestant failed or was refused), 2 could not.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ftlib
from ftlib.errors import FtlibError
from ftlib.progress import QUIET


@dataclass(frozen=True)
class Outcome:
    """What a command gives back: a JSON document, the same for a reader, and the exit code."""

    data: Any
    text: str
    code: int = 0


# -- the chain -------------------------------------------------------------------------------------------------------
def run(args: argparse.Namespace) -> Outcome:
    from ftlib.batch import run_profile

    report = run_profile(args.profile, out=args.out, overrides=args.set, take_over=args.take_over, jobs=args.jobs, timeout=args.timeout)
    return Outcome(report.data(), report.text(), report.code)


# -- curation --------------------------------------------------------------------------------------------------------
def curate(args: argparse.Namespace) -> Outcome:
    from ftlib.curation import curate as do
    from ftlib.curation import funnel_text

    funnel = do(args.raw, recipe=args.recipe, out=args.out, train=args.train, valid=args.valid, test=args.test, seed=args.seed, limit=args.limit,
                id_field=args.id_field, title_field=args.title_field, content_field=args.content_field, max_bad_share=args.max_bad_share,
                keep_rejected=args.rejected)
    return Outcome(funnel, funnel_text(funnel))


def leaks(args: argparse.Namespace) -> Outcome:
    from ftlib.curation.leaks import find_leaks, leaks_text

    found = find_leaks(args.files, threshold=args.threshold)
    return Outcome(found, leaks_text(found), 1 if found["exact"] or found["near"] else 0)


# -- formatting and catalogue ----------------------------------------------------------------------------------------
def format_(args: argparse.Namespace) -> Outcome:
    from ftlib.formatting import format_folder, format_text

    made = format_folder(args.folder, to=args.to, task=args.task, out=args.out)
    return Outcome(made, format_text(made))


def check(args: argparse.Namespace) -> Outcome:
    from ftlib.formatting.check import check_file, check_text

    found = check_file(args.file, destination=args.destination, validation=args.validation, model=args.model)
    return Outcome(found, check_text(found), 0 if found["ok"] else 1)


def models(args: argparse.Namespace) -> Outcome:
    from ftlib.catalogue import list_models, models_text

    found = list_models(fits=args.fits)
    return Outcome(found, models_text(found))


def estimate(args: argparse.Namespace) -> Outcome:
    from ftlib.plan import estimate as do
    from ftlib.plan import estimate_text

    found = do(args.what, model=args.model, provider=args.provider, epochs=args.epochs, gpu=args.gpu, prices=args.prices, overrides=args.set)
    return Outcome(found, estimate_text(found))


# -- one contestant --------------------------------------------------------------------------------------------------
def train(args: argparse.Namespace) -> Outcome:
    from ftlib.single import train_one

    report = train_one(args.profile, args.contestant, out=args.out, overrides=args.set)
    code = 0 if report["status"] in ("done", "nothing_to_train") else 1
    return Outcome(report, f"{args.contestant}: {report['status']}" + (f": {report['reason']}" if report.get("reason") else ""), code)


def ask(args: argparse.Namespace) -> Outcome:
    from ftlib.single import ask_one

    rows = ask_one(args.run, args.contestant, args.text, base=args.base)
    return Outcome(rows, "\n\n".join(f"{row['system']}: {row['answer']}" for row in rows))


def export(args: argparse.Namespace) -> Outcome:
    from ftlib.single import export_one

    made = export_one(args.run, args.contestant, to=args.to, out=args.out, quantisation=args.quantisation, repo=args.repo)
    return Outcome(made, f"{made['what']}: {made['where']}")


def sandbox(args: argparse.Namespace) -> Outcome:
    from ftlib.training.sandbox import serve

    serve(host=args.host, port=args.port, key=os.environ.get("FTLIB_SANDBOX_KEY"), faults=args.fault)
    return Outcome({}, "")


# -- evaluation and comparison ---------------------------------------------------------------------------------------
def score(args: argparse.Namespace) -> Outcome:
    from ftlib.evaluation import score_files, scores_text

    found = score_files(args.references, args.answers, metrics=args.metrics, primary=args.primary, seed=args.seed, resamples=args.resamples,
                        train=args.train, out=args.out)
    return Outcome(found, scores_text(found))


def judge(args: argparse.Namespace) -> Outcome:
    from ftlib.evaluation.judge import judge_run, judge_text

    found = judge_run(args.run, provider=args.provider, model=args.model, pairs=args.pairs, systems=args.systems, human=args.human)
    return Outcome(found, judge_text(found))


def compare(args: argparse.Namespace) -> Outcome:
    from ftlib.comparison import compare_runs

    made = compare_runs(args.runs, out=args.out, weights=args.weights)
    return Outcome(made, "\n".join(f"{name}: {path}" for name, path in made["files"].items()))


def doctor(args: argparse.Namespace) -> Outcome:
    from ftlib.doctor import doctor_text, examine

    found = examine()
    return Outcome(found, doctor_text(found))


# -- arguments -------------------------------------------------------------------------------------------------------
def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="ftlib", description=ftlib.__doc__.splitlines()[0].removeprefix("ftlib: ") if ftlib.__doc__ else "")
    top.add_argument("--version", action="version", version=f"ftlib {ftlib.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, do: Any, about: str, examples: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about, epilog="examples:\n" + examples, formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.set_defaults(do=do)
        sub.add_argument("--json", action="store_true", help="one JSON document on standard output; messages on standard error")
        sub.add_argument("--quiet", action="store_true", help="no messages and no progress")
        return sub

    def overrides(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the profile, as data.train=200")

    sub = add("run", run, "the whole chain, notebook by notebook, into a run folder", "  ftlib run demo\n  ftlib run my.yaml --out results/mine --set data.test=100")
    sub.add_argument("profile", help="a built-in profile (demo, colab-t4, hosted, seed) or a YAML file")
    sub.add_argument("--out", type=Path, help="the run folder (results/NAME by default)")
    overrides(sub)
    sub.add_argument("--take-over", action="store_true", help="take the folder over from a machine that is gone")
    sub.add_argument("--jobs", type=int, default=1, help="train so many contestants at once")
    sub.add_argument("--timeout", type=float, help="seconds a notebook cell may take before it counts as hung (none by default)")

    sub = add("curate", curate, "raw rows to train, valid, test and a funnel",
              "  ftlib curate trn.json.gz --recipe default --out curated\n  ftlib curate my.csv --recipe default --title-field name --content-field text --out curated")
    sub.add_argument("raw", help="JSON lines (.gz, .zst, .zip), CSV, Parquet, a hub dataset id, or `sample`")
    sub.add_argument("--recipe", default="default", help="a built-in recipe or a YAML file")
    sub.add_argument("--out", type=Path, required=True, help="folder to write")
    for size in ("train", "valid", "test"):
        sub.add_argument(f"--{size}", type=_size, help="rows, or a share below 1")
    sub.add_argument("--seed", type=int, default=42)
    sub.add_argument("--limit", type=int, help="read at most so many rows")
    for name in ("id", "title", "content"):
        sub.add_argument(f"--{name}-field", help=f"the source's name for {name}")
    sub.add_argument("--max-bad-share", type=float, default=0.01, help="stop when more than this share of rows is unreadable")
    sub.add_argument("--rejected", action="store_true", help="write every rejected row to rejected.jsonl, not a sample")

    sub = add("leaks", leaks, "exact and near duplicates between files of any of our formats", "  ftlib leaks curated/train.jsonl curated/test.jsonl")
    sub.add_argument("files", nargs="+", type=Path)
    sub.add_argument("--threshold", type=float, default=0.8, help="Jaccard similarity from which two texts are near-duplicates")

    sub = add("format", format_, "records to training files", "  ftlib format curated --to chat --task describe --out files")
    sub.add_argument("folder", type=Path)
    sub.add_argument("--to", choices=["instruction", "chat"], required=True)
    sub.add_argument("--task", default="describe")
    sub.add_argument("--out", type=Path, required=True)

    sub = add("check", check, "is this training file good there?", "  ftlib check train.jsonl --for openai\n  ftlib check train.jsonl --for local:tiny-llama --json")
    sub.add_argument("file", type=Path)
    sub.add_argument("--for", dest="destination", required=True, metavar="DESTINATION", help="openai, azure, nebius, together, sandbox, local or local:MODEL")
    sub.add_argument("--validation", type=Path, help="the validation file that goes with it")
    sub.add_argument("--model", help="the model to be tuned (its context length and tokenizer)")

    sub = add("models", models, "the catalogue of models", "  ftlib models\n  ftlib models --fits t4")
    sub.add_argument("--fits", metavar="GPU", help="only what QLoRA trains there: t4, l4, a100 ...")

    sub = add("estimate", estimate, "tokens, money, time and memory before anything is spent",
              "  ftlib estimate demo\n  ftlib estimate train.jsonl --model gpt-4o-mini-2024-07-18 --epochs 3")
    sub.add_argument("what", metavar="PROFILE|FILE")
    sub.add_argument("--model")
    sub.add_argument("--provider")
    sub.add_argument("--epochs", type=float)
    sub.add_argument("--gpu", default="t4")
    sub.add_argument("--prices", type=Path, help="a price file of your own, over the built-in one")
    overrides(sub)

    sub = add("train", train, "one contestant by itself", "  ftlib train demo tiny-llama --out results/demo")
    sub.add_argument("profile")
    sub.add_argument("contestant")
    sub.add_argument("--out", type=Path)
    overrides(sub)

    sub = add("ask", ask, "ask a contestant of a run a question", '  ftlib ask results/demo tiny-llama "Blue ceramic mug"')
    sub.add_argument("run", type=Path)
    sub.add_argument("contestant")
    sub.add_argument("text", nargs="?", help="the input; the first test row where none is given")
    sub.add_argument("--base", action="store_true", help="the base model too")

    sub = add("export", export, "take a tuned model away", "  ftlib export results/demo tiny-llama --to merged --out my-model")
    sub.add_argument("run", type=Path)
    sub.add_argument("contestant")
    sub.add_argument("--to", choices=["adapter", "merged", "gguf", "hub"], required=True)
    sub.add_argument("--out", type=Path)
    sub.add_argument("--quantisation", default="q8_0", help="for gguf")
    sub.add_argument("--repo", help="for hub: owner/name")

    sub = add("sandbox", sandbox, "the loopback service that speaks the hosted API", "  ftlib sandbox --port 8801")
    sub.add_argument("--host", default="127.0.0.1")
    sub.add_argument("--port", type=int, default=0)
    sub.add_argument("--fault", action="append", default=[], help="a fault to rehearse; `--fault list` lists them")

    sub = add("score", score, "metrics and statistics of answers, recorded anywhere", "  ftlib score --references R.jsonl --answers A.jsonl B.jsonl --json")
    sub.add_argument("--references", type=Path, required=True, help="lines {id, title?, reference}")
    sub.add_argument("--answers", type=Path, nargs="+", required=True, help="lines {id, answer}; one file a system")
    sub.add_argument("--metrics", nargs="+")
    sub.add_argument("--primary", default="rougeL")
    sub.add_argument("--seed", type=int, default=42)
    sub.add_argument("--resamples", type=int, default=10_000)
    sub.add_argument("--train", type=Path, help="the training file, for the memorisation flag")
    sub.add_argument("--out", type=Path, help="write the per-item table here")

    sub = add("judge", judge, "let a model compare the answers of a run pairwise", "  ftlib judge results/demo --provider openai --model MODEL --pairs 100")
    sub.add_argument("run", type=Path)
    sub.add_argument("--provider")
    sub.add_argument("--model")
    sub.add_argument("--pairs", type=int, default=100)
    sub.add_argument("--systems", nargs=2, metavar=("A", "B"))
    sub.add_argument("--human", type=Path, help="a blind sheet that came back filled: agreement")

    sub = add("compare", compare, "workbook, charts and page from what is stored", "  ftlib compare results/demo --out comparison")
    sub.add_argument("runs", nargs="+", type=Path)
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--weights", help="your own weights, as precision=2,cost=1")

    add("doctor", doctor, "what will work on this machine", "  ftlib doctor")
    return top


def _size(text: str) -> int | float:
    """A number of rows, or a share below 1."""
    return float(text) if "." in text else int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("ftlib").setLevel(logging.ERROR if args.quiet else logging.INFO)
    if args.quiet:
        os.environ[QUIET] = "1"
    try:
        outcome: Outcome = args.do(args)
    except FtlibError as error:
        print(f"ftlib {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"ftlib {args.command}: interrupted; the same command goes on where it stopped.", file=sys.stderr)
        return 130
    if args.json:
        print(json.dumps(outcome.data, indent=2, ensure_ascii=False, default=str))
    elif outcome.text:
        print(outcome.text)
    return outcome.code
