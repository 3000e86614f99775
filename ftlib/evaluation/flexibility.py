"""Flexibility: what else a tuned model can still do, and how much it hangs on the exact words of its task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ftlib.evaluation import statistics
from ftlib.evaluation.bleeding import blurbs
from ftlib.evaluation.checks import passes
from ftlib.evaluation.items import Given, Item, match, read_answers
from ftlib.evaluation.likelihood import HOSTED, bits_per_byte, totals
from ftlib.evaluation.questions import AT, Question, probe_rows, question_sets
from ftlib.evaluation.rouge import ORDERS, rouge
from ftlib.evaluation.similar import clusters
from ftlib.evaluation.words import unicode_words
from ftlib.files import read_jsonl
from ftlib.runs import Run

Row = dict[str, Any]
Scored = tuple[float, str | None]  # the points of one row, and its title
METRIC = "rougeL"
OVERLAPS = ("wording", "transfer", "reverse")  # probes whose answers are compared with an expected text


def measure(run: Run, systems: Mapping[str, Mapping[str, Any]], training: Callable[[Run], Iterator[str]]) -> tuple[dict[str, Any], list[Row]]:
    """The flexibility of every model that answered, and the rows of its probes for the per-item table.

    Args:
        systems: the summary's entries of the systems that answered.
        training: gives the texts that a run's contestants learn from.
    """
    found: dict[str, Any] = {}
    rows: list[Row] = []
    passed: dict[str, dict[str, bool]] = {}
    bled: dict[str, dict[str, bool]] = {}
    scored: dict[str, dict[str, dict[str, Scored]]] = {name: {} for name in OVERLAPS}
    declared = run.profile.evaluation.failed_score
    for system, about in systems.items():
        if about["state"] == "trivial":
            continue
        contestant = run.contestant(about["contestant"])
        sets = question_sets(run, contestant)
        given = {name: _answers(run, system, name, questions) for name, questions in sets.items()}
        part: dict[str, Any] = {"retention": None, "forgetting": None, "wording": None, "transfer": None, "bleeding": None, "na": {}}
        if given.get("retention") is not None:
            answers = given["retention"] or []
            checks = {row["id"]: row for row in probe_rows(run, "retention")}
            passed[system] = {a.id: not a.failed and passes(a.text, checks[a.id]["check"]) for a in answers}
            part["retention"] = retention(passed[system], checks) | {"failed": sum(a.failed for a in answers)}
            flags = blurbs([a.text for a in answers], [q.prompt.user for q in sets["retention"]], training(run))
            bled[system] = {a.id: flag for a, flag in zip(answers, flags, strict=True)}
            part["bleeding"] = rate(bled[system])
            rows += [
                probe_row(a, system, "retention", q, {"passed": float(passed[system][a.id]), "blurb": float(bled[system][a.id])})
                for a, q in zip(answers, sets["retention"], strict=True)
            ]
        for name in OVERLAPS:
            if given.get(name) is not None:
                scores = [overlap(q.item, a, declared) for q, a in zip(sets[name], given[name] or [], strict=True)]
                failed = {"failed": sum(a.failed for a in given[name] or [])}
                rows += [probe_row(a, system, name, q, {METRIC: s}) for a, q, s in zip(given[name] or [], sets[name], scores, strict=True)]
                if name == "wording":
                    test = {q.item.id: overlap(q.item, a, declared) for q, a in zip(sets["test"], given["test"] or [], strict=True)}
                    scored[name][system] = by_row(sets[name], scores)
                    part["wording"] = wording(sets[name], scores, test) | interval(scored[name][system].values(), run) | failed
                else:
                    part["transfer"] = part["transfer"] or {"metric": METRIC, "value": None, "n": 0, "reverse": None}
                    scored[name][system] = {q.item.id: (score, q.item.title) for q, score in zip(sets[name], scores, strict=True)}
                    result = mean(scored[name][system].values(), run) | failed
                    part["transfer"] |= result if name == "transfer" else {"reverse": {"metric": METRIC, **result}}
        part["forgetting"] = forgetting(run, system)
        part["na"] = reasons(run, system, part)
        found[system] = part
    against_base(found, {"retention": passed, "bleeding": bled})
    changes(found, scored, run)
    return found, rows


def _answers(run: Run, system: str, name: str, questions: Sequence[Question]) -> list[Given] | None:
    """A system's answers to a set in its order; None where it was refused before it came to it."""
    path = run.answers_file(system, name)
    if not path.exists():
        return None
    if (path.parent / "refused.json").exists() and len(list(read_jsonl(path))) < len(questions):
        return None
    return match([question.item for question in questions], read_answers(path), str(path))


