"""Processes that end with their test, and how long properties are looked for exceptions."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# Where a test does not say more itself. No deadline: how long an example takes says how busy the machine is.
settings.register_profile("suite", max_examples=50, deadline=None)
settings.load_profile("suite")

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
