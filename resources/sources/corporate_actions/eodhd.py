"""Splits and dividends of EODHD, ``/api/splits`` and ``/api/div``.

Described at https://eodhd.com/financial-apis/api-splits-dividends. Dividends are taken unadjusted, as they were paid.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from resources.sources.context import SourceContext
from resources.sources.corporate_actions.answers import (
    KeptAnswers,
    actions_frame,
    currency_of,
    date_of,
    known_date_of,
    number_of,
    ratio_of,
)
from resources.sources.downloads.vendor import SymbolRefused
from resources.sources.vendors.keyed_config import KeyedConfig, PerMinute, Variable
from trading.corporate_actions import DIVIDEND, SPLIT, collect_actions
from trading.errors import ConfigError
from trading.ports.corporate_actions import RawActions
from trading.ports.sources import FetchProgress

if TYPE_CHECKING:
    from resources.sources.vendors.http import JsonRequests


class EodhdActionsConfig(KeyedConfig):
    """Splits and dividends of EODHD.

    Args:
        exchange: EODHD's code behind the dot of a ticker, ``AAPL.US``.
    """

    kind: Literal["eodhd"]
    base_url: str = "https://eodhd.com"
    key_env: Variable = "EODHD_API_KEY"
    exchange: str = "US"
    requests_per_minute: PerMinute = 900

    def open(self, context: SourceContext) -> "EodhdActions":
        return EodhdActions(
            self.requests(context, parameter="api_token"),
            context.downloads / "eodhd-actions",
            clock=context.clock,
            exchange=self.exchange,
            tickers=self.tickers,
        )


class EodhdActions:
    """Implements :class:`trading.ports.corporate_actions.CorporateActionSource`: two requests a Symbol.

    A Symbol that EODHD does not know, or with a row that cannot be read, is refused, and the others come.

    Args:
        folder: where answers are kept as received.
        clock: the time, UTC.
    """

    name = "eodhd"
    asks_by_symbol = True

    def __init__(
        self,
        requests: "JsonRequests",
        folder: Path,
        *,
        clock: Callable[[], dt.datetime],
        exchange: str = "US",
        tickers: dict[str, str] | None = None,
    ) -> None:
        self._requests = requests
        self._folder = folder
        self._clock = clock
        self._exchange = exchange
        self._tickers = dict(tickers or {})

    def read(
        self,
        symbols: Sequence[str] | None,
        first: dt.date,
        last: dt.date,
        progress: FetchProgress | None = None,
    ) -> RawActions:
        if symbols is None:
            raise ConfigError(
                "corporate_actions eodhd: a vendor is asked by Symbol, so the universe must list its symbols"
            )
        kept = KeptAnswers(self._folder, self._clock)
        rows: list[dict[str, Any]] = []
        refused: dict[str, str] = {}
        for number, symbol in enumerate(sorted(set(symbols)), start=1):
            ticker = self._tickers.get(symbol, f"{symbol}.{self._exchange}")
            try:
                splits = self._ask(kept, "splits", ticker, first, last, _split)
                dividends = self._ask(kept, "div", ticker, first, last, _dividend)
            except SymbolRefused as error:
                refused[symbol] = str(error)
            else:
                rows += [{"Symbol": symbol, **row} for row in (*splits, *dividends)]
            if progress is not None:
                progress(number, len(set(symbols)), f"corporate actions of {symbol}")
        frame = collect_actions([actions_frame(rows, self.name)], where=self.name)
        return RawActions(frame, kept.files, kept.arrived, refused)

    def _ask(
        self,
        kept: KeptAnswers,
        what: str,
        ticker: str,
        first: dt.date,
        last: dt.date,
        read: Callable[[Any, str], dict[str, Any]],
    ) -> list[dict[str, Any]]:
        params = {"from": first.isoformat(), "to": last.isoformat(), "fmt": "json"}
        asked = f"{what} of {ticker} {first} to {last}"
        body, listed = self._requests.get(f"/api/{what}/{ticker}", params, asked=asked, wrong=_wrong)
        kept.keep(f"{ticker}-{what}", body)
        rows = [read(row, f"eodhd: {asked}, row {number}") for number, row in enumerate(listed, start=1)]
        unique = {tuple(row.items()): row for row in rows}
        return [row for row in unique.values() if first <= row["ex_date"] <= last]


def _wrong(said: Any) -> str | None:
    return None if isinstance(said, list) else f"it answers with {str(said)[:200]!r} in place of a list"


def _split(row: Any, where: str) -> dict[str, Any]:
    """``{"date": "2014-06-09", "split": "7.000000/1.000000"}``, new shares over old ones."""
    day = date_of(row, "date", where)
    new, slash, old = str(row.get("split")).partition("/")
    if not slash:
        raise SymbolRefused(f"{where}: split is {row.get('split')!r}; it must be NEW/OLD, e.g. 7.000000/1.000000")
    parts = {"split, new": new, "split, old": old}
    ratio = ratio_of(number_of(parts, "split, new", where), number_of(parts, "split, old", where), where)
    return {"ex_date": day, "kind": SPLIT, "ratio": ratio}


def _dividend(row: Any, where: str) -> dict[str, Any]:
    """``value`` is adjusted for later splits and would change with each of them; ``unadjustedValue`` is what was paid."""
    return {
        "ex_date": date_of(row, "date", where),
        "kind": DIVIDEND,
        "amount": number_of(row, "unadjustedValue", where),
        "currency": currency_of(row, where),
        "announced": known_date_of(row, "declarationDate"),
    }
