"""Five-second bars and trades as they happen, without holes: what an outage swallowed is fetched before what comes after it."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any, TypeAlias

from resources.brokers.ibkr.connection import Connection
from resources.brokers.ibkr.errors import GatewayDown
from resources.brokers.ibkr.history import Contract, HistoricalBars, Show
from resources.brokers.ibkr.library import library

STEP = dt.timedelta(seconds=5)
_DATA_LOST = 1101  # Interactive Brokers is back, and has forgotten what was subscribed to
_MOST_AT_ONCE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class LiveBar:
    """Five seconds of one contract.

    Attributes:
        start: UTC.
        backfilled: it was missing in the stream and comes from history.
    """

    con_id: int
    start: dt.datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    backfilled: bool = False


@dataclass(frozen=True)
class Trade:
    """One print of the tape, UTC to the second; ``exchange`` where it happened."""

    con_id: int
    at: dt.datetime
    price: float
    size: float
    exchange: str


class LiveStream:
    """Bars or trades of some contracts.

    Args:
        connection: kept open; it connects again after it was lost.
        history: for what was missed.
    """

    def __init__(
        self,
        connection: Connection,
        history: HistoricalBars,
        contracts: list[Contract],
        *,
        show: Show = "TRADES",
        regular_hours: bool = False,
        seconds: float = 10.0,
    ) -> None:
        self._connection, self._history, self._contracts = connection, history, contracts
        self._show, self._regular, self._seconds = show, regular_hours, seconds

    def bars(
        self, *, idle_seconds: float = 15.0, since: dict[int, dt.datetime] | None = None, until: Callable[[], bool]
    ) -> Iterator[LiveBar]:
        """Bars in order of each contract, each once, none left out that history has.

        Where nothing comes for ``idle_seconds``, or the connection is lost, it is subscribed to anew, and what is missing is
        fetched when the next bar shows the gap.

        Args:
            since: start of the last bar that is known, by con_id; what came after it is fetched first.
            until: asked between bars; True ends the stream.

        Raises:
            GatewayDown: no way to Interactive Brokers; call again, with ``since``, to go on.
        """
        last = dict(since or {})
        while not until():
            for con_id, bar in self._news(self._subscribe, idle_seconds, until):
                yield from self._in_turn(con_id, bar, last)

    def trades(self, *, idle_seconds: float = 60.0, until: Callable[[], bool]) -> Iterator[Trade]:
        """Prints as they come. The tape has no numbers: what an outage swallowed is not to be seen, take bars for that.

        Raises:
            GatewayDown: no way to Interactive Brokers, or nothing came for ``idle_seconds``.
        """
        for con_id, tick in self._news(self._subscribe_trades, idle_seconds, until):
            yield Trade(con_id, tick.time, tick.price, tick.size, tick.exchange)
        if not until():
            raise GatewayDown(f"no trades from {self._connection.address} for {idle_seconds:g} s, or it was lost")

    def _news(
        self, subscribe: "_Subscribe", idle_seconds: float, until: Callable[[], bool]
    ) -> Iterator[tuple[int, Any]]:
        """What one subscription brings, until nothing comes for ``idle_seconds`` or its connection is over."""
        news: _News = Queue()
        stop = self._connection.call(lambda ib: subscribe(ib, news), self._seconds)
        try:
            while not until():
                try:
                    item = news.get(timeout=idle_seconds)
                except Empty:
                    return
                if item is None:
                    return
                yield item
        finally:
            _quietly(self._connection, stop)

    def _in_turn(self, con_id: int, bar: Any, last: dict[int, dt.datetime]) -> Iterator[LiveBar]:
        known, start = last.get(con_id), bar.time
        if known is not None and start <= known:
            return  # told again
        if known is not None and start - known > STEP:
            yield from self._missed(con_id, known, start)
        last[con_id] = start
        yield LiveBar(con_id, start, bar.open_, bar.high, bar.low, bar.close, bar.volume)

    def _missed(self, con_id: int, after: dt.datetime, before: dt.datetime) -> Iterator[LiveBar]:
        contract = next(c for c in self._contracts if c.con_id == con_id)
        found: dict[dt.datetime, LiveBar] = {}
        end = before
        while end > after + STEP:
            span = min(end - after, _MOST_AT_ONCE)
            listed = self._history.bars(
                contract, end, f"{int(span.total_seconds())} S", "5 secs", self._show, regular_hours=self._regular
            )
            for row in listed:
                if after < row["date"] < before:
                    found[row["date"]] = LiveBar(
                        con_id, row["date"], row["open"], row["high"], row["low"], row["close"], row["volume"], True
                    )
            end -= span
        yield from (found[start] for start in sorted(found))

    async def _subscribe(self, ib: Any, news: "_News") -> "_Stop":
        lists = [ib.reqRealTimeBars(_of(contract), 5, self._show, self._regular) for contract in self._contracts]
        for bars, contract in zip(lists, self._contracts, strict=True):
            bars.updateEvent += _passing_on(news, contract.con_id, lambda bars: bars[-1:])
        return _stopping(ib, news, lambda: [ib.cancelRealTimeBars(bars) for bars in lists])

    async def _subscribe_trades(self, ib: Any, news: "_News") -> "_Stop":
        asked = [_of(contract) for contract in self._contracts]
        for contract in asked:
            ticker = ib.reqTickByTickData(contract, "AllLast")
            ticker.updateEvent += _passing_on(news, contract.conId, lambda ticker: ticker.tickByTicks)
        return _stopping(ib, news, lambda: [ib.cancelTickByTickData(contract, "AllLast") for contract in asked])


_News: TypeAlias = "Queue[tuple[int, Any] | None]"
_Stop: TypeAlias = Callable[[Any], Awaitable[None]]
_Subscribe: TypeAlias = Callable[[Any, _News], Awaitable[_Stop]]


def _passing_on(news: _News, con_id: int, items: Callable[[Any], Iterable[Any]]) -> Callable[..., None]:
    def pass_on(updated: Any, *_: Any) -> None:
        for item in items(updated):
            news.put((con_id, item))

    return pass_on


def _stopping(ib: Any, news: _News, cancel: Callable[[], object]) -> _Stop:
    """How to end a subscription; that its connection or its data were lost is put among the news."""

    def ended() -> None:
        news.put(None)

    def lost(_request: int, code: int, _text: str, _contract: Any) -> None:
        if code == _DATA_LOST:
            news.put(None)

    ib.disconnectedEvent += ended
    ib.errorEvent += lost

    async def stop(now: Any) -> None:
        ib.disconnectedEvent -= ended
        ib.errorEvent -= lost
        if now is ib:
            cancel()
        await asyncio.sleep(0)

    return stop


def _quietly(connection: Connection, stop: _Stop) -> None:
    try:
        connection.call(stop, 2.0)
    except GatewayDown:
        return  # the subscription went with its connection


def _of(contract: Contract) -> Any:
    return library().Contract(conId=contract.con_id, exchange=contract.exchange)
