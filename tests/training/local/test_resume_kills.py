"""A training killed at many points, half of them within a save: each ends in the same adapter, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.local.resuming import kill_points, killed_and_resumed


@pytest.mark.reliability
def test_killed_at_any_point_it_ends_in_the_same_adapter(reference: Path, tmp_path: Path) -> None:
    points = kill_points(reference, 28)
    assert len(points) >= 20
    for point in points:
        killed_and_resumed(reference, point, tmp_path)
