"""The git command, as the peers that stand on git call it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.lake.measuring import milliseconds

_SETTINGS = {
    "user.name": "benchmark",
    "user.email": "benchmark@localhost",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "core.compression": "0",  # Parquet is compressed already
    "core.fsync": "all",  # a commit that has returned is on the disk
    "core.fsyncMethod": "batch",
    "core.untrackedCache": "true",
}


def quiet_environment(home: Path) -> dict[str, str]:
    """The environment for tools of a peer: nothing of the user's settings, nothing written to the user's home."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))},
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


class GitCommand:
    """Runs git in one working tree, and knows how long the starting of its processes took."""

    def __init__(self, tree: Path, environment: Mapping[str, str]) -> None:
        self.tree = tree
        self._environment = environment
        self._start = median(milliseconds(lambda: self._run("version")) for _ in range(15))
        self.milliseconds_starting = 0.0

    def create(self) -> None:
        self("init", "-q", "-b", "main")
        for name, value in _SETTINGS.items():
            self("config", name, value)

    def __call__(self, *arguments: str) -> bytes:
        self.milliseconds_starting += self._start
        return self._run(*arguments)

    def _run(self, *arguments: str) -> bytes:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.tree,
            env=self._environment,
            check=True,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=300,
        ).stdout
