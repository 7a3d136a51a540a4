"""Historical bars of Interactive Brokers over the wire: TWS's protocol on loopback, read through the library."""

import datetime as dt
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from harness.passing_time import PassingTime
from harness.tws_messages import Instrument
from harness.tws_server import ACCOUNT, DROP, HALF, LOST, NO_PERMISSION, PACING, RESTORED, SILENT, Say, Tws, TwsServer
from harness.vendor_bars import Bar, day_bars, minute_bars

from resources.brokers.ibkr.connection import Connection, reading_connection
from resources.brokers.ibkr.contracts import ContractSpec
from resources.brokers.ibkr.history import HistoricalBars
from resources.brokers.ibkr.pace import HistoricalPace
from resources.sources.context import SourceContext
from resources.sources.downloads.source import DownloadedSource
from resources.sources.downloads.vendor import SymbolRefused
from resources.sources.errors import SourceError
from resources.sources.vendors.ibkr import IbkrBars, IbkrConfig
from resources.sources.vendors.patience import Patience
from trading.ports.sources import SourceDown
from trading.sessions import get_calendar

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
NOW = dt.datetime(2024, 1, 4, 12, 0, 30, tzinfo=dt.UTC)
SPY = Instrument(756733, "SPY", primary_exchange="ARCA")
AAPL = Instrument(265598, "AAPL", primary_exchange="NASDAQ")
MINUTE = dt.timedelta(minutes=1)
UNKNOWN = Say(200, "No security definition has been found for the request")


def vendor(history: HistoricalBars, time: PassingTime, **other: Any) -> IbkrBars:
    options: dict[str, Any] = {
        "step": "1m",
        "clock": lambda: NOW,
        "contracts": {},
        "default": ContractSpec(),
        "patience": Patience(attempts=3, seconds=600),
        "sleep": time.sleep,
    }
    return IbkrBars(history, **options | other)


def source(of: IbkrBars, directory: Path, *symbols: str, calendar: str = "XNYS") -> DownloadedSource:
    return DownloadedSource(of, directory, symbols, calendar=calendar, clock=lambda: NOW)


def expected(symbol: str, bars: list[Bar]) -> pl.DataFrame:
    columns = {
        name: [getattr(bar, name.lower()) for bar in bars] for name in ("Open", "High", "Low", "Close", "Volume")
    }
    frame = pl.DataFrame({"Symbol": symbol, "Timestamp": [bar.start for bar in bars], **columns})
    return frame.with_columns(pl.col("Timestamp").cast(pl.Datetime("us", "UTC")))


def read(of: DownloadedSource, sessions: list[dt.date]) -> pl.DataFrame:
    frame = pl.concat([of.read_session(session).frame for session in sessions])
    return frame.drop("source_file").sort("Symbol", "Timestamp")


def session_minutes() -> tuple[dt.datetime, dt.datetime]:
    """The span of the first session."""
    return dt.datetime(2024, 1, 2, 5, tzinfo=dt.UTC), dt.datetime(2024, 1, 3, 5, tzinfo=dt.UTC)


# -- whole downloads --


@pytest.mark.parametrize("days_are", ["dates", "hours"])
def test_two_sessions_come_minute_by_minute_as_tws_has_them(
    days_are: Any, tws: Tws, server: TwsServer, tmp_path: Path
) -> None:
    import time

    tws.days_are, tws.now = days_are, time.monotonic
    context = SourceContext(tmp_path, tmp_path / "downloads", "XNYS", ("SPY", "AAPL"), lambda: NOW, {})
    config = IbkrConfig(port=server.port)
    try:
        opened = config.open(context)
        assert tws.connections == 0  # asks nobody yet
        opened.fetch(SESSIONS)
        assert opened.problems() == [] and opened.sessions() == SESSIONS
        wanted = pl.concat([expected("AAPL", tws.bars[AAPL.con_id]), expected("SPY", tws.bars[SPY.con_id])])  # type: ignore[arg-type]
        assert read(opened, SESSIONS).equals(wanted)
        raw = opened.read_session(SESSIONS[0])
        assert set(raw.files) == set(raw.payloads) == set(raw.arrived) and raw.skips == ()
        asked = len(tws.asked)
        config.open(context).fetch(SESSIONS)
        assert len(tws.asked) == asked
        assert tws.connections == 1 and tws.violations == []
        assert set(tws.types) <= {71, 9, 20}
    finally:
        reading_connection("127.0.0.1", server.port, 71).close()
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert ACCOUNT.encode() not in everything


