"""Every command, a few lines each. ``ftlib`` and ``python -m ftlib`` are the same.

Exit codes: 0 done, 1 done with findings (a check failed, a contestant failed or was refused), 2 could not.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from ftlib.arguments import parser, refuse, spread
from ftlib.errors import DataError, FtlibError, disk_sentence
from ftlib.progress import QUIET
from ftlib.terminal import PrintableFormatter, printable


@dataclass(frozen=True)
class Outcome:
    """What a command gives back: a JSON document, the same for a reader, and the exit code."""

    data: Any
    text: str
    code: int = 0


# -- the chain -------------------------------------------------------------------------------------------------------
def run(args: argparse.Namespace) -> Outcome:
    """A profile through the whole chain."""
    from ftlib.batch import run_profile

    report = run_profile(args.profile, out=args.out, overrides=args.set, take_over=args.take_over, jobs=args.jobs, timeout=args.timeout)
    return Outcome(report.data(), report.text(), report.code)


# -- curation --------------------------------------------------------------------------------------------------------
def curate(args: argparse.Namespace) -> Outcome:
    """Raw rows to train, valid and test."""
    from ftlib.curation import curate as do
    from ftlib.curation import funnel_text

    funnel = do(
        args.raw,
        recipe=args.recipe,
        out=args.out,
        train=args.train,
        valid=args.valid,
        test=args.test,
        seed=args.seed,
        limit=args.limit,
        id_field=args.id_field,
        title_field=args.title_field,
        content_field=args.content_field,
        max_bad_share=args.max_bad_share,
        keep_rejected=args.rejected,
        overview=args.overview,
    )
    return Outcome(funnel, funnel_text(funnel))


def leaks(args: argparse.Namespace) -> Outcome:
    """Duplicates between files; 1 where there are any."""
    from ftlib.curation.leaks import find_leaks, leaks_text
    from ftlib.curation.records import Fields

    found = find_leaks(args.files, args.threshold, Fields(args.id_field, args.title_field or "title", args.content_field or "content"))
    return Outcome(found, leaks_text(found), 1 if found["exact"] or found["near"] else 0)


# -- formatting and catalogue ----------------------------------------------------------------------------------------
def format_(args: argparse.Namespace) -> Outcome:
    """Records to training files."""
    from ftlib.formatting import format_folder, format_text

    where = {"to": args.to, "task": args.task, "out": args.out, "destination": args.destination}
    count = _row_counter(args.destination or "", args.model)
    made = format_folder(args.folder, **where, model=args.model, truncate=args.truncate, tokens=count)
    return Outcome(made, format_text(made))


def check(args: argparse.Namespace) -> Outcome:
    """Whether a file is good at a destination; 1 where it is not."""
    from ftlib.formatting.check import check_file, check_text
    from ftlib.formatting.destinations import find_destination

    find_destination(args.destination)  # before any model is looked for
    count = _row_counter(args.destination, args.model)
    found = check_file(args.file, destination=args.destination, validation=args.validation, model=args.model, suffix=args.suffix, tokens=count)
    return Outcome(found, check_text(found), 0 if found["ok"] else 1)


def _row_counter(destination: str, model: str | None) -> Callable[[Any], int | None] | None:
    """Counts a row as the named model does, be it named by itself or as ``local:MODEL``: for ``format`` and ``check`` alike."""
    from ftlib.plan.tokenizers import row_counter

    wanted = model or destination.partition(":")[2]
    return row_counter(wanted) if wanted else None


def models(args: argparse.Namespace) -> Outcome:
    """The catalogue."""
    from ftlib.catalogue import list_models, models_text

    found = list_models(fits=args.fits)
    return Outcome(found, models_text(found))


def estimate(args: argparse.Namespace) -> Outcome:
    """Tokens, money, time and memory beforehand; 1 where a part is not known or the budget is too small."""
    from ftlib.plan import estimate as do
    from ftlib.plan import estimate_text

    found = do(args.what, model=args.model, provider=args.provider, epochs=args.epochs, gpu=args.gpu, prices=args.prices, overrides=args.set)
    return Outcome(found, estimate_text(found), 1 if found.get("unknown") or found.get("within_budget") is False else 0)


# -- one contestant --------------------------------------------------------------------------------------------------
def train(args: argparse.Namespace) -> Outcome:
    """One contestant, tuned; 1 where it failed or was refused."""
    from ftlib.single import train_one

    report = train_one(args.profile, args.contestant, out=args.out, overrides=args.set)
    code = 0 if report["status"] in ("done", "nothing_to_train") else 1
    return Outcome(report, f"{args.contestant}: {report['status']}" + (f": {report['reason']}" if report.get("reason") else ""), code)


def ask(args: argparse.Namespace) -> Outcome:
    """One question to one contestant."""
    from ftlib.single import ask_one

    rows = ask_one(args.run, args.contestant, args.text, base=args.base)
    told = [f"{row['system']}: {row['answer'] if row['answer'] is not None else '(no answer: ' + str(row['error']) + ')'}" for row in rows]
    return Outcome(rows, "\n\n".join(told), 1 if any(row["answer"] is None for row in rows) else 0)


def cancel(args: argparse.Namespace) -> Outcome:
    """A job that was left at a provider, cancelled for real."""
    from ftlib.training.hosted.cancel import act

    found = act(args.run, args.contestant, args.verb)
    return Outcome(found, f"job {found['job']} of {args.contestant} is now {found['status']}")


def export(args: argparse.Namespace) -> Outcome:
    """A tuned local model, taken away."""
    from ftlib.single import export_one

    made = export_one(args.run, args.contestant, to=args.to, out=args.out, quantisation=args.quantisation, repo=args.repo)
    return Outcome(made, f"{made['what']}: {made['where']}")


def sandbox(args: argparse.Namespace) -> Outcome:
    """The loopback service, until it is stopped."""
    from ftlib.training.sandbox import serve

    serve(host=args.host, port=args.port, key=os.environ.get("FTLIB_SANDBOX_KEY"), faults=args.fault, requests_per_minute=args.rpm)
    return Outcome({}, "")


# -- evaluation and comparison ---------------------------------------------------------------------------------------
def score(args: argparse.Namespace) -> Outcome:
    """Metrics and statistics of recorded answers; 1 where answers failed, or all of a system are empty."""
    from ftlib.evaluation import score_files, scores_text
    from ftlib.evaluation.recorded import faults

    found = score_files(
        args.references,
        args.answers,
        metrics=args.metrics,
        primary=args.primary,
        seed=args.seed,
        resamples=args.resamples,
        train=args.train,
        language=args.language,
        embedding=args.embedding,
        failed_score=args.failed_score,
        out=args.out,
    )
    return Outcome(found, scores_text(found), 1 if faults(found) else 0)


def judge(args: argparse.Namespace) -> Outcome:
    """A judge over the pairs of a run; 1 where it was refused or failed a control."""
    from ftlib.evaluation.judge import judge_run, judge_text

    keys = ("provider", "model", "pairs", "systems", "human", "temperature", "max_new_tokens")
    found = judge_run(args.run, **{key: getattr(args, key) for key in keys})
    return Outcome(found, judge_text(found), 1 if found.get("status") == "refused" or found.get("trusted") is False else 0)


def compare(args: argparse.Namespace) -> Outcome:
    """Workbook, charts and page from what is stored; those of a single run go into its own folder where no other is named."""
    from ftlib.comparison import compare_runs
    from ftlib.runs import Run

    if args.out is None and len(args.runs) > 1:
        raise DataError("--out is missing: what compares several runs belongs to none of them; name a folder for it, as --out both.")
    own = Run.open(args.runs[0]) if args.out is None else None
    with own.lock() if own else nullcontext():
        made = compare_runs(args.runs, out=own.path if own else args.out, weights=args.weights)
        if own and own.whole:
            own.finish()  # its manifest names the files by their hashes
    return Outcome(made, "\n".join(f"{name}: {path}" for name, path in made["files"].items()))


def doctor(args: argparse.Namespace) -> Outcome:
    """What will work on this machine."""
    from ftlib.doctor import doctor_text, examine

    found = examine()
    return Outcome(found, doctor_text(found))


COMMANDS = {
    "run": run,
    "curate": curate,
    "leaks": leaks,
    "format": format_,
    "check": check,
    "models": models,
    "estimate": estimate,
    "train": train,
    "ask": ask,
    "cancel": cancel,
    "export": export,
    "sandbox": sandbox,
    "score": score,
    "judge": judge,
    "compare": compare,
    "doctor": doctor,
}


def _document(data: Any) -> str:
    """One JSON document; in ASCII where it holds what UTF-8 cannot, or a terminal would obey."""
    text = json.dumps(data, indent=2, ensure_ascii=False, default=str)
    return text if text == printable(text) else json.dumps(data, indent=2, default=str)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words, top = spread(sys.argv[1:] if argv is None else argv), parser()
    if not words:
        top.print_help(sys.stderr)
        return 2
    if not words[0].startswith("-") and words[0] not in COMMANDS:
        from ftlib.configuration import nearest

        top.error(f"there is no command {words[0]!r}{nearest(words[0], list(COMMANDS))}")
    args, rest = top.parse_known_args(words)
    if args.command == "ask" and args.text is None and len(rest) == 1 and not rest[0].startswith("-"):
        args.text = rest.pop()  # a question after an option, which argparse leaves over
    if rest:
        refuse(args.parser, rest)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("ftlib").setLevel(logging.ERROR if args.quiet else logging.INFO)
    if args.quiet:
        os.environ[QUIET] = "1"
    try:
        outcome: Outcome = COMMANDS[args.command](args)
    except FtlibError as error:
        print(printable(f"ftlib {args.command}: {error}"), file=sys.stderr)
        return 2
    except OSError as error:
        sentence = disk_sentence(error)
        if sentence is None:
            raise
        print(printable(f"ftlib {args.command}: {sentence}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"ftlib {args.command}: interrupted; the same command goes on where it stopped.", file=sys.stderr)
        return 130
    try:
        if args.json:
            print(_document(outcome.data))
        elif outcome.text:
            print(printable(outcome.text))
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader that had enough, as `| head` has, is no fault
            print(f"ftlib {args.command}: standard output: {error.strerror}; make room and run the same command again.", file=sys.stderr)
            return 2
    return outcome.code
