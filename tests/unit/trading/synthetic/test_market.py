import datetime as dt
import time

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.bars import BarsRefused, assemble_m1, daily_quality, resample
from trading.errors import ConfigError
from trading.synthetic import Injection, SyntheticMarket


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket()


@pytest.fixture(scope="module")
def m1(market: SyntheticMarket) -> pl.DataFrame:
    return market.m1()


@pytest.fixture(scope="module")
def quality(m1: pl.DataFrame) -> pl.DataFrame:
    return daily_quality(assemble_m1([m1]))


def test_the_standard_market(market: SyntheticMarket) -> None:
    assert market.symbols == ["SYNA", "SYNB", "SYNC", "SYND", "SYNE", "SYNF", "SYNG", "SYNH"]
    assert len(market.sessions) == 48
    assert (market.sessions[0], market.sessions[-1]) == (dt.date(2023, 10, 2), dt.date(2023, 12, 7))
    assert "SYNTHETIC" in market.label


def test_a_seed_is_the_whole_market(market: SyntheticMarket, m1: pl.DataFrame) -> None:
    again = SyntheticMarket()
    assert_frame_equal(again.m1(), m1, check_exact=True)
    assert_frame_equal(again.faults, market.faults)
    assert not SyntheticMarket(8).m1().equals(m1)


def test_it_is_made_in_two_seconds() -> None:
    started = time.perf_counter()
    SyntheticMarket(3).m1()
    assert time.perf_counter() - started < 2.0


def test_prices_are_positive_whole_cents_and_bounded(m1: pl.DataFrame) -> None:
    for name in ("Open", "High", "Low", "Close"):
        prices = m1[name].to_numpy()
        assert (prices == np.rint(prices * 100) / 100).all(), name
    assert (m1["Low"] > 0).all()
    assert m1.select((pl.col("Low") <= pl.min_horizontal("Open", "Close")).all()).item()
    assert m1.select((pl.col("High") >= pl.max_horizontal("Open", "Close")).all()).item()
    assert (m1["Volume"] >= 1).all()


def test_every_listed_kind_is_there(market: SyntheticMarket) -> None:
    kinds = set(market.faults["kind"])
    assert kinds == {"halt", "missing_minutes", "exact_duplicates", "split", "early_close", "clock_change"}
    days = dict(market.faults.filter(pl.col("Symbol").is_null()).select("kind", "session").iter_rows())
    assert days == {"early_close": dt.date(2023, 11, 24), "clock_change": dt.date(2023, 11, 6)}


def test_gaps_are_exactly_the_listed_ones(market: SyntheticMarket, quality: pl.DataFrame) -> None:
    gaps = market.faults.filter(pl.col("kind").is_in(["halt", "missing_minutes"]))
    listed = {(s, d): n for s, d, n in gaps.select("Symbol", "session", "count").iter_rows()}
    found = quality.filter(pl.col("missing_minutes") > 0)
    assert {(s, d): n for s, d, n in found.select("Symbol", "session", "missing_minutes").iter_rows()} == listed
    halts = gaps.filter(kind="halt").join(quality, on=["Symbol", "session"])
    assert halts["longest_gap"].to_list() == halts["count"].to_list()
    assert quality["passed"].all()


def test_duplicates_are_exactly_the_listed_ones(market: SyntheticMarket, quality: pl.DataFrame) -> None:
    listed = market.faults.filter(kind="exact_duplicates").select("Symbol", "session", "count").rows()
    found = quality.filter(pl.col("exact_duplicates") > 0).select("Symbol", "session", "exact_duplicates")
    assert sorted(found.rows()) == sorted(listed)


def test_the_split_quarters_the_raw_price_and_nothing_else_does(market: SyntheticMarket, m1: pl.DataFrame) -> None:
    daily = resample(assemble_m1([m1]).bars, "1d", policy="keep")
    jump = (pl.col("Open") / pl.col("Close").shift()).over("Symbol").alias("jump")
    jumps = daily.with_columns(jump).filter((pl.col("jump") < 0.6) | (pl.col("jump") > 1.6))
    listed = market.faults.filter(kind="split").select("Symbol", "session")
    assert jumps.select("Symbol", "session").rows() == listed.rows()
    assert jumps["jump"][0] == pytest.approx(0.25, rel=0.1)


def test_extended_hours_are_sparse_and_end_at_eight_and_eighteen(m1: pl.DataFrame, quality: pl.DataFrame) -> None:
    local = m1["Timestamp"].dt.convert_time_zone("America/New_York").dt
    minutes = local.hour().cast(pl.Int32) * 60 + local.minute()
    assert 480 <= minutes.min() < 500  # type: ignore[operator]
    assert 1060 < minutes.max() < 1080  # type: ignore[operator]
    outside = quality["rows_outside_session"]
    assert outside.min() >= 20  # type: ignore[operator]
    early = quality.filter(session=dt.date(2023, 11, 24))
    assert early["minutes_expected"].unique().to_list() == [210]
    assert early["rows_outside_session"].min() > 40  # type: ignore[operator]


def test_days_are_busier_at_both_ends(m1: pl.DataFrame) -> None:
    h1 = resample(assemble_m1([m1]).bars, "30m", policy="keep").filter(pl.col("session") != dt.date(2023, 11, 24))
    by_slot = h1.with_columns(slot=pl.col("Timestamp").rank("ordinal").over("Symbol", "session"))
    mean = by_slot.group_by("slot").agg(pl.col("Volume").mean()).sort("slot")["Volume"]
    assert mean[0] > 1.5 * mean[6]
    assert mean[12] > 1.2 * mean[6]


def test_there_are_inside_bars_to_trade(m1: pl.DataFrame) -> None:
    m5 = resample(assemble_m1([m1]).bars, "5m")
    inside = ((pl.col("High") <= pl.col("High").shift()) & (pl.col("Low") >= pl.col("Low").shift())).over("Symbol")
    assert 0.05 < m5.select(inside.mean()).item() < 0.3


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("bad_bar", "high_bounds"),
        ("conflicting_duplicate", "conflicting_duplicates"),
        ("off_grid", "off_grid"),
        ("bad_price", "price_not_positive"),
    ],
)
def test_an_injection_refuses_its_session_and_no_other(kind: str, code: str) -> None:
    day = dt.date(2023, 10, 5)
    market = SyntheticMarket(sessions=6, injections=[Injection(kind, "SYNB", day)])  # type: ignore[arg-type]
    m1 = market.m1()
    with pytest.raises(BarsRefused) as refused:
        assemble_m1([m1])
    assert refused.value.code == code
    assert refused.value.rows is not None
    assert refused.value.rows["Symbol"].unique().to_list() == ["SYNB"]
    assemble_m1([m1.filter(pl.col("Timestamp").dt.date() != day)])
    assert market.faults.filter(kind=kind).select("Symbol", "session").row(0) == ("SYNB", day)


def test_small_and_large_markets() -> None:
    one = SyntheticMarket(1, ["ONLY"], sessions=1)
    assert assemble_m1([one.m1()]).bars.height == 390
    assert SyntheticMarket(1, 30, sessions=2).symbols[-1] == "SYNAD"


@pytest.mark.parametrize(
    "arguments",
    [
        {"symbols": 0},
        {"sessions": 0},
        {"seed": -1},
        {"symbols": ["A", "A"]},
        {"injections": [Injection("bad_bar", "NOPE", dt.date(2023, 10, 5))]},
        {"injections": [Injection("bad_bar", "SYNA", dt.date(2022, 10, 5))]},
    ],
)
def test_impossible_markets_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SyntheticMarket(**arguments)  # type: ignore[arg-type]
