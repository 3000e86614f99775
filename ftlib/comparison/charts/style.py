"""How all charts look: colours that a colour-blind reader tells apart, sizes, and files with nothing in them that changes."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Okabe and Ito (2008), https://jfly.uni-koeln.de/color/: distinct under the common kinds of colour blindness
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00", "#000000")
GREY = "#666666"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
WIDTH = 8.0  # inches

SETTINGS: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 130,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "legend.frameon": False,
    "svg.hashsalt": "ftlib",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "axes.formatter.useoffset": False,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.constrained_layout.h_pad": 0.08,
    "axes.unicode_minus": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib without a display and with our settings, whatever the user's own are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)  # type: ignore[arg-type]
        yield


def figure(height: float = 4.0, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """A figure that belongs to no window, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(made)
    return made, made.subplots(1, columns, **options)


def title(made: Any, text: str) -> None:
    """The finding, above the whole figure, wrapped to its width."""
    made.suptitle("\n".join(textwrap.wrap(text, 88)), x=0.01, ha="left", fontsize=11, fontweight="bold")


def log_ticks(axis: Any) -> None:
    """Plain numbers on a log axis, as many as its span leaves room for; to be called when everything is drawn."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    steps = (1, 2, 3, 4, 5, 6, 7, 8, 9) if high / low < 5 else (1, 2, 5) if high / low < 100 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    axis.set_major_locator(
        FixedLocator([step * 10.0**power for power in range(first, last + 1) for step in steps if low <= step * 10.0**power <= high])
    )
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def colours(names: Sequence[str]) -> dict[str, str]:
    """One colour for each name, in order."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def render(made: Any) -> tuple[bytes, bytes]:
    """A figure as PNG and as SVG, without date and program version."""
    png, svg = io.BytesIO(), io.BytesIO()
    made.savefig(png, format="png", metadata={"Software": None})
    made.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()
