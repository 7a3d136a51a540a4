"""The limits of Interactive Brokers' historical data, by hand-worked cases and by any order of requests."""

import threading

import pytest
from harness.passing_time import PassingTime
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.brokers.ibkr.pace import HistoricalPace


def turns(requests: list[tuple[str, str, int]], per_ten_minutes: int = 60, idle: float = 0.0) -> list[float]:
    """When each of (series, request, weight) goes, one after the other with ``idle`` seconds between."""
    time = PassingTime()
    pace = HistoricalPace(per_ten_minutes, sleep=time.sleep, monotonic=time)
    went = []
    for series, request, weight in requests:
        pace.wait(series, request, weight)
        went.append(time.now)
        time.now += idle
    return went


def test_identical_requests_are_fifteen_seconds_apart() -> None:
    assert turns([("SPY", "a", 1)] * 3) == [0.0, 15.5, 31.0]
    assert turns([("SPY", "a", 1), ("SPY", "b", 1), ("SPY", "a", 1)]) == [0.0, 0.0, 15.5]


def test_five_of_one_series_go_at_once() -> None:
    of_one = [("SPY", str(n), 1) for n in range(7)]
    assert turns(of_one) == [0.0, 0.0, 0.0, 0.0, 0.0, 2.5, 2.5]
    assert turns([(f"S{n}", str(n), 1) for n in range(7)]) == [0.0] * 7


def test_sixty_within_ten_minutes() -> None:
    each_its_own = [(f"S{n}", str(n), 1) for n in range(121)]
    assert turns(each_its_own)[59:61] == [0.0, 600.5]
    assert turns(each_its_own)[119:121] == [600.5, 1201.0]
    # One every ten seconds never has to wait: the first is over when the sixty-first comes.
    assert turns(each_its_own, idle=10.01)[60] == pytest.approx(600.6)


def test_weight_two_counts_twice() -> None:
    assert turns([(f"S{n}", str(n), 2) for n in range(31)])[29:] == [0.0, 600.5]
    mixed = [*((f"S{n}", str(n), 1) for n in range(59)), ("T", "t", 2)]
    assert turns(mixed)[-1] == 600.5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("stuvwxyz"), st.sampled_from((1, 2))), max_size=60),
    st.integers(2, 12),
    st.sampled_from((0.0, 0.3, 7.0)),
)
def test_no_order_of_requests_exceeds_a_limit(requests: list[tuple[str, str, int]], most: int, idle: float) -> None:
    went = list(zip(turns(requests, most, idle), requests, strict=True))
    for number, (at, (series, request, _)) in enumerate(went):
        before = [(at - then, other) for then, other in went[:number]]
        assert all(gap >= 15 for gap, other in before if other[1] == request)
        assert sum(1 for gap, other in before if other[0] == series and gap <= 2) < 5
        assert sum(other[2] for gap, other in before if gap <= 600) + went[number][1][2] <= most


def test_threads_share_the_limits() -> None:
    slept: list[float] = []
    pace = HistoricalPace(10, sleep=slept.append, monotonic=lambda: 0.0)
    threads = [threading.Thread(target=pace.wait, args=(f"S{n}", n)) for n in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(slept) == [600.5] * 10 + [1201.0] * 5
