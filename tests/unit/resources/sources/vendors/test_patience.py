"""How long a request is tried."""

import logging
from collections.abc import Callable

import pytest

from resources.sources.vendors.patience import Again, Patience, retry_after
from trading.ports.sources import SourceDown


def failing(*waits: float | None) -> tuple[list[int], Callable[[], int]]:
    """Fails as often as ``waits`` are given, then answers 42."""
    left = list(waits)
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        if left:
            raise Again("status 503", left.pop(0))
        return 42

    return asked, ask


def test_pauses_grow_twofold_up_to_the_longest_and_jitter_below_that() -> None:
    pauses: list[float] = []
    asked, ask = failing(*[None] * 6)
    patience = Patience(attempts=7, seconds=1000, first=1.0, longest=8.0)
    assert patience.keep_asking(ask, "acme", "AAPL", pauses.append) == 42
    assert len(asked) == 7
    for pause, whole in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True):
        assert whole / 2 <= pause <= whole


def test_what_the_vendor_asks_for_is_waited_for() -> None:
    pauses: list[float] = []
    _, ask = failing(17.0, None)
    assert Patience().keep_asking(ask, "acme", "AAPL", pauses.append) == 42
    assert pauses[0] == 17.0 and len(pauses) == 2


@pytest.mark.parametrize(
    ("patience", "waits", "attempts"),
    [
        (Patience(attempts=3), [None] * 9, 3),
        (Patience(seconds=60.0), [40.0, 15.0, 10.0], 3),  # 40 + 15 + 10 are too many
        (Patience(seconds=60.0), [61.0], 1),
    ],
)
def test_patience_ends_before_a_pause_that_would_exceed_it(
    patience: Patience, waits: list[float | None], attempts: int
) -> None:
    asked, ask = failing(*waits)
    pauses: list[float] = []
    says = (
        rf"acme does not deliver AAPL 2024-01-02: status 503.*; tried {attempts} times within \d+ s\. What has arrived"
    )
    with pytest.raises(SourceDown, match=says):
        patience.keep_asking(ask, "acme", "AAPL 2024-01-02", pauses.append)
    assert len(asked) == attempts
    assert len(pauses) == attempts - 1 and sum(pauses) <= patience.seconds


def test_an_answer_within_the_last_second_is_one() -> None:
    pauses: list[float] = []
    _, ask = failing(40.0, 15.0, 4.0)
    assert Patience(seconds=60.0).keep_asking(ask, "acme", "AAPL", pauses.append) == 42


def test_a_refusal_is_not_tried_again() -> None:
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Patience().keep_asking(ask, "acme", "AAPL", lambda _: None)
    assert asked == [1]


def test_each_pause_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    _, ask = failing(5.0)
    with caplog.at_level(logging.WARNING):
        Patience().keep_asking(ask, "acme", "AAPL", lambda _: None)
    assert caplog.messages == ["acme: AAPL: status 503; asked again in 5 s"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:29:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),  # our own clock is not theirs
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
