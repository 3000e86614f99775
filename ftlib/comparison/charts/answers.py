"""Charts of the answers: their lengths, their defects, and what else the models can do."""

from __future__ import annotations

from ftlib.comparison.charts.chart import Drawing
from ftlib.comparison.charts.style import COLOURS, GREY, figure, title
from ftlib.comparison.flexibility import PROBES, change, probe
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import ranked
from ftlib.comparison.table import number


def lengths(material: Material) -> Drawing | None:
    """Words of the answers of each system, and of the expected ones."""
    import numpy as np

    order = [name for name in ranked(material) if name in material.items]
    if not order:
        return None
    expected = np.array([len(item.reference.split()) for item in next(iter(material.items.values())).values()])
    words = {"expected": expected} | {name: np.array([len((item.answer or "").split()) for item in material.items[name].values()]) for name in order}
    made, ax = figure(1.6 + 0.4 * len(words))
    box = ax.boxplot(
        list(words.values()), orientation="horizontal", whis=(5, 95), showfliers=False, widths=0.6, patch_artist=True, medianprops={"color": "black"}
    )
    for i, patch in enumerate(box["boxes"]):
        patch.set_facecolor("#bbbbbb" if i == 0 else {"tuned": COLOURS[0], "base": COLOURS[4]}.get(material.state(order[i - 1]), "#eeeeee"))
    ax.axvline(float(np.median(expected)), color=GREY, linestyle="--", linewidth=1)
    ax.set_yticks(range(1, len(words) + 1), list(words))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("words an answer")
    gap = {name: float(np.median(words[name])) - float(np.median(expected)) for name in order if material.state(name) == "tuned"}
    text = f"Median lengths: expected {float(np.median(expected)):.0f} words" + "".join(
        f", {name} {float(np.median(words[name])):.0f}" for name in gap
    )
    title(made, text)
    return Drawing(
        made,
        text,
        "Boxes hold the middle half of the answers, whiskers 5 to 95 %; the dashed line is the expected median. Blue: tuned; orange: base.",
    )


def degenerate(material: Material) -> Drawing | None:
    """Rates of each kind of degenerate answer as a heat map."""
    order = [name for name in ranked(material) if material.systems[name].get("flags")]
    names = list(dict.fromkeys(flag for name in order for flag in material.systems[name]["flags"]))
    if not order or not names:
        return None
    rates = [[_rate(material, name, flag) for name in order] for flag in names]
    keep = [i for i, row in enumerate(rates) if any(value for value in row)]
    if not keep:
        keep = list(range(len(names)))
    text = _finding(material, order, names)
    _heat(
        made := figure(1.9 + 0.36 * len(keep)),
        [[rates[i][j] for j in range(len(order))] for i in keep],
        [names[i].replace("_", " ") for i in keep],
        order,
    )
    title(made[0], text)
    return Drawing(
        made[0],
        text,
        "Per cent of the test answers with each defect; darker is worse. Defects that no system shows are left out."
        if len(keep) < len(names)
        else "Per cent of the test answers with each defect; darker is worse.",
    )


def _rate(material: Material, name: str, flag: str) -> float | None:
    found = material.systems[name]["flags"].get(flag)
    return None if not found or found.get("rate") is None else 100 * float(found["rate"])


def _finding(material: Material, order: list[str], names: list[str]) -> str:
    """The finding: the most frequent defect of the tuned systems; of the other models, or of all, where none was tuned."""
    kinds = {"tuned": "tuned system", "base": "untuned model", "trivial": "system without a model"}
    state = next(state for state in kinds if any(material.state(name) == state for name in order))
    found = [
        (rate, name, flag) for name in order if material.state(name) == state for flag in names if (rate := _rate(material, name, flag)) is not None
    ]
    rate, name, flag = max(found, default=(0.0, "", ""))
    if not rate:
        return f"No {kinds[state]} gives an answer with one of the {len(names)} defects looked for"
    return f"Most frequent defect of {'an' if state == 'base' else 'a'} {kinds[state]}: {flag.replace('_', ' ')}, {rate:.3g} % of {name}"


