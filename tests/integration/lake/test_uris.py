"""URIs of embedded lakes, and of none."""

from pathlib import Path

import pytest

from resources.lake import InvalidName, Unsupported, open_lake


def test_percent_encoding(tmp_path: Path) -> None:
    directory = tmp_path / "a b%20c"
    with open_lake(directory.as_uri()) as lake:
        assert lake.uri == directory.as_uri()
    assert (directory / "objects").is_dir()


@pytest.mark.parametrize("uri", ["file://host/x", "file:relative", "file:///"])
def test_malformed(uri: str) -> None:
    with pytest.raises(InvalidName):
        open_lake(uri)


@pytest.mark.parametrize("uri", ["/plain/path", "s3://bucket", "https://host/repository"])
def test_unsupported(uri: str) -> None:
    with pytest.raises(Unsupported, match="file:///"):
        open_lake(uri)
