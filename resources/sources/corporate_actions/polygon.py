"""Splits and dividends of Polygon, which is called Massive now: ``/stocks/v1/splits`` and ``/stocks/v1/dividends``.

Described at https://massive.com/docs/rest/stocks/corporate-actions/splits and .../dividends. Amounts are as they were paid.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field

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

_PER_PAGE = "5000"  # the most that one answer has


class PolygonActionsConfig(KeyedConfig):
    """Splits and dividends of Polygon/Massive.

    Args:
        base_url: of the API; ``https://api.massive.com`` is the same under the new name.
        requests_per_minute: 5 is what a key without a paid plan may; raise it for others.
        tickers_per_request: Symbols that are asked for together.
    """

    kind: Literal["polygon"]
    base_url: str = "https://api.polygon.io"
    key_env: Variable = "POLYGON_API_KEY"
    requests_per_minute: PerMinute = 5
    tickers_per_request: int = Field(50, ge=1)

    def open(self, context: SourceContext) -> "PolygonActions":
        return PolygonActions(
            self.requests(context),
            context.downloads / "polygon-actions",
            clock=context.clock,
            tickers=self.tickers,
            tickers_per_request=self.tickers_per_request,
        )


class PolygonActions:
    """Implements :class:`trading.ports.corporate_actions.CorporateActionSource`: two requests for some Symbols together.

    A Symbol that the vendor does not know has no rows; it does not say so. One with a row that cannot be read is refused, and the
    others come.

    Args:
        folder: where answers are kept as received.
        clock: the time, UTC.
    """

    name = "polygon"
    asks_by_symbol = True

    def __init__(
        self,
        requests: "JsonRequests",
        folder: Path,
        *,
        clock: Callable[[], dt.datetime],
        tickers: dict[str, str] | None = None,
        tickers_per_request: int = 50,
    ) -> None:
        self._requests = requests
        self._folder = folder
        self._clock = clock
        self._tickers = dict(tickers or {})
        self._together = tickers_per_request

    def read(
        self,
        symbols: Sequence[str] | None,
        first: dt.date,
        last: dt.date,
        progress: FetchProgress | None = None,
    ) -> RawActions:
        if symbols is None:
            raise ConfigError(
                "corporate_actions polygon: a vendor is asked by Symbol, so the universe must list its symbols"
            )
        kept = KeptAnswers(self._folder, self._clock)
        symbol_of = {self._tickers.get(symbol, symbol): symbol for symbol in sorted(set(symbols))}
        groups = _groups(list(symbol_of), self._together)
        rows: list[dict[str, Any]] = []
        refused: dict[str, str] = {}
        for number, group in enumerate(groups, start=1):
            for what, field, read in (
                ("splits", "execution_date", _split),
                ("dividends", "ex_dividend_date", _dividend),
            ):
                asked = f"{what} of {group[0]} to {group[-1]}, {first} to {last}"
                span = {f"{field}.gte": first.isoformat(), f"{field}.lte": last.isoformat()}
                query = {"ticker.any_of": ",".join(group), **span, "sort": f"{field}.asc", "limit": _PER_PAGE}
                path = f"/stocks/v1/{what}?{urlencode(query)}"
                for row, where in self._ask(kept, f"{what}-{number:04d}", path, asked):
                    symbol = symbol_of.get(row["ticker"])
                    if symbol is None:
                        continue
                    try:
                        rows.append({"Symbol": symbol, **read(row, where)})
                    except SymbolRefused as error:
                        refused[symbol] = str(error)
            if progress is not None:
                progress(number, len(groups), f"corporate actions of {group[0]} to {group[-1]}")
        known = [row for row in rows if row["Symbol"] not in refused]
        frame = collect_actions([actions_frame(known, self.name)], where=self.name)
        return RawActions(frame, kept.files, kept.arrived, refused)

    def _ask(self, kept: KeptAnswers, name: str, path: str, asked: str) -> Iterator[tuple[dict[str, Any], str]]:
        """Rows of all pages, with where they stand; each id once: a page may repeat the last rows of the one before."""
        seen: set[str] = set()
        following: str | None = path
        page = 0
        while following is not None:
            page += 1
            body, said = self._requests.get(following, asked=f"{asked}, page {page}", wrong=_wrong)
            kept.keep(f"{name}-{page:04d}", body)
            for number, row in enumerate(said["results"], start=1):
                if str(row["id"]) not in seen:
                    seen.add(str(row["id"]))
                    yield row, f"polygon: {asked}, page {page}, row {number}"
            following = _path_and_query(said.get("next_url"))


def _groups(tickers: Sequence[str], together: int) -> list[tuple[str, ...]]:
    return [tuple(tickers[start : start + together]) for start in range(0, len(tickers), together)]


def _wrong(said: Any) -> str | None:
    if not isinstance(said, dict) or said.get("status") != "OK" or not isinstance(said.get("results"), list):
        return f"it answers with {str(said)[:200]!r} in place of results with status OK"
    missing = [
        row for row in said["results"] if not isinstance(row, dict) or not row.get("id") or not row.get("ticker")
    ]
    return f"a row has no id or no ticker: {str(missing[0])[:200]}" if missing else None


def _path_and_query(url: Any) -> str | None:
    """Of the page after this one, to be asked for where this one was: its host is not where the key has to go."""
    if not url:
        return None
    parts = urlsplit(str(url))
    query = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() != "apikey"]
    return f"{parts.path}?{urlencode(query)}"


def _split(row: dict[str, Any], where: str) -> dict[str, Any]:
    return {
        "ex_date": date_of(row, "execution_date", where),
        "kind": SPLIT,
        "ratio": ratio_of(number_of(row, "split_to", where), number_of(row, "split_from", where), where),
    }


def _dividend(row: dict[str, Any], where: str) -> dict[str, Any]:
    return {
        "ex_date": date_of(row, "ex_dividend_date", where),
        "kind": DIVIDEND,
        "amount": number_of(row, "cash_amount", where),
        "currency": currency_of(row, where),
        "announced": known_date_of(row, "declaration_date"),
    }