def overlap(item: Item, answer: Given, failed: float) -> float:
    """ROUGE-L F1 of one answer in points, or what is declared for one that ``failed``."""
    return failed if answer.failed else rouge(unicode_words(answer.text or ""), unicode_words(item.reference))[ORDERS.index(METRIC)][2]


def probe_row(answer: Given, system: str, name: str, question: Question, metrics: dict[str, float]) -> Row:
    """A row of the per-item table for a probe; what was asked stands in ``prompt``."""
    return {
        "id": answer.id,
        "system": system,
        "set": name,
        "title": question.item.title or "",
        "reference": question.item.reference,
        "prompt": question.prompt.user,
        "answer": answer.text,
        "failed": answer.failed,
        "metrics": metrics,
        "flags": [],
    }


def rate(found: Mapping[str, bool]) -> Row:
    """A share with Wilson's interval."""
    count, n = sum(found.values()), len(found)
    low, high = statistics.wilson(count, n)
    return {"rate": count / n, "low": low, "high": high, "count": count, "n": n}


def retention(passed: Mapping[str, bool], checks: Mapping[str, Row]) -> Row:
    """Share of short instructions outside the domain that were carried out, in all and by kind."""
    kinds: dict[str, Row] = {}
    for identity, ok in passed.items():
        kind = kinds.setdefault(str(checks[identity]["kind"]), {"passed": 0, "n": 0})
        kind["passed"] += ok
        kind["n"] += 1
    return {**rate(passed), "by_kind": kinds}


def wording(questions: Sequence[Question], scores: Sequence[float], test: Mapping[str, float]) -> Row:
    """The task in other words: mean over the wordings, the worst, the spread; the task's own words on the same rows beside."""
    by_name: dict[str, list[float]] = {}
    own: dict[str, float] = {}
    for question, score in zip(questions, scores, strict=True):
        identity, _, name = question.item.id.rpartition(AT)
        by_name.setdefault(name, []).append(score)
        own[identity] = test[identity]
    means = {name: sum(values) / len(values) for name, values in by_name.items()}
    worst = min(means, key=means.__getitem__)
    return {
        "metric": METRIC,
        "by_wording": means,
        "mean": sum(means.values()) / len(means),
        "worst": means[worst],
        "worst_wording": worst,
        "spread": max(means.values()) - means[worst],
        "original": sum(own.values()) / len(own),
        "n": len(own),
    }


def by_row(questions: Sequence[Question], scores: Sequence[float]) -> dict[str, Scored]:
    """The mean over the wordings of each row, with its title; every row is asked in every wording."""
    found: dict[str, list[float]] = {}
    titles: dict[str, str | None] = {}
    for question, score in zip(questions, scores, strict=True):
        identity = question.item.id.rpartition(AT)[0]
        found.setdefault(identity, []).append(score)
        titles[identity] = question.item.title
    return {identity: (sum(values) / len(values), titles[identity]) for identity, values in found.items()}


def mean(scored: Iterable[Scored], run: Run) -> Row:
    """Mean over rows with its ``interval``."""
    scored = list(scored)
    return {"value": sum(score for score, _ in scored) / len(scored), **interval(scored, run), "n": len(scored)}


def interval(scored: Iterable[Scored], run: Run) -> Row:
    """Bootstrap interval of a mean over rows, near-equal titles resampled whole; one row, or one group of titles, has none."""
    sums = _sums(scored)
    drawn = statistics.bootstrap(sums, run.profile.evaluation.resamples, run.profile.seed)
    low, high = statistics.interval(drawn[:, 0] / drawn[:, 1]) if len(sums) > 1 else (None, None)
    return {"low": low, "high": high}


def _sums(scored: Iterable[Scored]) -> statistics.Floats:
    """Points and number of rows, by group of near-equal titles."""
    import numpy as np

    scored = list(scored)
    return statistics.cluster_sums(np.array([[score, 1.0] for score, _ in scored]), clusters([title for _, title in scored]))