def _heat(made_ax: tuple[object, object], values: list[list[float | None]], rows: list[str], columns: list[str]) -> None:
    import numpy as np

    ax: object = made_ax[1]
    grid = np.array([[np.nan if v is None else v for v in row] for row in values], dtype=float)
    top = max(1.0, float(np.nanmax(grid)) if not np.isnan(grid).all() else 1.0)
    ax.imshow(np.nan_to_num(grid), cmap="Blues", vmin=0, vmax=top * 1.25, aspect="auto")  # type: ignore[attr-defined]
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            text = "n/a" if value is None else f"{value:.3g}"
            ax.text(j, i, text, ha="center", va="center", fontsize=9, color="white" if value is not None and value > 0.8 * top else "black")  # type: ignore[attr-defined]
    ax.set_xticks(range(len(columns)), columns, rotation=25, ha="right")  # type: ignore[attr-defined]
    ax.set_yticks(range(len(rows)), rows)  # type: ignore[attr-defined]
    ax.grid(visible=False)  # type: ignore[attr-defined]
    ax.tick_params(length=0)  # type: ignore[attr-defined]


def flexibility_map(material: Material) -> Drawing | None:
    """Every probe of every model; each row coloured from its worst to its best."""
    import numpy as np

    systems = [name for name in material.scored if material.state(name) != "trivial"]
    rows = [key for key in PROBES if any(probe(material, name, key).known for name in systems)]
    if not systems or not rows:
        return None
    made, ax = figure(1.9 + 0.42 * len(rows))
    grid = np.array([_shades([probe(material, name, key).value for name in systems], higher=PROBES[key].higher) for key in rows])
    ax.imshow(np.ma.masked_invalid(grid), cmap="cividis", vmin=-0.25, vmax=1, aspect="auto")
    for i, key in enumerate(rows):
        for j, name in enumerate(systems):
            found = probe(material, name, key)
            shown = "n/a" if found.value is None else number(found.value, min(2, found.digits))
            ax.text(j, i, shown, ha="center", va="center", fontsize=9.5, color="black" if np.isnan(grid[i][j]) or grid[i][j] > 0.35 else "white")
    many = len(systems) * max(map(len, systems)) > 45  # characters that fit side by side
    ax.set_xticks(range(len(systems)), systems, rotation=25 if many else 0, ha="right" if many else "center")
    ax.set_yticks(range(len(rows)), [f"{PROBES[key].title} [{PROBES[key].unit}]{'' if PROBES[key].higher else ', lower is better'}" for key in rows])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    text = _kept(material, systems)
    title(made, text)
    return Drawing(
        made, text, "Each row is coloured by itself: yellow is the best of the row, dark blue the worst; grey where all are alike. n/a: not measured."
    )


def _shades(values: list[float | None], *, higher: bool) -> list[float]:
    """A row scaled from its worst (0) to its best (1), nan where there is no figure."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    scaled = [float("nan") if value is None else 0.5 if high == low else (value - low) / (high - low) for value in values]
    return scaled if higher else [1 - value for value in scaled]


def _kept(material: Material, systems: list[str]) -> str:
    """The finding: who lost most of what it could do before, and whether a test says that it lost it by tuning."""
    changes = {name: found for name in systems if (found := change(material, name, "retention")).value is not None}
    if not changes:
        return "What the models can do besides their task"
    if not any(probe(material, name, "retention").value for name in systems):
        bleeding = {name: found.value or 0.0 for name in systems if (found := change(material, name, "bleeding")).mark}
        worst = max(bleeding, key=lambda name: bleeding[name], default="")
        if bleeding.get(worst, 0.0) > 0:
            share = number(probe(material, worst, "bleeding").value or 0.0, 0)
            count = material.summary["flexibility"][worst]["bleeding"]["n"]
            return f"{worst} answers {share} % of {count} other questions as if they were its task; no model carries out other instructions"
        return "No model carries out any of the other instructions, tuned or not, so nothing can be seen to be lost"
    worst = min(changes, key=lambda name: changes[name].value or 0.0)
    lost = -(changes[worst].value or 0.0)
    if lost <= 0:
        return "No tuned model carries out fewer other instructions than its base"
    points = f"{number(lost, 0)} {'point' if number(lost, 0) == '1' else 'points'} of retention"
    return f"{worst} loses {points} by tuning" if changes[worst].mark else f"{worst} has {points} less than its base, which may be chance"
