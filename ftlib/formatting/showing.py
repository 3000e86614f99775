"""Training rows as pictures, for notebook 02: what a row looks like, and which part of it a model learns."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ftlib.terminal import printable

WIDTH = 96  # characters of a line
LINE = 0.2  # inches
MOST_LINES = 40
LABEL, PLAIN, MASKED, LEARNT = "#4a5568", "#1a202c", "#718096", "#1a202c"
PAPER = {"answer": "#d9f2e3", "masked": "#edf2f7", "none": "#ffffff"}
Piece = tuple[str, str, str]  # label, text, paper


def row_figure(row: Mapping[str, Any], title: str) -> Any:
    """One training row as a figure: each key or role with its text, the expected answer on green.

    Args:
        row: an instruction row or a chat row.
        title: stands above it.
    """
    if "messages" in row:
        pieces = [(turn["role"], str(turn["content"]), "answer" if turn["role"] == "assistant" else "none") for turn in row["messages"]]
    else:
        pieces = [(key, str(row[key]), "answer" if key == "output" else "none") for key in ("system", "instruction", "input", "output") if key in row]
    return _figure(pieces, title)


def seen_figure(given: str, learnt: str, tail: str | None, written: str, title: str) -> Any:
    """What a local model receives: the part without loss on grey, the part that the loss is taken on, on green.

    Below it, what the model's template writes after the end of the turn, which is not fed; or, where ``tail`` is None, the template's own
    text, which writes the answer in another way.
    """
    pieces = [("given, no loss", given, "masked"), ("learnt", learnt, "answer")]
    if tail:
        pieces.append(("not fed, no loss", tail, "none"))
    if tail is None:
        pieces.append(("its template", written, "none"))
    return _figure(pieces, title)


def _figure(pieces: Sequence[Piece], title: str) -> Any:
    """Labelled texts below each other. Texts are drawn as they are: no markup, no formulas."""
    import matplotlib.pyplot as plt

    blocks = [(label, _wrapped(text), paper) for label, text, paper in pieces]
    count = sum(len(lines) for _, lines, _ in blocks)
    figure, axes = plt.subplots(figsize=(11, LINE * (count + 2) + 0.3), layout="constrained")
    axes.set(xlim=(0, 1), ylim=(count, 0))
    axes.axis("off")
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    at = 0
    for label, lines, paper in blocks:
        axes.axhspan(at, at + len(lines), xmin=0.15, color=PAPER[paper], zorder=0)
        axes.text(0.14, at + 0.5, label, ha="right", va="center", fontsize=9, color=LABEL, parse_math=False)
        for number, line in enumerate(lines):
            colour = MASKED if paper == "masked" else PLAIN
            axes.text(0.155, at + number + 0.5, line, va="center", family="monospace", fontsize=9, color=colour, parse_math=False)
        at += len(lines)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a character that the font lacks is drawn as a box
        figure.canvas.draw()
    plt.close(figure)
    return figure


def _wrapped(text: str) -> list[str]:
    """Lines of at most WIDTH characters; line ends show as a pilcrow, and a long text ends in how much is left out."""
    lines = [
        piece
        for line in printable(text).split("\n")
        for piece in textwrap.wrap(line + "\u00b6", WIDTH, drop_whitespace=False, replace_whitespace=False, break_on_hyphens=False)
    ]
    lines[-1] = lines[-1].removesuffix("\u00b6")
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} more lines"]
    return lines or [""]


def lengths_figure(tokens: Mapping[str, Sequence[int]]) -> Any:
    """Histograms of tokens a row, one line a contestant."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    edges = range(0, max(max(counts) for counts in tokens.values()) + 21, 20)
    for name, counts in tokens.items():
        axes.hist(
            counts, bins=list(edges), histtype="step", linewidth=1.8, label=f"{name} (mean {sum(counts) / len(counts):.0f}, longest {max(counts)})"
        )
    axes.set(xlabel="tokens of a training row, template and all", ylabel="rows", xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    plt.close(figure)
    return figure
