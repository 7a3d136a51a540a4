"""Bars of a vendor as a source: asked for once, kept as received, read by session."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import polars as pl

from resources.sources.downloads.session_rows import TRADED, dates, session_rows
from resources.sources.downloads.spans import Span, joined, span_of
from resources.sources.downloads.store import PAGE, Delivery, Store, Writing, way_of
from resources.sources.downloads.vendor import SymbolRefused, Vendor
from resources.sources.errors import SourceError
from trading.contracts import INSTANT, RAW_COLUMNS
from trading.ports.sources import FetchProgress, RawSession, SourceProblem, SourceSkip, Step
from trading.sessions import SessionCalendar, get_calendar

_DAY = dt.timedelta(days=1)
_FRESH = dt.timedelta(hours=12)
_PUBLISHED = dt.timedelta(days=1)


class DownloadedSource:
    """Bars that ``vendor`` delivers for ``symbols``; implements :class:`trading.ports.sources.BarSource`.

    A session counts as here once all pages of a span that covers it have arrived, asked for after the session's close.
    Asked for again through :meth:`fetch` more than ``fresh`` later it is downloaded again, which is how late revisions
    are found; the newest answer wins for a session as a whole, also where it has no row any more. Answers that were
    asked for with another ticker or unit do not count, see :meth:`Vendor.asked_as`.

    Args:
        vendor: how to ask.
        directory: of this vendor's and step's answers; made where missing.
        symbols: what to ask for; nothing else is.
        calendar: name for :func:`trading.sessions.get_calendar`: which sessions there are and what belongs to them.
        clock: the time, UTC.
        fresh: how long an answer is good for.
        keep_superseded: answers per Symbol that stay on disk for the record after newer ones took all their sessions.
    """

    def __init__(
        self,
        vendor: Vendor,
        directory: Path | str,
        symbols: Sequence[str],
        *,
        calendar: str,
        clock: Callable[[], dt.datetime],
        fresh: dt.timedelta = _FRESH,
        keep_superseded: int = 3,
    ) -> None:
        self.directory = Path(directory)
        self.calendar = calendar
        self._vendor = vendor
        self._symbols = tuple(sorted(set(symbols)))
        self._clock = clock
        self._fresh = fresh
        self._keep = keep_superseded
        self._store = Store(self.directory)
        self._problems: dict[str, SourceProblem] = {}
        self._sessions_in: dict[tuple[str, Span], list[tuple[dt.date, dt.datetime]]] = {}
        self._first_of: dict[tuple[Path, str], dict[int, dt.date]] = {}
        self._newest_of: dict[tuple[str, str], tuple[tuple[Delivery, ...], dict[dt.date, Delivery]]] = {}

    @property
    def name(self) -> str:
        return f"{self._vendor.name} in {self.directory}"

    @property
    def label(self) -> str | None:
        return None

    @property
    def step(self) -> Step:
        return self._vendor.step

    def symbols(self) -> list[str]:
        """Symbols of which something has arrived."""
        return [symbol for symbol in self._symbols if self._deliveries(symbol)]

    def problems(self) -> list[SourceProblem]:
        """Symbols that the vendor refused, or whose answers are not as it documents them, in the last :meth:`fetch`."""
        return [self._problems[symbol] for symbol in sorted(self._problems)]

    # -- asking --

    def fetch(self, sessions: Sequence[dt.date], progress: FetchProgress | None = None) -> None:
        """Download what is missing or not fresh of these sessions; those that are not over yet are left out.

        A Symbol that the vendor does not have becomes a problem, and the others go on.

        Raises:
            SourceDown: the vendor does not deliver. What has arrived stays.
            SourceError: it says no to all that we ask (wrong key), or the disk does.
        """
        exchange = get_calendar(self.calendar)
        now = self._clock()
        self._problems.clear()
        self._first_of.clear()
        over = [day for day in sessions if exchange.is_session(day) and exchange.close(day) <= now]
        unsure = [day for day in over if exchange.close(day) + _PUBLISHED + self._fresh > now]
        listed = {day: self._symbols_with_rows(day, exchange) for day in unsure}

        @cache  # most Symbols miss the same sessions
        def spans(missing: frozenset[dt.date]) -> list[Span]:
            return [span for span, _ in joined(missing, exchange, self.step, self._vendor.longest_span)]

        todo = [task for symbol in self._symbols for task in self._tasks(symbol, over, listed, spans, now)]
        try:
            for done, task in enumerate(todo):
                if task.symbol not in self._problems:
                    try:
                        self._carry_out(task, partial(progress, done, len(todo)) if progress else None)
                        self._forget_superseded(task.symbol)
                    except SymbolRefused as error:
                        self._problems[task.symbol] = SourceProblem(task.symbol, task.symbol, str(error))
                if progress:
                    progress(done + 1, len(todo), f"{task.symbol} {task.span}")
        except OSError as error:
            raise SourceError(
                f"{self.directory}: cannot be written ({error}); make room or set another folder"
            ) from error

    def _tasks(
        self,
        symbol: str,
        wanted: Sequence[dt.date],
        listed: Mapping[dt.date, set[str]],
        spans: Callable[[frozenset[dt.date]], list[Span]],
        now: dt.datetime,
    ) -> "Iterator[_Task]":
        exchange = get_calendar(self.calendar)
        newest = self._newest(symbol, exchange)
        missing = {day for day in wanted if day not in newest or now - newest[day].begun >= self._fresh}
        # An empty answer soon after the close says that the vendor has not published yet.
        missing |= {
            day
            for day, symbols in listed.items()
            if symbol not in symbols and day in newest and newest[day].begun < exchange.close(day) + _PUBLISHED
        }
        for left in self._store.unfinished(symbol):
            held = {day for day, close in self._sessions(left.span, exchange) if left.begun >= close} & missing
            if now - left.begun >= self._fresh or left.way != way_of(self._vendor.asked_as(symbol)):
                self._discard(left)
            elif held:
                missing -= held
                yield _Task(symbol, left.span, left)
        for span in spans(frozenset(missing)):
            yield _Task(symbol, span, None)

    def _symbols_with_rows(self, session: dt.date, exchange: SessionCalendar) -> set[str]:
        newest = (self._newest(symbol, exchange).get(session) for symbol in self._symbols)
        rows = self._rows([delivery for delivery in newest if delivery], session, exchange)
        return set(rows.filter(TRADED)["Symbol"].unique().to_list())

    def _carry_out(self, task: "_Task", say: Callable[[str], None] | None) -> None:
        if task.delivery is not None:
            try:
                with self._store.writing(task.delivery) as writing:
                    if writing is not None:
                        self._download(writing, say)
                        return
                if task.delivery.is_complete:
                    return
                # Another process is at it and may yet fail: this one asks for itself.
            except SymbolRefused:
                raise
            except SourceError:
                self._discard(task.delivery)  # its cursor has expired: from the first page on, then
        new = self._store.begin(task.symbol, task.span, self._clock(), self._vendor.asked_as(task.symbol))
        with self._store.writing(new) as writing:
            assert writing is not None  # its name is new
            self._download(writing, say)

    def _download(self, writing: Writing, say: Callable[[str], None] | None) -> None:
        symbol, span = writing.delivery.symbol, writing.delivery.span
        if not writing.all_here:
            try:
                for page in self._vendor.pages(symbol, span.start, span.end, writing.cursor):
                    writing.add(page, self._clock())
                    if say and page.cursor is not None:
                        say(f"{symbol} {span} page {len(writing.answers)}")
            except SymbolRefused:
                writing.discard()
                raise
        try:
            writing.finish(self._parse(symbol))
        except SourceError as error:
            kept = writing.set_aside()
            raise SymbolRefused(f"{symbol} {span}: {error}; the answers are kept in {kept}") from error

    def _discard(self, delivery: Delivery) -> None:
        with self._store.writing(delivery) as writing:
            if writing is not None:
                writing.discard()

    def _forget_superseded(self, symbol: str) -> None:
        exchange = get_calendar(self.calendar)
        needed = set(self._newest(symbol, exchange).values())
        others = [delivery for delivery in self._store.deliveries(symbol) if delivery not in needed]
        self._store.forget(others[: max(0, len(others) - self._keep)])

    # -- reading --

    def sessions(self, calendar: str | None = None) -> list[dt.date]:
        """Sessions of ``calendar`` with at least one row of a Symbol, ascending."""
        exchange = get_calendar(calendar or self.calendar)
        found: set[dt.date] = set()
        for symbol in self._symbols:
            by_delivery: dict[Delivery, set[dt.date]] = {}
            for session, delivery in self._newest(symbol, exchange).items():
                if session not in found:
                    by_delivery.setdefault(delivery, set()).add(session)
            for delivery, candidates in by_delivery.items():
                stamps = delivery.rows(self._parse(symbol)).filter(TRADED)["Timestamp"]
                found |= candidates.intersection(dates(stamps, exchange, self.step).unique().to_list())
        return sorted(found)

    def read_session(
        self, session: dt.date, calendar: str | None = None, symbols: Sequence[str] | None = None
    ) -> RawSession:
        """See :meth:`trading.ports.sources.BarSource.read_session`; rows are by Symbol, then time.

        ``files`` are answers, by their path below the source's folder; their hashes are of what was received, while
        ``payloads`` name the files that hold it compressed (gzip). An answer over many sessions is among the payloads of the
        first of them that it has rows of, and of no other.

        Raises:
            SourceError: a named Symbol is none of the source, or is not here for this session.
        """
        exchange = get_calendar(calendar or self.calendar)
        for symbol in [s for s in symbols or () if s not in self._symbols]:
            raise SourceError(f"{self.name} is not asked for Symbol {symbol!r}; add it to the universe's symbols")
        empty = pl.DataFrame(schema=dict(RAW_COLUMNS))
        if not exchange.is_session(session):
            reason = f"{session} is no session of {exchange.name}"
            return RawSession(session, empty, {}, (SourceSkip("not_a_session", "", None, session, 0, reason),))
        deliveries: dict[str, Delivery] = {}
        skips: list[SourceSkip] = []
        for symbol in self._symbols if symbols is None else sorted(set(symbols)):
            delivery = self._newest(symbol, exchange).get(session)
            if delivery is not None:
                deliveries[symbol] = delivery
                continue
            absent = self._absent(symbol, session, exchange)
            if symbols is not None:
                raise SourceError(absent.reason)
            skips.append(absent)
        return self._raw(session, exchange, deliveries, skips)

    def _raw(
        self,
        session: dt.date,
        exchange: SessionCalendar,
        deliveries: Mapping[str, Delivery],
        skips: list[SourceSkip],
    ) -> RawSession:
        rows = self._rows(list(deliveries.values()), session, exchange)
        untraded = rows.filter(~TRADED).group_by("Symbol", maintain_order=True).len()
        for symbol, count in untraded.iter_rows():
            reason = f"{count} bars that {self._vendor.name} lists without a price: nothing was traded in them"
            skips.append(SourceSkip("no_trade", _shown(deliveries[symbol]), symbol, session, count, reason))
        rows = rows.filter(TRADED)
        empty = deliveries.keys() - set(rows["Symbol"].unique())
        skips += [self._without_rows(deliveries[symbol], session, exchange) for symbol in sorted(empty)]
        names: list[dict[str, str | int]] = []
        files: dict[str, str] = {}
        arrived: dict[str, dt.datetime] = {}
        payloads: dict[str, Path] = {}
        answers = {symbol: delivery.answers for symbol, delivery in deliveries.items() if symbol not in empty}
        for symbol, page in rows.select("Symbol", PAGE).unique(maintain_order=True).iter_rows():
            name = deliveries[symbol].shown(page)
            names.append({"Symbol": symbol, PAGE: page, "source_file": name})
            files[name] = answers[symbol][page - 1].sha256
            arrived[name] = answers[symbol][page - 1].arrived
            if self._first_sessions(deliveries[symbol], exchange).get(page) == session:
                payloads[name] = deliveries[symbol].body_file(page)
        pages = pl.DataFrame(names, schema={"Symbol": pl.String, PAGE: pl.Int32, "source_file": pl.String})
        frame = rows.join(pages, on=["Symbol", PAGE], how="left", maintain_order="left")
        if self.step == "1d":
            frame = frame.with_columns(Timestamp=pl.lit(exchange.open(session)).cast(INSTANT))
        return RawSession(session, frame.select(*RAW_COLUMNS), files, tuple(skips), arrived, payloads)

    def _first_sessions(self, delivery: Delivery, exchange: SessionCalendar) -> dict[int, dt.date]:
        """The first session that each page has rows of, among those which the delivery stands for."""
        key = (delivery.folder, exchange.name)
        if key not in self._first_of:
            held = [day for day, newest in self._newest(delivery.symbol, exchange).items() if newest == delivery]
            rows = delivery.rows(self._parse(delivery.symbol)).filter(TRADED)
            found = rows.select(PAGE, dates(rows["Timestamp"], exchange, self.step).alias("day"))
            firsts = found.filter(pl.col("day").is_in(held)).group_by(PAGE).agg(pl.col("day").min())
            self._first_of[key] = dict(firsts.iter_rows())
        return self._first_of[key]

    def _absent(self, symbol: str, session: dt.date, exchange: SessionCalendar) -> SourceSkip:
        problem = self._problems.get(symbol)
        if problem is not None:
            return SourceSkip("refused_symbol", symbol, symbol, session, 0, problem.message)
        span = span_of(session, exchange, self.step)
        early = [d for d in self._deliveries(symbol) if d.span.covers(span)]
        if early:
            reason = (
                f"{symbol} {session} was asked for at {early[-1].begun:%Y-%m-%d %H:%M} UTC, before the session's close"
            )
            return SourceSkip("asked_too_early", symbol, symbol, session, 0, reason)
        reason = f"{symbol} {session} is not in {self.name}; fetch it"
        return SourceSkip("not_fetched", symbol, symbol, session, 0, reason)

    def _without_rows(self, delivery: Delivery, session: dt.date, exchange: SessionCalendar) -> SourceSkip:
        """Why a session that was asked for has no row: it never had one, or has none any more."""
        symbol, file = delivery.symbol, _shown(delivery)
        asked = f"{self._vendor.name} was asked at {delivery.begun:%Y-%m-%d %H:%M} UTC"
        span = span_of(session, exchange, self.step)
        for older in self._deliveries(symbol):
            if older != delivery and older.span.covers(span):
                rows = self._rows([older], session, exchange).filter(TRADED).height
                if rows:
                    reason = (
                        f"{asked} and has no bar of {symbol} {session}; an older answer had {rows}: ask the vendor why"
                    )
                    return SourceSkip("emptied", file, symbol, session, rows, reason)
        return SourceSkip("no_rows", file, symbol, session, 0, f"{asked} and has no bar of {symbol} {session}")

    # -- what belongs where --

    def _newest(self, symbol: str, exchange: SessionCalendar) -> dict[dt.date, Delivery]:
        """For each session that is here, the newest delivery that was begun after its close."""
        deliveries = self._store.deliveries(symbol)
        known = self._newest_of.get((symbol, exchange.name))
        if known is None or known[0] is not deliveries:
            newest: dict[dt.date, Delivery] = {}
            for delivery in self._deliveries(symbol):
                for session, close in self._sessions(delivery.span, exchange):
                    if delivery.begun >= close:
                        newest[session] = delivery
            known = self._newest_of[symbol, exchange.name] = (deliveries, newest)
        return known[1]

    def _deliveries(self, symbol: str) -> list[Delivery]:
        """Those that were asked for as the vendor would ask today, the newest last."""
        way = way_of(self._vendor.asked_as(symbol))
        return [delivery for delivery in self._store.deliveries(symbol) if delivery.way == way]

    def _sessions(self, span: Span, exchange: SessionCalendar) -> list[tuple[dt.date, dt.datetime]]:
        """Sessions all of whose bars lie within ``span``, each with its close."""
        key = (exchange.name, span)
        if key not in self._sessions_in:
            near = exchange.sessions(span.start.date() - _DAY, span.end.date() + _DAY)
            within = [day for day in near if span.covers(span_of(day, exchange, self.step))]
            self._sessions_in[key] = [(day, exchange.close(day)) for day in within]
        return self._sessions_in[key]

    def _rows(self, deliveries: Sequence[Delivery], session: dt.date, exchange: SessionCalendar) -> pl.DataFrame:
        return session_rows(deliveries, session, exchange, self.step, self._parse)

    def _parse(self, symbol: str) -> Callable[[bytes], pl.DataFrame]:
        return partial(self._vendor.rows, symbol)


@dataclass(frozen=True)
class _Task:
    symbol: str
    span: Span
    delivery: Delivery | None  # one that was left unfinished


def _shown(delivery: Delivery) -> str:
    return f"{delivery.symbol}/{delivery.folder.name}"