def test_a_download_that_was_cut_off_goes_on_with_the_page_that_was_missing(
    tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path
) -> None:
    answered: list[tuple[Any, ...]] = []
    days = get_calendar("XNYS").sessions(dt.date(2023, 12, 18), dt.date(2024, 1, 3))
    tws.bars = {SPY.con_id: minute_bars(days, 470)}
    for cut in (HALF, DROP):
        tws.faults.extend([*[None] * 3, cut])
        impatient = vendor(history, time, patience=Patience(attempts=1))
        with pytest.raises(SourceDown, match=r"ibkr does not deliver SPY 1 D up to .*ended the connection"):
            source(impatient, tmp_path, "SPY").fetch(days)
        answered += tws.asked[:-1]
        tws.asked.clear()
    again = source(vendor(history, time), tmp_path, "SPY")
    again.fetch(days)
    answered += tws.asked
    counted = Counter((asked.contract.con_id, asked.end, asked.duration) for asked in answered)
    assert max(counted.values()) == 1 and len(counted) == len(days) + 1
    assert read(again, days).equals(expected("SPY", tws.bars[SPY.con_id]))  # type: ignore[arg-type]
    assert tws.connections == 3 and tws.violations == []


def test_one_answer_may_hold_many_days(tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path) -> None:
    opened = source(vendor(history, time, days_per_request=10), tmp_path, "SPY")
    opened.fetch(SESSIONS)
    assert [asked.duration for asked in tws.asked] == ["2 D", "14400 S"]
    assert read(opened, SESSIONS).equals(expected("SPY", tws.bars[SPY.con_id]))  # type: ignore[arg-type]


def test_days_come_by_their_date(tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path) -> None:
    days = get_calendar("XNYS").sessions(dt.date(2023, 11, 1), dt.date(2024, 1, 3))
    tws.bars = {SPY.con_id: day_bars(get_calendar("XNYS").sessions(dt.date(2023, 10, 1), dt.date(2024, 1, 4)), 470)}
    of = vendor(history, time, step="1d", regular_hours=True, longest_span=dt.timedelta(days=365))
    opened = source(of, tmp_path, "SPY")
    opened.fetch(days)
    assert [(asked.bar_size, asked.duration, asked.use_rth) for asked in tws.asked] == [("1 day", "64 D", True)]
    assert opened.sessions() == days
    wanted = [bar for bar in tws.bars[SPY.con_id] if bar.start.date() in days]
    got = read(opened, days)
    assert got["Timestamp"].to_list() == [get_calendar("XNYS").open(day) for day in days]
    assert got.drop("Timestamp").equals(expected("SPY", wanted).drop("Timestamp"))