def forgetting(run: Run, system: str) -> Row | None:
    """Bits per byte on neutral text."""
    path = run.answers_file(system, "forgetting")
    rows = list(read_jsonl(path)) if path.exists() else []
    if not rows:
        return None
    nats, size = totals(rows)
    return {"bits_per_byte": bits_per_byte(nats, size), "n": len(rows), "bytes": size}


def own_base(system: str, found: Mapping[str, Any]) -> str | None:
    """The base of a tuned system, where it answered too."""
    base = system.removesuffix(".tuned") + ".base"
    return base if system.endswith(".tuned") and base in found else None


def against_base(found: dict[str, Any], results: Mapping[str, Mapping[str, Mapping[str, bool]]]) -> None:
    """Add to every tuned system how it differs from its base: exact McNemar for rates, the difference for bits per byte.

    Args:
        results: probe -> system -> question -> whether it has what is counted.
    """
    for system, part in found.items():
        if (base := own_base(system, found)) is None:
            continue
        for name, answered in results.items():
            if system in answered and base in answered:
                before, after = answered[base], answered[system]
                only_base = sum(before[i] and not after[i] for i in before)
                only_tuned = sum(after[i] and not before[i] for i in before)
                part[name]["against_base"] = {"only_base": only_base, "only_tuned": only_tuned, "p": statistics.mcnemar(only_base, only_tuned)}
        if part["forgetting"] and found[base]["forgetting"]:
            part["forgetting"]["change"] = part["forgetting"]["bits_per_byte"] - found[base]["forgetting"]["bits_per_byte"]


def changes(found: dict[str, Any], scored: Mapping[str, Mapping[str, Mapping[str, Scored]]], run: Run) -> None:
    """Add to every tuned system by how many points it differs from its base on the same rows: interval, and p of a permutation test.

    Args:
        scored: probe -> system -> row -> its points and title.
    """
    for system, part in found.items():
        base = own_base(system, found)
        for name, answered in scored.items():
            if base is not None and base in answered and system in answered:
                before, after = answered[base], answered[system]
                pairs = [(after[identity][0] - before[identity][0], title) for identity, (_, title) in before.items()]
                flipped = statistics.sign_flips(_sums(pairs), run.profile.evaluation.resamples, run.profile.seed)[:, 0] / len(pairs)
                change = mean(pairs, run)
                where = part["transfer"]["reverse"] if name == "reverse" else part[name]
                where["against_base"] = {**change, "p": statistics.permutation(flipped, change["value"])}


def reasons(run: Run, system: str, part: Mapping[str, Any]) -> dict[str, str]:
    """Why each probe that has no figure has none."""
    contestant = run.contestant(system.rsplit(".", 1)[0])
    wanted = run.profile.evaluation.probes
    found: dict[str, str] = {}
    for name in ("retention", "forgetting", "wording", "transfer", "bleeding"):
        if part[name] is not None:
            continue
        asked = name in wanted or (name == "bleeding" and "retention" in wanted)
        if not asked:
            found[name] = "the profile does not ask for it"
        elif contestant.recorded is not None:
            found[name] = "its answers were recorded elsewhere"
        elif name == "forgetting" and contestant.trainer == "hosted":
            found[name] = HOSTED
        elif contestant.few_shot is not None:
            found[name] = "nothing was tuned: the prompt is all that differs"
        elif (run.path / "answers" / system / "refused.json").exists():
            found[name] = "refused before it came to it"
        else:
            found[name] = {"wording": "the task has no paraphrases", "transfer": "the profile holds no slice out (data.held_out)"}.get(
                name, "not measured"
            )
    if part["transfer"] is not None and part["transfer"]["value"] is None:
        found["transfer.value"] = "the profile holds no slice out (data.held_out)"
    return found


def failed_items(parts: Mapping[str, Mapping[str, Any]], declared: float) -> str:
    """A sentence with the items that failed, by system and probe, and how they were scored; empty where none did."""
    counts = [
        f"{system} {name} {found['failed']}"
        for system, part in parts.items()
        for name, found in [*part.items(), ("reverse", (part.get("transfer") or {}).get("reverse"))]
        if isinstance(found, Mapping) and found.get("failed")
    ]
    return f"Failed items, scored as not passed or {declared:g}: {', '.join(counts)}." if counts else ""
