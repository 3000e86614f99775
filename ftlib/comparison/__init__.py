"""Comparison: the four criteria as a workbook, charts and a page."""
