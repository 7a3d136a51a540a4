"""DVC: files beside git, through its Python API in an environment of its own.

One process serves all calls, so that neither its start nor the imports count.
"""

import contextlib
import datetime as dt
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.lake.data import Partition
from benchmarks.lake.peers.git_command import GitCommand, quiet_environment

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".tools" / "dvc" / "bin" / "python"
_WORKER = ROOT / "benchmarks" / "dvc" / "worker.py"
_SECONDS_TO_END = 20


class DvcProcess:
    """A process in DVC's environment that answers one JSON line with another."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.environment = {
            **quiet_environment(home),
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(home / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(home / "system"),
            "DVC_SITE_CACHE_DIR": str(home / "site"),
        }
        self.errors = home / "errors.txt"
        with self.errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [PYTHON, _WORKER],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def call(self, operation: str, tree: Path, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = json.dumps({"operation": operation, "tree": str(tree), **arguments})
        self._process.stdin.write(request.encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"DVC ended during {operation}:\n{self.errors.read_text()[-3000:]}")
        return json.loads(answer)

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=_SECONDS_TO_END)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class _DvcFiles:
    column = "DVC"
    way = ""
    synced = False
    most: int | None = 100

    def __init__(self, root: Path, process: DvcProcess) -> None:
        self.root = root
        self._process = process
        self._tree = root / "main"
        self._tree.mkdir(parents=True)
        self._git = GitCommand(self._tree, process.environment)
        self._git.create()
        process.call("create", self._tree, cache=str(root / "cache"))

    @property
    def not_counted(self) -> float:
        return self._git.milliseconds_starting

    def prepare(self, dataset: str) -> None:
        """The dataset as one tracked directory, with one file so that there is something to track."""
        directory = self._tree / dataset
        directory.mkdir()
        (directory / "about.txt").write_text(dataset)
        self._process.call("add", self._tree, paths=[dataset])

    def _file(self, dataset: str, session: dt.date) -> Path:
        return self._tree / dataset / f"session={session}" / "data.parquet"

    def _write(self, dataset: str, partition: Partition) -> str:
        file = self._file(dataset, partition.session)
        file.parent.mkdir(exist_ok=True)
        # an earlier version is a link to the cache: it must be replaced, not written to
        temporary = file.with_suffix(".tmp")
        temporary.write_bytes(partition.parquet)
        temporary.replace(file)
        return file.relative_to(self._tree).as_posix()

    def close(self) -> None:
        pass


class DvcAddFile(_DvcFiles):
    """``dvc add`` of the file, with a ``.dvc`` file of its own, and a commit of that."""

    way = "add, one .dvc per partition"

    def prepare(self, dataset: str) -> None:
        (self._tree / dataset).mkdir()

    def publish(self, dataset: str, partition: Partition) -> None:
        self._process.call("add", self._tree, paths=[self._write(dataset, partition)])


class DvcCommitDirectory(_DvcFiles):
    """``dvc commit`` of the tracked directory, and a commit of its ``.dvc`` file."""

    way = "commit, one .dvc per dataset"

    def publish(self, dataset: str, partition: Partition) -> None:
        self._write(dataset, partition)
        self._process.call("commit", self._tree, paths=[dataset])


class DvcAddIntoDirectory(_DvcFiles):
    """``dvc add`` of the file inside the tracked directory, and a commit of the directory's ``.dvc`` file."""

    way = "add, one .dvc per dataset"

    def publish(self, dataset: str, partition: Partition) -> None:
        self._process.call("add", self._tree, paths=[self._write(dataset, partition)])

    def publish_all(self, dataset: str, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self._write(dataset, partition)
        self._process.call("add", self._tree, paths=[dataset])

    def file(self, dataset: str, session: dt.date) -> Path:
        return self._file(dataset, session)

    def branch(self, name: str) -> None:
        self._process.call("branch", self._tree, name=name)

    def branch_to_work_on(self, name: str) -> None:
        self._git("worktree", "add", "-q", "-b", name, f"../{name}")
        self._process.call("checkout", self.root / name)

    def listed(self, dataset: str) -> int:
        return int(self._process.call("list", self._tree, dataset=dataset))

    def version(self) -> str:
        return str(self._process.call("version", self._tree))

    def past_file(self, version: str, dataset: str, session: dt.date) -> Path:
        path = f"{dataset}/session={session}/data.parquet"
        return Path(self._process.call("past_file", self._tree, path=path, version=version))


class DvcCommandLine(_DvcFiles):
    """``dvc add`` and ``git commit`` as commands; only the starting of git is left out."""

    way = "add on the command line, its start counted"
    most = 3

    def prepare(self, dataset: str) -> None:
        (self._tree / dataset).mkdir()

    def publish(self, dataset: str, partition: Partition) -> None:
        path = self._write(dataset, partition)
        subprocess.run(
            [PYTHON.with_name("dvc"), "add", "-q", path],
            cwd=self._tree,
            env=self._process.environment,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        self._git("commit", "-q", "--no-status", "-m", dataset)


WAYS: tuple[type[_DvcFiles], ...] = (DvcAddFile, DvcAddIntoDirectory, DvcCommitDirectory, DvcCommandLine)


def installed() -> bool:
    return os.access(PYTHON, os.X_OK)
