"""`ftlib score`: answers that were recorded anywhere, scored as those of a run are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ftlib.errors import DataError
from ftlib.evaluation.items import match, read_answers, read_references, rows
from ftlib.files import sha256_file, write_jsonl

METRICS = ("rouge1", "rouge2", "rougeL", "chrf", "length_ratio", "title_faithfulness")


def score_files(
    references: Path | str,
    answers: Sequence[Path | str],
    *,
    metrics: Sequence[str] | None = None,
    primary: str = "rougeL",
    seed: int = 42,
    resamples: int = 10_000,
    train: Path | str | None = None,
    language: str = "en",
    embedding: str | None = None,
    failed_score: float = 0.0,
    out: Path | str | None = None,
) -> dict[str, Any]:
    """Score files of answers, one a system, against one file of references.

    Args:
        references: lines ``{id, title?, reference}``.
        answers: files of lines ``{id, answer, ...}``; a system is named after its file, or its folder (``name_systems``).
        metrics: names (the default ones where None); primary is added where it is not among them.
        resamples: of the bootstrap and of the permutation test.
        train: the training file in any of our formats, for the memorised flag.
        language: of the answers, for content words and the wrong_language flag.
        embedding: a sentence-embedding model (folder or hub id), which adds the metric ``semantic``.
        failed_score: what an item without an answer scores.
        out: where to write the per-item table (JSON lines).

    Returns the summary: systems, pairs, mcnemar, smallest_difference, seeds, settings. Raises DataError (file, line, field; ids
    that do not match; ``out`` is one of the files read) and ProfileError (a metric that does not exist).
    """
    from ftlib.evaluation.metrics import check_names
    from ftlib.evaluation.score import Settings, item_rows, score
    from ftlib.evaluation.seeds import NOT_MEASURED
    from ftlib.evaluation.semantic import semantic

    names = [*dict.fromkeys([*(metrics or METRICS), primary, *(["semantic"] if embedding else [])])]
    check_names(names, primary, embedded=embedding is not None)
    for path in [references, *answers, *([train] if train else [])]:
        if out and Path(out).resolve() == Path(path).resolve():
            raise DataError(f"--out {out} is one of the files that are read; give the per-item table a name of its own.")
    items = read_references(Path(references))
    files = name_systems([Path(path) for path in answers])
    given = {name: match(items, read_answers(path), str(path)) for name, path in files.items()}
    settings = Settings(names, primary, seed, resamples, failed_score, language)
    more = semantic(items, given, embedding, settings.failed_score) if embedding else {}
    scored = score(items, given, settings, training=training_texts(Path(train)) if train else None, more=more)
    summary = scored.summary
    summary["test_hash"] = sha256_file(references)
    summary["seeds"] = {"metric": primary, "groups": [], "na": NOT_MEASURED}
    summary["settings"]["answers"] = {name: {"file": str(path), "sha256": sha256_file(path)} for name, path in files.items()}
    if out:
        write_jsonl(out, item_rows(items, given, scored))
    return summary


def name_systems(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each file: its stem, or its folder's where stems are shared or the stem is ``test``, as in a run's ``answers/SYSTEM/test.jsonl``.

    Both, where folders are shared too. Raises DataError where a file stands twice.
    """
    stems = [path.stem for path in paths]
    shared = [path.stem == "test" or stems.count(path.stem) > 1 for path in paths]
    short = [path.resolve().parent.name if folder else path.stem for path, folder in zip(paths, shared, strict=True)]
    names = [name if short.count(name) == 1 else f"{path.parent.name}/{path.stem}" for path, name in zip(paths, short, strict=True)]
    if len(set(names)) < len(names):
        raise DataError(f"--answers: {', '.join(map(str, paths))}: two of them would have the same name; give each file a name of its own.")
    return dict(zip(names, paths, strict=True))


