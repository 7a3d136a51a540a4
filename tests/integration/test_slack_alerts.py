"""Alerts against a loopback server that answers as Slack's chat.postMessage does, and fails as it does."""

import datetime as dt
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from resources.slack import FileAlerts, SlackAlerts, alert_sink
from trading.ports.alerts import Alert

TOKEN = "xoxb-not-a-real-token-0123456789"
AT = dt.datetime(2023, 11, 24, 18, 3, 0, tzinfo=dt.UTC)

Answer = tuple[int, dict[str, str], str]


def ok() -> Answer:
    return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps({"ok": True, "ts": "1.2"})


def refusal(code: str) -> Answer:
    return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps({"ok": False, "error": code})


def rate_limited(seconds: int) -> Answer:
    body = json.dumps({"ok": False, "error": "ratelimited"})
    return 429, {"Content-Type": "application/json", "Retry-After": str(seconds)}, body


@dataclass
class FakeSlack:
    """Answers are taken one by one; the last one repeats."""

    answers: list[Answer] = field(default_factory=lambda: [ok()])
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hang: threading.Event | None = None
    url: str = ""

    def answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeSlack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fake.paths.append(self.path)
            fake.requests.append(json.loads(body))
            fake.headers.append(dict(self.headers.items()))
            if fake.hang is not None:
                fake.hang.wait(10)
                return
            status, headers, text = fake.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/api/"
    yield fake
    if fake.hang is not None:
        fake.hang.set()
    server.shutdown()
    server.server_close()
    thread.join(5)
    assert not thread.is_alive()


def breach(**changes: Any) -> Alert:
    return Alert(
        **{
            "title": "Daily loss limit reached, trading stopped",
            "severity": "critical",
            "at": AT,
            "what": "Account paper lost more than the limit; 3 open orders <cancelled> & verified.",
            "asset": "order_routing",
            "partition": "2023-11-24|paper",
            "account": "paper",
            "figure": "-5.30 %",
            "limit": "-5.00 %",
            "link": "http://127.0.0.1:3000/runs/abc",
            "command": "trading resume --account paper --reason '...'",
            "dedupe_key": "breach-1",
            **changes,
        }
    )


def sink(slack: FakeSlack, folder: Path, **options: Any) -> tuple[SlackAlerts, list[float]]:
    waits: list[float] = []
    options = {"timeout_seconds": 1, "sleep": waits.append, **options}
    return SlackAlerts(TOKEN, "#alerts", FileAlerts(folder), base_url=slack.url, **options), waits


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "alerts.jsonl").read_text().splitlines()]


def test_the_message_says_what_where_figure_limit_link_and_command(slack: FakeSlack, tmp_path: Path) -> None:
    alerts, _ = sink(slack, tmp_path)
    assert alerts.send(breach()).status == "delivered"
    assert slack.paths == ["/api/chat.postMessage"]
    assert slack.headers[0]["Authorization"] == f"Bearer {TOKEN}"
    sent = slack.requests[0]
    assert sent["channel"] == "#alerts"
    assert sent["text"] == (
        ":rotating_light: CRITICAL: Daily loss limit reached, trading stopped - -5.30 % (limit -5.00 %)"
    )
    shown = json.dumps(sent["blocks"])
    for part in (
        "-5.30 % (limit -5.00 %)",
        "order_routing",
        "2023-11-24|paper",
        "runs/abc",
        "trading resume",
    ):
        assert part in shown
    assert "3 open orders &lt;cancelled&gt; &amp; verified." in shown
    assert "2023-11-24 18:03:00 UTC" in shown
    assert lines(tmp_path)[0]["delivery"] == "delivered"


@pytest.mark.parametrize(
    ("code", "advice"),
    [("invalid_auth", "the bot token is wrong"), ("channel_not_found", "there is no channel #alerts")],
)
def test_a_refusal_is_not_retried_and_the_alert_is_in_the_file(
    slack: FakeSlack, tmp_path: Path, code: str, advice: str
) -> None:
    slack.answers = [refusal(code)]
    alerts, waits = sink(slack, tmp_path)
    delivery = alerts.send(breach())
    assert (delivery.status, len(slack.requests), waits) == ("recorded", 1, [])
    assert code in delivery.detail
    assert advice in delivery.detail
    assert lines(tmp_path)[0]["title"] == breach().title
    assert "Run:  trading resume" in (tmp_path / "alerts.txt").read_text()