def test_a_session_of_futures_begins_on_the_evening_before(
    tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path
) -> None:
    days = [dt.date(2023, 12, 29), dt.date(2024, 1, 2)]  # a long weekend between them
    hours = [(get_calendar("CMES").open(day), get_calendar("CMES").close(day)) for day in days]
    starts = [open_ + dt.timedelta(minutes=n) for open_, close in hours for n in range((close - open_) // MINUTE)]
    tws.instruments = [Instrument(1, "ES", "FUT", "CME", "USD", "", "20240315", "ESH4", "ES", "50")]
    tws.bars = {1: [Bar(start, 4800.0, 4801.0, 4799.0, 4800.5, n + 1) for n, start in enumerate(starts)]}
    spec = ContractSpec(sec_type="FUT", symbol="ES", exchange="CME", expiry="202403")
    opened = source(vendor(history, time, contracts={"ESH4": spec}), tmp_path, "ESH4", calendar="CMES")
    opened.fetch(days)
    assert opened.sessions() == days
    assert read(opened, days).equals(expected("ESH4", tws.bars[1]))  # type: ignore[arg-type]
    assert read(opened, days[1:])["Timestamp"][0] == dt.datetime(2024, 1, 1, 23, tzinfo=dt.UTC)


def test_regular_hours_alone(tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path) -> None:
    opened = source(vendor(history, time, regular_hours=True), tmp_path, "SPY")
    opened.fetch(SESSIONS)
    got = read(opened, SESSIONS)
    assert got.height == 780
    assert all(row.hour * 60 + row.minute >= 14 * 60 + 30 for row in got["Timestamp"])


def test_the_minute_under_way_is_never_asked_for(history: HistoricalBars, time: PassingTime) -> None:
    start, end = session_minutes()
    early = vendor(history, time, clock=lambda: dt.datetime(2024, 1, 2, 15, 0, 42, tzinfo=dt.UTC))
    rows = pl.concat([early.rows("SPY", page.body) for page in early.pages("SPY", start, end)])
    assert rows["Timestamp"].max() == dt.datetime(2024, 1, 2, 14, 59, tzinfo=dt.UTC)


def test_a_symbol_that_was_not_traded_has_empty_sessions(
    tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path
) -> None:
    tws.bars = {SPY.con_id: []}
    opened = source(vendor(history, time), tmp_path, "SPY")
    opened.fetch(SESSIONS)
    raw = opened.read_session(SESSIONS[0])
    assert raw.frame.is_empty() and [skip.kind for skip in raw.skips] == ["no_rows"]


# -- what bars say --


def test_minutes_without_a_trade_are_left_out_and_counted(
    tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path
) -> None:
    bars = minute_bars(SESSIONS[:1], 470)
    silent = [Bar(bar.start, None, None, None, None, None) if n % 10 == 0 else bar for n, bar in enumerate(bars)]
    tws.bars = {SPY.con_id: silent}
    opened = source(vendor(history, time), tmp_path, "SPY")
    opened.fetch(SESSIONS[:1])
    raw = opened.read_session(SESSIONS[0])
    assert raw.frame.height == 864
    assert [(skip.kind, skip.rows) for skip in raw.skips] == [("no_trade", 96)]


def test_an_index_has_minutes_though_it_counts_no_trades(tws: Tws, history: HistoricalBars, time: PassingTime) -> None:
    tws.instruments = [Instrument(416904, "SPX", "IND", exchange="CBOE")]
    start = dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC)
    tws.bars = {416904: [Bar(start, None, None, None, None, None)]}  # the server writes price 1, volume and count 0
    of = vendor(history, time, contracts={"SPX": ContractSpec(sec_type="IND", exchange="CBOE")})
    (page,) = of.pages("SPX", start, start + dt.timedelta(minutes=1))
    assert of.rows("SPX", page.body).row(0) == (start, 1.0, 1.0, 1.0, 1.0, 0)


def test_quotes_have_volume_zero(tws: Tws, history: HistoricalBars, time: PassingTime) -> None:
    pair = Instrument(12087792, "EUR", "CASH", "IDEALPRO", "USD", local_symbol="EUR.USD", trading_class="EUR.USD")
    tws.instruments, tws.bars = [pair], {pair.con_id: minute_bars(SESSIONS[:1], 1.1)}
    forex = ContractSpec(sec_type="CASH", symbol="EUR", exchange="IDEALPRO")
    of = vendor(history, time, contracts={"EURUSD": forex}, show="MIDPOINT")
    rows = pl.concat([of.rows("EURUSD", page.body) for page in of.pages("EURUSD", *session_minutes())])
    assert rows.height == 960 and set(rows["Volume"]) == {0} and rows["Close"].null_count() == 0


def test_volumes_are_whole_in_their_unit(tws: Tws, history: HistoricalBars, time: PassingTime) -> None:
    start = dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC)
    tws.bars = {SPY.con_id: [Bar(start, 470.0, 471.0, 469.0, 470.5, 0.30000001), Bar(start, 1.0, 1.0, 1.0, 1.0, 12.1)]}
    units = vendor(history, time, volume_unit=1e-8)
    (page,) = units.pages("SPY", start, start + dt.timedelta(minutes=1))
    # The server writes six digits, so that 0.3 arrives: 30 million units and not one less.
    assert units.rows("SPY", page.body)["Volume"].to_list() == [30_000_000, 1_210_000_000]
    with pytest.raises(SourceError, match=r"row 1 .*volume 0\.3 is no whole number .* set volume_unit"):
        vendor(history, time).rows("SPY", page.body)


# -- limits --


