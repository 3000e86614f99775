"""chrF2 (Popović 2015) by sacrebleu, kept as counts so that a resampled corpus can be scored without its texts.

sacrebleu counts; this module only sums those counts and applies the same formula to whole arrays of sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORDER, BETA = 6, 2
WIDTH = 3 * ORDER
Floats = NDArray[np.float64]


def metric() -> Any:
    """sacrebleu's chrF2 object."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(char_order=ORDER, word_order=0, beta=BETA)


def signature() -> str:
    """sacrebleu's own signature, with its version."""
    import sacrebleu

    return f"chrF2|nrefs:1|case:mixed|eff:yes|nc:{ORDER}|nw:0|space:no|version:{sacrebleu.__version__}"


def statistics(chrf: Any, reference: str, answers: list[str]) -> list[list[int]]:
    """Counts of several answers against one reference, whose n-grams are counted once.

    Each is 18 numbers: answer's n-grams, reference's, and matches, for each order from 1 to 6.
    """
    counted = chrf._extract_reference_info([reference])
    return [chrf._compute_segment_statistics(answer, counted) for answer in answers]


def from_statistics(sums: Floats, beta: int = BETA) -> Floats:
    """chrF in points of summed counts; any leading shape, 18 last. Orders that one side lacks are left out (eff:yes)."""
    counts = sums.reshape(*sums.shape[:-1], ORDER, 3)
    answer, reference, matches = counts[..., 0], counts[..., 1], counts[..., 2]
    usable = (answer > 0) & (reference > 0)
    orders = np.maximum(usable.sum(-1), 1)
    precision = np.where(usable, matches / np.where(usable, answer, 1), 0).sum(-1) / orders
    recall = np.where(usable, matches / np.where(usable, reference, 1), 0).sum(-1) / orders
    below = beta**2 * precision + recall
    points: Floats = np.where(below > 0, 100 * (1 + beta**2) * precision * recall / np.where(below > 0, below, 1), 0.0)
    return points
