"""An estimate for a reader."""

from __future__ import annotations

from typing import Any

TIMING = "answers_seconds"  # told beside the number of questions
Json = dict[str, Any]


def estimate_text(found: Json) -> str:
    """What is spent, on what, and how it was worked out."""
    lines = _file(found) if found["kind"] == "file" else _profile(found)
    lines += [
        f"price: {row['provider']} {row['model']} {row['unit']}: {row['usd']:g} dollars"
        + ("" if row["low"] == row["high"] else f" ({row['low']:g} to {row['high']:g})")
        + ("" if row["per"] == 1 else f" per {row['per']:,.0f}")
        + f", {row['date']}, {row['source']}"
        + (f" ({row['note']})" if row["note"] else "")
        for row in found["prices"]
    ]
    return "\n".join([*lines, *(f"warning: {line}" for line in found["warnings"])])


def _file(found: Json) -> list[str]:
    return [f"{found['what']}, {found['model']}:", *("  " + line for line in _training(found)), *("  " + line for line in _thousand(found))]


def _profile(found: Json) -> list[str]:
    lines = [f"{found['what']}:"]
    for report in found["contestants"]:
        what = f"{report['trainer']}, {report['model']}" if report["model"] else "recorded answers"
        lines.append(f"  {report['contestant']} ({what})")
        lines += ["    " + line for line in _training(report)]
        if "answers" in report:
            items = sum(part["items"] for part in report["answers"].values())
            sets = ", ".join(f"{name} {part['items']}" for name, part in report["answers"].items())
            paid = in_dollars(report, "answers_cost_usd") if report["trainer"] == "hosted" else "no bill"
            lent = sorted(set(report.get("base_answers_of", {}).values()))
            paid += f"; its base answers for {', '.join(lent)} already" if lent else ""
            of, count = ("each of 2 systems", f", {2 * items:,} in all") if len(report["systems"]) == 2 else ("one system", "")
            lines.append(f"    asks {items:,} questions of {of} ({sets}){count}: {paid}")
            lines.append(f"    time of answering: {_answering(report)}")
        lines += ["    " + line for line in _thousand(report)]
    lines.append(
        f"  training {in_dollars(found, 'training_cost_usd')}, answers {in_dollars(found, 'answers_cost_usd')}, "
        f"judge {in_dollars(found, 'judge_cost_usd')}, together {in_dollars(found, 'total_cost_usd')}"
    )
    if found["local_seconds"] is not None:
        low, high = (_time(found[f"local_seconds_{end}"]) for end in ("low", "high"))
        where = f" on {' and '.join(found['local_machines'])}" if found["local_machines"] else ""
        took = f"{_time(found['local_seconds'])} ({low} to {high})"
        lines.append(f"  local training and answers{where}: {took}; loading, compiling and what is hosted apart")
    fits = {True: "within", False: "NOT within", None: "not known to be within"}[found["within_budget"]]
    lines.append(f"  {fits} the budget of {found['budget_usd']:g} dollars")
    lines += [f"  {key}: {why}" for key, why in found["na"].items()]
    if found["unknown"]:
        lines.append(f"  unknown: {', '.join(found['unknown'])}; what is known comes to {_amount(found['known_cost_usd'])} dollars")
    return lines


def _answering(report: Json) -> str:
    if report[TIMING] is None:
        return f"n/a, {report['na'][TIMING]}"
    return f"{_time(report[TIMING])} ({_time(report[f'{TIMING}_low'])} to {_time(report[f'{TIMING}_high'])}): {report['answers_reasoning']}"


def _training(report: Json) -> list[str]:
    if "examples" not in report:
        return [f"{key}: {why}" for key, why in report.get("na", {}).items() if key != TIMING]
    each = report["tokens_per_example"]
    steps = "" if report["steps"] is None else f", {report['steps']} steps"
    lines = [
        f"{report['examples']:,} examples, {each['min']} to {each['max']} tokens (mean {each['mean']}; {report['counted_by']}), "
        f"{report['epochs']:g} epoch{'' if report['epochs'] == 1 else 's'}{steps}"
    ]
    if "billed_training_tokens" in report:
        cost = in_dollars(report, "training_cost_usd")
        if "minimum_charge_usd" in report:
            cost = f"{cost}: the minimum charge of a job; its tokens alone {in_dollars(report, 'tokens_cost_usd')}"
        lines.append(f"{report['billed_training_tokens']:,} billed training tokens: {cost}")
    if "hosting_usd_per_hour" in report:
        lines.append(f"hosting the tuned model: {in_dollars(report, 'hosting_usd_per_hour')} an hour, as long as it stands")
    if report.get("seconds") is not None:
        fits = {True: ", fits", False: ", does not fit", None: "" if report["gpu"] == "cpu" else ", may not fit"}[report["fits"]]
        took = f"{_time(report['seconds_low'])} to {_time(report['seconds_high'])}"
        lines.append(f"{took}, {report['memory_bytes'] / 1e9:.1f} GB on {report['gpu']}{fits}{_rented(report)}")
    return [*lines, *report.get("reasoning", []), *(f"{key}: {why}" for key, why in report.get("na", {}).items() if key not in ("steps", TIMING))]


def _rented(report: Json) -> str:
    """What the training costs on a rented GPU, by whose prices; free offers are named."""
    if "rented_cost_usd" not in report:
        return ""
    hours = [f"{row['provider']} {row['usd']:.3g}" if row["usd"] else f"{row['provider']} free" for row in report["gpu_hour_usd"]]
    return f"; rented {in_dollars(report, 'rented_cost_usd')} at the median of the paid prices of an hour: {', '.join(hours)}"


def _thousand(report: Json) -> list[str]:
    parts = [f"{state} {in_dollars(amount, 'usd')}" for state, amount in (report.get("usd_per_1000_answers") or {}).items() if amount]
    parts += [f"{key.rpartition('.')[2]} n/a" for key in report.get("na", {}) if key.startswith(("usd_per_1000_answers.", "answers_cost_usd."))]
    return [f"a thousand answers: {', '.join(parts)}"] if parts else []


def in_dollars(report: Json, key: str) -> str:
    """``2.97 dollars``, with its bounds where they differ; n/a where it is not known."""
    if report.get(key) is None:
        return "n/a"
    amount: float = report[key]
    low, high = (report.get(f"{key}_{bound}", amount) for bound in ("low", "high"))
    return f"{_amount(report[key])} dollars" + ("" if low == high else f" ({_amount(low)} to {_amount(high)})")


def _amount(usd: float) -> str:
    """Whole cents from a dollar on, three digits that count below."""
    return f"{usd:,.2f}" if usd >= 1 or usd == 0 else f"{usd:.3g}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
