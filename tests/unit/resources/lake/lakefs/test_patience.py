"""Repeats are bounded, by number and by time."""

import time

from resources.lake.lakefs.patience import Patience


def test_by_number() -> None:
    assert list(Patience(4, 60.0).tries()) == [0, 1, 2, 3]
    assert list(Patience(1, 0.0).tries()) == [0]


def test_by_time() -> None:
    start = time.monotonic()
    tries = list(Patience(1000, 0.3).tries())
    assert time.monotonic() - start < 1.0
    assert 2 <= len(tries) < 10
