"""How two versions of a session's minutes differ."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.bars.revisions import bar_differences, summary
from trading.contracts import BAR_COLUMNS, ContractViolation, validate

OPEN = dt.datetime(2023, 10, 2, 13, 30, tzinfo=dt.UTC)
DAY = dt.date(2023, 10, 2)
Bar = tuple[str, int, float, float, float, float, int]


def minutes(*bars: Bar) -> pl.DataFrame:
    """Bars as (Symbol, minute of the session, Open, High, Low, Close, Volume)."""
    rows = [(symbol, OPEN + dt.timedelta(minutes=minute), *values, DAY) for symbol, minute, *values in bars]
    return pl.DataFrame(rows, schema=dict(BAR_COLUMNS), orient="row")


BEFORE = minutes(
    ("AAA", 0, 100.0, 101.0, 99.0, 100.5, 10),
    ("AAA", 1, 100.5, 102.0, 100.0, 101.0, 20),
    ("BBB", 0, 50.0, 51.0, 49.0, 50.0, 30),
    ("CCC", 0, 10.0, 10.0, 10.0, 10.0, 40),
)
AFTER = minutes(
    ("AAA", 0, 100.0, 101.0, 99.0, 100.5, 10),
    ("AAA", 1, 100.5, 102.0, 98.0, 101.5, 25),
    ("AAA", 2, 101.5, 101.5, 101.5, 101.5, 5),
    ("CCC", 0, 10.0, 10.0, 10.0, 10.0, 41),
)


def test_changed_added_and_removed_bars_value_by_value() -> None:
    found = bar_differences(BEFORE, AFTER)
    rows = [
        (symbol, (at - OPEN).seconds // 60, change, column, old, new)
        for symbol, at, change, column, old, new in found.iter_rows()
    ]
    assert rows == [
        ("AAA", 1, "changed", "Low", 100.0, 98.0),
        ("AAA", 1, "changed", "Close", 101.0, 101.5),
        ("AAA", 1, "changed", "Volume", 20.0, 25.0),
        ("AAA", 2, "added", "Open", None, 101.5),
        ("AAA", 2, "added", "High", None, 101.5),
        ("AAA", 2, "added", "Low", None, 101.5),
        ("AAA", 2, "added", "Close", None, 101.5),
        ("AAA", 2, "added", "Volume", None, 5.0),
        ("BBB", 0, "removed", "Open", 50.0, None),
        ("BBB", 0, "removed", "High", 51.0, None),
        ("BBB", 0, "removed", "Low", 49.0, None),
        ("BBB", 0, "removed", "Close", 50.0, None),
        ("BBB", 0, "removed", "Volume", 30.0, None),
        ("CCC", 0, "changed", "Volume", 40.0, 41.0),
    ]


def test_the_summary_counts_bars_and_takes_the_largest_price_change() -> None:
    found = summary(bar_differences(BEFORE, AFTER))
    # the largest: Low of AAA from 100 to 98, 2 %; Volume is no price, an added bar has no change
    assert found == {
        "rows_changed": 2,
        "rows_added": 1,
        "rows_removed": 1,
        "symbols": 3,
        "largest_bps": pytest.approx(200),
    }


def test_without_a_change_of_a_price_there_is_no_largest_one() -> None:
    found = summary(bar_differences(BEFORE, minutes(*BEFORE.drop("session").rows()[:0])))
    assert (found["rows_removed"], found["largest_bps"]) == (4, None)
    assert summary(bar_differences(BEFORE, BEFORE)) == {
        "rows_changed": 0, "rows_added": 0, "rows_removed": 0, "symbols": 0, "largest_bps": None,
    }  # fmt: skip


def test_the_contract_takes_what_is_made_and_refuses_sides_that_do_not_fit() -> None:
    found = bar_differences(BEFORE, AFTER).select(
        pl.lit(DAY).alias("session"), pl.lit(1, pl.Int32).alias("revision"), pl.all()
    )
    assert validate(found, "bar_revisions").height == 14
    assert validate(found.clear(), "bar_revisions").is_empty()
    with pytest.raises(ContractViolation, match="sides"):
        validate(found.with_columns(change=pl.lit("added")), "bar_revisions")


@st.composite
def sessions(draw: st.DrawFn) -> pl.DataFrame:
    keys = draw(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 3)), unique=True, max_size=8))
    price = st.sampled_from([1.0, 1.5, 2.0])
    return minutes(
        *((symbol, minute, draw(price), 2.0, 1.0, draw(price), draw(st.integers(0, 2))) for symbol, minute in keys)
    )


@settings(max_examples=60, deadline=None)
@given(before=sessions(), after=sessions())
def test_the_differences_turn_one_side_into_the_other_and_back(before: pl.DataFrame, after: pl.DataFrame) -> None:
    found = bar_differences(before, after)
    cells = {
        side: {
            (symbol, at, name): float(row[name])
            for row in frame.iter_rows(named=True)
            for symbol, at in [(row["Symbol"], row["Timestamp"])]
            for name in ("Open", "High", "Low", "Close", "Volume")
        }
        for side, frame in (("old", before), ("new", after))
    }
    told = {(symbol, at, column): (old, new) for symbol, at, _, column, old, new in found.iter_rows()}
    keys = cells["old"].keys() | cells["new"].keys()
    assert told == {
        key: (cells["old"].get(key), cells["new"].get(key))
        for key in keys
        if cells["old"].get(key) != cells["new"].get(key)
    }
    back = bar_differences(after, before)
    assert back.select("Symbol", "Timestamp", "column", pl.col("new").alias("old"), pl.col("old").alias("new")).equals(
        found.select("Symbol", "Timestamp", "column", "old", "new")
    )
