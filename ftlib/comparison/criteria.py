"""Precision, training efficiency, operational cost, flexibility: four tables, and no score that mixes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftlib.comparison.cost import HOURS, VOLUMES, SystemCost, break_even, break_even_price
from ftlib.comparison.judged import share
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import difference, metric_names, ranked, score, unit_of
from ftlib.comparison.table import Cell, Column, Figure, Table, known, listed, number, stored

SYSTEM = Column("system", "System")
STATUS = Column("status", "Status", help="why a system has no figures, where it has none")


def status(material: Material, system: str) -> str:
    """done, or refused/failed with the reason."""
    data = material.systems[system]
    word = str(data.get("status") or "done")
    return word if word in ("done", "ok") or not data.get("reason") else f"{word}: {data['reason']}"


def degenerate(material: Material, system: str) -> Figure:
    """Share of test answers with at least one flag, in per cent, with Wilson's interval."""
    items = material.items.get(system)
    if not items:
        return Figure(None, "%", na=str(material.systems[system].get("reason") or "no scored items"))
    from ftlib.evaluation.statistics import wilson

    count = material.flagged[system]
    low, high = wilson(count, len(items))
    return Figure(100 * count / len(items), "%", low=100 * low, high=100 * high)


def precision(material: Material) -> Table:
    """The primary metric with interval, against the own base and against the best; the other metrics; degenerate answers."""
    order = ranked(material)
    best = order[0] if order else None
    unit = unit_of(material)
    others = [name for name in metric_names(material)[1:] if name != "bits_per_byte"]  # it has a column of its own
    columns = [
        SYSTEM,
        STATUS,
        Column("primary", material.primary, unit, "the declared primary metric, mean with 95 % interval"),
        Column("own_base", "against own base", unit, "tuned minus base on the same items; * where p is below 0.05 after Holm's correction"),
        Column("best", "against the best", unit, f"minus {best}, which has the best figure of all; * as before"),
        Column("degenerate", "degenerate answers", "%", "share of answers with at least one flag of the Degenerate sheet"),
        Column("failed", "failed items", "", "scored as the profile declares, never dropped"),
        Column("judge", "judge", "%", "share of pairs won, where a judge was run"),
        Column("bits", "bits per byte", "bits", "of the expected answers, local models only; lower is better"),
        *(Column(f"metric.{name}", name, unit_of(material, name)) for name in others),
    ]
    rows: list[dict[str, Cell]] = []
    for system in [*order, *(name for name in material.systems if name not in order)]:
        data, base = material.systems[system], material.base_of(system)
        row: dict[str, Cell] = {"system": system, "status": status(material, system), "primary": score(material, system)}
        why = "no tuned state" if material.state(system) != "tuned" else "its base was not scored"
        row["own_base"] = difference(material, system, base, why="not scored" if system not in order else "this pair was not tested" if base else why)
        row["best"] = (
            Figure(None, unit, na="it has the best figure")
            if system == best
            else difference(material, system, best, why="not scored" if system not in order else "not tested")
        )
        row["degenerate"], row["failed"] = degenerate(material, system), known(data.get("failed"), "not scored", digits=0)
        row["judge"] = _judge(material, system)
        bits = score(material, system, "bits_per_byte")
        row["bits"] = replace(bits, digits=3) if bits.known else stored(data, "bits_per_byte", digits=3, why="not measured")
        row |= {f"metric.{name}": score(material, system, name) for name in others}
        rows.append(row)
    return Table(
        "precision",
        "Precision",
        "How near the answers are to the expected ones, on the same test rows for every system; best first.",
        columns,
        rows,
        _precision_notes(material),
    )


def _precision_notes(material: Material) -> list[str]:
    notes = []
    smallest = material.summary.get("smallest_difference") or {}
    if smallest.get("value") is not None:
        size = f"{number(smallest['value'], 1)} {smallest.get('unit') or ''}".strip()
        notes.append(
            f"{material.n} items show a true difference of {size} of {smallest.get('metric') or material.primary} in four cases of five"
            " (80 % power at 5 %, for a typical pair of models), a smaller one less often: without * it may be there unseen, with * it counts."
        )
    clusters = int((material.summary.get("settings") or {}).get("clusters") or material.n)
    if clusters < material.n:
        notes.append(
            f"Rows whose titles are nearly equal are no independent evidence: the {material.n} items are drawn as {clusters} groups in every interval"
            " and test."
        )
    notes.append(seed_note(material))
    if any(material.state(system) == "trivial" for system in material.systems):
        from ftlib.evaluation.trivial import BY_CONSTRUCTION

        notes.append(BY_CONSTRUCTION)
    return notes


def seed_note(material: Material) -> str:
    """How much another training seed changes, or that nobody measured it."""
    seeds = material.summary.get("seeds") or {}
    groups = seeds.get("groups") or []
    if not groups:
        return "Each contestant was trained once: seed variance not measured."
    return "; ".join(f"{listed(g['contestants'])} differ by seed alone: mean {g['mean']:.1f}, standard deviation {g['sd']:.1f}" for g in groups) + "."


