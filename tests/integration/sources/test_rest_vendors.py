"""EODHD and Polygon over loopback: what arrives, and what every fault of theirs does."""

import contextlib
import datetime as dt
import gzip
import hashlib
import io
import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from harness.eodhd_server import Eodhd, eodhd_server
from harness.polygon_server import Polygon, polygon_server
from harness.vendor_accounts import Account, SetClock, account
from harness.vendor_bars import Bar, day_bars, minute_bars
from harness.vendor_server import Reply

from resources.sources.errors import SourceError
from resources.sources.vendors.patience import Patience
from trading.bars import assemble_m1
from trading.contracts import PRICES
from trading.ports.sources import SourceDown
from trading.sessions import get_calendar

SESSIONS = [dt.date(2024, 7, 2), dt.date(2024, 7, 3), dt.date(2024, 7, 5)]  # the 3rd ends at 13:00, the 4th is none
AFTER = dt.datetime(2024, 7, 6, 8, tzinfo=dt.UTC)


@dataclass
class Vendor:
    """One vendor with AAPL and MSFT; ``has`` is what its server delivers, ours to change."""

    account: Account
    has: Eodhd | Polygon
    suffix: str
    clock: SetClock

    def ticker(self, symbol: str) -> str:
        return f"{symbol}{self.suffix}"

    def source(self, tmp_path: Path, symbols: list[str] | None = None, **more: object):  # type: ignore[no-untyped-def]
        return self.account.source(tmp_path / "store", symbols or ["AAPL", "MSFT"], self.clock, **more)

    @property
    def asked(self) -> int:
        return len(self.account.server.asked)


@pytest.fixture(params=["eodhd", "polygon"])
def vendor(request: pytest.FixtureRequest) -> Iterator[Vendor]:
    suffix = ".US" if request.param == "eodhd" else ""
    minutes = {
        f"AAPL{suffix}": minute_bars(SESSIONS, 210.0, every=5),
        f"MSFT{suffix}": minute_bars(SESSIONS[:1], 450.0, extended=False, every=5),
    }
    days = {f"AAPL{suffix}": day_bars(SESSIONS, 210.0)}
    has = Eodhd(minutes, days) if request.param == "eodhd" else Polygon(minutes, days)
    opened = eodhd_server(has) if isinstance(has, Eodhd) else polygon_server(has)
    with opened as server:
        yield Vendor(account(request.param, server), has, suffix, SetClock(AFTER))