def training_texts(path: Path) -> Iterator[str]:
    """The texts that a training file teaches: content, output, or the assistant's turns. Raises DataError with the line."""
    for number, row in rows(path):
        if isinstance(turns := row.get("messages"), list):
            found = [turn.get("content") for turn in turns if isinstance(turn, dict) and turn.get("role") == "assistant"]
        else:
            found = [row.get("content", row.get("output", row.get("reference")))]
        texts = [text for text in found if isinstance(text, str)]
        if not texts:
            raise DataError(
                f"{path}, line {number}: neither content, output nor messages with an assistant's text; give a training file of our formats."
            )
        yield from texts


def faults(found: dict[str, Any]) -> list[str]:
    """Why scores are findings and not plain results: answers that failed, and systems of which every answer is empty."""
    said = []
    for name, data in found["systems"].items():
        if data["failed"]:
            said.append(f"{name}: {data['failed']} of {found['n']} answers failed")
        elif data["flags"]["empty"]["count"] == found["n"]:
            said.append(f"{name}: every answer is empty")
    return said


def scores_text(found: dict[str, Any]) -> str:
    """The summary as a few tables for a terminal."""
    names = [name for name in found["settings"]["metrics"] if any(name in s["metrics"] for s in found["systems"].values())]
    width = max(len("system"), *map(len, found["systems"]))
    count = f"{found['n']} {'item' if found['n'] == 1 else 'items'}"
    lines = [f"{count}, {found['settings']['resamples']} resamples, primary metric {found['primary']}; [95 % interval]", ""]
    units = {name: data["metrics"][name]["unit"] for data in reversed(found["systems"].values()) for name in names if name in data["metrics"]}
    lines.append("  ".join(["system".ljust(width), "failed", *(name.rjust(22) for name in names)]))
    lines.append("  ".join([" " * width, "items".rjust(6), *(units[name].rjust(22) for name in names)]))
    for system, data in found["systems"].items():
        cells = [_cell(data["metrics"].get(name)).rjust(22) for name in names]
        lines.append("  ".join([system.ljust(width), str(data["failed"]).rjust(6), *cells]))
    if found["settings"]["few_items"]:
        lines.append(f"\nWarning: {found['settings']['few_items']}")
    small = found["smallest_difference"]
    if small["value"] is not None:
        lines.append(f"\nSmallest {small['metric']} difference that {found['n']} items can show: {small['value']:.2f} {small['unit']}.")
    shown = [row for row in found["pairs"] if row["metric"] == found["primary"]]
    if shown:
        unit = units.get(found["primary"], "")
        lines += ["", f"differences in {found['primary']}, {unit}, [95 % interval], p of the paired bootstrap and of sign flips, and after Holm"]
        if found["settings"]["few_items"]:
            lines.append("  (with so few items Holm corrects the larger of the two p)")
        for row in shown:
            interval = f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
            lines.append(f"  {row['a']} - {row['b']}: {interval}, p {row['p']:.4f} and {row['p_permutation']:.4f}, Holm {row['p_holm']:.4f}")
        lines.append(f"  {found['seeds']['na']}: another training of the same model gives other figures")
    lines += ["", *(f"Finding: {fault}." for fault in faults(found)), "degenerate answers"]
    for system, data in found["systems"].items():
        seen = [f"{kind} {100 * rate['rate']:.0f} % ({rate['count']})" for kind, rate in data["flags"].items() if rate["count"]]
        lines.append(f"  {system}: {', '.join(seen) or 'none'}")
    unknown = {
        name.removeprefix("flags."): why for data in found["systems"].values() for name, why in data["na"].items() if name.startswith("flags.")
    }
    lines += [f"  not looked for: {name} ({why})" for name, why in unknown.items()]
    return "\n".join(lines)


def _cell(metric: dict[str, Any] | None) -> str:
    if not metric:
        return "n/a"
    return f"{metric['value']:.2f} " + ("[n/a]" if metric["low"] is None else f"[{metric['low']:.2f}, {metric['high']:.2f}]")
