"""One lake per test. ``lake_provided`` may be parametrized indirectly by an implementation's name; embedded is the default."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Protocol

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


@pytest.fixture(scope="session")
def _warm_writers() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("writers.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        cwd=_ROOT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class RunWriter(Protocol):
    def __call__(self, name: str, *arguments: Any, kill_at: int = 0) -> dict[str, Any] | None: ...


@pytest.fixture
def writer(_warm_writers: subprocess.Popen[str]) -> RunWriter:
    """Run one writer of ``writers.py`` in a process of its own; its answer, None where it was killed.

    ``kill_at``: killed at its n-th call that changes the disk or asks a server; it may come to its end before.
    """

    def run(name: str, *arguments: Any, kill_at: int = 0) -> dict[str, Any] | None:
        environment = {key: os.environ[key] for key in KEYS if key in os.environ}
        order = {"writer": name, "arguments": arguments, "environment": environment, "kill_at": kill_at}
        assert _warm_writers.stdin is not None and _warm_writers.stdout is not None
        _warm_writers.stdin.write(json.dumps(order) + "\n")
        _warm_writers.stdin.flush()
        answer: dict[str, Any] = json.loads(_warm_writers.stdout.readline())
        assert answer["code"] in (0, -signal.SIGKILL), f"{name} failed, see standard error"
        return None if answer["code"] else answer

    return run


@pytest.fixture
def in_processes(writer: RunWriter) -> Callable[[str, list[tuple[Any, ...]]], list[Any]]:
    """Run one writer of ``writers.py`` in as many processes at once as there are tuples of arguments."""

    def run(name: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        answer = writer("at_once", name, arguments)
        assert answer is not None
        results: list[Any] = answer["result"]
        return results

    return run
