"""Daily benchmark bars over HTTP: Yahoo on loopback, asked through yfinance."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from harness.vendor_bars import Bar, day_bars
from harness.vendor_server import Reply, VendorServer
from harness.yahoo_server import CRUMB, Listing, Yahoo, failed, too_many, yahoo_server

from resources.sources.context import SourceContext
from resources.sources.downloads.vendor import SymbolRefused
from resources.sources.errors import SourceError
from resources.sources.vendors.pace import Pace
from resources.sources.vendors.patience import Patience
from resources.sources.vendors.yahoo import YahooConfig, YahooDays
from trading.ports.sources import SourceDown
from trading.sessions import get_calendar

FIRST, LAST = dt.date(2024, 3, 1), dt.date(2024, 3, 28)  # the clocks change on 2024-03-10
SESSIONS = get_calendar("XNYS").sessions(FIRST, LAST)
NOW = dt.datetime(2024, 4, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
TICKERS = {"SPX": "^GSPC", "FTSE": "^FTSE", "AXJO": "^AXJO"}


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


@pytest.fixture
def has() -> Yahoo:
    return Yahoo(
        {
            "SPY": Listing(day_bars(SESSIONS, 509.83)),
            "^GSPC": Listing(day_bars(SESSIONS, 5096.27), kind="INDEX"),
        }
    )


@pytest.fixture
def server(has: Yahoo) -> Iterator[VendorServer]:
    with yahoo_server(has) as running:
        yield running


class Pauses(list[float]):
    """Takes the place of sleep."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def yahoo(url: str, pauses: Pauses | None = None, **settings: Any) -> YahooDays:
    given: dict[str, Any] = {"patience": Patience(attempts=4, seconds=60, read=5), "tickers": TICKERS} | settings
    return YahooDays(Pace(1_000_000), base_url=url, sleep=Pauses() if pauses is None else pauses, **given)


def source_in(tmp_path: Path, url: str, *symbols: str, calendar: str = "XNYS", now: dt.datetime = NOW) -> Any:
    context = SourceContext(tmp_path, tmp_path / "downloads", calendar, symbols, lambda: now, {})
    return YahooConfig(base_url=url, tickers=TICKERS, requests_per_minute=1_000_000).open(context)


def rows(vendor: YahooDays, symbol: str, first: dt.date = FIRST, last: dt.date = LAST) -> pl.DataFrame:
    (page,) = list(vendor.pages(symbol, midnight(first), midnight(last) + DAY))
    return vendor.rows(symbol, page.body)


