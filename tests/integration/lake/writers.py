"""Writers in processes of their own, forked from one that is warm, so that a start costs milliseconds.

Orders come as JSON lines, ``{"writer": name, "arguments": [...], "environment": {...}, "kill_at": n or 0}``. Each runs one
writer to its end and is answered by one line: ``{"code": exit code, "result": ..., "calls": n}``.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

from resources.lake import Contention, MergeConflict, NoChanges, PreconditionFailed, open_lake
from resources.lake.publish import Publisher

_others: Barrier
"""The writers that this one begins with."""


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


def publish(uri: str, run_id: str, dataset: str, partition: str, text: str) -> str:
    with open_lake(uri) as lake:
        publisher = Publisher(lake, run_id=run_id, code_version="1", clock=lambda: datetime.now(UTC))
        files = {f"{part}.bin": f"{text} {part}".encode() for part in ("a", "b")}
        return publisher.publish(dataset, partition, files, audit=None, inputs={}).commit_id


def commit_and_die(uri: str, branch: str, message: str, metadata: dict[str, str]) -> None:
    """The store has acknowledged the commit, nobody else is told."""
    open_lake(uri).commit(branch, message, metadata)
    os.kill(os.getpid(), signal.SIGKILL)


def merge_and_die(uri: str, source: str, dest: str, message: str, metadata: dict[str, str]) -> None:
    """The store has acknowledged the merge, nobody else is told."""
    open_lake(uri).merge(source, dest, message, metadata)
    os.kill(os.getpid(), signal.SIGKILL)


def at_once(name: str, arguments: list[list[Any]]) -> list[Any]:
    """The writer in as many processes as there are lists of arguments, forked from this one; they begin together."""
    forking = get_context("fork")
    together = forking.Barrier(len(arguments))
    with ProcessPoolExecutor(len(arguments), forking, initializer=_begin_with, initargs=(together,)) as pool:
        return [future.result() for future in [pool.submit(_together, name, each) for each in arguments]]


def _begin_with(others: Barrier) -> None:
    global _others
    _others = others


def _together(name: str, arguments: list[Any]) -> Any:
    _others.wait(60)
    return globals()[name](*arguments)


class _KillAt:
    """Kills this process, without a word, right before or after its n-th call that changes the disk or asks a server."""

    CALLS = frozenset({"execute", "executemany", "fsync", "replace", "write", "fchmod", "open", "unlink", "sendall"})

    def __init__(self, number: int) -> None:
        self.left = number
        self.seen = 0

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        if event in ("c_call", "c_return") and getattr(called, "__name__", "") in self.CALLS:
            self.seen += 1
            if self.seen == self.left:
                os.kill(os.getpid(), signal.SIGKILL)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """One writer in a fork of this process; with ``kill_at``, killed at that call."""
    if any(str(part).startswith("lakefs:") for part in _flat(order["arguments"])):
        import lakefs_sdk  # noqa: F401 - once, not in every process
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read)
            os.environ.update(order["environment"])
            os.write(write, json.dumps(_counted(order)).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    os.close(write)
    with os.fdopen(read) as answer:
        told = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"code": code, **(json.loads(told) if told else {})}


def _counted(order: dict[str, Any]) -> dict[str, Any]:
    kill = _KillAt(order["kill_at"]) if order["kill_at"] else None
    if kill is not None:
        sys.setprofile(kill)
    result = globals()[order["writer"]](*order["arguments"])
    sys.setprofile(None)
    return {"result": result, "calls": kill.seen if kill else 0}


def _flat(arguments: Any) -> Iterator[Any]:
    for part in arguments:
        yield from _flat(part) if isinstance(part, list) else (part,)


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
