"""Workers forked from one warm process, and killed for good: a start costs milliseconds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self


class Spawner:
    """Starts the workers of ``program``, see ``tests/integration/lake/kill_spawner.py``; kills what is left at the end."""

    def __init__(self, program: Path, root: Path) -> None:
        self._running: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"},
        )

    def _order(self, **order: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, worker: str, *arguments: Any) -> int:
        """The process id of a new worker."""
        pid: int = self._order(start=worker, arguments=arguments)
        self._running.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        """SIGKILL; returns when it is gone."""
        self._running.discard(pid)
        self._order(kill=pid)

    def run(self, worker: str, *arguments: Any, kill_before: int = 0) -> tuple[bool, int]:
        """Run a worker to its end: if it was killed, before its n-th call to the disk, and else how many it made."""
        answer = self._order(run=worker, arguments=arguments, kill_before=kill_before)
        assert answer["code"] in (0, -9), f"{worker} failed, see standard error"
        return answer["code"] == -9, answer["calls"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list(self._running):
            self.kill(pid)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
