"""What holds for assembly whatever the rows are, in whatever order and however split over frames."""

import datetime as dt
import io
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.bars import AssembledBars, BarsRefused, ConflictingDuplicates, assemble_m1, daily_quality
from trading.contracts import RAW_COLUMNS
from trading.sessions import get_calendar

STARTS = {
    "XNYS": dt.datetime(2020, 3, 6, 20, 55, tzinfo=dt.UTC),  # to Monday's open, over the clock change
    "XTKS": dt.datetime(2024, 11, 1, 2, 25, tzinfo=dt.UTC),  # around lunch
    "CMES": dt.datetime(2020, 1, 20, 17, 55, tzinfo=dt.UTC),  # from the holiday's halt into the evening
    "24/7": dt.datetime(2018, 4, 4, 23, 50, tzinfo=dt.UTC),
}
AFTERWARDS = {
    "XNYS": (0, 60, 3874, 3875, 3876),
    "XTKS": (0, 30, 60, 64, 65),
    "CMES": (0, 5, 60, 304, 305),
    "24/7": (0, 5, 30, 1440, 1445),
}


@st.composite
def minutes(draw: st.DrawFn) -> tuple[str, pl.DataFrame]:
    """A calendar and rows about its edges: up to three Symbols, exact repetitions from the same and other files."""
    calendar = draw(st.sampled_from(sorted(STARTS)))
    offsets = st.builds(int.__add__, st.sampled_from(AFTERWARDS[calendar]), st.integers(0, 12))
    keys = draw(st.lists(st.tuples(st.sampled_from(["A", "BB", "C"]), offsets), min_size=1, max_size=40))
    rows = []
    for symbol, offset in keys:
        # figures follow from the key, so that repetitions are exact
        middle = 100 + (offset * 7 + len(symbol)) % 13 / 4
        prices = (middle, middle + offset % 3 / 4, middle - offset % 5 / 8, middle + (offset % 3 - offset % 5) / 16)
        volume = offset * 11 % 300
        file = draw(st.sampled_from([None, "one.parquet", "two.parquet"]))
        rows.append((symbol, STARTS[calendar] + dt.timedelta(minutes=offset), *prices, volume, file))
    return calendar, pl.DataFrame(rows, schema=dict(RAW_COLUMNS), orient="row")


@st.composite
def frames_of(draw: st.DrawFn, rows: pl.DataFrame) -> list[pl.DataFrame]:
    """``rows`` in any order, cut into any number of frames."""
    shuffled = rows[draw(st.permutations(range(rows.height)))]
    cuts = sorted(draw(st.lists(st.integers(0, rows.height), max_size=4)))
    return [shuffled[low:high] for low, high in pairwise([0, *cuts, rows.height])]


def _bytes(assembled: AssembledBars) -> list[bytes]:
    written = []
    for frame in (assembled.bars, assembled.report):
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        written.append(buffer.getvalue())
    return written


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_order_and_split_gives_the_same_bytes(data: st.DataObject) -> None:
    calendar, rows = data.draw(minutes())
    whole = assemble_m1([rows], calendar)
    parts = assemble_m1(data.draw(frames_of(rows)), calendar)
    assert _bytes(parts) == _bytes(whole)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_order_and_split_is_refused_in_the_same_words(data: st.DataObject) -> None:
    calendar, rows = data.draw(minutes())
    column, factor = data.draw(st.sampled_from([("Close", 2.0), ("Volume", -1), ("Low", -1.0), ("High", float("nan"))]))
    at = data.draw(st.integers(0, rows.height - 1))
    wrong = rows[at : at + 1].with_columns((pl.col(column) * factor - 1).cast(rows.schema[column]))
    rows = pl.concat([rows, wrong])
    with pytest.raises(BarsRefused) as first:
        assemble_m1([rows], calendar)
    with pytest.raises(BarsRefused) as second:
        assemble_m1(data.draw(frames_of(rows)), calendar)
    assert isinstance(first.value, ConflictingDuplicates), "the row is there with its right figures too"
    assert str(second.value) == str(first.value)
    assert first.value.rows is not None
    assert second.value.rows is not None
    assert second.value.rows.equals(first.value.rows)


