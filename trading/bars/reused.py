"""Arrays in memory that was used before.

What a program asks of the system anew has to be cleared and mapped page by page when it is first written to, which takes
longer than what is written here. So memory comes back once no array, and no frame made of one, refers to it any more.
"""

import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, np.dtype[Any]]

_KEPT = 64  # blocks; four threads use ten each
_MOST = 8 << 20  # bytes of a block that is kept

_blocks: deque[Array] = deque(maxlen=_KEPT)


def empty(rows: int, dtype: DTypeLike) -> Array:
    """An array of ``rows`` undefined values, whose memory is used again only after the last view of it is gone.

    Safe to call from several threads.
    """
    size = rows * np.dtype(dtype).itemsize
    block = _block(size)
    # by way of a memoryview, or numpy would have views refer to the block, past the array that is watched
    array = np.frombuffer(block.data[:size], dtype)
    if block.nbytes <= _MOST:
        weakref.finalize(array, _blocks.append, block).atexit = False
    return array


def _block(size: int) -> Array:
    """One that is free and large enough, or a new one."""
    for _ in range(len(_blocks)):
        try:
            block = _blocks.popleft()
        except IndexError:  # taken by another thread
            break
        if block.nbytes >= size:
            return block
        _blocks.append(block)
    return np.empty(max(size, 1), np.uint8)
