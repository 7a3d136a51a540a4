"""Work on whole arrays, shared out among as many threads as polars uses; compiled code does not hold Python's lock."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

T = TypeVar("T")

_WORTH_A_THREAD = 1 << 17


def parts_of(rows: int) -> int:
    """In how many parts work on so many rows is worth sharing out."""
    return max(1, min(pl.thread_pool_size(), rows // _WORTH_A_THREAD))


def even_edges(rows: int, parts: int) -> list[int]:
    """Where equal parts of so many rows begin and end."""
    return [rows * i // parts for i in range(parts + 1)]


def edges_by_rows(first: npt.NDArray[np.int64], parts: int) -> list[int]:
    """Where parts of about as many rows begin and end, of whole Symbols; ``first`` are their first rows, and all rows."""
    wanted = np.searchsorted(first, even_edges(int(first[-1]), parts)[1:-1])
    return [0, *wanted.tolist(), len(first) - 1]


def in_parts(work: Callable[[int, int], T], edges: Sequence[int]) -> list[T]:
    """``work(begin, end)`` of each part, all at once; the last one on this thread."""
    *others, own = pairwise(edges)
    if not others:
        return [work(*own)]
    with ThreadPoolExecutor(len(others)) as pool:
        told = [pool.submit(work, *part) for part in others]
        mine = work(*own)
        return [*(one.result() for one in told), mine]
