"""Charts: each one finding, as PNG and SVG, the same bytes from the same run."""

from ftlib.comparison.charts.chart import Chart, draw_all

__all__ = ["Chart", "draw_all"]
