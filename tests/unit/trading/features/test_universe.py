import datetime as dt
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from trading.contracts import validate
from trading.errors import ContractViolation, DataError
from trading.features.daily import FeatureWindows, LookAheadError, daily_features
from trading.features.universe import UniverseConfig, build_universe, removals
from trading.sessions import get_calendar

SESSION = dt.date(2023, 11, 24)  # Friday after Thanksgiving: the session before is Wednesday the 22nd
DAYS = get_calendar("XNYS").sessions(dt.date(2023, 11, 13), dt.date(2023, 11, 22))  # eight sessions


def _daily(symbol: str, closes: list[float], volumes: list[int] | None = None) -> pl.DataFrame:
    """The last ``len(closes)`` sessions before SESSION."""
    days = DAYS[-len(closes) :]
    volumes = volumes or [1000] * len(closes)
    return pl.DataFrame(
        {"Symbol": symbol, "High": closes, "Low": closes, "Close": closes, "Volume": volumes, "session": days}
    )


def _build(daily: pl.DataFrame, symbols: list[str], *filters: dict[str, Any], **more: Any) -> pl.DataFrame:
    config = UniverseConfig.model_validate({"filters": filters})
    features = validate(daily_features(daily, symbols, SESSION, config.windows), "daily_features")
    return validate(build_universe(features, SESSION, config, **more), "universe")


def _state(universe: pl.DataFrame) -> dict[str, str | None]:
    return dict(universe.select("Symbol", "removed_by").iter_rows())


def test_figures_are_worked_from_the_last_sessions() -> None:
    daily = _daily("AAA", [8.0, 10.0, 11.0, 12.0], [9, 100, 200, 600])
    row = _build(
        daily,
        ["AAA"],
        {"kind": "min_average_volume", "sessions": 3, "minimum": 300},
        {"kind": "rate_of_change", "sessions": 2, "maximum": 0.2},
    ).row(0, named=True)
    assert (row["history"], row["last_close"], row["avg_volume"]) == (4, 12.0, 300.0)
    assert row["avg_dollar_volume"] == (1000 + 2200 + 7200) / 3
    assert row["roc"] == pytest.approx(0.2, abs=1e-12)
    assert row["admitted"] is True


def test_filters_chain_and_the_first_one_gives_the_reason() -> None:
    daily = pl.concat(
        [_daily("CHEAP", [1.0, 1.0], [5, 5]), _daily("THIN", [50.0, 50.0], [5, 5]), _daily("GOOD", [50.0, 50.0])]
    )
    universe = _build(
        daily,
        ["THIN", "GOOD", "CHEAP"],
        {"kind": "price_range", "minimum": 5},
        {"kind": "min_average_volume", "sessions": 2, "minimum": 100},
    )
    assert _state(universe) == {"CHEAP": "price_range", "GOOD": None, "THIN": "min_average_volume"}
    assert removals(universe) == {"min_average_volume": 1, "price_range": 1}
    reason = dict(universe.select("Symbol", "reason").iter_rows())
    assert reason["CHEAP"] == "last_close 1.0 is outside [5, inf]"
    assert reason["THIN"] == "avg_volume 5.0 over 2 sessions is below 100"


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ({"kind": "price_range", "minimum": 20.0}, ["B", "C"]),
        ({"kind": "price_range", "maximum": 20.0}, ["A", "B"]),
        ({"kind": "rate_of_change", "sessions": 1, "minimum": 0.0}, ["A", "B"]),
        ({"kind": "rate_of_change", "sessions": 1, "minimum": -0.5, "maximum": 0.0}, ["B", "C"]),
        ({"kind": "min_average_volume", "sessions": 2, "minimum": 200}, ["B", "C"]),
        ({"kind": "top_n", "n": 2, "by": "last_close"}, ["B", "C"]),
        ({"kind": "top_n", "n": 1, "by": "roc"}, ["A"]),
        ({"kind": "top_n", "n": 5, "by": "roc"}, ["A", "B", "C"]),
    ],
)
def test_bounds_are_inclusive(chosen: dict[str, Any], kept: list[str]) -> None:
    daily = pl.concat(
        [
            _daily("A", [5.0, 10.0], [100, 100]),
            _daily("B", [20.0, 20.0], [100, 300]),
            _daily("C", [60.0, 30.0], [400, 400]),
        ]
    )
    universe = _build(daily, ["A", "B", "C"], chosen)
    if chosen.get("by") == "roc":
        config = UniverseConfig.model_validate(
            {"filters": [{"kind": "rate_of_change", "sessions": 1, "minimum": -1.0}, chosen]}
        )
        features = daily_features(daily, ["A", "B", "C"], SESSION, config.windows)
        universe = build_universe(features, SESSION, config)
    assert universe.filter("admitted")["Symbol"].to_list() == kept


def test_ties_in_a_ranking_go_by_symbol() -> None:
    daily = pl.concat([_daily(s, [10.0]) for s in ("D", "B", "C", "A")])
    universe = _build(daily, ["D", "B", "C", "A"], {"kind": "top_n", "n": 2, "by": "last_close"})
    assert universe.filter("admitted")["Symbol"].to_list() == ["A", "B"]


