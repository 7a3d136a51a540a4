import datetime as dt
import subprocess
import sys
from collections.abc import Callable

import polars as pl
import pytest
from pandera.errors import SchemaError, SchemaErrors

from trading.contracts import Rule, _schema, register, registered_contracts, table, validate
from trading.errors import ConfigError, ContractViolation

START = dt.datetime(2020, 1, 2, 14, 30, tzinfo=dt.UTC)


@pytest.fixture
def bars() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Symbol": ["A", "A", "B"],
            "Timestamp": pl.Series([START, START + dt.timedelta(minutes=1), START]).cast(pl.Datetime("us", "UTC")),
            "Open": [10.0, 10.1, 20.0],
            "High": [10.2, 10.2, 20.5],
            "Low": [9.9, 10.0, 19.5],
            "Close": [10.1, 10.05, 20.4],
            "Volume": [100, 0, 300],
            "session": [dt.date(2020, 1, 2)] * 3,
        }
    )


def test_a_good_frame_comes_back_itself(bars: pl.DataFrame) -> None:
    assert validate(bars, "m1_bars") is bars
    assert validate(bars.clear(), "m1_bars").is_empty()


@pytest.mark.parametrize(
    ("rule", "says", "change"),
    [
        ("missing_column", "'open' must be spelled 'Open'", lambda f: f.rename({"Open": "open"})),
        ("missing_column", "'session' is missing", lambda f: f.drop("session")),
        ("missing_column", "they are none", lambda _: pl.DataFrame()),
        ("unexpected_column", "'vwap'", lambda f: f.with_columns(vwap=1.0)),
        ("naive_timestamp", "time zone", lambda f: f.with_columns(pl.col("Timestamp").dt.replace_time_zone(None))),
        (
            "dtype",
            "Datetime[us, UTC], it is Datetime[ms, UTC]",
            lambda f: f.cast({"Timestamp": pl.Datetime("ms", "UTC")}),
        ),
        ("dtype", "Volume must be Int64, it is Float64", lambda f: f.cast({"Volume": pl.Float64})),
        ("null", "column Close", lambda f: f.with_columns(Close=pl.Series([10.1, None, 20.4]))),
        ("null", "column Close", lambda f: f.with_columns(Close=pl.Series([10.1, float("nan"), 20.4]))),
        ("low_bounds", "Symbol=A", lambda f: f.with_columns(Low=pl.Series([10.05, 10.0, 19.5]))),
        ("high_bounds", "Symbol=B", lambda f: f.with_columns(High=pl.Series([10.2, 10.2, 20.3]))),
        ("price_not_positive", "Symbol=A", lambda f: f.with_columns(Low=pl.Series([0.0, 10.0, 19.5]))),
        ("price_not_positive", "High=inf", lambda f: f.with_columns(High=pl.Series([10.2, float("inf"), 20.5]))),
        ("volume_negative", "Volume=-1", lambda f: f.with_columns(Volume=pl.Series([100, -1, 300]))),
        ("off_grid", "whole minute", lambda f: f.with_columns(pl.col("Timestamp").dt.offset_by("1s"))),
        ("sorted_unique", "Symbol, Timestamp", lambda f: f[::-1]),
        ("sorted_unique", "2020-01-02T14:30:00Z", lambda f: pl.concat([f[:1], f])),
    ],
)
def test_violations_name_contract_rule_and_rows(
    rule: str, says: str, change: Callable[[pl.DataFrame], pl.DataFrame], bars: pl.DataFrame
) -> None:
    with pytest.raises(ContractViolation) as violated:
        validate(change(bars), "m1_bars", where="m1_bars/session=2020-01-02")
    error = violated.value
    assert (error.contract, error.rule) == ("m1_bars", rule)
    assert says in str(error)
    assert "m1_bars in m1_bars/session=2020-01-02" in str(error)


def test_columns_are_reported_before_rows(bars: pl.DataFrame) -> None:
    both = bars.with_columns(Low=pl.lit(99.0), Volume=pl.col("Volume").cast(pl.Int32))
    with pytest.raises(ContractViolation) as violated:
        validate(both, "m1_bars")
    assert violated.value.rule == "dtype"