def rows(bars: list[Bar]) -> list[tuple[object, ...]]:
    return [(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]


def read(frame: pl.DataFrame, symbol: str) -> list[tuple[object, ...]]:
    return frame.filter(pl.col("Symbol") == symbol).select("Timestamp", *PRICES, "Volume").rows()


def on(bars: list[Bar], session: dt.date) -> list[Bar]:
    zone = get_calendar("XNYS").timezone
    return [bar for bar in bars if bar.start.astimezone(zone).date() == session]


# -- what arrives --


def test_every_bar_of_every_session_arrives_as_the_vendor_has_it(vendor: Vendor, tmp_path: Path) -> None:
    source = vendor.source(tmp_path)
    done: list[tuple[int, int]] = []
    source.fetch(SESSIONS, lambda number, total, _: done.append((number, total)))
    assert done == [(1, 2), (2, 2)]
    assert source.sessions() == SESSIONS
    for session in SESSIONS:
        raw = source.read_session(session)
        assert read(raw.frame, "AAPL") == rows(on(vendor.has.minutes[vendor.ticker("AAPL")], session))
        assert read(raw.frame, "MSFT") == rows(on(vendor.has.minutes[vendor.ticker("MSFT")], session))
    skips = source.read_session(SESSIONS[1]).skips
    assert [(skip.kind, skip.symbol) for skip in skips] == [("no_rows", "MSFT")]


def test_what_was_received_is_kept_with_hash_arrival_and_request(vendor: Vendor, tmp_path: Path) -> None:
    source = vendor.source(tmp_path)
    source.fetch(SESSIONS)
    raw = source.read_session(SESSIONS[0])
    assert set(raw.frame["source_file"].unique()) == raw.files.keys() == raw.arrived.keys() == raw.payloads.keys()
    for name, path in raw.payloads.items():
        body = gzip.decompress(path.read_bytes())
        assert hashlib.sha256(body).hexdigest() == raw.files[name]
        assert raw.arrived[name] == AFTER
        assert json.loads(body)
        record = json.loads(path.with_suffix(".json").read_text())
        assert record["request"].startswith("GET /") and record["size"] == len(body)


def test_the_regular_session_assembles_minute_by_minute(vendor: Vendor, tmp_path: Path) -> None:
    whole = minute_bars(SESSIONS, 210.0)
    vendor.has.minutes[vendor.ticker("AAPL")] = whole
    source = vendor.source(tmp_path, ["AAPL"])
    source.fetch(SESSIONS)
    bars = assemble_m1(source.read_session(session).frame.drop("source_file") for session in SESSIONS).bars
    calendar = get_calendar("XNYS")
    expected = [bar for s in SESSIONS for bar in whole if calendar.open(s) <= bar.start < calendar.close(s)]
    assert len(expected) == 390 + 210 + 390
    assert bars.select("Timestamp", *PRICES, "Volume").rows() == rows(expected)


def test_the_first_and_the_last_minute_of_a_day_are_its_own(vendor: Vendor, tmp_path: Path) -> None:
    midnight = dt.datetime(2024, 7, 2, 4, tzinfo=dt.UTC)  # of New York
    [bar] = minute_bars(SESSIONS[:1], 210.0, every=960)
    edges = [replace(bar, start=midnight + dt.timedelta(minutes=n)) for n in (-1, 0, 1439, 1440)]
    vendor.has.minutes[vendor.ticker("AAPL")] = edges
    source = vendor.source(tmp_path, ["AAPL"])
    source.fetch(SESSIONS[:1])
    assert read(source.read_session(SESSIONS[0]).frame, "AAPL") == rows(edges[1:3])


def test_daily_bars_start_at_the_open_of_their_session_and_are_not_adjusted(vendor: Vendor, tmp_path: Path) -> None:
    source = vendor.source(tmp_path, ["AAPL"], step="1d", days=3650)
    source.fetch(SESSIONS)
    assert vendor.asked == 1
    calendar = get_calendar("XNYS")
    for session, bar in zip(SESSIONS, vendor.has.days[vendor.ticker("AAPL")], strict=True):
        frame = source.read_session(session).frame
        assert read(frame, "AAPL") == rows([replace(bar, start=calendar.open(session))])


def test_a_long_history_is_asked_for_in_spans(vendor: Vendor, tmp_path: Path) -> None:
    calendar = get_calendar("XNYS")
    sessions = calendar.sessions(dt.date(2024, 1, 2), dt.date(2024, 6, 28))
    source = vendor.source(tmp_path, ["AAPL"], days=60)
    source.fetch(sessions)
    assert vendor.asked == 3
    source.fetch(sessions)
    assert vendor.asked == 3


def test_pages_follow_each_other_and_a_bar_on_two_of_them_counts_once(tmp_path: Path) -> None:
    bars = minute_bars(SESSIONS, 210.0)
    has = Polygon({"AAPL": bars}, most_per_page=1000, overlap=2)
    with polygon_server(has) as server:
        source = account("polygon", server).source(tmp_path, ["AAPL"], SetClock(AFTER))
        source.fetch(SESSIONS)
        assert len(server.asked) == 3
        assert all("apikey" not in asked.target.lower() for asked in server.asked)
        frames = [source.read_session(session).frame.drop("source_file") for session in SESSIONS]
    assert sum(frame.height for frame in frames) == len(bars) + 4  # raw has both
    assembled = assemble_m1(frames)
    assert assembled.bars.height == 390 + 210 + 390


# -- what vendors have of their own --


def test_a_listed_minute_without_a_trade_is_left_out_and_counted(tmp_path: Path) -> None:
    bars = minute_bars(SESSIONS[:1], 210.0, every=5)
    bars[7] = Bar(bars[7].start, None, None, None, None, None)
    with eodhd_server(Eodhd({"AAPL.US": bars})) as server:
        source = account("eodhd", server).source(tmp_path, ["AAPL"], SetClock(AFTER))
        source.fetch(SESSIONS[:1])
        raw = source.read_session(SESSIONS[0])
    assert read(raw.frame, "AAPL") == rows(bars[:7] + bars[8:])
    assert [(skip.kind, skip.rows) for skip in raw.skips] == [("no_trade", 1)]


@pytest.mark.parametrize("given", [None, float("nan")])
def test_a_missing_volume_is_not_made_up(vendor: Vendor, tmp_path: Path, given: float | None) -> None:
    bars = vendor.has.minutes[vendor.ticker("AAPL")]
    bars[3] = replace(bars[3], volume=given)
    source = vendor.source(tmp_path, ["AAPL"])
    source.fetch(SESSIONS)
    assert source.read_session(SESSIONS[0]).frame["Volume"].to_list()[:5] == [100, 105, 110, None, 120]


def test_adjusted_prices_are_refused(tmp_path: Path) -> None:
    def adjusted(reply: Reply) -> Reply:
        return replace(reply, body=reply.body.replace(b'"adjusted": false', b'"adjusted": true'))

    with polygon_server(Polygon({"AAPL": minute_bars(SESSIONS, 210.0, every=5)})) as server:
        server.faults.append(adjusted)
        with pytest.raises(SourceError, match="adjusted"):
            account("polygon", server).source(tmp_path, ["AAPL"], SetClock(AFTER)).fetch(SESSIONS)


# -- refusals --


def test_an_unknown_symbol_is_a_problem_of_its_own(vendor: Vendor, tmp_path: Path) -> None:
    source = vendor.source(tmp_path, ["AAPL", "NOSUCH"])
    source.fetch(SESSIONS)
    skips = source.read_session(SESSIONS[0]).skips
    if vendor.account.kind == "eodhd":
        assert [problem.symbol for problem in source.problems()] == ["NOSUCH"]
        assert "Ticker Not Found" in source.problems()[0].message
        assert [(skip.kind, skip.symbol) for skip in skips] == [("refused_symbol", "NOSUCH")]
    else:  # it knows no such answer
        assert [(skip.kind, skip.symbol) for skip in skips] == [("no_rows", "NOSUCH")]
    assert source.read_session(SESSIONS[0]).frame["Symbol"].unique().to_list() == ["AAPL"]


def test_a_wrong_key_ends_the_download_at_once_and_names_the_variable(vendor: Vendor, tmp_path: Path) -> None:
    vendor.account.key = "wrong-key-0123456789"
    with pytest.raises(SourceError, match=f"set {vendor.account.variable} to a key") as caught:
        vendor.source(tmp_path).fetch(SESSIONS)
    assert vendor.asked == 1
    assert "wrong-key" not in str(caught.value)


@pytest.mark.parametrize(("status", "says"), [(403, "plan"), (400, "does not take"), (302, "base_url")])
def test_a_refusal_is_not_tried_again(vendor: Vendor, tmp_path: Path, status: int, says: str) -> None:
    vendor.account.server.faults.append(Reply(status, b'{"message": "No."}', {"Location": "https://elsewhere.test/"}))
    with pytest.raises(SourceError, match=says):
        vendor.source(tmp_path).fetch(SESSIONS)
    assert vendor.asked == 1


def test_used_up_requests_pause_the_universe_at_once(vendor: Vendor, tmp_path: Path) -> None:
    vendor.account.server.faults.append(Reply(402, b"You exceeded your daily API requests limit."))
    with pytest.raises(SourceDown, match="used up"):
        vendor.source(tmp_path).fetch(SESSIONS)
    assert vendor.asked == 1


# -- faults on the way --


def html(_: Reply) -> Reply:
    return Reply(200, b"<html>Be right back</html>", content_type="text/html")


def cut_json(reply: Reply) -> Reply:
    return replace(reply, body=reply.body[: len(reply.body) // 2])


FAULTS = {
    "429": Reply(429, b'{"error": "too many"}'),
    "500": Reply(500, b"oops"),
    "503": Reply(503),
    "nothing": Reply(how="nothing"),
    "reset": lambda reply: replace(reply, how="reset"),
    "half a page": lambda reply: replace(reply, how="half"),
    "half of the JSON": cut_json,
    "an HTML page": html,
    "an empty list as HTML": Reply(200, b"[]", content_type="text/html"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_passing_fault_is_tried_again_and_leaves_no_trace(
    vendor: Vendor, tmp_path: Path, fault: Reply | Callable[[Reply], Reply]
) -> None:
    vendor.account.server.faults += [fault, fault]
    source = vendor.source(tmp_path, ["AAPL"])
    source.fetch(SESSIONS)
    assert vendor.asked == 3
    assert [0.5 <= pause <= 1.0 * 2**n for n, pause in enumerate(vendor.account.slept)] == [True, True]
    expected = on(vendor.has.minutes[vendor.ticker("AAPL")], SESSIONS[1])
    assert read(source.read_session(SESSIONS[1]).frame, "AAPL") == rows(expected)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_lasting_fault_ends_in_one_message_and_no_half_session(
    vendor: Vendor, tmp_path: Path, fault: Reply | Callable[[Reply], Reply]
) -> None:
    vendor.account.server.faults += [fault] * 50
    source = vendor.source(tmp_path)
    with pytest.raises(SourceDown) as caught:
        source.fetch(SESSIONS)
    message = str(caught.value)
    assert message.startswith(f"{vendor.account.kind} does not deliver {vendor.ticker('AAPL')} 2024-07-02 to ")
    assert "tried 8 times" in message
    assert sum(vendor.account.slept) <= vendor.account.patience.seconds
    raw = source.read_session(SESSIONS[0])
    assert raw.frame.is_empty() and {skip.kind for skip in raw.skips} == {"not_fetched"}
    vendor.account.server.faults.clear()
    source.fetch(SESSIONS)
    assert source.sessions() == SESSIONS


def test_half_a_list_is_no_page(tmp_path: Path) -> None:
    def fewer(reply: Reply) -> Reply:
        said = json.loads(reply.body)
        said["results"] = said["results"][:10]
        return replace(reply, body=json.dumps(said).encode())

    bars = minute_bars(SESSIONS, 210.0, every=5)
    with polygon_server(Polygon({"AAPL": bars})) as server:
        server.faults.append(fewer)
        source = account("polygon", server).source(tmp_path, ["AAPL"], SetClock(AFTER))
        source.fetch(SESSIONS)
        assert len(server.asked) == 2
        assert sum(source.read_session(session).frame.height for session in SESSIONS) == len(bars)


def test_an_answer_that_trickles_ends_in_time(vendor: Vendor, tmp_path: Path) -> None:
    vendor.account.patience = Patience(attempts=2, seconds=0.3)
    vendor.account.server.faults += [lambda reply: replace(reply, how="trickle")] * 2
    with pytest.raises(SourceDown, match="not whole after"):
        vendor.source(tmp_path).fetch(SESSIONS)


def test_the_vendor_says_how_long_to_wait(vendor: Vendor, tmp_path: Path) -> None:
    vendor.account.server.faults += [
        Reply(429, headers={"Retry-After": "7"}),
        Reply(503, headers={"Retry-After": "Sat, 06 Jul 2024 08:00:21 GMT", "Date": "Sat, 06 Jul 2024 08:00:10 GMT"}),
    ]
    vendor.source(tmp_path, ["AAPL"]).fetch(SESSIONS)
    assert vendor.account.slept == [7.0, 11.0]
    assert vendor.asked == 3


def test_a_wait_beyond_our_patience_is_not_waited_for(vendor: Vendor, tmp_path: Path) -> None:
    vendor.account.server.faults += [Reply(429, headers={"Retry-After": "3600"})] * 2
    with pytest.raises(SourceDown, match="429"):
        vendor.source(tmp_path).fetch(SESSIONS)
    assert vendor.account.slept == []
    assert vendor.asked == 1


def test_nobody_listens(vendor: Vendor, tmp_path: Path) -> None:
    vendor.account.server.url = "http://127.0.0.1:9"  # discard: nothing is there
    source = vendor.source(tmp_path)
    with pytest.raises(SourceDown, match="no connection"):
        source.fetch(SESSIONS)


def test_the_proxy_of_the_environment_is_used_and_does_not_see_the_key(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(20)

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        vendor.account.server.url = "https://vendor.invalid"
        vendor.account.patience = Patience(attempts=1)
        with pytest.raises(SourceDown, match="502"):
            vendor.source(tmp_path).fetch(SESSIONS)
        thread.join(20)
    assert heard[0].startswith(b"CONNECT vendor.invalid:443 HTTP/1.1\r\n")
    assert vendor.account.key.encode() not in heard[0]


# -- revisions --


def test_a_late_revision_is_found_and_the_older_answer_stays_on_disk(vendor: Vendor, tmp_path: Path) -> None:
    source = vendor.source(tmp_path, ["AAPL"])
    source.fetch(SESSIONS)
    before = source.read_session(SESSIONS[0])
    listed = vendor.has.minutes[vendor.ticker("AAPL")]
    listed[100] = listed[100].revised(0.5)
    source.fetch(SESSIONS[:1])
    assert vendor.asked == 1
    vendor.clock.now += dt.timedelta(hours=13)
    source.fetch(SESSIONS[:1])
    assert vendor.asked == 2
    after = source.read_session(SESSIONS[0])
    assert read(after.frame, "AAPL") == rows(on(listed, SESSIONS[0]))
    changed = before.frame.filter(before.frame["High"] != after.frame["High"])
    assert changed["Timestamp"].to_list() == [listed[100].start]
    assert after.files.keys() != before.files.keys()
    assert all(path.exists() for path in before.payloads.values())
    assert source.read_session(SESSIONS[1]).files == before.files


# -- the key --


@pytest.mark.parametrize("fault", [None, *FAULTS], ids=lambda name: str(name))
def test_no_log_error_or_file_has_the_key(
    vendor: Vendor, tmp_path: Path, fault: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    key = vendor.account.key
    echo = Reply(403, f'{{"error": "key {key} may not"}}'.encode())
    vendor.account.server.faults += [FAULTS[fault]] * 8 if fault else [echo]
    shown = io.StringIO()
    with contextlib.ExitStack() as at_debug, contextlib.redirect_stderr(shown):
        for name in (None, "httpx", "httpcore", "tenacity"):
            at_debug.enter_context(caplog.at_level(logging.DEBUG, logger=name))
        source = vendor.source(tmp_path)
        with pytest.raises((SourceDown, SourceError)) as caught:
            source.fetch(SESSIONS)
        source.fetch(SESSIONS)
    told = "".join(traceback.TracebackException.from_exception(caught.value).format(chain=True))
    assert "httpx" in caplog.text  # its own logs are among these
    for text in (caplog.text, shown.getvalue(), told, repr(caught.value), str(source.problems())):
        assert key not in text
    arguments = [str(record.args) + str(record.__dict__) for record in caplog.records]
    assert not [text for text in arguments if key in text]
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes() + str(path).encode()
            if path.suffix == ".gz":
                assert key.encode() not in gzip.decompress(path.read_bytes())
    sent = vendor.account.server.asked[-1]
    assert key in (
        sent.target,
        sent.headers.get("authorization", "").removeprefix("Bearer "),
        sent.query.get("api_token"),
    )
