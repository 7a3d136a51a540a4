"""An asyncio loop on a thread of its own, for callers that know nothing of asyncio."""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class LoopThread:
    """Runs until :meth:`stop`; a daemon, so that it never keeps a process."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_quietly)
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        """What ``work`` returns or raises.

        Args:
            seconds: it is cancelled after, with TimeoutError; so it is when the caller is interrupted.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        finally:
            future.cancel()

    def stop(self) -> None:
        """Cancel what is under way and end; from any thread, the loop's own included, which then ends by itself."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_cancel_all())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)  # for what is closing


def _log_quietly(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # For example the library's own requests that end with their connection, and that nobody waits for.
    _log.debug("%s: %r", context.get("message"), context.get("exception"))
