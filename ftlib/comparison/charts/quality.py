"""Charts of precision: differences with intervals, before and after, and how they spread over the items."""

from __future__ import annotations

from ftlib.comparison.charts.chart import Drawing
from ftlib.comparison.charts.style import COLOURS, GREY, colours, figure, title
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import better_is_higher, digits_of, pair, ranked, significant, unit_of
from ftlib.comparison.table import listed, number


def contrasts(material: Material) -> list[tuple[str, str]]:
    """The differences worth showing: each tuned system against its base, the tuned against each other, the best against the trivial ones."""
    order = ranked(material)
    tuned = [name for name in order if material.state(name) == "tuned"]
    wanted = [(name, base) for name in tuned if (base := material.base_of(name))]
    wanted += [(a, b) for i, a in enumerate(tuned) for b in tuned[i + 1 :]][:6]
    best = next((name for name in order if material.state(name) != "trivial"), None)
    wanted += [
        (best, name)
        for name in order
        if best and (material.state(name) == "trivial" or (material.state(name) == "base" and (best, name) not in wanted))
    ][:6]
    return [ab for ab in dict.fromkeys(wanted) if ab[0] != ab[1] and pair(material, *ab)]


def differences(material: Material) -> Drawing | None:
    """Forest plot of paired differences with 95 % intervals."""
    shown = contrasts(material)
    if not shown:
        return None
    made, ax = figure(1.7 + 0.42 * len(shown))
    for i, (a, b) in enumerate(shown):
        row = pair(material, a, b)
        assert row is not None
        sure = significant(row)
        colour = COLOURS[0] if sure else GREY
        ax.plot([row["low"], row["high"]], [i, i], color=colour, linewidth=2)
        ax.plot(row["difference"], i, "o", color=colour, markerfacecolor=colour if sure else "white", markersize=7)
        ax.annotate(
            f"{row['difference']:+.1f}", (row["difference"], i), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8.5, color=colour
        )
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(shown)), [f"{a}  −  {b}" for a, b in shown])
    ax.set_ylim(len(shown) - 0.4, -0.7)
    ax.margins(x=0.08)
    ax.set_xlabel(f"difference in {material.primary} [{unit_of(material) or 'score'}]")
    ax.grid(axis="y", visible=False)
    own = [(a, b) for a, b in shown if material.base_of(a) == b]
    beat = [a for a, b in own if (row := pair(material, a, b)) and significant(row) and (row["difference"] > 0) == better_is_higher(material)]
    text = (
        f"{listed(beat)} {'beats its' if len(beat) == 1 else 'beat their'} base"
        if beat
        else "No tuned system is shown to beat its base"
        if own
        else "Differences between the systems"
    )
    rows = {b: pair(material, a, b) for a, b in shown if material.state(b) == "trivial"}
    ahead = [b for b, row in rows.items() if row and significant(row) and (row["difference"] > 0) != better_is_higher(material)]
    if beat and ahead:
        text += f"; {listed(ahead)} {'is' if len(ahead) == 1 else 'are'} better still"
    title(made, text)
    return Drawing(
        made,
        text,
        "Each line is a difference on the same items with its 95 % interval; right of 0 the first system is better. "
        "Filled: significant after Holm; hollow: not.",
    )


