import json
from pathlib import Path

import polars as pl
import pytest

from resources.sources import SourceError
from resources.sources.dataset_label import read_label
from resources.sources.synthetic_package import write_package
from trading.synthetic import SyntheticMarket


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    market = SyntheticMarket(5, 3, sessions=4)
    written = write_package(tmp_path / "a", market)
    write_package(tmp_path / "b", SyntheticMarket(5, 3, sessions=4))
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    assert [file.name for file in written] == ["SYNA.parquet", "SYNB.parquet", "SYNC.parquet", "DATASET.json"]
    write_package(tmp_path / "a", market)
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b"), "a second write changes nothing"
    write_package(tmp_path / "b", SyntheticMarket(6, 3, sessions=4))
    assert _contents(tmp_path / "a") != _contents(tmp_path / "b")


def test_files_are_as_the_vendor_sends_them_and_labelled(tmp_path: Path) -> None:
    write_package(tmp_path, SyntheticMarket(5, 1, sessions=2))
    schema = pl.read_parquet_schema(tmp_path / "SYNA.parquet")
    assert list(schema) == ["Timestamp", "Open", "High", "Low", "Close", "Volume"]
    marker = json.loads((tmp_path / "DATASET.json").read_text())
    assert (marker["kind"], marker["seed"]) == ("synthetic", 5)
    assert read_label(tmp_path) == marker["label"]
    assert "SYNTHETIC" in marker["label"]


def test_symbols_of_an_earlier_package_go(tmp_path: Path) -> None:
    write_package(tmp_path, SyntheticMarket(5, 3, sessions=2))
    write_package(tmp_path, SyntheticMarket(5, 2, sessions=2))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["DATASET.json", "SYNA.parquet", "SYNB.parquet"]


def test_real_data_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "AAPL.parquet").write_bytes(b"real")
    with pytest.raises(SourceError, match="is not empty"):
        write_package(tmp_path, SyntheticMarket(5, 1, sessions=2))
    assert _contents(tmp_path) == {"AAPL.parquet": b"real"}


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_strange_marker_is_an_error(text: str, tmp_path: Path) -> None:
    assert read_label(tmp_path) is None
    (tmp_path / "DATASET.json").write_text(text)
    with pytest.raises(SourceError, match="must be JSON like"):
        read_label(tmp_path)
