"""Datasets that gained a column over the years are read as one."""

from pathlib import Path

import polars as pl
import pytest

from resources.lake import open_lake
from resources.lake.layout import encode_frame, object_path
from resources.lake.reading import Snapshot

OLD = pl.DataFrame({"Symbol": ["A"], "coverage": [0.5]})
NEW = pl.DataFrame({"Symbol": ["B"], "coverage": [0.75], "stuck_minutes": [3]})


@pytest.mark.parametrize("order", [["old", "new"], ["new", "old"]])
def test_what_older_partitions_lack_is_null(tmp_path: Path, order: list[str]) -> None:
    with open_lake((tmp_path / "lake").as_uri()) as lake:
        lake.create_branch("work", "main")
        for name, frame in (("old", OLD), ("new", NEW)):
            lake.put("work", object_path("d", {"session": name}), encode_frame(frame))
        lake.commit("work", "both")
        rows = Snapshot(lake, "work@").scan("d", [{"session": name} for name in order]).collect()
    of = {"old": ("A", 0.5, None), "new": ("B", 0.75, 3)}
    assert rows.select("Symbol", "coverage", "stuck_minutes").rows() == [of[name] for name in order]