def _judge(material: Material, system: str) -> Figure:
    judge = material.summary.get("judge") or {}
    found = (judge.get("systems") or {}).get(system) or {}
    why = (
        "no judge was run"
        if not judge.get("systems")
        else str(judge.get("reason") or "no reply could be read")
        if found
        else "not among the judged systems"
    )
    return share(found, "win_rate", why)


def training(material: Material) -> Table:
    """Time, throughput, memory, energy of each contestant's training, and what they bought."""
    unit = unit_of(material)
    columns = [
        Column("contestant", "Contestant"),
        Column("status", "Status"),
        Column("device", "Device"),
        Column("method", "Method"),
        Column("wall", "wall time", "s", "load, tokenise, train, evaluate, save and waiting"),
        Column("train", "training alone", "s"),
        Column("queue", "in the queue", "s"),
        Column("tokens_rate", "tokens a second", "1/s"),
        Column("examples_rate", "examples a second", "1/s"),
        Column("seen", "examples seen", "", "each epoch counts again"),
        Column("distinct", "distinct examples"),
        Column("epochs", "epochs"),
        Column("tokens", "tokens seen"),
        Column("memory", "peak memory", "GB", "reserved on the GPU; resident in main memory where there is none"),
        Column("energy", "energy", "Wh"),
        Column("trainable", "trainable share", "%"),
        Column("adapter", "adapter", "MB"),
        Column("gain", "gain", unit, "tuned minus base, primary metric"),
        Column("gain_hour", "gain an hour", f"{unit}/h", "of training time, on this device"),
        Column("gain_1000", "gain per 1,000 examples", unit),
    ]
    rows = [_training_row(material, name, report) for name, report in material.trainings.items()]
    notes = [
        f"{name} learned {cut:,} of its {report['examples']['distinct']:,} answers without their end, for rows above max_length were cut."
        for name, report in material.trainings.items()
        if (cut := (report.get("examples") or {}).get("cut"))
    ]
    return Table(
        "training",
        "Training efficiency",
        "What each training took, and the quality that it bought.",
        columns,
        rows,
        ["Hours and memory of different devices do not compare; the device stands in each row.", *notes],
    )


def _training_row(material: Material, name: str, report: Mapping[str, Any]) -> dict[str, Cell]:
    idle = "nothing is trained" if report.get("status") == "nothing_to_train" else "not recorded"

    def get(path: str, unit: str = "", scale: float = 1.0, digits: int = 1) -> Figure:
        return stored(report, path, unit=unit, scale=scale, digits=digits, why=idle)

    reason = f": {report['reason']}" if report.get("reason") else ""
    device = report.get("device") or {}
    memory = get("memory.reserved_bytes", "GB", 1e-9, 2)
    if not memory.known and (report.get("memory") or {}).get("rss_bytes"):
        memory = get("memory.rss_bytes", "GB", 1e-9, 2)
    tuned = f"{name}.tuned"
    gain = difference(material, tuned, material.base_of(tuned) if tuned in material.systems else None, why="base and tuned were not both scored")
    hours, seen = get("seconds.train", scale=1 / 3600), get("examples.seen")
    if not hours.known:
        hours = get("seconds.total", scale=1 / 3600)
    return {
        "contestant": name,
        "status": f"{report.get('status')}{reason}",
        "device": str(device.get("name") or device.get("kind") or "n/a: not said"),
        "method": str(report.get("method") or "n/a"),
        "wall": get("seconds.total", "s"),
        "train": get("seconds.train", "s"),
        "queue": get("seconds.queue", "s"),
        "tokens_rate": get("rates.tokens_per_second"),
        "examples_rate": get("rates.examples_per_second", digits=2),
        "seen": get("examples.seen", digits=0),
        "distinct": get("examples.distinct", digits=0),
        "epochs": get("epochs"),
        "tokens": get("tokens.seen", digits=0),
        "memory": memory,
        "energy": get("energy_wh", "Wh"),
        "trainable": get("parameters.share", "%", 100, 2),
        "adapter": get("adapter_bytes", "MB", 1e-6),
        "gain": gain,
        "gain_hour": _per(gain, hours, 1.0),
        "gain_1000": _per(gain, seen, 1000.0),
    }


def _per(gain: Figure, amount: Figure, times: float) -> Figure:
    """The gain for so much of an amount, with its interval."""
    if gain.value is None or not amount.value:
        return Figure(None, na=gain.na or amount.na or "the amount is 0")
    factor = times / amount.value
    return Figure(
        gain.value * factor,
        gain.unit,
        low=None if gain.low is None else gain.low * factor,
        high=None if gain.high is None else gain.high * factor,
        digits=2,
    )


