"""Turns by a clock of the test's own."""

import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.vendors.pace import Pace, pace_of


@dataclass
class Time:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def test_the_first_ones_go_at_once_and_the_next_when_the_first_is_a_minute_old() -> None:
    time = Time()
    pace = Pace(3, sleep=time.sleep, monotonic=time)
    turns = []
    for _ in range(7):
        pace.wait()
        turns.append(time.now)
        time.now += 1
    assert turns == [0, 1, 2, 60, 61, 62, 120]
    assert time.slept == [57, 57]


@given(st.integers(1, 6), st.lists(st.floats(0, 90, allow_nan=False), min_size=1, max_size=40))
def test_no_minute_has_more_turns_than_allowed(per_minute: int, pauses: list[float]) -> None:
    time = Time()
    pace = Pace(per_minute, sleep=time.sleep, monotonic=time)
    turns: list[float] = []
    for pause in pauses:
        time.now += pause
        pace.wait()
        turns.append(time.now)
    for first, last in zip(turns, turns[per_minute:], strict=False):
        assert last - first >= 60 - 1e-6


def test_threads_share_their_turns() -> None:
    time = Time()
    pace = Pace(4, sleep=time.slept.append, monotonic=time)  # time stands still
    threads = [threading.Thread(target=pace.wait) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(time.slept) == [60, 60, 60, 60, 120, 120]


@pytest.mark.parametrize(("account", "is_shared"), [("eodhd here", True), ("eodhd there", False)])
def test_one_pace_for_one_account(account: str, is_shared: bool) -> None:
    assert (pace_of("eodhd here", 7) is pace_of(account, 7)) == is_shared
