"""git alone: a publish is the file written, ``git add``, ``git commit``. Starting the processes is not counted."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from benchmarks.lake.data import Partition
from benchmarks.lake.peers.git_command import GitCommand, quiet_environment


class GitFiles:
    column = "git"
    way = ""
    synced = True
    most: int | None = None

    def __init__(self, root: Path) -> None:
        self.root = root
        tree = root / "main"
        tree.mkdir(parents=True)
        self._git = GitCommand(tree, quiet_environment(root))
        self._git.create()
        self._git("commit", "-q", "--allow-empty", "-m", "first")

    @property
    def not_counted(self) -> float:
        return self._git.milliseconds_starting

    def prepare(self, dataset: str) -> None:
        (self._git.tree / dataset).mkdir()

    def publish(self, dataset: str, partition: Partition) -> None:
        self.publish_all(dataset, [partition])

    def publish_all(self, dataset: str, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            file = self.file(dataset, partition.session)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(partition.parquet)
        self._git("add", f"{dataset}/{partitions[0].directory}" if len(partitions) == 1 else dataset)
        self._git("commit", "-q", "--no-status", "-m", dataset)

    def branch(self, name: str) -> None:
        self._git("branch", name)

    def branch_to_work_on(self, name: str) -> None:
        self._git("worktree", "add", "-q", "-b", name, f"../{name}")

    def listed(self, dataset: str) -> int:
        listing = self._git("ls-tree", "-r", "main", f"{dataset}/").decode().splitlines()
        return len([line.split(None, 3) for line in listing])

    def file(self, dataset: str, session: dt.date) -> Path:
        return self._git.tree / dataset / f"session={session}" / "data.parquet"

    def version(self) -> str:
        return self._git("rev-parse", "main").decode().strip()

    def past_file(self, version: str, dataset: str, session: dt.date) -> bytes:
        return self._git("cat-file", "blob", f"{version}:{dataset}/session={session}/data.parquet")

    def close(self) -> None:
        pass
