import datetime as dt
import random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.contracts import validate
from trading.corporate_actions import ACTION_COLUMNS, CONTRACT, collect_actions, no_actions
from trading.errors import ContractViolation

DAY = dt.date(2014, 6, 9)


def row(**given: Any) -> dict[str, Any]:
    return {**dict.fromkeys(ACTION_COLUMNS), "Symbol": "AAA", "ex_date": DAY, "source": "test", **given}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict(ACTION_COLUMNS), orient="row")


SPLIT = row(kind="split", ratio=7.0)
DIVIDEND = row(kind="dividend", amount=3.29, currency="USD")
CHANGE = row(kind="new_security")


def test_any_order_gives_the_same_frame_and_repeats_are_one() -> None:
    rows = [SPLIT, DIVIDEND, CHANGE, {**SPLIT, "Symbol": "BBB"}, {**SPLIT, "ex_date": DAY + dt.timedelta(days=1)}]
    straight = collect_actions([frame(*rows)])
    assert straight.height == 5
    mixed = rows * 2
    random.Random(7).shuffle(mixed)
    assert_frame_equal(collect_actions([frame(*mixed[:4]), frame(*mixed[4:])]), straight, check_exact=True)
    validate(straight, CONTRACT)


def test_nothing_is_an_empty_frame_of_the_contract() -> None:
    assert_frame_equal(collect_actions([]), no_actions())
    validate(no_actions(), CONTRACT)


@pytest.mark.parametrize(
    "other",
    [{**SPLIT, "ratio": 8.0}, {**SPLIT, "source": "elsewhere"}, {**SPLIT, "announced": DAY}],
    ids=["ratio", "source", "announced"],
)
def test_two_that_disagree_are_refused_and_both_shown(other: dict[str, Any]) -> None:
    with pytest.raises(ContractViolation) as refused:
        collect_actions([frame(SPLIT), frame(other)], where="universe us")
    assert refused.value.rule == "conflicting_actions"
    message = str(refused.value)
    assert "universe us" in message and message.count("Symbol=AAA") == 2 and "ex_date=2014-06-09" in message


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ({**SPLIT, "kind": "spinoff"}, "kind"),
        ({**SPLIT, "ratio": None}, "ratio_for_splits"),
        ({**CHANGE, "ratio": 2.0}, "ratio_for_splits"),
        ({**SPLIT, "ratio": 0.0}, "ratio"),
        ({**SPLIT, "ratio": -2.0}, "ratio"),
        ({**SPLIT, "ratio": 1.0}, "ratio"),
        ({**SPLIT, "ratio": float("inf")}, "ratio"),
        ({**DIVIDEND, "amount": None}, "amount_for_dividends"),
        ({**SPLIT, "amount": 1.0}, "amount_for_dividends"),
        ({**DIVIDEND, "amount": 0.0}, "amount"),
        ({**DIVIDEND, "amount": float("inf")}, "amount"),
        ({**DIVIDEND, "currency": None}, "currency"),
        ({**DIVIDEND, "currency": "usd"}, "currency"),
        ({**SPLIT, "currency": "USD"}, "currency"),
        ({**SPLIT, "Symbol": None}, "null"),
        ({**SPLIT, "ex_date": None}, "null"),
        ({**SPLIT, "source": None}, "null"),
    ],
)
def test_rows_that_cannot_be_right_are_refused(bad: dict[str, Any], rule: str) -> None:
    with pytest.raises(ContractViolation) as refused:
        collect_actions([frame({**SPLIT, "Symbol": "ZZZ"}, bad)])
    assert refused.value.rule == rule


def test_a_wrong_column_is_named() -> None:
    with pytest.raises(ContractViolation, match="ex_date"):
        collect_actions([frame(SPLIT).with_columns(pl.col("ex_date").cast(pl.String))])
    with pytest.raises(ContractViolation, match="must be spelled 'Symbol'"):
        collect_actions([frame(SPLIT).rename({"Symbol": "symbol"})])
