"""Factor files: tables of cumulative price and split factors, as backtesting packages come with.

A row says up to and including which session its factors hold: ``adjusted price = price * price_factor * split_factor``.
Splits and dividends are what changes from one row to the next; they take effect in the session after the row's date. Such
a file belongs to a company; a table of its tickers says under which Symbol it traded when.
"""

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from resources.sources.context import SourceContext
from resources.sources.corporate_actions.file import read_csv
from resources.sources.errors import SourceFileRefused
from trading.corporate_actions import ACTION_COLUMNS, DIVIDEND, NEW_SECURITY, SPLIT, collect_actions
from trading.ports.corporate_actions import RawActions
from trading.ports.sources import FetchProgress
from trading.sessions import SessionCalendar, get_calendar

_PRECISION = 1e-5  # relative: what is left of factors printed with six digits after one is divided by another
_OLD_SHARES = 20  # splits are for so many old shares at most; others are read as decimals
_DECIMALS = 4  # of a dividend


class FactorColumns(BaseModel):
    """Names of the columns of the factor file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    security: str = "security"
    last_date: str = "last_date"
    price_factor: str = "price_factor"
    split_factor: str = "split_factor"
    reference_close: str = "reference_close"


class TickerColumns(BaseModel):
    """Names of the columns of the table of tickers: until ``last_date`` the security traded as ``ticker``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    security: str = "security"
    last_date: str = "last_date"
    ticker: str = "ticker"


