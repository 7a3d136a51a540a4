import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.sources.context import SourceContext
from resources.sources.corporate_actions.csv_file import CsvActionsConfig
from resources.sources.corporate_actions.factor_file import FactorFileConfig, simplest_ratio
from resources.sources.errors import SourceError, SourceFileRefused
from trading.errors import ContractViolation
from trading.ports.corporate_actions import CorporateActionSource

Opened = Callable[..., SourceContext]
EVER = (dt.date(1990, 1, 1), dt.date(2035, 12, 31))

OWN = """Symbol,ex_date,kind,ratio,amount,currency,announced,note
BBB,20200831,split,4,,,2020-07-30,a date without dashes
AAA,2014-06-09,split,7,,,,
AAA,2014-05-08,dividend,,3.29,USD,,
"""


def own(context: Opened, tmp_path: Path, text: str) -> CorporateActionSource:
    (tmp_path / "actions.csv").write_text(text)
    return CsvActionsConfig(kind="csv", path=Path("actions.csv")).open(context())


def test_a_table_of_ones_own(context: Opened, tmp_path: Path) -> None:
    source = own(context, tmp_path, OWN)
    assert isinstance(source, CorporateActionSource)
    read = source.read(None, *EVER)
    assert read.frame.rows() == [
        ("AAA", dt.date(2014, 5, 8), "dividend", None, 3.29, "USD", None, "csv"),
        ("AAA", dt.date(2014, 6, 9), "split", 7.0, None, None, None, "csv"),
        ("BBB", dt.date(2020, 8, 31), "split", 4.0, None, None, dt.date(2020, 7, 30), "csv"),
    ]
    assert list(read.files) == ["actions.csv"] and len(read.files["actions.csv"]) == 64
    assert read.arrived["actions.csv"].tzinfo is dt.UTC


def test_symbols_and_dates_are_chosen(context: Opened, tmp_path: Path) -> None:
    source = own(context, tmp_path, OWN)
    assert source.read(["BBB"], *EVER).frame["Symbol"].to_list() == ["BBB"]
    assert source.read(None, dt.date(2014, 5, 9), dt.date(2014, 6, 9)).frame["kind"].to_list() == ["split"]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (
            "Symbol,kind\nAAA,split\n",
            SourceFileRefused,
            r"actions.csv: column 'ex_date' is missing; it has Symbol, kind",
        ),
        (
            "Symbol,ex_date,kind\nAAA,09.06.2014,split\n",
            SourceFileRefused,
            r"row 2: ex_date is '09.06.2014'.*YYYY-MM-DD",
        ),
        (
            "Symbol,ex_date,kind,ratio\nAAA,2014-06-09,split,7:1\n",
            SourceFileRefused,
            r"row 2: ratio is '7:1'.*a number",
        ),
        (OWN + "AAA,2014-06-09,split,8,,,,\n", ContractViolation, r"conflicting_actions"),
        (OWN + "CCC,2014-06-09,merger,,,,,\n", ContractViolation, r"kind must be one of split, dividend, new_security"),
        ("", SourceFileRefused, r"not CSV"),
    ],
)
def test_what_is_wrong_is_named(context: Opened, tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"(?s){says}"):
        own(context, tmp_path, text).read(None, *EVER)


def test_a_missing_file_is_named(context: Opened) -> None:
    with pytest.raises(SourceError, match=r"nowhere.csv: No such file"):
        CsvActionsConfig(kind="csv", path=Path("nowhere.csv")).open(context()).read(None, *EVER)


FACTORS = """security,last_date,price_factor,split_factor,reference_close
OLD,2014-01-02,0.855,0.25,
OLD,2014-03-28,0.855,0.25,100
OLD,2014-04-02,0.95,0.25,50
OLD,2014-07-03,0.95,0.5,60
OLD,2050-12-31,1,1,
NEW,2014-03-03,1,0.5,
NEW,2014-03-14,1,0.5,80
NEW,2014-05-09,1,1,40
NEW,2050-12-31,1,1,
"""
TICKERS = """security,last_date,ticker
OLD,2014-01-02,AAA
OLD,2014-04-02,AAA
OLD,2050-12-31,AAAL
NEW,2014-03-03,NNN
NEW,2014-04-02,NNN
NEW,2050-12-31,AAA
"""


def factors(context: Opened, tmp_path: Path, text: str = FACTORS, tickers: str | None = TICKERS) -> pl.DataFrame:
    (tmp_path / "factors.csv").write_text(text)
    (tmp_path / "tickers.csv").write_text(tickers or "")
    where: dict[str, Any] = {} if tickers is None else {"tickers_path": "tickers.csv"}
    config = FactorFileConfig.model_validate({"kind": "factor_file", "path": "factors.csv", **where})
    return config.open(context()).read(None, *EVER).frame


def test_factors_become_actions_of_the_next_session(context: Opened, tmp_path: Path) -> None:
    got = factors(context, tmp_path, tickers=None).select("Symbol", "ex_date", "kind", "ratio", "amount", "currency")
    assert got.rows() == [
        ("NEW", dt.date(2014, 3, 17), "split", 2.0, None, None),  # after a Friday, Monday
        ("OLD", dt.date(2014, 3, 31), "dividend", None, 10.0, "USD"),  # 100 * (1 - 0.855 / 0.95)
        ("OLD", dt.date(2014, 4, 3), "split", 2.0, None, None),
        ("OLD", dt.date(2014, 7, 7), "dividend", None, 3.0, "USD"),  # after Independence Day; 60 * (1 - 0.95)
        ("OLD", dt.date(2014, 7, 7), "split", 2.0, None, None),
    ]


def test_a_ticker_that_passes_on_begins_another_series(context: Opened, tmp_path: Path) -> None:
    got = factors(context, tmp_path).select("Symbol", "ex_date", "kind")
    assert got.rows() == [
        ("AAA", dt.date(2014, 3, 31), "dividend"),  # OLD's, while it was AAA
        ("AAA", dt.date(2014, 4, 3), "new_security"),  # from here on AAA is NEW; its split of March was as NNN
        ("AAAL", dt.date(2014, 3, 31), "dividend"),  # OLD's bars under either name compare through it
        ("AAAL", dt.date(2014, 4, 3), "split"),
        ("AAAL", dt.date(2014, 7, 7), "dividend"),
        ("AAAL", dt.date(2014, 7, 7), "split"),
        ("NNN", dt.date(2014, 3, 17), "split"),
    ]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("OLD,2014-03-28,-1,0.25,100", "factors above 0"),
        ("OLD,2014-03-28,0.855,,100", "factors above 0"),
        ("OLD,2014-03-28,0.855,0.25,", "reference_close must stand"),
        ("OLD,2014-03-28,0.99,0.25,100", "price_factor must rise"),
    ],
)
def test_wrong_factors_are_refused(context: Opened, tmp_path: Path, bad: str, says: str) -> None:
    with pytest.raises(SourceFileRefused, match=says):
        factors(context, tmp_path, FACTORS.replace("OLD,2014-03-28,0.855,0.25,100", bad))


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        (6.999997, 7.0),
        (1.999996, 2.0),
        (1.500005, 1.5),
        (1.249993, 1.25),
        (0.05, 0.05),
        (0.66667, 2 / 3),
        (1.0027003, 1.0027),
    ],
)
def test_printed_ratios_are_read_as_they_are_meant(printed: float, meant: float) -> None:
    assert simplest_ratio(printed) == meant