@settings(max_examples=50, deadline=None)
@given(drawn=minutes())
def test_every_row_is_accounted_for(drawn: tuple[str, pl.DataFrame]) -> None:
    calendar, rows = drawn
    assembled = assemble_m1([rows], calendar)
    report, bars = assembled.report, assembled.bars
    assert report["rows_in"].sum() == rows.height
    parts = report.select(pl.sum_horizontal("exact_duplicates", "rows_outside_session", "minutes_present"))
    assert parts.to_series().to_list() == report["rows_in"].to_list()
    once = rows.unique(["Symbol", "Timestamp"])
    assert report["exact_duplicates"].sum() == rows.height - once.height
    assert report["minutes_present"].sum() == bars.height
    due = once.filter(get_calendar(calendar).session_of(once["Timestamp"]).is_not_null())
    assert bars.height == due.height
    assert bars["Volume"].sum() == due["Volume"].sum()
    per_key = bars.group_by("Symbol", "session").agg(
        present=pl.len().cast(pl.Int32), first=pl.col("Timestamp").min(), last=pl.col("Timestamp").max()
    )
    joined = report.join(per_key, on=["Symbol", "session"], how="left").with_columns(pl.col("present").fill_null(0))
    for ours, counted in (("minutes_present", "present"), ("first_minute", "first"), ("last_minute", "last")):
        assert joined.filter(pl.col(ours).ne_missing(pl.col(counted))).is_empty()


@settings(max_examples=50, deadline=None)
@given(drawn=minutes())
def test_no_bar_lies_outside_its_session(drawn: tuple[str, pl.DataFrame]) -> None:
    calendar, rows = drawn
    exchange = get_calendar(calendar)
    bars = assemble_m1([rows], calendar).bars
    assert bars.select("Symbol", "Timestamp").equals(bars.select("Symbol", "Timestamp").unique().sort(pl.all()))
    for session, stamp in bars.select("session", "Timestamp").iter_rows():
        edges = exchange.frame(session, session).row(0, named=True)
        assert edges["open"] <= stamp < edges["close"]
        assert edges["break_start"] is None or not edges["break_start"] <= stamp < edges["break_end"]
    assert bars.filter(
        (pl.col("Low") > pl.min_horizontal("Open", "Close")) | (pl.col("High") < pl.max_horizontal("Open", "Close"))
    ).is_empty()


@settings(max_examples=50, deadline=None)
@given(drawn=minutes())
def test_the_quality_table_agrees_with_a_count_one_by_one(drawn: tuple[str, pl.DataFrame]) -> None:
    calendar, rows = drawn
    exchange = get_calendar(calendar)
    assembled = assemble_m1([rows], calendar)
    for row in daily_quality(assembled, calendar).iter_rows(named=True):
        edges = exchange.frame(row["session"], row["session"]).row(0, named=True)
        span = range((edges["close"] - edges["open"]) // dt.timedelta(minutes=1))
        due = [edges["open"] + dt.timedelta(minutes=i) for i in span]
        if edges["break_start"] is not None:
            due = [stamp for stamp in due if not edges["break_start"] <= stamp < edges["break_end"]]
        held = assembled.bars.filter(Symbol=row["Symbol"], session=row["session"])
        have = set(held["Timestamp"])
        missing = [stamp for stamp in due if stamp not in have]
        assert row["minutes_expected"] == len(due)
        assert row["missing"] == missing
        assert row["missing_minutes"] == len(missing)
        runs = "".join("x" if stamp in have else "." for stamp in due).split("x")
        assert row["longest_gap"] == max(map(len, runs))
        assert row["zero_volume"] == held.filter(pl.col("Volume") == 0).height
