"""Rehearsals of bad days, counted: kills, hostile input, secrets, stale work, disks, load, time. Loopback and CPU only.

    python benchmarks/reliability.py                      all sections (about an hour on two cores)
    python benchmarks/reliability.py kills --kills 240    one section; the others keep the figures they have

Figures go to benchmarks/reliability.json, the table to benchmarks/reliability.md and into README.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"  # quotes the table
sys.path.insert(0, str(HERE.parent))
Figures = dict[str, Any]
TINY = ["data.train=24", "data.valid=6", "data.test=8", "contestants.tiny-llama.epochs=1", "contestants.tiny-hosted.epochs=1", "evaluation.probes=[]"]
SAVES = ("training/local/test_resume.py", "training/local/test_resume_kills.py", "training/local/test_resume_damage.py")
ALONE = "contestants.tiny-hosted.concurrency=1"  # which questions a service answers together moves the last bits of its figures


def kills(args: argparse.Namespace, folder: Path) -> Figures:
    """SIGKILL and SIGTERM inside single rooms, without models."""
    from tests.reliability import chain
    from tests.reliability.killing import rehearse

    found: dict[str, Any] = {}
    faults: list[str] = []
    if args.room and "kills" in stored():  # the other rooms keep what they have
        found = {room: row for room, row in stored()["kills"]["rooms"].items() if room not in args.room}
        faults = [fault for fault in stored()["kills"]["faults"] if fault.split(",")[0] in found]
    for number, room in enumerate(chain.ROOMS):
        if args.room and room not in args.room:
            continue
        profile = chain.recorded_profile(folder / room)
        base = chain.up_to(room, folder / room / "base" / "run", chain.with_training(profile) if room == "format" else profile)
        outcome = rehearse(
            room, base, folder / room / "place" / "run", chain.ROOMS[room], kills=args.kills // len(args.room or chain.ROOMS), seed=args.seed + number
        )
        found[room], faults = outcome.row(), [*faults, *outcome.faults]
        print(json.dumps(outcome.row()), flush=True)
    total = sum(row["kills"] for row in found.values())
    told = ", ".join(f"{room} {row['kills']}" for room, row in found.items())
    return {"figure": f"{total} kills ({told}): {len(faults)} faults", "rooms": found, "faults": faults}


def training(args: argparse.Namespace, folder: Path) -> Figures:
    """SIGKILL and SIGTERM inside a real training and its saves."""
    from tests.reliability import chain
    from tests.reliability.killing import rehearse
    from tests.training.local.killing import import_all

    import_all()  # on one thread: a fork would lose others
    profile = chain.with_training(chain.recorded_profile(folder))
    base = chain.up_to("train", folder / "base" / "run", profile)
    outcome = rehearse("training", base, folder / "place" / "run", chain.train, kills=args.training_kills, seed=args.seed)
    return {"figure": f"{outcome.kills} kills: {len(outcome.faults)} faults", **outcome.row(), "faults": outcome.faults}


MEASURED = re.compile(r"charts/(cost_quality|time_memory)\.\w+|comparison\.xlsx|report\.(html|md)")  # seconds stand in them
GIVEN = re.compile(r"(ftlib|ftjob|ftckpt|ftevent|file|ft)[-:][\w:.-]*[0-9a-f]{8}[\w:.-]*")  # a job's key, and what a service names


def unmeasured(files: Any) -> Any:
    """Files of a whole run without what measured seconds and the names that a service gives bring into them."""
    if isinstance(files, dict):
        bare = ("made_with", "asked", "fingerprint", "called_at", "failed_at", "first_seen", "estimated_finish")  # hashes over those, and moments
        kept = {key: held for key, held in files.items() if key not in bare and not MEASURED.fullmatch(str(key))}
        if "events" in kept:  # each message once: a service that was killed with the run tells some again
            kept["events"] = sorted({event["message"] for event in kept["events"]})
        return {key: unmeasured(held) for key, held in kept.items()}
    if isinstance(files, list):
        return [unmeasured(held) for held in files]
    return GIVEN.sub("given", files) if isinstance(files, str) else files


def ended_by(process: subprocess.Popen[bytes], sent: signal.Signals, seconds: float = 120.0) -> list[str]:
    """Wait for a process that was sent a signal; a fault where it goes on."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return [f"{sent.name} did not end it within {seconds:.0f} s"]
    return []


