"""Work ahead of its turn: in order, bounded, and over when it is left."""

import threading
from contextlib import closing

import pytest

from trading_assets.ahead import ahead

WAIT = 10.0


def test_results_come_in_order_whoever_is_done_first() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(WAIT)
        if number == 1:
            second_is_done.set()
        return number * number

    assert [(key, result()) for key, result in ahead(work, range(6), 2)] == [(n, n * n) for n in range(6)]


def test_no_more_is_made_than_the_workers_and_the_one_in_use() -> None:
    lock, begun = threading.Lock(), 0

    def work(_: int) -> None:
        nonlocal begun
        with lock:
            begun += 1

    for key, result in ahead(work, range(20), 2):
        result()
        with lock:
            assert begun <= key + 3


def test_what_fails_is_raised_in_its_turn_and_stops_no_other() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        return number

    found = []
    for _, result in ahead(work, range(3), 2):
        try:
            found.append(result())
        except ValueError as error:
            found.append(str(error))
    assert found == [0, "one", 2]


def test_results_can_be_asked_for_when_all_keys_are_out() -> None:
    begin = threading.Event()

    def work(number: int) -> int:
        assert begin.wait(WAIT)
        return number

    later = list(ahead(work, range(3), 1))
    begin.set()
    assert [result() for _, result in later] == [0, 1, 2]


def test_nothing_begins_after_it_is_left() -> None:
    release, begun = threading.Event(), []

    def work(number: int) -> int:
        begun.append(number)
        if number > 0:
            assert release.wait(WAIT)
        return number

    with closing(ahead(work, range(10), 2)) as results:
        _, first = next(results)
        assert first() == 0
        release.set()
    assert len(begun) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_no_keys_give_nothing() -> None:
    assert list(ahead(lambda _: pytest.fail("called"), [], 2)) == []
