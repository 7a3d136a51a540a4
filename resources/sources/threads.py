"""Work on many files at once: decoding and hashing let other threads run."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from resources.sources.errors import SourceFileRefused

Item = TypeVar("Item")
Result = TypeVar("Result")

_WORKERS = min(8, 2 * (os.cpu_count() or 1))


def each(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result | SourceFileRefused]]:
    """``work`` on every item, in several threads; as they are done, in no order. Any error but a refusal ends it."""
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="files") as pool:
        pending = {pool.submit(work, item): item for item in items}
        try:
            for done in as_completed(pending):
                try:
                    yield pending[done], done.result()
                except SourceFileRefused as refusal:
                    yield pending[done], refusal
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
