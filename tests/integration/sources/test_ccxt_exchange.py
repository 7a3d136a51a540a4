"""Minutes of an exchange over HTTP: Binance on loopback, asked through ccxt."""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from harness.binance_server import Binance, Kline, banned, binance_server, klines
from harness.coinbase_server import coinbase_server
from harness.vendor_bars import Bar
from harness.vendor_server import Reply, VendorServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.sources.context import SourceContext
from resources.sources.downloads.vendor import Page, SymbolRefused
from resources.sources.errors import SourceError
from resources.sources.vendors.ccxt_exchange import CcxtConfig, CcxtExchange
from resources.sources.vendors.pace import Pace
from resources.sources.vendors.patience import Patience
from trading.bars import assemble_m1
from trading.errors import ConfigError
from trading.ports.sources import SourceDown

START = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
NOW = dt.datetime(2024, 1, 5, 0, 10, 30, tzinfo=dt.UTC)
IMPATIENT = Patience(attempts=4, seconds=60, read=5)


@pytest.fixture
def has() -> Binance:
    return Binance({"BTCUSDT": klines(START, 3 * 1440, 42_000), "ETHUSDT": klines(START, 3 * 1440, 2_300)}, NOW)


@pytest.fixture
def server(has: Binance) -> Iterator[VendorServer]:
    with binance_server(has) as running:
        yield running


