"""SIGKILL and SIGTERM at random moments inside each room: the same command finishes, and nobody can tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ftlib.files import TEMPORARY, write_json
from tests.reliability import chain
from tests.reliability.killing import rehearse

KILLS = int(os.environ.get("FTLIB_KILLS", "18"))  # in all rooms together
ROOMS = list(chain.ROOMS)


@pytest.mark.reliability
@pytest.mark.parametrize("room", ROOMS)
def test_a_killed_room_finishes_as_if_nothing_had_been(room: str, tmp_path: Path) -> None:
    profile = chain.recorded_profile(tmp_path)
    base = chain.up_to(room, tmp_path / "base" / "run", chain.with_training(profile) if room == "format" else profile)
    outcome = rehearse(room, base, tmp_path / "place" / "run", chain.ROOMS[room], kills=max(1, KILLS // len(ROOMS)), seed=ROOMS.index(room))
    assert outcome.faults == []
    assert outcome.kills >= KILLS // len(ROOMS)


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    dead = tmp_path / f".a.json.{2**22 + 1}{TEMPORARY}"
    living = tmp_path / f".a.json.{os.getppid()}{TEMPORARY}"
    other = tmp_path / f".b.json.{2**22 + 1}{TEMPORARY}"
    for path in (dead, living, other):
        path.write_text("half")
    write_json(tmp_path / "a.json", {})
    assert not dead.exists()
    assert living.exists()
    assert other.exists()