def test_rate_limits_are_waited_out_as_told(slack: FakeSlack, tmp_path: Path) -> None:
    slack.answers = [rate_limited(7), rate_limited(3), ok()]
    alerts, waits = sink(slack, tmp_path)
    assert alerts.send(breach()).status == "delivered"
    assert waits == [7.0, 3.0]
    assert len(slack.requests) == 3


def test_a_wait_past_the_deadline_is_not_begun(slack: FakeSlack, tmp_path: Path) -> None:
    slack.answers = [rate_limited(600)]
    alerts, waits = sink(slack, tmp_path)
    delivery = alerts.send(breach())
    assert (delivery.status, waits, len(slack.requests)) == ("recorded", [], 1)
    assert "600 s more would pass the deadline" in delivery.detail


def test_a_server_error_is_retried_a_bounded_number_of_times(slack: FakeSlack, tmp_path: Path) -> None:
    slack.answers = [(500, {"Content-Type": "text/html"}, "<html>oops</html>")]
    alerts, waits = sink(slack, tmp_path)
    delivery = alerts.send(breach())
    assert (delivery.status, len(slack.requests), waits) == ("recorded", 3, [1.0, 2.0])
    assert "HTTP 500" in delivery.detail


def test_a_hanging_server_costs_bounded_time(slack: FakeSlack, tmp_path: Path) -> None:
    slack.hang = threading.Event()
    alerts, _ = sink(slack, tmp_path, attempts=2)
    started = time.monotonic()
    delivery = alerts.send(breach())
    assert delivery.status == "recorded"
    assert "timed out" in delivery.detail.lower()
    assert time.monotonic() - started < 6


def test_a_refused_connection_falls_back_to_the_file(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fake = FakeSlack(url=f"http://127.0.0.1:{port}/api/")
    alerts, waits = sink(fake, tmp_path)
    delivery = alerts.send(breach())
    assert (delivery.status, waits) == ("recorded", [1.0, 2.0])
    assert "refused" in delivery.detail.lower()
    assert lines(tmp_path)[0]["figure"] == "-5.30 %"


def test_the_same_occurrence_rings_once_and_a_failed_ring_can_be_repeated(slack: FakeSlack, tmp_path: Path) -> None:
    slack.answers = [refusal("invalid_auth"), ok()]
    alerts, _ = sink(slack, tmp_path)
    other, _ = sink(slack, tmp_path)
    assert alerts.send(breach()).status == "recorded"
    assert other.send(breach()).status == "delivered"
    assert alerts.send(breach()).status == "duplicate"
    assert alerts.send(breach(dedupe_key="breach-2")).status == "delivered"
    assert len(slack.requests) == 3
    assert [line["delivery"] for line in lines(tmp_path)] == [
        "recorded",
        "delivered",
        "duplicate",
        "delivered",
    ]


def test_the_token_is_nowhere_but_in_the_header(
    slack: FakeSlack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slack.answers = [(200, {"Content-Type": "application/json"}, json.dumps({"ok": False, "error": f"bad {TOKEN}"}))]
    alerts = alert_sink(
        folder=tmp_path,
        channel="#alerts",
        token_env="BOT",
        base_url=slack.url,
        env={"BOT": TOKEN, "LEDGER_PASSWORD": "hunter2-hunter2"},
    )
    with caplog.at_level(logging.DEBUG):
        delivery = alerts.send(breach(what=f"the token is {TOKEN}, the password hunter2-hunter2"))
    written = "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    assert "[redacted]" in written
    for place in (delivery.detail, written, caplog.text, repr(alerts), json.dumps(slack.requests)):
        assert TOKEN not in place
    for place in (delivery.detail, written, caplog.text):
        assert "hunter2" not in place


@pytest.mark.parametrize("make", [lambda folder: FileAlerts(folder / "file" / "below")])
def test_not_even_an_unwritable_folder_raises_or_loses_the_alert(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], FileAlerts]
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    delivery = make(tmp_path).send(breach())
    assert delivery.status == "logged"
    assert "Daily loss limit reached" in caplog.text


def test_without_a_token_alerts_go_to_files(tmp_path: Path) -> None:
    alerts = alert_sink(folder=tmp_path, channel="#alerts", token_env="NO_SUCH_TOKEN", env={})
    assert isinstance(alerts, FileAlerts)
    assert alerts.send(breach()).status == "recorded"
    assert alerts.send(breach()).status == "duplicate"
