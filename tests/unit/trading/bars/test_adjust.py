import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.bars.adjust import adjust
from trading.contracts import validate
from trading.corporate_actions import ACTION_COLUMNS, collect_actions, no_actions
from trading.errors import ContractViolation

ANSWERS = Path(__file__).resolve().parents[3] / "answers"
WORKED = pl.read_csv(
    ANSWERS / "actions_adjusted.csv",
    schema_overrides={
        **dict.fromkeys(["Open", "High", "Low", "Close", "adj_open", "adj_high", "adj_low", "adj_close"], pl.Float64),
        "dividends": pl.Boolean,
    },
    try_parse_dates=True,
)

ROW_TYPES = {"ex_date": pl.Date, "announced": pl.Date, "ratio": pl.Float64, "amount": pl.Float64}


def actions_of(case: str) -> pl.DataFrame:
    rows = pl.read_csv(ANSWERS / "actions_rows.csv", schema_overrides=ROW_TYPES).filter(pl.col("case") == case)
    frame = rows.select(*(name for name in ACTION_COLUMNS if name != "source"), source=pl.lit("worked"))
    return collect_actions([frame])


def bars_of(rows: pl.DataFrame) -> pl.DataFrame:
    at_open = pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=14)
    return rows.select(
        Symbol=pl.lit("AAA"),
        Timestamp=at_open,
        Open="Open",
        High="High",
        Low="Low",
        Close="Close",
        Volume="Volume",
        session="session",
    )


@pytest.mark.parametrize(
    "views", WORKED.partition_by("case", "as_of", "dividends"), ids=lambda v: "-".join(map(str, v.row(0)[:3]))
)
def test_worked_answers(views: pl.DataFrame) -> None:
    bars = bars_of(views)
    raw = bars.clone()
    case, as_of, dividends = views.row(0)[:3]
    got = adjust(bars, actions_of(case), as_of, dividends=dividends)
    left = views.filter(pl.col("adj_open").is_not_null())
    expected = bars_of(
        left.with_columns(Open="adj_open", High="adj_high", Low="adj_low", Close="adj_close", Volume="adj_volume")
    )
    assert_frame_equal(got, expected, rel_tol=1e-15, abs_tol=0)
    assert_frame_equal(bars, raw, check_exact=True)


def test_every_case_has_actions_and_answers() -> None:
    cases = pl.read_csv(ANSWERS / "actions_rows.csv", infer_schema=False)["case"]
    assert set(cases) == set(WORKED["case"])


def test_n_for_one_is_exact_and_so_is_one_for_n() -> None:
    bars = bars_of(WORKED.head(1)).with_columns(pl.lit(645.57).alias("Close"), Volume=pl.lit(2**53 + 1))
    split = adjust(bars, actions_of("seven_for_one"), dt.date(2014, 6, 9))
    assert split["Close"].item() == 645.57 / 7
    assert split["Volume"].item() == 7 * (2**53 + 1)
    reverse = adjust(bars.with_columns(session=dt.date(2009, 6, 30)), actions_of("reverse"), dt.date(2009, 7, 1))
    assert reverse["Close"].item() == 645.57 * 20


def test_without_actions_the_very_frame_comes_back() -> None:
    bars = bars_of(WORKED.head(3))
    assert adjust(bars, no_actions(), dt.date(2020, 1, 2)) is bars
    others = actions_of("seven_for_one").with_columns(Symbol=pl.lit("BBB"))
    assert adjust(bars, others, dt.date(2020, 1, 2)) is bars


def test_further_columns_and_the_order_of_rows_stay() -> None:
    bars = bars_of(WORKED.filter(pl.col("case") == "two_splits").tail(3)).with_columns(
        minutes=pl.Series([3, 1, 2], dtype=pl.Int32), complete=pl.Series([True, False, True])
    )
    backwards = bars.reverse()
    got = adjust(backwards, actions_of("two_splits"), dt.date(2014, 6, 11))
    assert got.columns == bars.columns and got["minutes"].to_list() == [2, 1, 3]
    assert_frame_equal(got.reverse(), adjust(bars, actions_of("two_splits"), dt.date(2014, 6, 11)), check_exact=True)
    validate(got.reverse(), "bars")


def test_the_close_before_a_dividend_can_be_given() -> None:
    bars = bars_of(WORKED.filter(pl.col("case") == "dividend").head(1))  # of the 9th; the close of the 10th is missing
    closes = pl.DataFrame(
        {"Symbol": ["AAA"] * 2, "session": [dt.date(2014, 6, 9), dt.date(2014, 6, 10)], "Close": [60.0, 40.0]}
    )
    on_the_11th = dt.date(2014, 6, 11)
    given = adjust(bars, actions_of("dividend"), on_the_11th, dividends=True, closes=closes)
    assert given["Close"].item() == pytest.approx(60 * (1 - 2 / 40), rel=1e-15)
    own = adjust(bars, actions_of("dividend"), on_the_11th, dividends=True)
    assert own["Close"].item() == pytest.approx(60 * (1 - 2 / 60), rel=1e-15)


def test_a_dividend_above_the_close_is_refused_with_the_figures() -> None:
    actions = actions_of("dividend").with_columns(amount=pl.lit(60.0))
    bars = bars_of(WORKED.filter(pl.col("case") == "dividend").head(3))
    with pytest.raises(ContractViolation, match=r"dividend_above_close.*(\n.*)*amount=60.0 currency=USD Close=40.0"):
        adjust(bars, actions, dt.date(2014, 6, 11), dividends=True)


def test_bars_without_a_session_are_refused() -> None:
    with pytest.raises(ContractViolation, match="'session' is missing"):
        adjust(bars_of(WORKED.head(1)).drop("session"), no_actions(), dt.date(2014, 6, 9))
