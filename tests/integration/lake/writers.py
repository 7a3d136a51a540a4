"""Writers in processes of their own: ``python writers.py <writer> <arguments as a JSON list>``, result as JSON."""

import json
import os
import signal
import sys
from datetime import UTC, datetime
from typing import Any

from resources.lake import Contention, MergeConflict, NoChanges, PreconditionFailed, open_lake
from resources.lake.publish import Publisher


def commit_one(uri: str, branch: str, path: str) -> bool:
    with open_lake(uri) as lake:
        lake.put(branch, path, path.encode())
        try:
            lake.commit(branch, path)
        except NoChanges:  # another writer's commit took all that was staged, ours too
            return False
    return True


def merge_one(uri: str, name: str, path: str) -> str:
    with open_lake(uri) as lake:
        lake.create_branch(name, "main")
        lake.put(name, path, name.encode())
        lake.commit(name, name)
        return merge_branch(uri, name)


def merge_branch(uri: str, name: str) -> str:
    with open_lake(uri) as lake:
        for _ in range(50):
            try:
                return lake.merge(name, "main", name).commit_id
            except Contention:
                continue
            except MergeConflict as conflict:
                return "conflict: " + ",".join(conflict.paths)
    raise AssertionError("contention without end")


def put_if_absent(uri: str, branch: str, value: str) -> str:
    with open_lake(uri) as lake:
        try:
            lake.put(branch, "contested", value.encode(), if_absent=True)
        except PreconditionFailed:
            return ""
    return value


def put_many(uri: str, branch: str, prefix: str, number: int) -> int:
    with open_lake(uri) as lake:
        for index in range(number):
            lake.put(branch, f"{prefix}/{index}", f"content {index}".encode())
    return number


def publish(uri: str, run_id: str, dataset: str, partition: str, text: str) -> str:
    with open_lake(uri) as lake:
        publisher = Publisher(lake, run_id=run_id, code_version="1", clock=lambda: datetime.now(UTC))
        files = {f"{part}.bin": f"{text} {part}".encode() for part in ("a", "b")}
        return publisher.publish(dataset, partition, files, audit=None, inputs={}).commit_id


def put_commit_merge(uri: str, name: str, text: str) -> str:
    """Two objects changed, one removed, in one commit, merged: what a kill must not split."""
    with open_lake(uri) as lake:
        lake.create_branch(name, "main")
        lake.put(name, "x", f"{text} x".encode())
        lake.put(name, "y", f"{text} y".encode())
        lake.delete(name, ["old"])
        lake.commit(name, text)
        merged = lake.merge(name, "main", text).commit_id
        lake.delete_branch(name)
        return merged


class _KillAt:
    """Kills this process, without a word, right before or after its n-th call that changes the disk."""

    CALLS = frozenset({"execute", "executemany", "fsync", "replace", "write", "fchmod", "open", "unlink"})

    def __init__(self, number: int) -> None:
        self.left = number
        self.seen = 0

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        if event in ("c_call", "c_return") and getattr(called, "__name__", "") in self.CALLS:
            self.seen += 1
            if self.seen == self.left:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    writer, arguments = globals()[sys.argv[1]], json.loads(sys.argv[2])
    kill = _KillAt(int(sys.argv[3])) if len(sys.argv) > 3 else None
    if kill is not None:
        sys.setprofile(kill)
    result = writer(*arguments)
    sys.setprofile(None)
    print(json.dumps({"result": result, "calls": kill.seen if kill else 0}))


if __name__ == "__main__":
    main()
