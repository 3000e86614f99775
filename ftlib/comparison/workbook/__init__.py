"""The workbook comparison.xlsx: every table, every answer, a cost sheet that computes."""

from ftlib.comparison.workbook.book import write_workbook

__all__ = ["write_workbook"]