def whole_chain(args: argparse.Namespace, folder: Path) -> Figures:
    """Kills over the whole chain: `ftlib run demo` on tiny settings, through its notebooks, with both trainings."""
    from ftlib.training.local.tiny import build_tiny
    from tests.reliability.killing import appended, differences, leftovers, lost, snapshot, torn

    command = [sys.executable, "-m", "ftlib", "run", "demo", "--quiet", *(part for key in [*TINY, ALONE] for part in ("--set", key))]
    undisturbed, place = folder / "undisturbed", folder / "killed"
    (folder / "tmp").mkdir()
    os.environ["TMPDIR"] = str(folder / "tmp")
    for name in ("tiny-llama", "tiny-hosted"):
        build_tiny(name)  # minutes where they are not there yet, which would spread the kills too far
    begun = time.perf_counter()
    subprocess.run([*command, "--out", str(place)], check=True, timeout=1800)
    seconds = time.perf_counter() - begun
    place.rename(undisturbed)
    wanted, rng, faults, count, ends = snapshot(undisturbed), random.Random(args.seed), [], 0, 0
    while count < args.chain_kills:
        shutil.rmtree(place, ignore_errors=True)
        code: int | None = None
        while code is None and count < args.chain_kills:
            process = subprocess.Popen([*command, "--out", str(place)], start_new_session=True)
            try:
                code = process.wait(timeout=rng.uniform(2, max(4.0, 0.4 * seconds)))
            except subprocess.TimeoutExpired:
                acknowledged = appended(place)
                sent = rng.choice([signal.SIGKILL, signal.SIGTERM])
                process.send_signal(sent)
                faults += ended_by(process, sent)
                count += 1
                time.sleep(2)  # a kernel notices within a second that its parent has gone
                faults += [*torn(place), *lost(acknowledged, place)]
                print(f"{count} kills", flush=True)
        ended = subprocess.run([*command, "--out", str(place)], check=False, capture_output=True, text=True, timeout=1800)
        ends += 1
        faults += [] if ended.returncode == 0 else [f"ended with {ended.returncode}: {ended.stderr[-500:]}"]
        there = snapshot(place)
        faults += [f"{name} is missing" for name in wanted.keys() - there.keys()]
        faults += [] if (place / "manifest.json").exists() else ["there is no manifest"]
        faults += [f"left behind: {path.name}" for path in [*place.rglob("*.failed.ipynb"), *(folder / "tmp").glob("ftlib-*")]]
        faults += [*leftovers(place), *differences(unmeasured(wanted), unmeasured(there))]
    return {
        "figure": f"{count} kills in {ends} runs: {len(faults)} faults",
        "kills": count,
        "runs": ends,
        "undisturbed_seconds": round(seconds, 1),
        "faults": faults,
    }


def tests(*files: str, **environment: str) -> Callable[[argparse.Namespace, Path], Figures]:
    """A section that is a part of the test suite."""

    def section(_: argparse.Namespace, folder: Path) -> Figures:
        marks = ["-m", "reliability or not reliability"]
        command = [sys.executable, "-m", "pytest", "-p", "no:warnings", *marks, *(f"tests/{file}" for file in files)]
        begun = time.perf_counter()
        ended = subprocess.run(command, cwd=HERE.parent, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped|errors?)", ended.stdout.splitlines()[-1])}
        told = ", ".join(f"{n} {what}" for what, n in counts.items())
        said = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return {"figure": f"{told} in {time.perf_counter() - begun:.0f} s", **counts, "faults": said}

    return section


def secrets(args: argparse.Namespace, folder: Path) -> Figures:
    """The tests, and every command and every notebook in each of four ways."""
    from tests.reliability.ways import CASES, WAYS, everything

    suite = tests("reliability/test_secrets.py")(args, folder)
    begun = time.perf_counter()
    outcomes = everything(
        folder, args.seed, lambda outcome: print(f"{outcome.case}, {outcome.way}: {outcome.tries} tries", *outcome.faults, flush=True)
    )
    commands, notebooks = (len({case.command for case in CASES if case.notebook is which}) for which in (False, True))
    reached, keys = sum(outcome.reached for outcome in outcomes), sum(outcome.keys for outcome in outcomes)
    again = sum(outcome.tries for outcome in outcomes) - len(outcomes)
    uses = sum(not case.notebook for case in CASES)
    whole = f"{commands} commands in {uses} uses and {notebooks} notebooks, each in {len(WAYS)} ways"
    told = f"{whole}: {reached} of {len(outcomes)} runs came to it, {keys} keys found"
    more = f"{again} that missed their moment were done again, {time.perf_counter() - begun:.0f} s; tests: {suite['figure']}"
    return {
        "figure": f"{told} ({more})",
        "runs": reached,
        "keys": keys,
        "again": again,
        "faults": [*suite["faults"], *(fault for outcome in outcomes for fault in outcome.faults)],
    }


