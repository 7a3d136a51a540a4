"""Memory that is used again, and never while anyone can still see it."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from trading.bars import reused


@pytest.fixture(autouse=True)
def no_blocks() -> None:
    gc.collect()
    reused._blocks.clear()


def _address(array: reused.Array) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_that_nobody_refers_to_comes_again() -> None:
    array = reused.empty(1000, np.float64)
    at = _address(array)
    del array
    assert _address(reused.empty(500, np.int64)) == at


@pytest.mark.parametrize(
    "keep",
    [
        lambda array: array[10:20],
        lambda array: array[10:20][2:],
        lambda array: pl.Series(array[10:20]),
        lambda array: pl.DataFrame({"a": array[10:20]}).select(pl.col("a")),
        lambda array: pl.Series(array[10:20]).to_numpy(),
        lambda array: pl.Series(array[10:20]).to_arrow(),
    ],
    ids=["view", "view of a view", "series", "frame", "series and back", "arrow"],
)
def test_not_while_a_view_lives(keep) -> None:  # type: ignore[no-untyped-def]
    array = reused.empty(1000, np.int64)
    array[:] = 7
    view = keep(array)
    del array
    for _ in range(3):
        reused.empty(1000, np.int64)[:] = 8
    values = view["a"] if isinstance(view, pl.DataFrame) else view
    assert set(np.asarray(values).tolist()) == {7}


def test_too_small_a_block_is_left_for_others() -> None:
    small = reused.empty(10, np.int64)
    at = _address(small)
    del small
    large = reused.empty(1000, np.int64)
    assert len(large) == 1000
    assert _address(large) != at
    assert _address(reused.empty(10, np.int64)) == at


def test_of_a_great_block_nothing_is_kept() -> None:
    reused.empty(reused._MOST + 1, np.uint8)
    assert not reused._blocks


def test_no_rows() -> None:
    assert len(reused.empty(0, np.float64)) == 0


def test_threads_do_not_share() -> None:
    def work(number: int) -> bool:
        good = True
        for _ in range(300):
            array = reused.empty(64, np.int64)
            array[:] = number
            series = pl.Series(array)
            del array
            good &= series.n_unique() == 1 and series[0] == number
        return good

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