class FactorFileConfig(BaseModel):
    """A factor file in CSV, all securities in one.

    Args:
        path: relative to the home unless absolute; rows of a security ascend by date, the first begins its history and
            the last has the factors of today.
        columns: names of its columns.
        tickers_path: CSV with the tickers of each security; its first row has the first date of the history. None
            takes the name of the security for its Symbol, always.
        ticker_columns: names of its columns.
        currency: of the dividends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["factor_file"]
    path: Path
    columns: FactorColumns = FactorColumns()
    tickers_path: Path | None = None
    ticker_columns: TickerColumns = TickerColumns()
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,5}$")] = "USD"

    def open(self, context: SourceContext) -> "FactorFile":
        return FactorFile(
            self,
            context.path(self.path),
            None if self.tickers_path is None else context.path(self.tickers_path),
            context.calendar,
        )


class FactorFile:
    """Implements :class:`trading.ports.corporate_actions.CorporateActionSource`.

    Ratios and amounts are worked out of printed factors: a ratio is the simplest one within 1e-5 of the figures (6.999997
    is 7), an amount has four decimals. Nothing in such a file says when an action was announced.
    """

    name = "factor_file"
    asks_by_symbol = False

    def __init__(self, config: FactorFileConfig, path: Path, tickers_path: Path | None, calendar: str) -> None:
        self._config = config
        self._path = path
        self._tickers_path = tickers_path
        self._calendar = calendar

    def read(
        self,
        symbols: Sequence[str] | None,
        first: dt.date,
        last: dt.date,
        progress: FetchProgress | None = None,  # noqa: ARG002 - a small file
    ) -> RawActions:
        calendar = get_calendar(self._calendar)
        names = self._config.columns
        table = read_csv(
            self._path,
            {
                names.security: pl.String,
                names.last_date: pl.Date,
                names.price_factor: pl.Float64,
                names.split_factor: pl.Float64,
                names.reference_close: pl.Float64,
            },
        )
        files, arrived = {self._path.name: table.sha256}, {self._path.name: table.arrived}
        factors = table.rows.rename({getattr(names, field): field for field in FactorColumns.model_fields})
        changes = self._changes(factors, calendar)
        if self._tickers_path is None:
            rows = changes.rename({"security": "Symbol"})
        else:
            names_of = self._config.ticker_columns
            listed = read_csv(
                self._tickers_path,
                {names_of.security: pl.String, names_of.last_date: pl.Date, names_of.ticker: pl.String},
            )
            files[self._tickers_path.name] = listed.sha256
            arrived[self._tickers_path.name] = listed.arrived
            tickers = listed.rows.rename({getattr(names_of, field): field for field in TickerColumns.model_fields})
            rows = by_ticker(changes, tickers, calendar)
        frame = collect_actions(
            [rows.with_columns(announced=pl.lit(None, pl.Date), source=pl.lit(self.name)).select(*ACTION_COLUMNS)],
            where=str(self._path),
        )
        wanted = pl.col("ex_date").is_between(first, last)
        if symbols is not None:
            wanted &= pl.col("Symbol").is_in(list(symbols))
        return RawActions(frame.filter(wanted), files, arrived)

    def _changes(self, factors: pl.DataFrame, calendar: SessionCalendar) -> pl.DataFrame:
        """security, ex_date, kind, ratio, amount, currency of every change from one row to the next."""
        key, price, split = "security", pl.col("price_factor"), pl.col("split_factor")
        positive = (price > 0) & (split > 0) & price.is_finite() & split.is_finite()
        wrong = factors.filter(
            ~(positive & pl.col(key).is_not_null() & pl.col("last_date").is_not_null()).fill_null(False)
        )
        if wrong.height:
            raise SourceFileRefused(
                str(self._path), f"security, date and factors above 0 must stand in every row, not {wrong.row(0)}"
            )
        rows = factors.sort(key, "last_date").with_columns(
            ratio=split.shift(-1).over(key) / split, paid=1 - price / price.shift(-1).over(key)
        )
        rows = rows.filter(pl.col("ratio").is_not_null()).with_columns(
            amount=(pl.col("paid") * pl.col("reference_close")).round(_DECIMALS),
        )
        splits = rows.filter((pl.col("ratio") - 1).abs() > _PRECISION)
        paid = rows.filter(pl.col("paid") != 0)
        wrong = paid.filter(pl.col("amount").is_null() | (pl.col("amount") < 0))
        if wrong.height:
            says = "price_factor must rise with the date, and reference_close must stand where it does"
            raise SourceFileRefused(str(self._path), f"{says}, not as in the row {wrong.row(0)}")
        following = pl.col("last_date").map_elements(lambda day: _next_session(calendar, day), return_dtype=pl.Date)
        return pl.concat(
            [
                splits.select(
                    key,
                    ex_date=following,
                    kind=pl.lit(SPLIT),
                    ratio=pl.col("ratio").map_elements(simplest_ratio, return_dtype=pl.Float64),
                    amount=pl.lit(None, pl.Float64),
                    currency=pl.lit(None, pl.String),
                ),
                paid.filter(pl.col("amount") > 0).select(
                    key,
                    ex_date=following,
                    kind=pl.lit(DIVIDEND),
                    ratio=pl.lit(None, pl.Float64),
                    amount="amount",
                    currency=pl.lit(self._config.currency),
                ),
            ]
        )


def by_ticker(changes: pl.DataFrame, tickers: pl.DataFrame, calendar: SessionCalendar) -> pl.DataFrame:
    """The changes of securities under the Symbols that they traded as, and ``new_security`` where a ticker passed on.

    A security's action concerns every ticker that it used then or later: its earlier bars, under whatever ticker, compare
    with the later ones through it. Actions before a ticker passed to the security do not.

    Args:
        changes: security, ex_date and any more columns.
        tickers: security, last_date (Date), ticker; the first row of a security has the first date of its history.

    Returns:
        Symbol, ex_date, kind, ratio, amount, currency. A security without a ticker keeps its own name.
    """
    spans = (
        tickers.sort("security", "last_date")
        .with_columns(before=pl.col("last_date").shift().over("security"), row=pl.int_range(pl.len()).over("security"))
        .filter(pl.col("row") > 0)
        .with_columns(
            start=pl.when(pl.col("row") == 1)
            .then("before")
            .otherwise(pl.col("before").map_elements(lambda day: _next_session(calendar, day), return_dtype=pl.Date))
        )
        .sort("ticker", "start")
        .with_columns(passed=(pl.col("security") != pl.col("security").shift().over("ticker")).fill_null(False))
        .with_columns(owned_from=pl.when("passed").then("start").forward_fill().over("ticker"))
    )
    passed = spans.filter("passed").select(
        Symbol="ticker",
        ex_date="start",
        kind=pl.lit(NEW_SECURITY),
        ratio=pl.lit(None, pl.Float64),
        amount=pl.lit(None, pl.Float64),
        currency=pl.lit(None, pl.String),
    )
    named = (
        changes.join(spans.select("security", "ticker", "last_date", "owned_from"), on="security", how="left")
        .filter((pl.col("ex_date") <= pl.col("last_date")).fill_null(True))
        .filter((pl.col("ex_date") > pl.col("owned_from")).fill_null(True))
        .select(pl.coalesce("ticker", "security").alias("Symbol"), *passed.columns[1:])
    )
    return pl.concat([passed, named]).unique()


def simplest_ratio(found: float) -> float:
    """The simplest ratio within the precision of printed factors: of small whole numbers, else the shortest decimal."""
    for old_shares in range(1, _OLD_SHARES + 1):
        for given in (Fraction(round(found * old_shares), old_shares), _inverse(found, old_shares)):
            if given is not None and given > 0 and abs(float(given) / found - 1) <= _PRECISION:
                return float(given)
    for digits in range(1, 17):
        short = float(f"{found:.{digits}g}")
        if abs(short / found - 1) <= _PRECISION:
            return short
    return found


def _inverse(found: float, new_shares: int) -> Fraction | None:
    old_shares = round(new_shares / found)
    return Fraction(new_shares, old_shares) if old_shares else None


def _next_session(calendar: SessionCalendar, day: dt.date) -> dt.date:
    """The first session after ``day``; the day after it where the calendar ends before."""
    following = day + dt.timedelta(days=1)
    if following > calendar.last_session:
        return following
    sessions = calendar.sessions(following, min(day + dt.timedelta(days=30), calendar.last_session))
    return sessions[0] if sessions else following