def rows_file(path: Path, count: int) -> None:
    """That many rows of about 150 characters, a twentieth of them repeated, packed."""
    rng = random.Random(1)
    words = ["".join(rng.choices("bcdfghklmnprst", k=3)) + rng.choice("aeiou") for _ in range(20_000)]
    parts = [" ".join(rng.choices(words, k=9)) for _ in range(50_000)]
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as handle:
        for number in range(count):
            key = number if number % 20 else number // 20
            text = f"{parts[key * 7919 % 50_000]} {parts[key * 104_729 // 50_000 % 50_000]} {parts[key * 31 % 49_999]}"
            handle.write(f'{{"uid": "{number}", "title": "Thing number {key} {words[key % 20_000]}", "content": "{text}"}}\n')


def in_child(code: str, *argv: str) -> tuple[float, float, str]:
    """Run Python code in a process of its own; returns seconds, its largest memory in MiB, and what it said."""
    begun = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", code + "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)", *argv],
                           check=True, capture_output=True, text=True, cwd=HERE.parent)  # fmt: skip
    return time.perf_counter() - begun, int(ended.stdout.split()[-1]) / 1024, ended.stdout


def used() -> float:
    """CPU seconds of the children so far, and of theirs: steadier than the clock where a machine has other work."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def curation_load(args: argparse.Namespace, folder: Path) -> Figures:
    """Millions of rows through a recipe that counts tokens, filters and removes exact duplicates."""
    code = "import sys; from ftlib.curation import curate; curate(sys.argv[1], recipe=sys.argv[2], out=sys.argv[3], train=1000, valid=100, test=500)"
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "name: load\nsteps:\n- drop_missing\n- deduplicate: {by: content}\n- tokens: {max: 1024}\n- split: {train: 1000, valid: 100, test: 500}\n"
    )
    found = []
    for count in args.rows:
        rows_file(folder / "rows.jsonl.gz", count)
        before = used()
        seconds, memory, _ = in_child(code, str(folder / "rows.jsonl.gz"), args.recipe or str(recipe), str(folder / f"out{count}"))
        each = round(1e6 * (used() - before) / count, 1)
        found.append({"rows": count, "seconds": round(seconds, 1), "cpu_microseconds_a_row": each, "mib": round(memory)})
        print(json.dumps(found[-1]), flush=True)
    told = "; ".join(f"{row['rows']:,} rows {row['seconds']} s, {row['cpu_microseconds_a_row']} CPU µs a row, {row['mib']} MiB" for row in found)
    return {"figure": told, "sizes": found, "faults": []}


PAGE = """
import sys, json
from pathlib import Path
from tests.comparison.conftest import build
run = build(Path(sys.argv[1]), n=int(sys.argv[2]))
import time, resource
begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from ftlib.comparison import compare_run
compare_run(run)
print(json.dumps({"seconds": time.perf_counter() - begun, "page_bytes": (run.path / "report.html").stat().st_size}))
"""


def page_load(args: argparse.Namespace, folder: Path) -> Figures:
    """The comparison of many items of seven systems: workbook, charts and page."""
    found = []
    for count in args.items:
        _, memory, said = in_child(PAGE, str(folder / str(count)), str(count))
        made = json.loads(said.splitlines()[-2])
        row = {"items": count, "seconds": round(made["seconds"], 1), "milliseconds_an_item": round(1e3 * made["seconds"] / count, 3)}
        found.append({**row, "mib": round(memory), "page_mb": round(made["page_bytes"] / 1e6, 1)})
        print(json.dumps(found[-1]), flush=True)
    told = "; ".join(f"{row['items']:,} items {row['seconds']} s, {row['mib']} MiB, page {row['page_mb']} MB" for row in found)
    return {"figure": told, "sizes": found, "faults": []}


def fuzz(args: argparse.Namespace, folder: Path) -> Figures:
    """Coverage-guided fuzzing of the readers and the checker, where atheris is installed (FTLIB_FUZZ_PYTHON names the Python that has it)."""
    python = os.environ.get("FTLIB_FUZZ_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import atheris"], capture_output=True, check=False).returncode:
        return {"figure": "not run: atheris is not installed", "faults": []}
    command = [python, str(HERE / "reliability_fuzz.py"), f"-max_total_time={args.fuzz_seconds}", "-max_len=4096", "-rss_limit_mb=4096", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, "PYTHONPATH": str(HERE.parent)})
    runs = re.findall(r"Done (\d+) runs", ended.stderr) or re.findall(r"^#(\d+)", ended.stderr, re.MULTILINE)
    faults = [] if ended.returncode == 0 else [ended.stderr[-2000:]]
    return {"figure": f"{int(runs[-1]):,} inputs in {args.fuzz_seconds} s: {len(faults)} crashes" if runs else "no input", "faults": faults}


def audit(_: argparse.Namespace, __: Path) -> Figures:
    """Known weaknesses of what is installed, as api.osv.dev knows them, where pip-audit is installed and that service is reached."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--vulnerability-service", "osv"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    found = [line for line in ended.stdout.splitlines()[2:] if line.strip()] if ended.returncode else []
    said = (ended.stderr.strip().splitlines() or [""])[-1]
    known = f"{len(found)} known weaknesses" if found or not ended.returncode else f"not audited: {said[:120]}"
    return {"figure": known, "faults": found}


