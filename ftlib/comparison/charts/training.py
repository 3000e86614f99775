"""Charts of training: what time and memory bought, and how the loss fell."""

from __future__ import annotations

from ftlib.comparison.charts.chart import Drawing
from ftlib.comparison.charts.style import MARKERS, colours, figure, title
from ftlib.comparison.criteria import training as training_table
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import unit_of
from ftlib.comparison.table import Figure


def time_and_memory(material: Material) -> Drawing | None:
    """Quality against training time, and against peak memory."""
    rows = {str(row["contestant"]): row for row in training_table(material).rows if f"{row['contestant']}.tuned" in material.scored}
    if not rows:
        return None
    made, axes = figure(3.9, 2, sharey=True)
    shown: dict[str, int] = {"wall": 0, "memory": 0}
    for (name, colour), marker in zip(colours(list(rows)).items(), MARKERS * 9, strict=False):
        value = material.systems[f"{name}.tuned"]["metrics"][material.primary]["value"]
        for ax, key in zip(axes, ("wall", "memory"), strict=True):
            cell = rows[name][key]
            if isinstance(cell, Figure) and cell.value is not None:
                shown[key] += 1
                ax.plot(
                    cell.value / (60 if key == "wall" else 1),
                    value,
                    marker=marker,
                    color=colour,
                    markersize=9,
                    linestyle="none",
                    label=name if key == "wall" else None,
                )
    for ax, key, label in zip(axes, ("wall", "memory"), ("training, wall time [minutes]", "peak memory [GB]"), strict=True):
        ax.set_xlabel(label)
        ax.margins(0.2)
        ax.set_xlim(left=0)
        if not shown[key]:
            ax.annotate("n/a: not measured", (0.5, 0.5), xycoords="axes fraction", ha="center")
    axes[0].set_ylabel(f"{material.primary} of the tuned system [{unit_of(material) or 'score'}]")
    made.legend(loc="outside lower center", ncols=4, fontsize=9)
    times = {name: cell.value for name, row in rows.items() if isinstance(cell := row["wall"], Figure) and cell.value is not None}
    if not times:
        text = "What training bought: no time was recorded"
    else:
        fast = min(times, key=lambda name: times[name])
        text = f"{fast} trains fastest: {times[fast] / 60:.1f} minutes" if len(times) > 1 else f"{fast} trained for {times[fast] / 60:.1f} minutes"
    title(made, text)
    missing = [name for name, row in rows.items() if not (isinstance(row["memory"], Figure) and row["memory"].known)]
    return Drawing(
        made,
        text,
        "Further left is faster or smaller, higher is better. Compare only where the device is the same."
        + (f" The memory of {', '.join(missing)} is not known." if missing else ""),
    )


def learning_curves(material: Material) -> Drawing | None:
    """Training and validation loss against tokens."""
    curves = {name: list(report.get("loss") or []) for name, report in material.trainings.items()}
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return None
    by = "tokens" if all(point.get("tokens") is not None for points in curves.values() for point in points) else "step"
    made, ax = figure(4.0)
    ends: dict[str, tuple[float, float]] = {}
    for name, colour in colours(list(curves)).items():
        for key, style, marker in (("train", "-", None), ("valid", "--", "o")):
            points = [(point[by], point[key]) for point in curves[name] if point.get(key) is not None]
            if points:
                ax.plot(
                    [x for x, _ in points],
                    [y for _, y in points],
                    linestyle=style,
                    marker=marker,
                    markersize=5,
                    color=colour,
                    linewidth=1.8,
                    label=f"{name}, {'training' if key == 'train' else 'validation'}",
                )
            if key == "valid" and len(points) > 1:
                ends[name] = (min(y for _, y in points), points[-1][1])
    ax.set_xlabel("tokens seen" if by == "tokens" else "step")
    ax.set_ylabel("loss [nats a token]")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    made.legend(loc="outside lower center", ncols=2, fontsize=9)
    over = [name for name, (best, last) in ends.items() if last > best * 1.02]
    text = (
        f"Validation loss of {', '.join(over)} rises at the end: shorter training would do"
        if over
        else "Validation loss was still falling or level at the end"
        if ends
        else "Training loss; no validation loss was recorded"
    )
    title(made, text)
    return Drawing(made, text, "Losses of models with different tokenizers do not compare with each other; the shape of each line does.")