def test_only_the_first_offenders_are_shown(bars: pl.DataFrame) -> None:
    stamps = pl.datetime_range(START, START + dt.timedelta(minutes=39), "1m", eager=True)
    many = bars[:1].drop("Timestamp").join(pl.DataFrame({"Timestamp": stamps}), how="cross").select(bars.columns)
    with pytest.raises(ContractViolation) as violated:
        validate(many.with_columns(Volume=pl.lit(-5, pl.Int64)), "m1_bars")
    assert "(40 rows)" in str(violated.value)
    assert violated.value.details.count("Volume=-5") == 5
    assert "... and 35 more" in violated.value.details


def test_unknown_and_doubled_names() -> None:
    assert {"m1_raw", "m1_bars", "bars"} <= set(registered_contracts())
    with pytest.raises(ConfigError, match=r"'m2_bars' is unknown; registered: .*m1_bars"):
        validate(pl.DataFrame(), "m2_bars")
    with pytest.raises(ConfigError, match="registered twice"):
        register("m1_bars", test_unknown_and_doubled_names)  # type: ignore[arg-type]


def test_a_subject_brings_its_own_contract() -> None:
    half = Rule("even", pl.col("n") % 2 == 0, "n must be even")
    register(
        "tests_even", lambda: table("tests_even", {"n": pl.Int64, "note": pl.String}, rules=[half], nullable=["note"])
    )
    good = pl.DataFrame({"n": [2, 4], "note": [None, "x"]})
    assert validate(good, "tests_even") is good
    with pytest.raises(ContractViolation, match="n must be even"):
        validate(good.with_columns(n=pl.lit(3, pl.Int64)), "tests_even")
    with pytest.raises(ConfigError, match="'nope' is not one of its columns"):
        table("tests_odd", {"n": pl.Int64}, nullable=["nope"])


def test_importing_contracts_does_not_import_pandera() -> None:
    code = "import sys, trading.contracts, trading.bars, trading.features.universe; sys.exit('pandera' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


DAMAGE: list[Callable[[pl.DataFrame, int], pl.DataFrame]] = [
    lambda f, _: f,
    lambda f, row: f.with_columns(Close=pl.when(pl.int_range(pl.len()) == row).then(None).otherwise("Close")),
    lambda f, row: f.with_columns(Low=pl.when(pl.int_range(pl.len()) == row).then(float("nan")).otherwise("Low")),
    lambda f, row: f.with_columns(Open=pl.when(pl.int_range(pl.len()) == row).then(-1.0).otherwise("Open")),
    lambda f, row: f.with_columns(High=pl.when(pl.int_range(pl.len()) == row).then(1e9).otherwise("High")),
    lambda f, row: f.with_columns(Volume=pl.when(pl.int_range(pl.len()) == row).then(-1).otherwise("Volume")),
    lambda f, row: pl.concat([f[row:], f[:row]]),
    lambda f, row: f[:row],
    lambda f, row: f.drop(f.columns[row]),
    lambda f, row: f.rename({f.columns[row]: "other"}),
    lambda f, row: f.cast({f.columns[row]: pl.String}),
    lambda f, _: f.with_columns(more=1),
    lambda f, _: f.select(reversed(f.columns)),
]


@pytest.mark.parametrize("contract", ["m1_bars", "m1_raw"])
@pytest.mark.parametrize("damage", range(len(DAMAGE)))
@pytest.mark.parametrize("row", range(3))
def test_the_verdict_is_panderas(contract: str, damage: int, row: int, bars: pl.DataFrame) -> None:
    """Frames are judged in one pass and pandera asked only about what is broken; both must come to the same."""
    frame = bars.drop("session").with_columns(source_file=pl.lit("A.csv")) if contract == "m1_raw" else bars
    frame = DAMAGE[damage](frame, row)
    by_pandera = keeps(lambda: _schema(contract).validate(frame, lazy=True))
    assert keeps(lambda: validate(frame, contract)) == by_pandera


def keeps(judge: Callable[[], object]) -> bool:
    try:
        judge()
    except (ContractViolation, SchemaErrors, SchemaError):
        return False
    return True
