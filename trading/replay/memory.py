"""New arrays, side by side in large pages.

What a program asks of the system anew is mapped page by page when it is first written to. For a replay that asks once, that
takes as long as its loop; a large page takes the place of 512.
"""

import math
import mmap
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, np.dtype[Any]]

_LINE = 64  # bytes; each array begins on a cache line of its own
_WORTH_A_MAPPING = 1 << 20  # bytes


def arrays(*wanted: tuple[int | tuple[int, ...], DTypeLike]) -> list[Array]:
    """Arrays of these (shape, dtype), all zero. Their memory is given back once none of them is referred to."""
    places: list[tuple[int, int]] = []
    end = 0
    for shape, dtype in wanted:
        begin = -(-end // _LINE) * _LINE
        end = begin + math.prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
        places.append((begin, end))
    block = _mapped(end) if end >= _WORTH_A_MAPPING else np.zeros(end, np.uint8)
    return [
        block[begin:end].view(dtype).reshape(shape) for (shape, dtype), (begin, end) in zip(wanted, places, strict=True)
    ]


def _mapped(size: int) -> Array:
    """As many bytes of private memory that the system is asked to keep in large pages, where it has such."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)
