"""Fixtures that every room's tests may use."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):  # more threads than cores wait for each other, and a training takes minutes
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

hypothesis.settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tiers outside the fast one may take long where a machine is busy."""
    for item in items:
        if {"slow", "reliability"} & {mark.name for mark in item.iter_markers()} and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real rows; tests that need them skip where FTLIB_REAL_DATA names none."""
    folder = Path(os.environ.get("FTLIB_REAL_DATA", ""))
    if not os.environ.get("FTLIB_REAL_DATA") or not folder.is_dir():
        pytest.skip("FTLIB_REAL_DATA names no folder of real rows")
    return folder


@pytest.fixture(scope="session", autouse=True)
def ftlib_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for the whole test session, outside the user's home; workers share the small models, so that each is built once."""
    home, base = tmp_path_factory.mktemp("ftlib-home"), tmp_path_factory.getbasetemp()
    models = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "models"
    models.mkdir(exist_ok=True)
    (home / "models").symlink_to(models)
    os.environ["FTLIB_HOME"] = str(home)
    return home


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """The package's log as in a process of its own, whatever command or notebook an earlier test, or a fixture of its module, set up."""
    log = logging.getLogger("ftlib")
    handlers = list(log.handlers)
    log.setLevel(logging.NOTSET)
    log.propagate = True
    yield
    log.handlers = handlers
