"""Checksums of content, and uploads of files."""

import hashlib
import random
from pathlib import Path

import pytest

from resources.lake import PreconditionFailed
from resources.lake.lakefs.content import BLOCK, Fingerprint, Upload

DATA = random.Random(3).randbytes(3 * BLOCK + 17)


@pytest.mark.parametrize("data", [b"", b"x", DATA[:BLOCK], DATA])
def test_an_upload_of_bytes_and_of_a_file_are_the_same(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    one, two = Upload.of(data), Upload.of(file)
    assert (one.size, one.sha256, one.md5) == (two.size, two.sha256, two.md5)
    assert one.sha256 == hashlib.sha256(data).hexdigest() and one.md5 == hashlib.md5(data).hexdigest()
    assert b"".join(two.body()) == data  # type: ignore[arg-type]
    assert b"".join(two.body()) == data  # type: ignore[arg-type] # a second time, for a repeat


@pytest.mark.parametrize(
    "changed",
    [DATA[:-1] + b"?", b"?" + DATA[1:], DATA + b"x", DATA[:-5], b"", None],
    ids=["last byte", "first byte", "longer", "shorter", "emptied", "removed"],
)
def test_a_file_that_changes_is_never_sent_as_a_whole(changed: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(DATA)
    upload = Upload.of(file)
    if changed is None:
        file.unlink()
    else:
        file.write_bytes(changed)
    sent = b""
    with pytest.raises(PreconditionFailed, match="was changed while it was being put"):
        for block in upload.body():
            sent += block  # type: ignore[operator]
    assert len(sent) < len(DATA)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Upload.of(tmp_path / "nothing")


class TestFingerprints:
    def test_the_lakes_checksum_comes_before_the_servers(self) -> None:
        sha256, md5 = hashlib.sha256(b"x").hexdigest(), hashlib.md5(b"x").hexdigest()
        assert Fingerprint.of(sha256, md5, 1) == Fingerprint("sha256", sha256, 1)
        assert Fingerprint.of(None, md5, 1) == Fingerprint("md5", md5, 1)
        assert Fingerprint.of(None, "abc-5", 1).algorithm == ""

    @pytest.mark.parametrize("algorithm", ["sha256", "md5"])
    def test_they_tell_every_other_content(self, algorithm: str, tmp_path: Path) -> None:
        content = Fingerprint(algorithm, hashlib.new(algorithm, b"good").hexdigest(), 4)  # type: ignore[arg-type]
        for data, expected in ((b"good", True), (b"evil", False), (b"goo", False), (b"good!", False)):
            file = tmp_path / "file"
            file.write_bytes(data)
            assert content.matches(data) is expected
            assert content.matches_file(file) is expected

    def test_a_checksum_that_cannot_be_computed_holds_the_size(self, tmp_path: Path) -> None:
        content = Fingerprint.of(None, "abc-5", 4)
        assert content.matches(b"1234") and not content.matches(b"123")
        assert content.name != Fingerprint.of(None, "abc-5", 5).name
        assert "/" not in Fingerprint.of(None, "../../x", 4).name
