"""Processes that end with their test."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.processes import Processes


@pytest.fixture
def processes(tmp_path: Path) -> "Iterator[Processes]":
    """Starts processes; after the test all have ended, and none was left to be found by its mark."""
    from harness.processes import Processes

    started = Processes(tmp_path / "processes")
    try:
        yield started
    finally:
        left = started.close()
    assert left == []
