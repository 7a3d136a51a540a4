"""A server that is away, slow, refuses or is none: errors that say what to do, soon enough, and never a secret."""

import base64
import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from harness.lakefs_faults import Fault
from harness.lakefs_server import ACCESS_KEY, SECRET_KEY

from resources.lake import (
    AuthError,
    Contention,
    Lake,
    LakeError,
    LakeUnavailable,
    RefNotFound,
    open_lake,
)
from resources.lake.lakefs.address import VARIABLES

from .conftest import TIMEOUT_SECONDS, Remote

CALLS: dict[str, Callable[[Lake], object]] = {
    "resolve": lambda lake: lake.resolve("main"),
    "list": lambda lake: lake.list("main"),
    "get": lambda lake: lake.get("main", "a"),
    "local path": lambda lake: lake.local_path("main", "a"),
    "put": lambda lake: lake.put("dev", "a", b"1"),
    "put if absent": lambda lake: lake.put("dev", "a", b"1", if_absent=True),
    "delete": lambda lake: lake.delete("dev", "a"),
    "commit": lambda lake: lake.commit("dev", "m"),
    "merge": lambda lake: lake.merge("dev", "main", "m"),
    "revert": lambda lake: lake.revert("dev", "main"),
    "create branch": lambda lake: lake.create_branch("b", "main"),
    "delete tag": lambda lake: lake.delete_tag("t"),
    "log": lambda lake: lake.log("main"),
    "diff": lambda lake: lake.diff("main", "dev"),
}


def everything_said(error: BaseException) -> str:
    """The error as logs, tracebacks and debuggers show it, with all that hangs on it."""
    said = "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        assert isinstance(seen, LakeError)  # no error of HTTP is kept: its frames know what was sent
        said += f"{seen!r} {seen.__dict__!r}"
        seen = seen.__context__ or seen.__cause__
    return said


def assert_tells_no_secret(error: BaseException) -> None:
    said = everything_said(error)
    token = base64.b64encode(f"{ACCESS_KEY}:{SECRET_KEY}".encode()).decode()
    for secret in (ACCESS_KEY, SECRET_KEY, token, "Authorization"):
        assert secret not in said


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections are taken and nothing is ever said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield int(listener.getsockname()[1])


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKECTL_CREDENTIALS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", SECRET_KEY)


@pytest.mark.parametrize("name", ["resolve", "local path", "put if absent", "commit"])
def test_nobody_listens(name: str, account: None, tmp_path: Path) -> None:
    place = f"127.0.0.1:{closed_port()}"
    start = time.monotonic()
    with (
        open_lake(f"lakefs://{place}/trading?timeout=2&cache={tmp_path}") as lake,
        pytest.raises(LakeUnavailable) as caught,
    ):
        CALLS[name](lake)
    assert time.monotonic() - start < 5
    assert re.search(rf"lakeFS {place}/trading: [a-z ]+.*: no connection", str(caught.value))
    assert_tells_no_secret(caught.value)


@pytest.mark.parametrize("name", ["resolve", "get", "put", "put if absent", "commit", "merge", "create branch"])
def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    name: str, silent_port: int, account: None, tmp_path: Path
) -> None:
    uri = f"lakefs://127.0.0.1:{silent_port}/trading?timeout=0.3&cache={tmp_path}"
    start = time.monotonic()
    with open_lake(uri) as lake, pytest.raises(LakeUnavailable, match=r"no answer within 0\.3 s") as caught:
        CALLS[name](lake)
    assert 0.3 <= time.monotonic() - start < 5
    assert_tells_no_secret(caught.value)


def test_repeats_are_bounded(remote: Remote) -> None:
    for name, call in CALLS.items():
        remote.strike("answer", "", "", times=10_000)  # 503 to all
        start = time.monotonic()
        with pytest.raises(LakeUnavailable) as caught:
            call(remote.lake)
        assert time.monotonic() - start < 4 * TIMEOUT_SECONDS, name
        assert 1 <= remote.count() <= 20, name
        assert_tells_no_secret(caught.value)