def cost(material: Material, found: Mapping[str, SystemCost]) -> Table:
    """Money for training and answers, paid and at the shadow price; latency; two volumes."""
    columns = [
        SYSTEM,
        Column("train_paid", "training, paid", "USD"),
        Column("train_shadow", "training, shadow price", "USD", "its machine hours at the price book's price of that machine"),
        Column(
            "hosting", "kept ready for a month", "USD", f"what the provider charges by the hour for a tuned model that stands, for {HOURS:.0f} hours"
        ),
        Column("paid", "1,000 answers, paid", "USD"),
        Column("shadow", "1,000 answers, shadow price", "USD"),
        Column("seconds", "one answer, time", "s", "mean over the test items: machine time here, waiting time at an API"),
        Column("p50", "latency p50", "s"),
        Column("p95", "latency p95", "s"),
        *(Column(f"at.{n}", f"training and {n:,} answers", "USD", "in the first month: bill where there is one, else shadow price") for n in VOLUMES),
        Column("machines", f"machines for {VOLUMES[-1]:,} a month", "", f"machine hours over {HOURS:.0f} hours a month"),
    ]
    rows: list[dict[str, Cell]] = []
    for name, one in found.items():
        data = material.systems[name]
        hours = one.machine_hours(VOLUMES[-1])
        rows.append(
            {
                "system": name,
                "train_paid": one.train_paid,
                "train_shadow": Figure(None, "USD", na=one.train_paid.na or "billed, see paid") if one.hosted else one.train_shadow,
                "hosting": one.hosting,
                "paid": one.paid_per_1000,
                "shadow": Figure(None, "USD", na=one.paid_per_1000.na or "billed, see paid") if one.hosted else one.shadow_per_1000,
                "seconds": one.seconds,
                "p50": stored(data, "latency.p50", digits=3),
                "p95": stored(data, "latency.p95", digits=3),
                **{f"at.{n}": known(one.total(n), one.fixed.na or one.per_1000.na, unit="USD", digits=2) for n in VOLUMES},
                "machines": known(None if hours is None else hours / HOURS, "an API" if one.hosted else one.seconds.na, digits=2),
            }
        )
    return Table(
        "cost",
        "Operational cost",
        "A machine of one's own or a free Colab is paid with 0; the shadow price says what the same hours cost when rented.",
        columns,
        rows,
        _cost_notes(material, found),
    )


def _cost_notes(material: Material, found: Mapping[str, SystemCost]) -> list[str]:
    """Where prices of an hour are from, and how many questions were asked at once."""
    notes = [
        f"Hour price of {name}: {one.hour_price.text()} ({one.hour_source})."
        for name, one in found.items()
        if one.hour_price.known and material.state(name) == "tuned"
    ]
    notes += [
        f"{name} is kept ready at {one.hosting_source}. A whole month is counted; a deployment that is stopped between uses costs less."
        if one.hosting.known
        else f"{name}: {one.hosting.na}; {one.hosting_source}"
        for name, one in found.items()
        if one.hosting_source
    ]
    for name, contestant in material.contestants.items():
        if f"{name}.tuned" in found or f"{name}.base" in found:
            notes += _together(name, contestant)
    wanting = {one.hour_price.na: one.hour_source for one in found.values() if not one.hour_price.known and one.hour_source}
    notes += [f"{na[:1].upper()}{na[1:]}; {what}" for na, what in wanting.items()]
    return notes


def _together(name: str, contestant: Mapping[str, Any]) -> list[str]:
    """How many questions a contestant was asked at once, which its times depend on."""
    if contestant.get("recorded") or contestant.get("batch_api"):
        return []
    if contestant.get("engine") == "vllm":
        return [f"{name} answered the questions of each set together; the time of one is its share of theirs."]
    if contestant.get("trainer") == "local":
        many = (contestant.get("decoding") or {}).get("batch")
        return [f"{name} answered {many} questions at a time; the time of one is its share of theirs."] if many else []
    many = contestant.get("concurrency")
    return [f"{name} was asked {many} questions at a time; the time of one is from its request to its answer."] if many else []


def break_evens(found: Mapping[str, SystemCost]) -> Table:
    """For every two systems: from how many answers they have cost the same, and the machine price at which they do."""
    columns = [
        Column("a", "A"),
        Column("b", "B"),
        Column("answers", "break-even", "answers", "below it the one with the cheaper training is ahead, above it the other"),
        *(
            Column(
                f"price.{n}",
                f"break-even GPU price at {n:,} answers",
                "USD/h",
                "a machine hour cheaper than this makes the local system the cheaper one",
            )
            for n in VOLUMES
        ),
    ]
    rows: list[dict[str, Cell]] = []
    names = list(found)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            one, two = found[a], found[b]
            row: dict[str, Cell] = {"a": a, "b": b, "answers": break_even(one, two)}
            for n in VOLUMES:
                local, hosted = (two, one) if one.hosted else (one, two)
                mixed = one.hosted != two.hosted
                row[f"price.{n}"] = (
                    break_even_price(local, hosted, n)
                    if mixed
                    else Figure(None, "USD/h", na="both are billed" if one.hosted else "both run on machines")
                )
            rows.append(row)
    return Table("break_even", "Break-even", "Where one system becomes cheaper than another.", columns, rows)
