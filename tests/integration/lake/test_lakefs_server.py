"""The lakeFS test server: it answers as a real one does, breaks where it is told to, and tells what it saw."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.lakefs_contract import SWAGGER_VARIABLE, Contract, swagger_file
from harness.lakefs_raw import Raw
from harness.lakefs_server import ACCESS_KEY, SECRET_KEY, Fault, LakeFSServer, lakefs_server

_TESTS = Path(__file__).parents[2]


@pytest.fixture
def mine(lakefs: LakeFSServer) -> Iterator[Raw]:
    """On the test server only."""
    name = f"mine-{os.urandom(6).hex()}"
    lakefs.create_repository(name)
    client = Raw(lakefs.endpoint, ACCESS_KEY, SECRET_KEY, name)
    yield client
    client.close()


class TestFaults:
    def test_a_request_dropped_before_is_not_carried_out(self, mine: Raw, lakefs: LakeFSServer) -> None:
        lakefs.faults.add(Fault("drop", "POST", "/branches$"))
        with pytest.raises(http.client.RemoteDisconnected):
            mine.branch("dev")
        assert mine.branch("dev").status == 201

    def test_an_answer_dropped_after_leaves_the_work_done(self, mine: Raw, lakefs: LakeFSServer) -> None:
        lakefs.faults.add(Fault("drop answer", "POST", "/branches$"))
        with pytest.raises(http.client.RemoteDisconnected):
            mine.branch("dev")
        assert mine.branch("dev").status == 409
        assert [(seen.status, seen.fault) for seen in lakefs.faults.requests] == [(201, "drop answer"), (409, "")]

    def test_the_nth_request_and_those_after_it(self, mine: Raw, lakefs: LakeFSServer) -> None:
        lakefs.faults.add(Fault("answer", "GET", r"/commits/main$", first=2, times=2, status=503, body=b"busy"))
        told = [mine.ask("GET", "/commits/main").status for _ in range(5)]
        assert told == [200, 503, 503, 200, 200]
        assert lakefs.faults.count("GET", "/commits/main") == 5 and lakefs.faults.count("POST") == 0

    def test_a_body_cut_short_and_a_connection_broken_in_it(self, mine: Raw, lakefs: LakeFSServer) -> None:
        mine.branch("dev")
        mine.put("dev", "a", os.urandom(1_000_000))
        lakefs.faults.add(Fault("truncate", "GET", "/objects"))
        with pytest.raises(http.client.IncompleteRead) as caught:
            mine.ask("GET", "/refs/dev/objects", path="a")
        assert len(caught.value.partial) == 500_000
        mine.close()
        lakefs.faults.add(Fault("reset", "GET", "/objects"))
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            mine.ask("GET", "/refs/dev/objects", path="a")
        mine.close()
        assert len(mine.ask("GET", "/refs/dev/objects", path="a").body) == 1_000_000

    @pytest.mark.parametrize("action", ["delay", "delay answer"])
    def test_a_delay(self, mine: Raw, lakefs: LakeFSServer, action: Any) -> None:
        lakefs.faults.add(Fault(action, "POST", "/branches$", seconds=5))
        mine.connection.timeout = 0.2
        with pytest.raises(TimeoutError):
            mine.branch("dev")
        mine.close()
        made = "dev" in [branch["id"] for branch in mine.ask("GET", "/branches").json["results"]]
        assert made == (action == "delay answer")


class TestContract:
    @pytest.fixture
    def swagger(self) -> Path:
        found = swagger_file()
        if found is None:
            pytest.skip(
                f"no lakeFS API description: ../shared/lakefs/swagger.yml is absent, {SWAGGER_VARIABLE} not set"
            )
        return found

    def test_what_the_server_answered_was_checked(self, swagger: Path, mine: Raw, lakefs: LakeFSServer) -> None:
        before = lakefs.contract.checked
        mine.branch("dev")
        mine.put("dev", "a")
        mine.commit("dev")
        assert lakefs.contract.checked == before + 3

    def test_a_breach_is_found(self, swagger: Path) -> None:
        contract = Contract(swagger)
        account = {"Authorization": "Basic eDp5", "Content-Type": "application/json"}
        answer = {"Content-Type": "application/json"}
        commit = json.dumps({"message": "m"}).encode()
        target = "/api/v1/repositories/r/branches/b/commits"
        contract.check("POST", target, account, b'{"massage": "m"}', 201, answer, commit)
        contract.check("POST", target, account, commit, 201, answer, b'{"id": "only"}')
        contract.check("GET", "/api/v1/repositories/r/refs/b/objects/ls?amount=-5", account, None, 200, answer, b"{}")
        contract.check("GET", "/api/v1/no/such/path", account, None, 200, answer, b"{}")
        assert len(contract.breaches) == 4
        assert "message" in contract.breaches[0] and "committer" in contract.breaches[1]

    def test_many_of_a_kind_are_sampled(self, swagger: Path) -> None:
        contract = Contract(swagger)
        for number in range(50):
            contract.check("DELETE", f"/api/v1/repositories/r/branches/b{number}", {}, None, 204, {}, b"")
        assert contract.checked == 12  # the first ten, the 20th, the 40th

    def test_what_the_server_cannot_do_is_a_breach_of_the_test(self, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match="squash_merge"), lakefs_server(tmp_path) as server:
            server.create_repository("repository")
            client = Raw(server.endpoint, ACCESS_KEY, SECRET_KEY, "repository")
            assert client.merge("main", "main", squash_merge=True).status == 501
            client.close()


def test_its_end_leaves_no_thread_and_waits_for_no_idle_client(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    began = time.monotonic()
    with lakefs_server(tmp_path) as server:
        server.create_repository("repository")
        clients = [Raw(server.endpoint, ACCESS_KEY, SECRET_KEY, "repository") for _ in range(5)]
        for client in clients:
            assert client.ask("GET", "/branches").status == 200
    assert set(threading.enumerate()) == before and time.monotonic() - began < 20
    for client in clients:
        client.close()


def test_a_program_of_its_own_that_keeps_its_repositories(tmp_path: Path) -> None:
    def serve() -> tuple["subprocess.Popen[str]", str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.lakefs_server", str(tmp_path / "served")],
            cwd=_TESTS,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", endpoint)
        return process, endpoint

    def end(process: "subprocess.Popen[str]") -> None:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0

    process, endpoint = serve()
    try:
        client = Raw(endpoint, ACCESS_KEY, SECRET_KEY, "kept")
        body = {"name": "kept", "storage_namespace": "local://kept"}
        assert client.ask("POST", "//repositories", body).status == 201
        client.branch("dev")
        client.put("dev", "a", b"kept", X_LakeFS_Meta_Key="v")
        client.close()
        end(process)
        process, endpoint = serve()
        client = Raw(endpoint, ACCESS_KEY, SECRET_KEY, "kept")
        assert client.ask("GET", "/refs/dev/objects", path="a").body == b"kept"
        assert client.ask("GET", "/refs/dev/objects/stat", path="a").json["metadata"] == {"key": "v"}
        client.close()
        end(process)
    finally:
        process.kill()
        process.wait(30)