@pytest.mark.parametrize(("on_missing", "removed"), [("admit", None), ("remove", "x")])
@pytest.mark.parametrize(
    "chosen",
    [
        {"kind": "min_average_volume", "sessions": 3, "minimum": 1},
        {"kind": "price_range", "minimum": 1},
        {"kind": "rate_of_change", "sessions": 3, "minimum": -1.0},
        {"kind": "top_n", "n": 1, "by": "last_close"},
    ],
    ids=lambda chosen: str(chosen["kind"]),
)
def test_too_little_history(chosen: dict[str, Any], on_missing: str, removed: str | None) -> None:
    daily = _daily("OLD", [10.0, 10.0, 10.0, 10.0])
    universe = _build(daily, ["OLD", "NEW"], {**chosen, "on_missing": on_missing})
    assert _state(universe) == {"OLD": None, "NEW": chosen["kind"] if removed else None}
    if removed:
        assert "too little history" in universe.filter(Symbol="NEW")["reason"][0]


def test_a_gap_in_the_window_is_too_little_history() -> None:
    """Five old bars do not stand in for the session that has none."""
    daily = _daily("AAA", [10.0] * 6).filter(pl.col("session") != DAYS[-2])
    universe = _build(daily, ["AAA"], {"kind": "min_average_volume", "sessions": 3, "minimum": 1})
    assert _state(universe) == {"AAA": "min_average_volume"}
    stopped = _daily("AAA", [10.0] * 6).filter(pl.col("session") < DAYS[-1])
    assert _build(stopped, ["AAA"])["last_close"].to_list() == [None]


def test_only_the_past_may_be_given() -> None:
    for day in (SESSION, dt.date(2023, 11, 27)):
        ahead = _daily("AAA", [10.0]).with_columns(session=pl.lit(day))
        with pytest.raises(LookAheadError, match="only earlier sessions"):
            _build(pl.concat([_daily("AAA", [10.0]), ahead]), ["AAA"])


def test_blackout_by_date_and_for_all() -> None:
    daily = pl.concat([_daily(s, [10.0]) for s in ("AAA", "BBB")])
    periods = [("AAA", dt.date(2023, 11, 1), SESSION), ("BBB", dt.date(2023, 11, 25), dt.date(2023, 12, 1))]
    listed = pl.DataFrame(periods, schema={"Symbol": pl.String, "first": pl.Date, "last": pl.Date}, orient="row")
    chosen = {"kind": "blackout"}
    assert _state(_build(daily, ["AAA", "BBB"], chosen, blackout=listed)) == {"AAA": "blackout", "BBB": None}
    today = listed.with_columns(first=pl.lit(SESSION), last=pl.lit(SESSION))
    assert removals(_build(daily, ["AAA", "BBB"], chosen, blackout=today)) == {"blackout": 2}
    everyone = listed.with_columns(Symbol=pl.lit("*"))
    assert removals(_build(daily, ["AAA", "BBB"], chosen, blackout=everyone)) == {"blackout": 2}
    with pytest.raises(DataError, match="needs its list"):
        _build(daily, ["AAA"], chosen)
    with pytest.raises(DataError, match=r"no \{kind: blackout\}"):
        _build(daily, ["AAA"], blackout=listed)
    with pytest.raises(ContractViolation, match="first <= last"):
        _build(daily, ["AAA"], chosen, blackout=listed.with_columns(last=pl.lit(dt.date(2000, 1, 1))))


def test_no_filter_admits_all_and_no_history_needs_no_columns() -> None:
    universe = _build(pl.DataFrame(), ["B", "A", "B"])
    assert universe.select("Symbol", "admitted", "session").rows() == [("A", True, SESSION), ("B", True, SESSION)]
    assert _build(pl.DataFrame(), []).is_empty()


def test_a_holiday_has_no_universe() -> None:
    with pytest.raises(DataError, match="no session of XNYS"):
        daily_features(pl.DataFrame(), ["A"], dt.date(2023, 11, 23))


def test_a_doubled_daily_bar_is_refused() -> None:
    with pytest.raises(ContractViolation, match="one daily bar per session"):
        _build(pl.concat([_daily("A", [10.0]), _daily("A", [11.0])]), ["A"])


@pytest.mark.parametrize(
    "filters",
    [
        [{"kind": "nope"}],
        [{"kind": "price_range", "minimum": 5, "maximum": 4}],
        [{"kind": "rate_of_change", "sessions": 3}],
        [{"kind": "top_n", "n": 0}],
        [{"kind": "top_n", "n": 3, "by": "beauty"}],
        [{"kind": "min_average_volume", "minimum": 1, "typo": 2}],
        [{"kind": "top_n", "n": 3}, {"kind": "top_n", "n": 2}],
        [{"kind": "price_range", "on_missing": "guess"}],
    ],
)
def test_wrong_configurations_are_refused(filters: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        UniverseConfig.model_validate({"filters": filters})


def test_the_filters_say_over_which_windows() -> None:
    def windows(*filters: dict[str, Any], **more: int) -> FeatureWindows:
        return UniverseConfig.model_validate({"filters": filters, **more}).windows

    assert windows() == FeatureWindows(atr=14, roc=20, volume=20)
    volume, change = (
        {"kind": "min_average_volume", "sessions": 40, "minimum": 1},
        {"kind": "rate_of_change", "sessions": 60, "minimum": 0},
    )
    assert windows(volume, atr_sessions=5) == FeatureWindows(atr=5, roc=20, volume=40)
    assert (windows(volume).reach, windows(volume, change).reach, windows(atr_sessions=90).reach) == (40, 61, 91)


def test_features_of_another_session_decide_nothing() -> None:
    later = dt.date(2023, 11, 27)
    with pytest.raises(DataError, match="1 rows of features are of 2023-11-27"):
        build_universe(daily_features(_daily("A", [10.0]), ["A"], later), SESSION, UniverseConfig())
