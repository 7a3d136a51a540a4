"""One lake per test, for every implementation of the protocol."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resources.lake import Lake, open_lake

IMPLEMENTATIONS = ["embedded"]


class TickingClock:
    """A second later at every look."""

    def __init__(self) -> None:
        self.start = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
        self._ticks = count()

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=next(self._ticks))


@pytest.fixture(params=IMPLEMENTATIONS)
def lake_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    assert request.param == "embedded"
    return (tmp_path / "lake").as_uri()


@pytest.fixture
def lake(lake_uri: str) -> Iterator[Lake]:
    with open_lake(lake_uri, clock=TickingClock()) as opened:
        yield opened


@pytest.fixture
def land(lake: Lake) -> Callable[..., str]:
    """Bring objects to main through a branch of their own; the merge's commit id."""
    numbers = count()

    def _land(objects: dict[str, bytes], message: str = "land") -> str:
        branch = f"land-{next(numbers)}"
        lake.create_branch(branch, "main")
        for path, data in objects.items():
            lake.put(branch, path, data)
        lake.commit(branch, message)
        merged = lake.merge(branch, "main", message)
        lake.delete_branch(branch)
        return merged.commit_id

    return _land


_ROOT = Path(__file__).parents[3]
_WRITERS = Path(__file__).with_name("writers.py")
_WAIT_SECONDS = 120


def start_writer(name: str, arguments: Sequence[Any], kill_at: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, str(_WRITERS), name, json.dumps(list(arguments))]
    if kill_at is not None:
        command.append(str(kill_at))
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=_ROOT
    )


def finish_writer(process: subprocess.Popen[str]) -> dict[str, Any] | None:
    """The writer's answer, None where it was killed. Raises for any other end."""
    try:
        out, err = process.communicate(timeout=_WAIT_SECONDS)
    finally:
        process.kill()
    if process.returncode == -9:
        return None
    assert process.returncode == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


@pytest.fixture
def in_processes() -> Callable[[str, list[tuple[Any, ...]]], list[Any]]:
    """Run one writer of ``writers.py`` in as many processes at once as there are tuples of arguments."""

    def run(name: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        processes = [start_writer(name, each) for each in arguments]
        answers = [finish_writer(process) for process in processes]
        assert None not in answers
        return [answer["result"] for answer in answers if answer is not None]

    return run


@pytest.fixture
def writer_killed_at() -> Callable[..., dict[str, Any] | None]:
    """Run one writer, killed at its n-th call that changes the disk; its answer if it came to its end before."""

    def run(number: int, name: str, *arguments: Any) -> dict[str, Any] | None:
        return finish_writer(start_writer(name, arguments, kill_at=number))

    return run
