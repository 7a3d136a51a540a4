"""Where temporary files are, which files come first, processes that end with their test, and how long properties are
looked for exceptions.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.memory import memory_folder
from hypothesis import settings

# Where a test does not say more itself. No deadline: how long an example takes says how busy the machine is.
settings.register_profile("suite", max_examples=50, deadline=None, database=None)
settings.load_profile("suite")

if TYPE_CHECKING:
    from harness.processes import Processes


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files go to memory where there is room; ``--basetemp=DIR`` puts them on the disk of ``DIR``."""
    a_worker = hasattr(config, "workerinput")  # has the folder from the process that started it
    if not a_worker and not config.option.basetemp and (folder := memory_folder()):
        config.add_cleanup(folder.close)


def pytest_report_header() -> str:
    return f"temporary files: {tempfile.gettempdir()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: two processes that share the files end together."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


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
