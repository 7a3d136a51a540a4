"""One lake per test. ``lake_provided`` may be parametrized indirectly by an implementation's name; embedded is the default."""

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
from harness.lake_actions import Land, landing
from harness.lake_implementations import KEYS, Provided, provided
from harness.lakefs_server import LakeFSServer, lakefs_server

from resources.lake import Lake, open_lake


class TickingClock:
    """A second later at every look."""

    def __init__(self) -> None:
        self.start = datetime(2024, 1, 2, 15, 30, tzinfo=UTC)
        self._ticks = count()

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=next(self._ticks))


@pytest.fixture(scope="session")
def _lakefs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeFSServer]:
    with lakefs_server(tmp_path_factory.mktemp("lakefs")) as server:
        yield server


@pytest.fixture
def lakefs(_lakefs_server: LakeFSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[LakeFSServer]:
    """The test server without faults and requests of an earlier test, its account in the environment.

    A test in which a request or an answer broke the API description fails.
    """
    for name, value in _lakefs_server.environment.items():
        monkeypatch.setenv(name, value)
    _lakefs_server.faults.clear()
    _lakefs_server.contract.begin()
    yield _lakefs_server
    _lakefs_server.faults.clear()
    assert _lakefs_server.contract.breaches == []


@pytest.fixture
def lake_provided(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Provided]:
    kind = getattr(request, "param", "embedded")
    server = request.getfixturevalue("lakefs") if kind == "lakefs-http" else None
    with provided(kind, tmp_path, server) as lake:
        for name in KEYS:
            if name in lake.environment:
                monkeypatch.setenv(name, lake.environment[name])
        yield lake


@pytest.fixture
def lake_uri(lake_provided: Provided) -> str:
    return lake_provided.uri


@pytest.fixture
def lake(lake_uri: str) -> Iterator[Lake]:
    with open_lake(lake_uri, clock=TickingClock()) as opened:
        yield opened


@pytest.fixture
def land(lake: Lake) -> Land:
    """Bring objects to main through a branch of their own; the merge's commit id."""
    return landing(lake)


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
        answer = finish_writer(start_writer("at_once", (name, arguments)))
        assert answer is not None
        results: list[Any] = answer["result"]
        return results

    return run


@pytest.fixture
def writer() -> Callable[..., dict[str, Any] | None]:
    """Run one writer of ``writers.py`` in a process of its own; its answer, None where it killed itself."""

    def run(name: str, *arguments: Any) -> dict[str, Any] | None:
        return finish_writer(start_writer(name, arguments))

    return run


@pytest.fixture
def writer_killed_at() -> Callable[..., dict[str, Any] | None]:
    """Run one writer, killed at its n-th call that changes the disk; its answer if it came to its end before."""

    def run(number: int, name: str, *arguments: Any) -> dict[str, Any] | None:
        return finish_writer(start_writer(name, arguments, kill_at=number))

    return run