@pytest.mark.parametrize("name", ["put if absent", "merge"])
def test_contention_is_repeated_and_told_if_it_lasts(name: str, remote: Remote) -> None:
    busy = b'{"message":"Too many attempts, try again later"}'
    remote.faults.add(Fault("answer", times=10_000, status=429, body=busy))
    with pytest.raises(Contention, match="try again later"):
        CALLS[name](remote.lake)
    assert 4 <= remote.count() <= 20


def test_contention_that_ends_is_not_seen(remote: Remote) -> None:
    remote.lake.put("dev", "a", b"1")
    body = b'{"message":"predicate failed"}'
    remote.strike("answer", "POST", "/commits", status=500, body=body, times=3)
    assert remote.lake.commit("dev", "m").id == remote.behind.resolve("dev")
    remote.strike("answer", "POST", "/merge/", status=429, body=body, times=3)
    assert remote.lake.merge("dev", "main", "m").commit_id == remote.behind.resolve("main")


class TestAccounts:
    def test_keys_that_the_server_does_not_know(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", "wrong-secret")
        with open_lake(remote.uri) as lake:
            for name, call in CALLS.items():
                remote.faults.clear()
                with pytest.raises(AuthError, match="LAKECTL_CREDENTIALS_ACCESS_KEY_ID") as caught:
                    call(lake)
                assert "wrong-secret" not in everything_said(caught.value)
                assert_tells_no_secret(caught.value)
                assert remote.count() <= 2, name

    def test_none(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in (name for pair in VARIABLES for name in pair):
            monkeypatch.delenv(name, raising=False)
        with open_lake(remote.uri) as lake, pytest.raises(AuthError, match=VARIABLES[0][1]):
            lake.resolve("main")
        monkeypatch.setenv(VARIABLES[1][0], ACCESS_KEY)
        monkeypatch.setenv(VARIABLES[1][1], SECRET_KEY)
        with open_lake(remote.uri) as lake:
            assert lake.resolve("main") == remote.behind.resolve("main")

    def test_a_server_that_repeats_the_keys_is_not_quoted(self, remote: Remote) -> None:
        echo = f'{{"message":"user {ACCESS_KEY} with {SECRET_KEY} may not"}}'.encode()
        remote.faults.add(Fault("answer", times=10_000, status=403, body=echo))
        for call in CALLS.values():
            with pytest.raises(LakeError, match="may not") as caught:
                call(remote.lake)
            assert_tells_no_secret(caught.value)


def test_opening_makes_no_call(remote: Remote) -> None:
    with open_lake(remote.uri) as lake:
        assert lake.uri == remote.uri
    assert remote.count() == 0


def test_a_repository_that_is_not_there(remote: Remote) -> None:
    with open_lake(f"lakefs://127.0.0.1:{remote.server.port}/no-such-one") as lake:
        for call in CALLS.values():
            with pytest.raises(RefNotFound, match=r"no-such-one: .*repository not found.*create the repository"):
                call(lake)


class TestNotLakeFS:
    @pytest.fixture(params=[200, 302, 404, 405])
    def uri(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
        """Some web server that says the same to all."""

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(request.param)
                self.send_header("Content-Type", "text/html")
                self.send_header("Location", "https://example.com/")
                self.send_header("Content-Length", "13")
                self.end_headers()
                self.wfile.write(b"<html></html>")

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"lakefs://127.0.0.1:{listener.server_port}/trading?timeout=1&cache={tmp_path}"
        listener.shutdown()
        listener.server_close()
        thread.join(10)

    @pytest.mark.parametrize("name", ["resolve", "list", "put", "commit", "merge", "log"])
    def test_is_told_so(self, name: str, uri: str, account: None) -> None:
        with open_lake(uri) as lake, pytest.raises(LakeUnavailable, match=r"none of lakeFS|status 302"):
            CALLS[name](lake)

    def test_without_tls(self, remote: Remote) -> None:
        start = time.monotonic()
        with open_lake(f"{remote.uri}&tls=on") as lake:
            for name in ("resolve", "put", "local path"):
                with pytest.raises(LakeUnavailable, match=r"no encrypted connection.*[?]tls=off") as caught:
                    CALLS[name](lake)
                assert_tells_no_secret(caught.value)
        assert time.monotonic() - start < 5