SECTIONS: dict[str, tuple[str, Callable[[argparse.Namespace, Path], Figures]]] = {
    "kills": ("SIGKILL and SIGTERM inside single rooms; the same command then finishes, outcome as if undisturbed", kills),
    "training": ("the same inside a real training", training),
    "saves": ("killed at file-system events of a training, checkpoints damaged", tests(*SAVES, FTLIB_WHOLE="1")),
    "chain": ("the same over the whole chain, notebooks and trainings included", whole_chain),
    "two": ("two at once, stale locks", tests("reliability/test_two.py", "test_lock.py")),
    "disk": ("disk full, read-only, gone, at each step", tests("reliability/test_disk.py", "reliability/test_disk_training.py", FTLIB_WHOLE="1")),
    "rows": ("1,200 files of 60 kinds of malformed line, through every reader", tests("reliability/test_hostile_rows.py", FTLIB_FILES="1200")),
    "texts": ("40 payloads through every format", tests("reliability/test_hostile_output.py", "reliability/test_hostile_notebooks.py")),
    "paths": ("40 hostile names, archives, links", tests("reliability/test_paths.py")),
    "source": ("data never becomes code: static check", tests("reliability/test_source.py")),
    "stale": ("what a change touches is done again, with the reason", tests("reliability/test_stale.py")),
    "secrets": ("12 canary keys: success, failure, timeout, kill", secrets),
    "time": ("30 simulated hours of watching a hosted job", tests("training/hosted/test_watching.py")),
    "curation": ("millions of rows through a curation that counts tokens, removes equal contents and keeps the rest", curation_load),
    "page": ("100,000 test items through the comparison", page_load),
    "fuzz": ("coverage-guided fuzzing of readers and checker", fuzz),
    "audit": ("known weaknesses of dependencies", audit),
}


def stored() -> dict[str, Figures]:
    """The figures of earlier runs."""
    path = HERE / "reliability.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def write(found: dict[str, Figures]) -> None:
    """The figures, and the table of them."""
    (HERE / "reliability.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    lines = ["| rehearsal | figure | faults | command |", "|---|---|---|---|"]
    for name, (about, _) in SECTIONS.items():
        if name in found:
            figure, faults = found[name]["figure"].replace("|", "\\|"), len(found[name]["faults"])
            lines.append(f"| {about} | {figure} | {faults} | `{found[name]['command']}` |")
    (HERE / "reliability.md").write_text("\n".join(["# A bad day, rehearsed", "", *lines]) + "\n", "utf-8")
    before, begin, rest = README.read_text("utf-8").partition("<!-- rehearsals -->\n")
    README.write_text(before + begin + "\n".join(lines) + "\n<!--" + rest.partition("<!--")[2], "utf-8")


def main() -> int:
    """Run the sections asked for; returns 1 where one found a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--room", action="append", help="kill only in this room")
    parser.add_argument("--training-kills", type=int, default=20)
    parser.add_argument("--chain-kills", type=int, default=20)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--recipe", default="", help="a recipe for the load instead of the one described above")
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--fuzz-seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    unknown = set(args.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wrong = 0
    for name in args.sections or list(SECTIONS):
        with tempfile.TemporaryDirectory(prefix=f"ftlib-{name}-", ignore_cleanup_errors=True) as folder:
            print(f"== {name}", flush=True)
            options = " ".join(
                f"--{key.replace('_', '-')} {value}"
                for key, value in vars(args).items()
                if isinstance(value, int) and f"--{key.replace('_', '-')}" in sys.argv
            )
            figures = {**SECTIONS[name][1](args, Path(folder)), "command": f"python benchmarks/reliability.py {name} {options}".strip()}
        print(figures["figure"], *figures["faults"][:5], sep="\n  ", flush=True)
        wrong += len(figures["faults"])
        write({**stored(), name: figures})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
