"""Processes that a test starts and that are certainly gone when it ends.

Every process carries a mark in its environment, which its children inherit: what is left behind is found by the mark,
whatever process group it moved to.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psutil  # type: ignore[import-untyped]

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[2]

_MARK = "TRADING_TEST_PROCESSES"
# What a developer has set must not leak into a test, and what is set for this installation must not reach a live account.
_DROPPED = ("TRADING_", "DAGSTER_", "LEDGER_URL", "LAKE_URI", "SLACK_", "PYTHONDONTWRITEBYTECODE", "PG")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")

# Bounds say how long a wait is on a machine with nothing else to do; they end a wait for what never comes, and measure
# nothing.
_BUSY = 4

_T = TypeVar("_T")


class NotInTime(AssertionError):
    """Something that was waited for did not happen; the message ends with what the processes said last."""


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def clean_environment(**added: str) -> dict[str, str]:
    """This process's environment without anything that names an installation, a database or a proxy."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED) and name.lower() not in _PROXIES
    }
    return {**kept, "DAGSTER_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1,localhost", **added}


@dataclass
class Running:
    """One started process with its log file."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def alive(self) -> bool:
        return self.process.poll() is None

    def tail(self, lines: int = 25) -> str:
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        state = "running" if self.alive() else f"ended with {self.process.returncode}"
        return "\n".join([f"--- {self.name} ({state}), {self.log}", *text])


@dataclass
class Processes:
    """All processes of one test. `close` ends them and reports what had to be killed without having been asked for."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid4().hex)
    running: list[Running] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path = ROOT) -> Running:
        """Start ``command`` in a process group of its own; its output goes to ``<folder>/<name>-<n>.log``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name}-{sum(r.name == name for r in self.running) + 1}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**env, _MARK: self.mark},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Running(name, process, log)
        self.running.append(started)
        return started

    def stop(self, one: Running, grace_seconds: float = 15.0) -> None:
        """Ask with SIGTERM, as an orchestrator does; kill the group after ``grace_seconds``."""
        _signal_group(one, signal.SIGTERM)
        try:
            one.process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            _signal_group(one, signal.SIGKILL)
            one.process.wait(10)

    def kill(self, one: Running) -> None:
        """SIGKILL to the whole group: a crash, not a stop."""
        _signal_group(one, signal.SIGKILL)
        one.process.wait(10)

    def wait_until(self, what: str, probe: Callable[[], _T | None], seconds: float, every: float = 0.25) -> _T:
        """The first truthy answer of ``probe``; NotInTime, with the logs' ends, after `_BUSY` times ``seconds``."""
        seconds *= _BUSY
        deadline = time.monotonic() + seconds
        while True:
            answer = probe()
            if answer:
                return answer
            if time.monotonic() > deadline:
                tails = "\n".join(one.tail() for one in self.running)
                raise NotInTime(f"{what}: not within {seconds:g} s\n{tails}")
            time.sleep(every)

    def survivors(self) -> list[psutil.Process]:
        """Processes on this machine that carry this test's mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get(_MARK) == self.mark:
                    found.append(process)
            except (psutil.Error, OSError):
                continue  # ended meanwhile, or another user's
        return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]

    def close(self) -> list[str]:
        """End everything, last started first. Returns command lines that outlived their parent by some seconds."""
        for one in reversed(self.running):
            if one.alive():
                self.stop(one)
        deadline = time.monotonic() + 10
        while (left := self.survivors()) and time.monotonic() < deadline:
            time.sleep(0.2)
        described = [_describe(process) for process in left]
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)
        return described


def listens(port: int) -> bool:
    """Whether something accepts connections on this port of the loopback interface."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    """Whether an HTTP GET gives 200."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _signal_group(one: Running, number: signal.Signals) -> None:
    try:
        os.killpg(one.process.pid, number)
    except ProcessLookupError:
        return  # the whole group has ended


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return str(process.pid)
