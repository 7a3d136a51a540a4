"""An exchange's answer to a request for candles, read with ccxt's own knowledge of that exchange's format."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from importlib import import_module
from threading import Lock
from typing import Any

import polars as pl

from resources.sources.errors import SourceError
from trading.contracts import INSTANT, PRICES

_SCHEMA = {"Timestamp": INSTANT, **dict.fromkeys(PRICES, pl.Float64()), "Volume": pl.Int64()}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_LARGEST = 2**63
_SHOWN = 120

UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What ccxt raises where an answer's shape is not the one it knows."""


def library() -> Any:
    """ccxt. It has no types, and its import takes seconds."""
    return import_module("ccxt")


class CandleReader:
    """Reads answers of one exchange, for any number of threads; asks nobody.

    Args:
        exchange: an instance of the exchange's ccxt class that nothing else uses.
    """

    def __init__(self, exchange: Any) -> None:
        self._exchange = exchange
        self._said: Any = None
        self._lock = Lock()
        exchange.enableRateLimit = False
        exchange.number = str  # figures as the exchange wrote them: no float on the way to a whole volume
        exchange.fetch = lambda *_, **__: self._said
        exchange.filter_by_since_limit = lambda rows, *_, **__: rows

    def rows(self, market: Mapping[str, Any], body: bytes, volume_unit: Decimal) -> pl.DataFrame:
        """Candles of ``body``, by time: Timestamp, Open, High, Low, Close, Volume (multiples of ``volume_unit``).

        Args:
            market: the market that was asked for, as ccxt describes it.

        Raises:
            SourceError: not an answer of this exchange to such a request.
        """
        text = body.decode("utf-8", errors="replace").strip()
        name = self._exchange.id
        said = self._exchange.parse_json(text)
        if said is None:
            raise SourceError(f"{name}: the answer is not whole JSON, {len(body)} bytes: {shortened(text)}")
        try:
            candles = self._candles(market, said)
        except (*UNREADABLE, library().BaseError) as error:
            raise SourceError(
                f"{name}: the answer holds no candles ({type(error).__name__}): {shortened(text)}"
            ) from error
        return _frame(name, candles, volume_unit)

    def _candles(self, market: Mapping[str, Any], said: Any) -> list[list[Any]]:
        with self._lock:
            self._said = said
            self._exchange.set_markets([market])
            candles: list[list[Any]] = self._exchange.fetch_ohlcv(market["symbol"], "1m")
            return candles


def milliseconds(instant: dt.datetime) -> int:
    """Since 1970, UTC: how exchanges tell the time."""
    return (instant - _EPOCH) // _MILLISECOND


def instant(milliseconds: int) -> dt.datetime:
    return _EPOCH + milliseconds * _MILLISECOND


def shortened(text: str) -> str:
    """The beginning, in one line, for a message."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + " ..."


def _frame(name: str, candles: Sequence[Sequence[Any]], volume_unit: Decimal) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {column: [] for column in _SCHEMA}
    for number, candle in enumerate(candles, 1):
        try:
            at, *prices, volume = candle
            columns["Timestamp"].append(_EPOCH + int(at) * _MILLISECOND)
            columns["Volume"].append(_whole(name, Decimal(volume), volume_unit))
            was_traded = any(price is not None for price in prices)
            for column, price in zip(PRICES, prices, strict=True):
                columns[column].append(float(price) if was_traded else None)
        except (TypeError, ValueError, OverflowError, InvalidOperation) as error:
            raise SourceError(
                f"{name}: candle {number} is {shortened(str(list(candle)))}; it must be a time in milliseconds, "
                "Open, High, Low, Close and Volume"
            ) from error
    return pl.DataFrame(columns, schema=_SCHEMA)


def _whole(name: str, volume: Decimal, unit: Decimal) -> int:
    whole = int((volume / unit).to_integral_value())
    if not -_LARGEST <= whole < _LARGEST:
        raise SourceError(
            f"{name}: a volume of {volume} does not fit 64 bits in units of {unit}; set a larger one for this Symbol "
            "(volume_units)"
        )
    return whole