class Pauses(list[float]):
    """Takes the place of sleep."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def exchange(url: str, directory: Path, pauses: Pauses | None = None, **other: Any) -> CcxtExchange:
    options: dict[str, Any] = {"exchange": "binance", "clock": lambda: NOW, "patience": IMPATIENT} | other
    return CcxtExchange(
        options.pop("exchange"),
        directory,
        base_url=url,
        pace=Pace(1_000_000),
        sleep=Pauses() if pauses is None else pauses,
        **options,
    )


def all_rows(vendor: CcxtExchange, pages: list[Page], symbol: str = "BTC-USDT") -> pl.DataFrame:
    return pl.concat([vendor.rows(symbol, page.body) for page in pages])


def expected(made: list[Kline]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Timestamp": [kline.start for kline in made],
            "Open": [float(kline.open) for kline in made],
            "High": [float(kline.high) for kline in made],
            "Low": [float(kline.low) for kline in made],
            "Close": [float(kline.close) for kline in made],
            "Volume": [int(Decimal(kline.volume) * 10**8) for kline in made],
        },
        schema_overrides={"Timestamp": pl.Datetime("us", "UTC")},
    )


def asked_klines(server: VendorServer) -> list[tuple[dt.datetime, dt.datetime]]:
    """Start and end, inclusive, of the requests for klines."""
    bounds = [
        (int(asked.query["startTime"]), int(asked.query["endTime"]))
        for asked in server.asked
        if asked.path.endswith("/klines")
    ]
    return [tuple(dt.datetime.fromtimestamp(ms / 1000, dt.UTC) for ms in pair) for pair in bounds]  # type: ignore[misc]


# -- whole downloads --


def test_sessions_come_minute_by_minute_as_the_exchange_has_them(
    has: Binance, server: VendorServer, tmp_path: Path
) -> None:
    context = SourceContext(tmp_path, tmp_path / "downloads", "24/7", ("ETH-USDT", "BTC-USDT"), lambda: NOW, {})
    config = CcxtConfig(base_url=server.url, requests_per_minute=1_000_000)
    source = config.open(context)
    sessions = [(START + n * DAY).date() for n in range(3)]
    said: list[tuple[int, int, str]] = []
    source.fetch(sessions, lambda done, whole, what: said.append((done, whole, what)))
    assert said[-1][0] == said[-1][1]
    assert source.problems() == [] and source.symbols() == ["BTC-USDT", "ETH-USDT"]
    assert source.sessions() == sessions
    raws = [source.read_session(day) for day in sessions]
    bars = assemble_m1([raw.frame for raw in raws], "24/7").bars
    for symbol, market in (("BTC-USDT", "BTCUSDT"), ("ETH-USDT", "ETHUSDT")):
        mine = bars.filter(pl.col("Symbol") == symbol).select(expected([]).columns)
        assert mine.equals(expected(has.klines[market]))
    kept: set[str] = set()
    for raw in raws:  # every answer is kept once, with the first session that it has rows of
        assert set(raw.files) == set(raw.arrived)
        assert set(raw.payloads) == set(raw.files) - kept
        kept |= set(raw.payloads)
    assert len(kept) > len(raws)
    # Nothing that is fresh is asked for again, and reading needs nobody.
    before = len(server.asked)
    config.open(context).fetch(sessions)
    assert len(server.asked) == before


def test_a_late_revision_is_found_when_asked_again(has: Binance, server: VendorServer, tmp_path: Path) -> None:
    now = [NOW]
    context = SourceContext(tmp_path, tmp_path / "downloads", "24/7", ("BTC-USDT",), lambda: now[0], {})
    source = CcxtConfig(base_url=server.url, requests_per_minute=1_000_000).open(context)
    source.fetch([START.date()])
    first = source.read_session(START.date()).frame
    made = has.klines["BTCUSDT"]
    made[700] = Kline(made[700].start, made[700].open, "43000.00000000", made[700].low, made[700].close, "1.5")
    now[0] += DAY
    source.fetch([START.date()])
    second = source.read_session(START.date()).frame
    changed = second.filter((first["High"] != second["High"]) | (first["Volume"] != second["Volume"]))
    assert changed["Timestamp"].to_list() == [made[700].start]
    assert changed["Volume"].to_list() == [150_000_000]


def test_another_unit_or_another_market_under_a_symbol_is_downloaded_anew(
    has: Binance, server: VendorServer, tmp_path: Path
) -> None:
    context = SourceContext(tmp_path, tmp_path / "downloads", "24/7", ("XBT",), lambda: NOW, {})
    plain = {"base_url": server.url, "requests_per_minute": 1_000_000}
    frames = []
    for changed in ({}, {"volume_units": {"XBT": 1e-4}}, {"markets": {"XBT": "ETH/USDT"}}):
        source = CcxtConfig(**{**plain, "markets": {"XBT": "BTC/USDT"}, **changed}).open(context)
        source.fetch([START.date()])
        frames.append(source.read_session(START.date()).frame)
    first, coarser, other = frames
    assert (first["Volume"] - coarser["Volume"] * 10_000).abs().max() <= 5_000
    assert coarser["Open"].equals(first["Open"])
    assert other["Open"].to_list() == [float(kline.open) for kline in has.klines["ETHUSDT"][:1440]]


def test_a_session_in_which_nothing_was_traded_is_known_to_be_empty(server: VendorServer, tmp_path: Path) -> None:
    context = SourceContext(tmp_path, tmp_path / "downloads", "24/7", ("BTC-USDT",), lambda: NOW, {})
    source = CcxtConfig(base_url=server.url, requests_per_minute=1_000_000).open(context)
    before = (START - DAY).date()  # not listed yet
    source.fetch([before])
    raw = source.read_session(before)
    assert raw.frame.is_empty() and [skip.kind for skip in raw.skips] == ["no_rows"]


def test_an_unknown_market_does_not_stop_the_others(server: VendorServer, tmp_path: Path) -> None:
    context = SourceContext(tmp_path, tmp_path / "downloads", "24/7", ("BTC-USD", "BTC-USDT"), lambda: NOW, {})
    source = CcxtConfig(base_url=server.url, requests_per_minute=1_000_000).open(context)
    source.fetch([START.date()])
    (problem,) = source.problems()
    assert problem.symbol == "BTC-USD" and "BTC/USDT" in problem.message
    assert source.read_session(START.date()).frame["Symbol"].unique().to_list() == ["BTC-USDT"]


# -- windows --


def test_windows_follow_each_other_and_the_bodies_are_the_exchanges_own(
    has: Binance, server: VendorServer, tmp_path: Path
) -> None:
    vendor = exchange(server.url, tmp_path)
    pages = list(vendor.pages("BTC-USDT", START, START + 2 * DAY))
    assert all_rows(vendor, pages).equals(expected(has.klines["BTCUSDT"][:2880]))
    assert asked_klines(server) == [
        (START, START + 1000 * MINUTE - dt.timedelta(milliseconds=1)),
        (START + 1000 * MINUTE, START + 2000 * MINUTE - dt.timedelta(milliseconds=1)),
        (START + 2000 * MINUTE, START + 2880 * MINUTE - dt.timedelta(milliseconds=1)),
    ]
    sent = [has.answer(asked).body for asked in server.asked if asked.path.endswith("/klines")]
    assert [page.body for page in pages] == sent
    assert [page.cursor is None for page in pages] == [False, False, True]
    assert all(page.request.startswith("GET /api/v3/klines?") and "127.0.0.1" not in page.request for page in pages)


def test_a_download_goes_on_from_a_cursor(has: Binance, server: VendorServer, tmp_path: Path) -> None:
    vendor = exchange(server.url, tmp_path)
    first = next(vendor.pages("BTC-USDT", START, START + DAY))
    rest = list(exchange(server.url, tmp_path).pages("BTC-USDT", START, START + DAY, first.cursor))
    assert all_rows(vendor, [first, *rest]).equals(expected(has.klines["BTCUSDT"][:1440]))
    assert len(asked_klines(server)) == 2


@pytest.mark.parametrize(("first", "last"), [(995, 1005), (0, 1300), (100, 1440), (0, 1440), (1439, 1440)])
def test_a_gap_does_not_end_a_download(
    has: Binance, server: VendorServer, tmp_path: Path, first: int, last: int
) -> None:
    made = has.klines["BTCUSDT"]
    has.klines["BTCUSDT"] = made[:first] + made[last:]
    vendor = exchange(server.url, tmp_path)
    rows = all_rows(vendor, list(vendor.pages("BTC-USDT", START, START + 2 * DAY)))
    assert rows.equals(expected((made[:first] + made[last:])[: 2880 - (last - first)]))


def test_an_exchange_that_gives_fewer_rows_than_asked_for_is_asked_for_the_rest(
    has: Binance, server: VendorServer, tmp_path: Path
) -> None:
    has.most = 400
    vendor = exchange(server.url, tmp_path)
    rows = all_rows(vendor, list(vendor.pages("BTC-USDT", START, START + DAY)))
    assert rows.equals(expected(has.klines["BTCUSDT"][:1440]))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    gaps=st.lists(st.tuples(st.integers(0, 1440), st.integers(1, 1200)), max_size=4),
    most=st.integers(150, 1000),
    stops=st.integers(1, 4),
)
def test_whatever_is_missing_and_wherever_a_download_stops_all_that_there_is_arrives_once(
    has: Binance, server: VendorServer, tmp_path: Path, gaps: list[tuple[int, int]], most: int, stops: int
) -> None:
    gone = {n for first, length in gaps for n in range(first, first + length)}
    there = [kline for n, kline in enumerate(klines(START, 1440, 42_000)) if n not in gone]
    has.klines["BTCUSDT"], has.most = [*there, *klines(START + DAY, 5, 1)], most
    pages: list[Page] = []
    while not pages or pages[-1].cursor is not None:
        cursor = pages[-1].cursor if pages else None
        asking = exchange(server.url, tmp_path).pages("BTC-USDT", START, START + DAY, cursor)
        pages += islice(asking, stops)
    assert all_rows(exchange(server.url, tmp_path), pages).equals(expected(there))


def test_the_minute_under_way_is_never_taken(has: Binance, server: VendorServer, tmp_path: Path) -> None:
    has.now = START + 10 * MINUTE + dt.timedelta(seconds=30)
    vendor = exchange(server.url, tmp_path, clock=lambda: has.now)
    rows = all_rows(vendor, list(vendor.pages("BTC-USDT", START, START + DAY)))
    assert rows["Timestamp"].to_list() == [START + n * MINUTE for n in range(10)]
    assert list(vendor.pages("BTC-USDT", START + 10 * MINUTE, START + DAY)) == []


def test_an_exchange_that_serves_recent_minutes_only_is_told_apart_from_a_gap(
    has: Binance, server: VendorServer, tmp_path: Path
) -> None:
    late = has.klines["BTCUSDT"][-720:]
    vendor = exchange(server.url, tmp_path)
    server.faults.append(Reply(body=json.dumps(has._info()).encode()))
    server.faults.append(Reply(body=json.dumps([kline.listed for kline in late]).encode()))
    with pytest.raises(SourceError, match=r"minutes from 2024-01-04 12:00 on: it serves recent minutes only"):
        list(vendor.pages("BTC-USDT", START, START + DAY))


# -- figures --


@pytest.mark.parametrize(
    ("volume", "unit", "whole"),
    [
        ("0.00000001", 1e-8, 1),
        ("0.1", 1e-8, 10_000_000),
        ("29.99999999", 1e-8, 2_999_999_999),
        ("92233720368.54775807", 1e-8, 2**63 - 1),  # all 64 bits; a float keeps 53
        ("123456789012345", 1, 123_456_789_012_345),
        ("2.5", 1, 2),
        ("0.00012300", 0.0001, 1),
        ("0.00000000", 1e-8, 0),
    ],
)
def test_volumes_are_whole_and_exact(
    server: VendorServer, tmp_path: Path, volume: str, unit: float, whole: int
) -> None:
    vendor = exchange(server.url, tmp_path, volume_unit=1e-3, volume_units={"BTC-USDT": unit})
    body = json.dumps([Kline(START, "1.1", "1.2", "1.0", "1.15", volume).listed]).encode()
    rows = vendor.rows("BTC-USDT", body)
    assert rows["Volume"].to_list() == [whole]
    assert rows.select("Open", "High", "Low", "Close").row(0) == (1.1, 1.2, 1.0, 1.15)


def test_a_volume_beyond_64_bits_says_which_setting_helps(server: VendorServer, tmp_path: Path) -> None:
    vendor = exchange(server.url, tmp_path)
    body = json.dumps([Kline(START, "1", "1", "1", "1", "92233720368.54775808").listed]).encode()
    with pytest.raises(SourceError, match="volume_units"):
        vendor.rows("BTC-USDT", body)


def test_duplicates_stay_as_received(server: VendorServer, tmp_path: Path) -> None:
    twice = [kline.listed for kline in klines(START, 3, 100.0)] * 2
    rows = exchange(server.url, tmp_path).rows("BTC-USDT", json.dumps(twice).encode())
    assert rows.height == 6 and rows["Timestamp"].n_unique() == 3


@pytest.mark.parametrize("body", [b"", b"<html></html>", b'[[1704153600000,"1"', b'{"code":-1003,"msg":"x"}', b"[[1]]"])
def test_what_is_no_answer_to_the_question_is_refused(server: VendorServer, tmp_path: Path, body: bytes) -> None:
    with pytest.raises(SourceError, match="binance: "):
        exchange(server.url, tmp_path).rows("BTC-USDT", body)


def test_numbers_without_quotes_and_columns_in_another_order_are_read_by_the_exchanges_format(tmp_path: Path) -> None:
    bars = [Bar(START, 10.0, 11.0, 9.0, 10.1, 0.1), Bar(START + MINUTE, 10.1, 11.25, 9.5, 10.2, 3.00000007)]
    with coinbase_server("BTC-USD", bars) as server:
        vendor = exchange(server.url, tmp_path, exchange="coinbaseexchange")
        (page,) = list(vendor.pages("BTC-USD", START, START + 2 * MINUTE))
    assert json.loads(page.body)[0] == [int(START.timestamp()) + 60, 9.5, 11.25, 10.1, 10.2, 3.00000007]
    assert vendor.rows("BTC-USD", page.body).rows() == [
        (START, 10.0, 11.0, 9.0, 10.1, 10_000_000),
        (START + MINUTE, 10.1, 11.25, 9.5, 10.2, 300_000_007),
    ]


def test_real_minutes_with_an_outage_arrive_as_they_were(tmp_path: Path) -> None:
    """Three days of Coinbase with 432 minutes missing, longer than what one of its answers may hold."""
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("TRADING_TEST_MARKET_DATA") or root.parent / "shared" / "market_data")
    file = folder / "crypto" / "BTCUSD_COINBASE_1m.parquet"
    if not file.exists():
        pytest.skip(f"no real minutes in {folder}; set TRADING_TEST_MARKET_DATA")
    real = pl.read_parquet(file)
    sessions = real["Timestamp"].dt.date().unique().sort().to_list()
    with coinbase_server("BTC-USD", [Bar(*row) for row in real.rows()]) as server:
        context = SourceContext(tmp_path, tmp_path / "downloads", "24/7", ("BTC-USD",), lambda: NOW, {})
        config = CcxtConfig(
            exchange="coinbaseexchange", base_url=server.url, requests_per_minute=1_000_000, volume_unit=1e-6
        )
        source = config.open(context)
        source.fetch(sessions)
    assembled = assemble_m1([source.read_session(day).frame for day in sessions], "24/7")
    volume = (real["Volume"] * 1e6).round().cast(pl.Int64)
    assert assembled.bars.select(real.columns).equals(real.with_columns(Volume=volume))
    assert assembled.report["minutes_present"].to_list() == [1007, 1440, 1440]


# -- markets --


def test_the_list_of_markets_is_asked_for_once_and_reading_needs_nobody(
    has: Binance, server: VendorServer, tmp_path: Path
) -> None:
    vendor = exchange(server.url, tmp_path)
    pages = list(vendor.pages("BTC-USDT", START, START + DAY))
    list(vendor.pages("ETH-USDT", START, START + DAY))
    assert [asked.path for asked in server.asked].count("/api/v3/exchangeInfo") == 1
    before = len(server.asked)
    again = exchange("http://127.0.0.1:1", tmp_path)
    assert again.rows("BTC-USDT", pages[0].body).equals(vendor.rows("BTC-USDT", pages[0].body))
    list(exchange(server.url, tmp_path).pages("BTC-USDT", START, START + 5 * MINUTE))
    assert len(server.asked) == before + 1


def test_a_delisted_market_still_has_its_past(has: Binance, server: VendorServer, tmp_path: Path) -> None:
    has.klines["LUNAUSDT"] = klines(START, 30, 80.0)
    has.delisted.add("LUNAUSDT")
    vendor = exchange(server.url, tmp_path)
    rows = all_rows(vendor, list(vendor.pages("LUNA-USDT", START, START + DAY)), "LUNA-USDT")
    assert rows.equals(expected(has.klines["LUNAUSDT"]))


def test_a_symbol_may_be_mapped_to_a_market(has: Binance, server: VendorServer, tmp_path: Path) -> None:
    vendor = exchange(server.url, tmp_path, markets={"XBT": "BTC/USDT"})
    rows = all_rows(vendor, list(vendor.pages("XBT", START, START + 5 * MINUTE)), "XBT")
    assert rows.equals(expected(has.klines["BTCUSDT"][:5]))
    with pytest.raises(SymbolRefused, match=r"write base and quote with a dash \(BTC-USDT\)"):
        list(vendor.pages("ETHUSDT", START, START + DAY))


def test_a_market_that_has_gone_from_the_exchange_is_refused(
    has: Binance, server: VendorServer, tmp_path: Path
) -> None:
    vendor = exchange(server.url, tmp_path)
    list(vendor.pages("BTC-USDT", START, START + MINUTE))
    del has.klines["BTCUSDT"]
    with pytest.raises(SymbolRefused, match=r"Invalid symbol"):
        list(vendor.pages("BTC-USDT", START, START + MINUTE))


# -- faults --


def down(status: int) -> Reply:
    return Reply(status, b"<html><head><title>Bad gateway</title></head></html>", content_type="text/html")


FAULTS = {
    "too many": banned(429, 7),
    "banned": banned(418, 7),
    "500": Reply(500, b'{"code":-1000,"msg":"An unknown error occurred."}'),
    "502": down(502),
    "503": Reply(503, b'{"code":-1001,"msg":"Internal error; unable to process your request."}'),
    "firewall": down(403),
    "page with status 200": Reply(200, b"<html><body>Maintenance</body></html>", content_type="text/html"),
    "page that says JSON": Reply(200, b"<html><body>Maintenance</body></html>"),
    "no body": Reply(200, b""),
    "half of JSON": Reply(200, b'[[1704153600000,"42000.00'),
    "an error with status 200": Reply(200, b'{"code":-1003,"msg":"Too much request weight used."}'),
    "half a page": Reply(200, json.dumps([k.listed for k in klines(START, 500, 1)]).encode(), how="half"),
    "reset within": Reply(200, json.dumps([k.listed for k in klines(START, 500, 1)]).encode(), how="reset"),
    "reset": Reply(how="nothing"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("where", ["list of markets", "klines"])
def test_a_fault_that_passes_leaves_no_trace(
    has: Binance, server: VendorServer, tmp_path: Path, fault: str, where: str
) -> None:
    pauses = Pauses()
    vendor = exchange(server.url, tmp_path, pauses)
    if where == "klines":
        list(vendor.pages("BTC-USDT", START, START + MINUTE))
    server.faults.append(FAULTS[fault])
    pages = list(vendor.pages("BTC-USDT", START, START + DAY))
    assert all_rows(vendor, pages).equals(expected(has.klines["BTCUSDT"][:1440]))
    assert len(pauses) == 1
    if fault in ("too many", "banned"):
        assert pauses == [7.0]


@pytest.mark.parametrize("fault", ["too many", "503", "page with status 200", "half a page", "reset"])
def test_a_fault_that_stays_is_a_source_that_is_down(server: VendorServer, tmp_path: Path, fault: str) -> None:
    pauses = Pauses()
    vendor = exchange(server.url, tmp_path, pauses)
    list(vendor.pages("BTC-USDT", START, START + MINUTE))
    server.faults.extend([FAULTS[fault]] * 20)
    with pytest.raises(SourceDown, match=r"binance does not deliver BTC-USDT 2024-01-02 00:00 to .* tried 4 times"):
        list(vendor.pages("BTC-USDT", START, START + DAY))
    assert len(pauses) == 3 and len(server.faults) == 16


def test_a_ban_longer_than_our_patience_is_not_made_longer_by_asking(server: VendorServer, tmp_path: Path) -> None:
    pauses = Pauses()
    vendor = exchange(server.url, tmp_path, pauses)
    server.faults.append(banned(418, 7200))
    with pytest.raises(SourceDown, match="come back in 7200 s"):
        list(vendor.pages("BTC-USDT", START, START + DAY))
    assert pauses == [] and len(server.asked) == 1


def test_an_answer_that_trickles_in_for_ever_is_given_up(server: VendorServer, tmp_path: Path) -> None:
    vendor = exchange(server.url, tmp_path, patience=Patience(attempts=1, seconds=0.3))
    server.faults.append(Reply(200, b"[" * 2000, how="trickle"))
    with pytest.raises(SourceDown, match="does not deliver its list of markets"):
        list(vendor.pages("BTC-USDT", START, START + DAY))


def test_a_place_that_is_not_served_is_told_where_to_ask(server: VendorServer, tmp_path: Path) -> None:
    said = {"code": 0, "msg": "Service unavailable from a restricted location according to 'b. Eligibility'"}
    server.faults.append(Reply(451, json.dumps(said).encode()))
    with pytest.raises(SourceError, match=r"set base_url to a host that does \(binance: https://data-api\.binance"):
        list(exchange(server.url, tmp_path).pages("BTC-USDT", START, START + DAY))


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(SourceDown, match="binance does not deliver its list of markets"):
        list(exchange("http://127.0.0.1:1", tmp_path).pages("BTC-USDT", START, START + DAY))


# -- configuration --


def test_an_exchange_must_be_one_that_ccxt_knows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exchange 'binanse' is unknown to ccxt"):
        list(exchange("http://127.0.0.1:1", tmp_path, exchange="binanse").pages("BTC-USDT", START, START + DAY))


def test_symbols_must_be_listed(tmp_path: Path) -> None:
    context = SourceContext(tmp_path, tmp_path, "24/7", None, lambda: NOW, {})
    with pytest.raises(ConfigError, match="source ccxt: symbols is null"):
        CcxtConfig().open(context)


def test_hashes_are_of_what_the_exchange_sent(has: Binance, server: VendorServer, tmp_path: Path) -> None:
    context = SourceContext(tmp_path, tmp_path / "downloads", "24/7", ("BTC-USDT",), lambda: NOW, {})
    source = CcxtConfig(base_url=server.url, requests_per_minute=1_000_000).open(context)
    source.fetch([START.date()])
    sent = [hashlib.sha256(has.answer(a).body).hexdigest() for a in server.asked if a.path.endswith("/klines")]
    assert sorted(source.read_session(START.date()).files.values()) == sorted(sent)