def test_the_limits_are_never_exceeded_and_hardly_undercut(
    tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path
) -> None:
    days = get_calendar("XNYS").sessions(dt.date(2023, 8, 1), dt.date(2024, 1, 3))
    tws.bars = {SPY.con_id: minute_bars(days, 470, extended=False, every=30)}
    opened = source(vendor(history, time), tmp_path, "SPY")
    opened.fetch(days)
    assert tws.violations == [] and len(tws.asked) > 110
    # Sixty at once, sixty after ten minutes, but for what six within two seconds and the margins cost.
    assert time.now - 1_000 == pytest.approx((len(tws.asked) - 1) // 60 * 600.5, abs=40)


def test_bid_ask_counts_twice(tws: Tws, history: HistoricalBars, time: PassingTime) -> None:
    contract = history.contract(ContractSpec(symbol="SPY"))
    end = dt.datetime(2024, 1, 4, tzinfo=dt.UTC)
    for minute in range(31):
        at = end - dt.timedelta(minutes=minute)
        history.bars(contract, at, "60 S", "1 min", "BID_ASK", regular_hours=False)
    assert tws.violations == [] and time.now - 1_000 > 600


def test_a_pacing_violation_is_waited_for(tws: Tws, history: HistoricalBars, time: PassingTime) -> None:
    tws.faults.extend([PACING, PACING])
    of = vendor(history, time)
    pages = list(of.pages("SPY", *session_minutes()))
    assert sum(of.rows("SPY", page.body).height for page in pages) == 960
    assert time.slept.count(60.0) == 2


def test_endless_pacing_violations_are_an_outage(tws: Tws, history: HistoricalBars, time: PassingTime) -> None:
    tws.faults.extend([PACING] * 11)
    with pytest.raises(SourceDown, match=r"pacing violation after 660 s.*another program"):
        list(vendor(history, time, patience=Patience(attempts=1)).pages("SPY", *session_minutes()))


# -- message codes --


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (UNKNOWN, SymbolRefused, "No security definition"),
        (NO_PERMISSION, SymbolRefused, "No market data permissions"),
        (Say(354, "Requested market data is not subscribed."), SymbolRefused, "subscribe to this market's data"),
        (Say(321, "Error validating request: invalid duration"), SourceError, "invalid duration"),
        (Say(366, "No historical data query found for ticker id:5"), SourceDown, "does not deliver now"),
        (Say(10197, "No market data during competing live session"), SourceDown, "competing live session"),
        (Say(162, "Trading TWS session is connected from a different IP address"), SourceDown, "different IP"),
        (LOST, SourceDown, "lost its own connection"),
        (DROP, SourceDown, "ended the connection"),
    ],
    ids=lambda value: str(value.code) if isinstance(value, Say) else None,
)
def test_what_a_message_code_means(
    fault: Say, error: type[Exception], words: str, tws: Tws, history: HistoricalBars, time: PassingTime
) -> None:
    tws.faults.append(fault)
    with pytest.raises(error, match=words):
        list(vendor(history, time, patience=Patience(attempts=1)).pages("SPY", *session_minutes()))


@pytest.mark.parametrize("fault", [Say(10197, "No market data during competing live session"), DROP, HALF])
def test_what_passes_is_asked_again(fault: Say, tws: Tws, history: HistoricalBars, time: PassingTime) -> None:
    tws.faults.append(fault)
    of = vendor(history, time)
    assert sum(of.rows("SPY", page.body).height for page in of.pages("SPY", *session_minutes())) == 960
    assert tws.violations == []


def test_after_an_outage_behind_tws_the_same_connection_goes_on(
    tws: Tws, server: TwsServer, history: HistoricalBars, time: PassingTime
) -> None:
    tws.faults.append(LOST)
    pages = vendor(history, time, patience=Patience(attempts=1)).pages
    with pytest.raises(SourceDown, match="lost its own connection"):
        list(pages("SPY", *session_minutes()))
    with pytest.raises(SourceDown, match="lost its own connection"):  # and TWS is not even asked
        list(pages("AAPL", *session_minutes()))
    assert len(tws.asked) == 1
    server.announce(RESTORED)
    patient = vendor(history, time, patience=Patience(attempts=8), sleep=lambda _: threading.Event().wait(0.05))
    list(patient.pages("SPY", *session_minutes()))
    assert tws.connections == 1


def test_a_gateway_that_says_nothing_is_connected_to_anew(
    tws: Tws, server: TwsServer, connection: Connection, time: PassingTime
) -> None:
    tws.faults.append(SILENT)
    pace = HistoricalPace(sleep=time.sleep, monotonic=time)
    history = HistoricalBars(connection, pace, seconds=2, sleep=time.sleep)
    of = vendor(history, time)
    assert sum(of.rows("SPY", page.body).height for page in of.pages("SPY", *session_minutes())) == 960
    assert tws.connections == 2


def test_an_unknown_symbol_does_not_stop_the_others(
    tws: Tws, history: HistoricalBars, time: PassingTime, tmp_path: Path
) -> None:
    opened = source(vendor(history, time), tmp_path, "NOPE", "SPY")
    opened.fetch(SESSIONS)
    (problem,) = opened.problems()
    assert problem.symbol == "NOPE" and "No security definition" in problem.message
    assert opened.read_session(SESSIONS[0]).frame.height == 960