def dumbbells(material: Material) -> Drawing | None:
    """Before and after of each contestant, with the trivial systems as lines."""
    tuned = [name for name in ranked(material) if material.base_of(name)]
    if not tuned:
        return None
    made, ax = figure(2.0 + 0.55 * len(tuned))

    def value(system: str) -> float:
        return float(material.systems[system]["metrics"][material.primary]["value"])

    for i, name in enumerate(tuned):
        base = material.base_of(name)
        assert base is not None
        ax.plot([value(base), value(name)], [i, i], color="#999999", linewidth=2.5, zorder=1)
        ax.plot(value(base), i, "o", color="white", markeredgecolor=COLOURS[1], markeredgewidth=2, markersize=9, label="base" if i == 0 else None)
        ax.plot(value(name), i, "o", color=COLOURS[0], markersize=9, label="tuned" if i == 0 else None)
    trivial = [name for name in ranked(material) if material.state(name) == "trivial"]
    for name, style in zip(trivial, ("-", "--", ":", "-."), strict=False):
        ax.axvline(value(name), color=GREY, linestyle=style, linewidth=1.2, label=f"{name} ({value(name):.1f})")
    ax.set_yticks(range(len(tuned)), [name.removesuffix(".tuned") for name in tuned])
    ax.set_ylim(len(tuned) - 0.5, -0.5)
    ax.margins(x=0.08)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"{material.primary} [{unit_of(material) or 'score'}]")
    made.legend(loc="outside lower center", ncols=5, fontsize=9)
    gains = {name: value(name) - value(base) for name in tuned if (base := material.base_of(name))}
    most = max(gains, key=lambda name: abs(gains[name]))
    digits, what, who, gain = digits_of(material), f"{unit_of(material)} of {material.primary}".strip(), most.removesuffix(".tuned"), gains[most]
    changes = f"{who} changes {'most ' if len(gains) > 1 else ''}by tuning: {gain:+.{digits}f} {what}"
    if len(gains) == 1 and better_is_higher(material):
        changes = f"{who} gains {gain:+.{digits}f} {what} by tuning" if gain > 0 else f"{who} loses {-gain:.{digits}f} {what} by tuning"
    text = (
        changes
        if any(number(gain, digits).strip("-0.") for gain in gains.values())
        else f"Tuning changes {material.primary} of {listed([name.removesuffix('.tuned') for name in gains])} by nothing"
    )
    title(made, text)
    return Drawing(made, text, "Hollow before, filled after tuning; the vertical lines are systems that need no model at all.")


def item_differences(material: Material) -> Drawing | None:
    """How the differences to the own base spread over the items."""
    import numpy as np

    tuned = [name for name in ranked(material) if (base := material.base_of(name)) and base in material.items and name in material.items][:6]
    spread = {}
    for name in tuned:
        before, after = material.items[str(material.base_of(name))], material.items[name]
        both = [(after[i].metrics.get(material.primary), before[i].metrics.get(material.primary)) for i in after if i in before]
        found = np.array([a - b for a, b in both if a is not None and b is not None])
        if len(found):
            spread[name] = found
    if not spread:
        return None
    made, ax = figure(3.8)
    low, high = min(float(v.min()) for v in spread.values()), max(float(v.max()) for v in spread.values())
    for (name, colour), style in zip(colours(list(spread)).items(), ("-", "--", "-.", ":", "-", "--"), strict=False):
        ordered = np.sort(spread[name])
        ax.step(ordered, 100 * np.arange(1, len(ordered) + 1) / len(ordered), where="post", color=colour, linestyle=style, linewidth=2, label=name)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_xlim(low - 0.02 * (high - low or 1), high + 0.02 * (high - low or 1))
    ax.set_ylim(0, 100)
    ax.set_xlabel(f"tuned minus base on one item, {material.primary} [{unit_of(material) or 'score'}]")
    ax.set_ylabel("items at or below [%]")
    ax.legend(loc="lower right")
    shares = {name: 100 * float((v < 0 if better_is_higher(material) else v > 0).mean()) for name, v in spread.items()}
    worse = {name.removesuffix(".tuned"): share for name, share in shares.items() if share}
    text = (
        "Tuning makes some answers worse: " + ", ".join(f"{number(share, 0)} % for {name}" for name, share in worse.items())
        if worse
        else f"Tuning makes no answer worse in {material.primary}"
    )
    title(made, text)
    return Drawing(
        made, text, "The height of a line over 0 is the share of items that tuning made worse or left alike; a line further right gains more."
    )