def figures(bars: list[Bar]) -> list[tuple[Any, ...]]:
    return [(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]


# -- whole downloads --


def test_sessions_come_day_by_day_as_yahoo_has_them(has: Yahoo, server: VendorServer, tmp_path: Path) -> None:
    source = source_in(tmp_path, server.url, "SPY", "SPX")
    assert source.step == "1d"
    source.fetch(SESSIONS)
    assert source.problems() == [] and source.sessions() == SESSIONS
    calendar = get_calendar("XNYS")
    for number, session in enumerate(SESSIONS):
        raw = source.read_session(session)
        for symbol, ticker in (("SPX", "^GSPC"), ("SPY", "SPY")):
            bar = has.listings[ticker].bars[number]
            mine = raw.frame.filter(pl.col("Symbol") == symbol).drop("Symbol", "source_file")
            # Prices to the cent: Yahoo's 32-bit floats are not what anybody quoted.
            assert mine.rows() == [(calendar.open(session), bar.open, bar.high, bar.low, bar.close, bar.volume)]
        assert raw.skips == () and len(raw.files) == 2
        assert len(raw.payloads) == (2 if number == 0 else 0)  # one answer a Symbol, kept with its first session
    charts = [asked for asked in server.asked if "/chart/" in asked.path]
    assert [asked.path for asked in charts] == ["/v8/finance/chart/%5EGSPC", "/v8/finance/chart/SPY"]


def test_the_session_under_way_is_not_taken(has: Yahoo, server: VendorServer, tmp_path: Path) -> None:
    noon = get_calendar("XNYS").open(LAST) + dt.timedelta(hours=2)
    settled = has.listings["SPY"].bars.pop()
    has.listings["SPY"].live = (noon, settled)
    source = source_in(tmp_path, server.url, "SPY", now=noon + dt.timedelta(minutes=1))
    source.fetch(SESSIONS[-3:])
    assert source.sessions() == SESSIONS[-3:-1]
    assert source.read_session(LAST).frame.is_empty()
    source.fetch([LAST])
    assert source.read_session(LAST).frame.is_empty()


def test_a_day_before_a_listing_is_empty_and_no_error(server: VendorServer, tmp_path: Path) -> None:
    source = source_in(tmp_path, server.url, "SPY")
    before = dt.date(2024, 2, 15)
    source.fetch([before])
    raw = source.read_session(before)
    assert raw.frame.is_empty() and [skip.kind for skip in raw.skips] == ["no_rows"]


def test_an_unknown_ticker_does_not_stop_the_others(server: VendorServer, tmp_path: Path) -> None:
    source = source_in(tmp_path, server.url, "GONE", "SPY")
    source.fetch([LAST])
    (problem,) = source.problems()
    assert problem.symbol == "GONE" and "symbol may be delisted" in problem.message
    assert source.read_session(LAST).frame["Symbol"].to_list() == ["SPY"]


def test_a_late_revision_is_found_when_asked_again(has: Yahoo, server: VendorServer, tmp_path: Path) -> None:
    source_in(tmp_path, server.url, "SPY").fetch([LAST])
    has.listings["SPY"].bars[-1] = has.listings["SPY"].bars[-1].revised(1.5)
    later = source_in(tmp_path, server.url, "SPY", now=NOW + DAY)
    later.fetch([LAST])
    assert later.read_session(LAST).frame["High"].to_list() == [has.listings["SPY"].bars[-1].high]


def test_a_split_moves_the_prices_of_days_that_are_asked_for_again(
    has: Yahoo, server: VendorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Why these are benchmark series and no raw bars."""
    day = SESSIONS[3]
    source = source_in(tmp_path, server.url, "SPY")
    source.fetch([day])
    before = source.read_session(day).frame
    has.listings["SPY"].bars = [
        Bar(b.start, b.open / 2, b.high / 2, b.low / 2, b.close / 2, b.volume * 2)  # type: ignore[operator]
        for b in has.listings["SPY"].bars
    ]
    has.listings["SPY"].splits = [(day, 2, 1)]
    later = source_in(tmp_path, server.url, "SPY", now=NOW + DAY)
    later.fetch([day])
    after = later.read_session(day).frame
    assert after["Close"].item() == pytest.approx(before["Close"].item() / 2)
    assert after["Volume"].item() == 2 * before["Volume"].item()
    (said,) = [record.getMessage() for record in caplog.records if "split" in record.getMessage()]
    assert said.startswith("yahoo: SPY has split 2:1 on 2024-03-06: days that were downloaded before then")


# -- which day a bar is of --


def test_days_are_of_the_exchanges_clock_where_that_is_another_day_in_utc(tmp_path: Path) -> None:
    """Sydney opens at 10:00, on the UTC day before; London at 08:00, by another clock change than New York."""
    for calendar, symbol in (("XASX", "AXJO"), ("XLON", "FTSE")):
        sessions = get_calendar(calendar).sessions(dt.date(2024, 3, 20), dt.date(2024, 4, 12))
        has = Yahoo({TICKERS[symbol]: Listing(day_bars(sessions, 7800.0), calendar=calendar, kind="INDEX")})
        with yahoo_server(has) as server:
            source = source_in(tmp_path, server.url, symbol, calendar=calendar, now=NOW + 30 * DAY)
            source.fetch(sessions)
        got = [source.read_session(session).frame for session in sessions]
        assert [frame["Open"].to_list() for frame in got] == [[bar.open] for bar in has.listings[TICKERS[symbol]].bars]


def test_the_last_day_comes_once_though_yahoo_has_it_twice(has: Yahoo, server: VendorServer) -> None:
    settled = has.listings["SPY"].bars[-1]
    newer = Bar(settled.start, settled.open, settled.high, settled.low, settled.close, 999)
    has.listings["SPY"].live = (get_calendar("XNYS").close(LAST), newer)
    got = rows(yahoo(server.url), "SPY")
    assert got.rows() == figures([*has.listings["SPY"].bars[:-1], newer])


def test_a_quote_of_friday_with_the_time_of_its_last_trade_is_fridays(has: Yahoo, server: VendorServer) -> None:
    bar = has.listings["SPY"].bars.pop()
    has.listings["SPY"].live = (get_calendar("XNYS").close(LAST) + dt.timedelta(seconds=1), bar)
    assert rows(yahoo(server.url), "SPY")["Timestamp"].to_list()[-1] == midnight(LAST)


# -- figures --


def test_a_day_without_figures_is_left_to_be_counted(has: Yahoo, server: VendorServer, tmp_path: Path) -> None:
    has.listings["SPY"].bars[-1] = Bar(midnight(LAST), None, None, None, None, None)
    assert rows(yahoo(server.url), "SPY").row(-1) == (midnight(LAST), None, None, None, None, None)
    source = source_in(tmp_path, server.url, "SPY")
    source.fetch([LAST])
    assert [skip.kind for skip in source.read_session(LAST).skips] == ["no_trade", "no_rows"]


@pytest.mark.parametrize(("kind", "volume"), [("INDEX", 0), ("CURRENCY", 0), ("ETF", None)])
def test_only_an_index_or_a_currency_may_lack_a_volume(kind: str, volume: int | None) -> None:
    has = Yahoo({"X": Listing([Bar(midnight(LAST), 1.5, 2.0, 1.0, 1.5, None)], kind=kind)})
    with yahoo_server(has) as server:
        assert rows(yahoo(server.url), "X")["Volume"].to_list() == [volume]


def chart(**changes: Any) -> dict[str, Any]:
    quote = {"open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [1]}
    meta = {"symbol": "SPY", "exchangeTimezoneName": "America/New_York", "dataGranularity": "1d"}
    result = {"meta": meta, "timestamp": [1_711_632_600], "indicators": {"quote": [quote]}}
    return {"chart": {"result": [result | changes], "error": None}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not whole JSON, 0 bytes"),
        (b"<html>Will be right back</html>", "not whole JSON"),
        (json.dumps(chart()).encode()[:-30], "not whole JSON"),
        (b"[]", "chart is None"),
        (b'{"chart": {"result": [], "error": null}}', "0 results; it must have one"),
        (json.dumps(chart(meta={"symbol": "QQQ"})).encode(), "about 'QQQ'; it must be about 'SPY'"),
        (
            json.dumps(chart(meta={"symbol": "SPY", "dataGranularity": "3mo"})).encode(),
            "of '3mo'; they must be of '1d'",
        ),
        (json.dumps(chart(meta={"symbol": "SPY"})).encode(), "exchangeTimezoneName is None"),
        (json.dumps(chart(meta={"exchangeTimezoneName": "Mars/Phobos"})).encode(), "'Mars/Phobos'; it must be a zone"),
        (json.dumps(chart(timestamp=[1, 2])).encode(), "1 values of open for 2 times"),
        (json.dumps(chart(timestamp=["x"])).encode(), "no whole number"),
        (json.dumps(chart(indicators={"quote": [{"open": [1.0]}]})).encode(), "high is None; it must be a list"),
    ],
)
def test_what_is_no_answer_to_the_question_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        yahoo("http://127.0.0.1:1").rows("SPY", body)


# -- faults --

FAULTS = {
    "500": Reply(500, b'{"finance":{"error":{"code":"internal-error"}}}'),
    "502": Reply(502, b"<html><title>Bad Gateway</title></html>", content_type="text/html"),
    "page with status 200": Reply(200, b"<html>Will be right back...</html>", content_type="text/html"),
    "no body": Reply(200, b""),
    "half of JSON": Reply(200, b'{"chart":{"result":[{"meta":{'),
    "fewer values than times": Reply(200, json.dumps(chart(timestamp=[1, 2])).encode()),
    "half a page": Reply(200, json.dumps(chart()).encode(), how="half"),
    "reset": Reply(how="nothing"),
}


@pytest.fixture
def warm(server: VendorServer) -> YahooDays:
    """Has its cookie and its crumb."""
    vendor = yahoo(server.url, Pauses())
    rows(vendor, "SPY")
    return vendor


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_leaves_no_trace(has: Yahoo, server: VendorServer, warm: YahooDays, fault: str) -> None:
    server.faults.append(FAULTS[fault])
    assert rows(warm, "SPY").rows() == figures(has.listings["SPY"].bars)


@pytest.mark.parametrize("fault", ["500", "page with status 200", "half a page", "reset"])
def test_a_fault_that_stays_is_a_source_that_is_down(server: VendorServer, warm: YahooDays, fault: str) -> None:
    server.faults.extend([FAULTS[fault]] * 60)
    with pytest.raises(SourceDown, match=r"yahoo does not deliver SPY 2024-03-01 to 2024-03-28: .* tried 4 times"):
        rows(warm, "SPY")


def test_too_many_requests_are_waited_for(has: Yahoo, server: VendorServer) -> None:
    pauses = Pauses()
    vendor = yahoo(server.url, pauses)
    rows(vendor, "SPY")
    limited = [True]

    def answer(asked: Any) -> Reply:
        return too_many() if limited[0] and "/chart/" in asked.path else has.answer(asked)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        limited[0] = False

    server.answer = answer
    vendor._sleep = sleep
    assert rows(vendor, "SPY").height == len(SESSIONS)
    assert pauses == [9.0]
    limited[0] = True
    vendor._sleep = pauses
    with pytest.raises(SourceDown, match=r"Too Many Requests.* come back in 9 s; tried 4 times"):
        rows(vendor, "SPY")


def test_no_crumb_is_no_obstacle(has: Yahoo, server: VendorServer) -> None:
    has.crumb = None
    assert rows(yahoo(server.url), "SPY").height == len(SESSIONS)


def test_a_crumb_that_has_expired_is_asked_for_anew(has: Yahoo, server: VendorServer, warm: YahooDays) -> None:
    has.crumb = "another.crumb"
    assert rows(warm, "SPY").height == len(SESSIONS)


def test_yahoo_says_no(server: VendorServer, warm: YahooDays) -> None:
    with pytest.raises(SymbolRefused, match="symbol may be delisted"):
        rows(warm, "GONE")
    no = failed(422, "Unprocessable Entity", "Invalid input - interval=1d is not supported.")
    server.faults.extend([no] * 8)
    with pytest.raises(SourceError, match="Unprocessable Entity: Invalid input"):
        rows(warm, "SPY")


def test_nobody_there() -> None:
    with pytest.raises(SourceDown, match="yahoo does not deliver SPY"):
        rows(yahoo("http://127.0.0.1:1"), "SPY")


# -- what is left behind --


def test_cookie_and_crumb_stay_in_the_process(
    server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from yfinance import cache

    monkeypatch.setattr(cache._CookieDBManager, "_cache_dir", str(tmp_path / "home"))
    monkeypatch.setattr(cache._CookieDBManager, "_db", None)
    monkeypatch.setattr(cache._CookieCacheManager, "_Cookie_cache", None)
    source = source_in(tmp_path, server.url, "SPY")
    source.fetch(SESSIONS)
    assert any(asked.query.get("crumb") == CRUMB for asked in server.asked)
    assert not (tmp_path / "home").exists()
    for path in tmp_path.rglob("*.json"):
        assert CRUMB not in path.read_text()
