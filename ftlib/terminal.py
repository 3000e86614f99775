"""Text of data and models on a terminal: only ever text, whatever it holds."""

from __future__ import annotations

import logging
import re

_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """A text without what a terminal obeys or cannot show: control characters become pictures or U+FFFD, line ends and tabs stay.

    A title with an escape sequence could otherwise recolour, retitle or clear the terminal; one with a bidirectional override
    would turn around what stands after it.
    """
    return _ACTIVE.sub(lambda match: chr(0x2400 + ord(match[0])) if ord(match[0]) < 0x20 else "\ufffd", text)


class PrintableFormatter(logging.Formatter):
    """Log lines that are printable."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as text, made printable."""
        return printable(super().format(record))
