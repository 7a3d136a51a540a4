"""Content on its way: streamed, verified in both directions, with exact metadata."""

import hashlib
import json
import random
import threading
import tracemalloc
from pathlib import Path

import pytest

from resources.lake import CorruptObject, InvalidName, Lake, ObjectNotFound, PreconditionFailed, RefNotFound, open_lake

from .conftest import Remote

ODD = {
    "run_id": "1",
    "Case": "Kept",
    "ü": "ö",
    "": "empty key",
    "empty": "",
    " k ": " v ",
    "line": "a\r\nb: c",
    "n": "\0",
}


def test_metadata_comes_back_exactly(remote: Remote) -> None:
    info = remote.lake.put("dev", "a", b"1", metadata=ODD)
    assert dict(info.metadata) == ODD
    assert remote.lake.stat("dev", "a") == info
    assert list(remote.lake.list("dev")) == [info]
    remote.lake.commit("dev", "m", ODD)
    assert dict(remote.lake.get_commit("dev").metadata) == ODD
    remote.lake.merge("dev", "main", "m", ODD)
    assert dict(remote.lake.get_commit("main").metadata) == ODD


@pytest.mark.parametrize("key", ["trading-sha256", "trading-path", "trading-metadata"])
def test_reserved_keys_are_refused_before_anything_is_sent(remote: Remote, key: str) -> None:
    with pytest.raises(InvalidName, match=key):
        remote.lake.put("dev", "a", b"1", metadata={key: "x"})
    assert remote.count() == 0


def test_the_checksum_is_the_sha256_of_the_content(remote: Remote) -> None:
    assert remote.lake.put("dev", "a", b"content").checksum == hashlib.sha256(b"content").hexdigest()


def test_files_do_not_go_through_memory(patient: Lake, tmp_path: Path) -> None:
    file = tmp_path / "file"
    block = random.Random(1).randbytes(1 << 20)
    with file.open("wb") as writer:
        for number in range(48):
            writer.write(number.to_bytes(4, "big") + block)
    patient.resolve("main")  # the SDK is loaded
    # the test server is in this process, and keeps large bodies in files too
    tracemalloc.start()
    info = patient.put("dev", "big", file)
    copy = patient.local_path("dev", "big")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert info.size == file.stat().st_size == copy.stat().st_size
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == info.checksum
    assert peak < 12_000_000


def test_a_file_that_changes_while_it_is_put_is_not_put(remote: Remote, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"1" * 3_000_000)
    remote.strike("delay", "GET", "/branches/dev$", seconds=1.0)  # asked between hashing and sending
    timer = threading.Timer(0.5, file.write_bytes, [b"2" * 3_000_000])
    timer.start()
    with pytest.raises(PreconditionFailed, match="was changed"):
        remote.lake.put("dev", "a", file)
    timer.join()
    with pytest.raises(ObjectNotFound):
        remote.behind.stat("dev", "a")
    assert remote.lake.put("dev", "a", file).size == 3_000_000


def test_a_large_upload_that_would_be_refused_is_not_begun(remote: Remote) -> None:
    data = b"x" * 3_000_000
    with pytest.raises(RefNotFound, match="nope"):
        remote.lake.put("nope", "a", data)
    remote.lake.put("dev", "a", b"1")
    with pytest.raises(PreconditionFailed, match="exists"):
        remote.lake.put("dev", "a", data, if_absent=True)
    assert remote.count("POST", "/objects") == 1


@pytest.mark.parametrize("wrong", [{"checksum": "0" * 32}, {"size_bytes": 6}])
def test_what_the_server_received_is_compared(remote: Remote, wrong: dict[str, object]) -> None:
    stats = {
        "path": "a", "path_type": "object", "physical_address": "x", "mtime": 1,
        "checksum": hashlib.md5(b"content").hexdigest(), "size_bytes": 7,
    }  # fmt: skip
    remote.strike("answer", "POST", "/objects", status=201, body=json.dumps({**stats, **wrong}).encode())
    with pytest.raises(CorruptObject, match="received other bytes"):
        remote.lake.put("dev", "a", b"content")


class TestDamageOnTheWay:
    @pytest.fixture(autouse=True)
    def content(self, remote: Remote) -> None:
        remote.lake.put("dev", "a", b"content")
        remote.lake.commit("dev", "m")

    @pytest.mark.parametrize("damaged", [b"cont3nt", b"conten", b"content!", b""])
    def test_once_is_read_again(self, remote: Remote, damaged: bytes) -> None:
        remote.strike("answer", "GET", "/objects[?]", status=200, body=damaged)
        assert remote.lake.get("dev", "a") == b"content"
        remote.strike("answer", "GET", "/objects[?]", status=200, body=damaged)
        assert remote.lake.local_path("dev", "a").read_bytes() == b"content"

    @pytest.mark.parametrize("damaged", [b"cont3nt", b"conten", b"content!", b""])
    def test_always_is_told(self, remote: Remote, damaged: bytes) -> None:
        remote.strike("answer", "GET", "/objects[?]", status=200, body=damaged, times=100)
        for ref in ("dev", remote.behind.resolve("dev")):
            with pytest.raises(CorruptObject, match="/a"):
                remote.lake.get(ref, "a")
            with pytest.raises(CorruptObject, match="/a"):
                remote.lake.local_path(ref, "a")
        assert remote.count("GET", "/objects[?]") <= 20

    def test_a_server_that_does_not_know_ranges(self, remote: Remote) -> None:
        remote.strike("answer", "GET", "/objects[?]", status=200, body=b"content")
        assert remote.lake.get("dev", "a", byte_range=(1, 4)) == b"ont"


class TestWhatOthersPut:
    def test_has_the_servers_checksum_and_is_verified_by_it(self, remote: Remote) -> None:
        data = b"content"
        remote.request(
            "POST", "/branches/dev/objects?path=a", data
        )  # as lakectl or a UI does, without metadata of ours
        info = remote.lake.stat("dev", "a")
        assert (info.checksum, info.size) == (hashlib.md5(data).hexdigest(), len(data))
        assert dict(info.metadata) == {}
        assert remote.lake.get("dev", "a") == data
        assert remote.lake.local_path("dev", "a").read_bytes() == data
        remote.strike("answer", "GET", "/objects[?]", status=200, body=b"c0ntent", times=100)
        with pytest.raises(CorruptObject):
            remote.lake.get("dev", "a")
        with open_lake(f"{remote.uri}2") as other, pytest.raises(CorruptObject):
            other.local_path("dev", "a")
