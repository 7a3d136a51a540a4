"""Which commit brought a partition: by the index of paths, and by the commits' metadata where there is none."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.lake import Lake, ObjectNotFound, open_lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.provenance import made_by
from resources.lake.publish import Publisher
from resources.lake.reading import Snapshot


class WithoutIndex(EmbeddedLake):
    """The same store, asked as one that does not index its paths; counts the commits it was asked for."""

    fetched = 0

    @property
    def indexes_paths(self) -> bool:
        return False

    def log(self, *arguments, path=None, **options):
        assert path is None, "a lake without the index must not be asked for the history of a path"
        for commit in super().log(*arguments, **options):
            self.fetched += 1
            yield commit


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with open_lake((tmp_path / "lake").as_uri()) as opened:
        yield opened


def test_both_ways_name_the_same_commit(lake: EmbeddedLake) -> None:
    publisher = Publisher(lake, run_id="r", code_version="1", clock=now)
    rng, heads = random.Random(3), []
    for number in range(60):
        partition = {"session": f"2024-01-{rng.randrange(1, 9):02d}"}
        done = publisher.publish(rng.choice("ab"), partition, {"data.parquet": bytes([number])}, audit=None, inputs={})
        heads.append(done.commit_id)
    other = WithoutIndex(lake.directory, clock=now)
    compared = 0
    for head in [*rng.sample(heads, 20), "main"]:
        for dataset in "ab":
            for partition in Snapshot(lake, head).partitions(dataset):
                expected = made_by(Snapshot(lake, head), dataset, partition)
                assert made_by(Snapshot(other, head), dataset, partition) == expected
                compared += 1
    assert compared > 100
    assert other.fetched <= 2 * len(heads), "history is fetched once, not once a head"
    for at in (lake, other):
        with pytest.raises(ObjectNotFound, match="session=2025"):
            made_by(Snapshot(at, "main"), "a", "session=2025-01-01")


def test_unchanged_content_is_still_traced_to_the_commit_that_brought_it(lake: EmbeddedLake) -> None:
    publisher = Publisher(WithoutIndex(lake.directory, clock=now), run_id="r", code_version="1", clock=now)
    first = publisher.publish("d", "session=1", {"x": b"1"}, audit=None, inputs={})
    publisher.publish("d", "session=2", {"x": b"2"}, audit=None, inputs={})
    again = publisher.publish("d", "session=1", {"x": b"1"}, audit=None, inputs={})
    assert (again.published, again.commit_id) == (False, first.commit_id)
