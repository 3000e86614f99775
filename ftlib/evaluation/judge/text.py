"""The judge's result for a terminal."""

from __future__ import annotations

from typing import Any


def judge_text(found: dict[str, Any]) -> str:
    """Result, steadiness, controls, marks and agreement, one a line."""
    lines = [f"{found['a']} against {found['b']}"]
    if found.get("status") == "done":
        lines += [
            f"  preference: {found['wins_a']} to {found['wins_b']}, ties {found['ties']} of {found['n']}; "
            f"{found['a']} {_share(found, 'win_rate_a')} (p {found['p']:.4f})",
            f"  steadiness: the same in both orders {_percent(found['consistency'])}; first place chosen {_percent(found['first_position_rate'])}; "
            f"unparsable {found['unparsable']}",
            f"  at like length: {found['length_controlled']['na'] or _share(found['length_controlled'], 'win_rate_a')}",
        ]
        empty = [f"{system} {count}" for system, count in found.get("empty", {}).items() if count]
        lines += [f"  judged though empty or failed: {', '.join(empty)}"] if empty else []
        for name, control in found["controls"].items():
            lines.append(f"  control {name}: {control['right']} of {control['n']} as they should be: {'passed' if control['passed'] else 'FAILED'}")
        if not found["trusted"]:
            lines.append("  conclusion: a control failed, so this judge's preference says nothing about these systems")
        for system, data in found["systems"].items():
            rubric = data["rubric"] or {}
            shown = ", ".join(f"{name} {mark['value']:.1f}" for name, mark in rubric.items() if isinstance(mark, dict))
            lines.append(f"  {system}: {shown or 'no marks'}" + (f" ({rubric['unparsable']} unparsable)" if rubric.get("unparsable") else ""))
    elif found.get("status"):
        lines.append(f"  judge: {found['status']}" + (f": {found['reason']}" if found.get("reason") else ""))
    if found.get("family_warning"):
        lines.append(f"  note: {found['family_warning']}")
    human = found.get("human")
    if human:
        agreed = human["agreement"]
        kappa = agreed["na"] or f"kappa {agreed['kappa']:.2f}, the same verdict on {_percent(agreed['share'])} of {agreed['n']}"
        lines.append(f"  person: {human['wins_a']} to {human['wins_b']}, ties {human['ties']} of {human['n']}; agreement with the judge: {kappa}")
    if found.get("blind_sheet"):
        how = "write first, second or tie into its column better; `ftlib judge RUN --human FILE` takes it in"
        lines.append(f"  blind sheet for a person: {found['blind_sheet']} ({how})")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.0f} %"


def _share(found: dict[str, Any], key: str) -> str:
    if found[key] is None:
        return "n/a, no reply could be read"
    return f"wins {100 * found[key]:.0f} % [{100 * found['low']:.0f}, {100 * found['high']:.0f}]"
