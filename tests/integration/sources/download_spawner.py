"""A warm process which forks downloads, so that one costs little: ``python download_spawner.py``.

Orders come as JSON lines, each is answered by one line: ``{"run": "download", "arguments": [url, home, now, days],
"kill_before": n}`` downloads to the end, killed before its n-th call that changes the disk.
"""

import datetime as dt
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import exchange_calendars  # noqa: F401 - what all downloads need; polars itself must not have run before a fork
import httpx  # noqa: F401
import tenacity  # noqa: F401

from resources.sources.context import SourceContext
from resources.sources.downloads.source import DownloadedSource
from resources.sources.vendors.polygon import PolygonConfig
from trading.sessions import get_calendar

CALLS = frozenset({"open", "write", "fsync", "replace", "rename", "mkdir", "rmdir"})


def download(url: str, home: str, now: str, days: list[str], kill_before: int) -> int:
    """How many calls it made."""
    config = PolygonConfig(kind="polygon", base_url=url, requests_per_minute=100_000)
    clock = dt.datetime.fromisoformat(now)
    context = SourceContext(Path(home), Path(home), "XNYS", ("AAPL", "MSFT"), lambda: clock)
    source: DownloadedSource = config.open(context)
    get_calendar("XNYS")
    seen = 0

    def count(frame: Any, event: str, called: Any) -> None:
        nonlocal seen
        if event == "c_call" and called.__name__ in CALLS and _is_of_the_disk(called):
            seen += 1
            if seen == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    try:
        source.fetch([dt.date.fromisoformat(day) for day in days])
    finally:
        sys.setprofile(None)
    return seen


def _is_of_the_disk(called: Any) -> bool:
    """Not ``str.replace`` and its like."""
    return called.__module__ in ("posix", "io", "_io") or type(called.__self__).__module__ == "_io"


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.write(write, str(download(*order["arguments"], order["kill_before"])).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(write)
        with os.fdopen(read) as answer:
            calls = answer.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"code": code, "calls": int(calls or 0)}), flush=True)


if __name__ == "__main__":
    main()
