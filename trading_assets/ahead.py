"""Work done ahead of its turn, in threads, while earlier results are used in order.

polars, numpy, the disk and compression all leave the interpreter free, so threads are enough: while one partition is
published the next ones are read and computed.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")

_THREADS_A_CORE = 2  # polars has threads of its own, for which these wait
_MOST_THREADS = 4  # beyond that, memory grows and the one that publishes is what the others wait for


def threads() -> int:
    """How many are worth having on this machine."""
    return min(_THREADS_A_CORE * (os.cpu_count() or 1), _MOST_THREADS)


def ahead(
    work: Callable[[K], T], keys: Iterable[K], workers: int | None = None
) -> Generator[tuple[K, Callable[[], T]], None, None]:
    """Each key, in order, with a call that gives or raises what ``work`` came to.

    At most ``workers`` results are being made or wait besides the one in use, whatever the number of keys: that
    bounds the memory. When the iteration is left early, what has not begun is not begun any more.

    Args:
        work: safe to call from several threads at once.
        workers: threads; default :func:`threads`.
    """
    count = workers or threads()
    waiting: deque[tuple[K, Future[T]]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="ahead")
    try:
        for key in keys:
            waiting.append((key, pool.submit(work, key)))
            if len(waiting) > count:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown(wait=False)  # results may be asked for later than the keys


def _next(waiting: "deque[tuple[K, Future[T]]]") -> tuple[K, Callable[[], T]]:
    key, future = waiting.popleft()
    return key, future.result
