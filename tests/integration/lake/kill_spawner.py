"""A warm process which forks workers, so that one costs milliseconds: ``python kill_spawner.py``.

Orders come as JSON lines, each is answered by one line:
``{"start": worker, "arguments": [...]}`` starts one, ``{"kill": pid}`` kills it and waits for its end,
``{"run": worker, "arguments": [...], "kill_before": n}`` runs one to its end, killed before its n-th call to the disk.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import kill_workers


class KillBefore:
    """Kills this process, without a word, before its n-th call that changes the disk."""

    CALLS = frozenset(
        {
            *("execute", "executemany", "commit", "rollback", "close"),
            *("open", "write", "flush", "fsync", "fchmod", "replace", "rename", "unlink", "mkdir", "utime"),
        }
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0

    def __call__(self, frame: Any, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in self.CALLS:
            self.seen += 1
            if self.seen == self.number:
                os.kill(os.getpid(), signal.SIGKILL)


def fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(code)
    return pid


def run(worker: str, arguments: list[Any], kill_before: int) -> dict[str, Any]:
    read, write = os.pipe()

    def work() -> None:
        kill = KillBefore(kill_before)
        sys.setprofile(kill)
        try:
            getattr(kill_workers, worker)(*arguments)
        finally:
            sys.setprofile(None)
        os.write(write, str(kill.seen).encode())

    pid = fork(work)
    os.close(write)
    with os.fdopen(read) as answer:
        calls = answer.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"code": code, "calls": int(calls or 0)}


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any
        if "kill" in order:
            os.kill(order["kill"], signal.SIGKILL)
            answer = os.waitstatus_to_exitcode(os.waitpid(order["kill"], 0)[1])
        elif "start" in order:
            answer = fork(lambda order=order: getattr(kill_workers, order["start"])(*order["arguments"]))
        else:
            answer = run(order["run"], order["arguments"], order["kill_before"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
