"""Charts of training: what time and memory bought, and how the loss fell."""

from __future__ import annotations

from ftlib.comparison.charts.chart import Drawing
from ftlib.comparison.charts.style import MARKERS, colours, figure, title
from ftlib.comparison.criteria import training as training_table
from ftlib.comparison.enough import course, valid_losses
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import unit_of
from ftlib.comparison.table import Figure, listed


def time_and_memory(material: Material) -> Drawing | None:
    """Quality against training time, and against peak memory; only those of the two that were recorded."""
    rows = {str(row["contestant"]): row for row in training_table(material).rows if f"{row['contestant']}.tuned" in material.scored}
    figures = {
        key: {name: cell.value for name, row in rows.items() if isinstance(cell := row[key], Figure) and cell.value} for key in ("wall", "memory")
    }
    shown = [key for key in ("wall", "memory") if figures[key]]
    if not shown:
        return None
    longest = max(figures["wall"].values(), default=0)
    unit, scale = ("minutes", 60) if longest > 300 else ("seconds", 1)
    labels = {"wall": f"training, wall time [{unit}]", "memory": "peak memory [GB]"}
    made, axes = figure(3.9, len(shown), sharey=True, squeeze=False)
    for (name, colour), marker in zip(colours(list(rows)).items(), MARKERS * 9, strict=False):
        value = material.systems[f"{name}.tuned"]["metrics"][material.primary]["value"]
        for ax, key in zip(axes[0], shown, strict=True):
            if name in figures[key]:
                ax.plot(
                    figures[key][name] / (scale if key == "wall" else 1),
                    value,
                    marker=marker,
                    color=colour,
                    markersize=9,
                    linestyle="none",
                    label=name,
                )
    for ax, key in zip(axes[0], shown, strict=True):
        ax.set_xlabel(labels[key])
        ax.margins(y=0.25)
        ax.set_xlim(0, max(figures[key].values()) / (scale if key == "wall" else 1) * 1.2)
    axes[0][0].set_ylabel(f"{material.primary} of the tuned system [{unit_of(material) or 'score'}]")
    handles = {label: handle for ax in axes[0] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    made.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=9)
    text = _fastest(figures["wall"], unit, scale)
    title(made, text)
    missing = [name for name in rows if name not in figures["memory"]]
    reading = "Further left is faster or smaller, higher is better. Compare only where the device is the same."
    return Drawing(made, text, reading + (f" The memory of {listed(missing)} is not known." if missing else ""))


def _fastest(times: dict[str, float], unit: str, scale: float) -> str:
    """The finding: who trained fastest."""
    if not times:
        return "What memory bought: no time was recorded"
    fast = min(times, key=lambda name: times[name])
    return f"{fast} {'trains fastest:' if len(times) > 1 else 'trained for'} {times[fast] / scale:.1f} {unit}"


def learning_curves(material: Material) -> Drawing | None:
    """Training and validation loss against tokens."""
    curves = {name: list(report.get("loss") or []) for name, report in material.trainings.items()}
    curves = {name: points for name, points in curves.items() if points}
    if not curves:
        return None
    by = "tokens" if all(point.get("tokens") is not None for points in curves.values() for point in points) else "step"
    made, ax = figure(4.0)
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
    ax.set_xlabel("tokens seen" if by == "tokens" else "step")
    ax.set_ylabel("loss [nats a token]")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    made.legend(loc="outside lower center", ncols=2, fontsize=9)
    text = _ends(material, list(curves))
    title(made, text)
    return Drawing(made, text, "Losses of models with different tokenizers do not compare with each other; the shape of each line does.")


def _ends(material: Material, names: list[str]) -> str:
    """The finding: which validation losses rise, fall or lie level at the end."""
    courses = {name: course(material.trainings[name]) for name in names}
    endings = {"rising": "rises at the end: shorter training would do", "falling": "was still falling at the end", "level": "is level at the end"}
    said = [f"of {listed(found)} {end}" for kind, end in endings.items() if (found := [name for name, ended in courses.items() if ended == kind])]
    if said:
        return f"Validation loss {'; '.join(said)}"
    if any(valid_losses(material.trainings[name]) for name in names):
        return "Training loss; the validation loss was looked at only once"
    return "Training loss; no validation loss was recorded"
