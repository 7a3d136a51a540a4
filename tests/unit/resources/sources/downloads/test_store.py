"""Deliveries on disk: what counts, what is found out, what is removed."""

import datetime as dt
import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from resources.sources.downloads.spans import Span
from resources.sources.downloads.store import Delivery, Store, way_of
from resources.sources.downloads.vendor import Page
from resources.sources.errors import SourceError
from trading.contracts import INSTANT, PRICES

SPAN = Span(dt.datetime(2024, 1, 2, 5, tzinfo=dt.UTC), dt.datetime(2024, 1, 3, 5, tzinfo=dt.UTC))
NOW = dt.datetime(2024, 1, 3, 8, 0, 0, 123456, tzinfo=dt.UTC)


def parse(body: bytes) -> pl.DataFrame:
    """One bar a number, at that minute of the span."""
    minutes = json.loads(body)
    return pl.DataFrame(
        {
            "Timestamp": [SPAN.start + dt.timedelta(minutes=n) for n in minutes],
            **{name: [float(n) for n in minutes] for name in PRICES},
            "Volume": minutes,
        },
        schema={"Timestamp": INSTANT, **dict.fromkeys(PRICES, pl.Float64), "Volume": pl.Int64},
    )


def page(minutes: list[int], cursor: str | None = None) -> Page:
    return Page(json.dumps(minutes).encode(), f"minutes {minutes}", cursor)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def delivered(store: Store, *pages: Page, now: dt.datetime = NOW) -> Delivery:
    with store.writing(store.begin("AAPL", SPAN, now, "AAPL.US")) as writing:
        assert writing is not None
        for one in pages:
            writing.add(one, now)
        return writing.finish(parse)


def test_a_delivery_counts_once_it_is_finished_and_is_found_again(store: Store) -> None:
    with store.writing(store.begin("AAPL", SPAN, NOW, "AAPL.US")) as writing:
        assert writing is not None
        writing.add(page([1, 2], "2"), NOW)
        assert store.deliveries("AAPL") == ()
        writing.add(page([3]), NOW + dt.timedelta(seconds=5))
        writing.finish(parse)
    [found] = Store(store.directory).deliveries("AAPL")
    assert (found.symbol, found.span, found.begun) == ("AAPL", SPAN, NOW)
    assert [(a.number, a.size, a.cursor) for a in found.answers] == [(1, 6, "2"), (2, 3, None)]
    assert found.answers[1].arrived == NOW + dt.timedelta(seconds=5)
    assert found.rows(parse).select("Volume", "page").rows() == [(1, 1), (2, 1), (3, 2)]
    assert store.unfinished("AAPL") == []
    assert (found.folder / "asked_as").read_text() == "AAPL.US\n"
    assert found.way == way_of("AAPL.US") != way_of("AAPL.DE")


def test_rows_are_by_time_and_within_one_time_as_received(store: Store) -> None:
    found = delivered(store, page([5, 3, 5], "x"), page([1, 3]))
    assert found.rows(parse).select("Volume", "page").rows() == [(1, 2), (3, 1), (3, 2), (5, 1), (5, 1)]


def test_an_unfinished_delivery_goes_on_behind_its_last_whole_page(store: Store) -> None:
    with store.writing(store.begin("AAPL", SPAN, NOW, "AAPL.US")) as writing:
        assert writing is not None
        writing.add(page([1], "next"), NOW)
    [left] = store.unfinished("AAPL")
    left.body_file(2).write_bytes(b"half a bo")  # its record never came
    with store.writing(left) as writing:
        assert writing is not None
        assert writing.cursor == "next" and not writing.all_here
        writing.add(page([2]), NOW)
        writing.finish(parse)
    [found] = store.deliveries("AAPL")
    assert found.rows(parse)["Volume"].to_list() == [1, 2]


def test_one_process_at_a_time_holds_an_unfinished_delivery(store: Store) -> None:
    delivery = store.begin("AAPL", SPAN, NOW, "AAPL.US")
    with store.writing(delivery) as first, Store(store.directory).writing(delivery) as second:
        assert first is not None
        assert second is None
    with Store(store.directory).writing(delivery) as again:
        assert again is not None


def test_what_another_process_has_finished_is_not_held(store: Store) -> None:
    delivery = store.begin("AAPL", SPAN, NOW, "AAPL.US")
    with store.writing(delivery) as writing:
        assert writing is not None
        writing.add(page([1]), NOW)
        writing.finish(parse)
    with store.writing(delivery) as late:
        assert late is None


def test_two_deliveries_at_one_instant_have_names_of_their_own(store: Store) -> None:
    delivered(store, page([1]))
    delivered(store, page([2]))
    assert [found.begun - NOW for found in store.deliveries("AAPL")] == [
        dt.timedelta(),
        dt.timedelta(microseconds=1),
    ]


def test_paging_in_a_circle_is_found_out(store: Store) -> None:
    with store.writing(store.begin("AAPL", SPAN, NOW, "AAPL.US")) as writing:
        assert writing is not None
        writing.add(page([1], "b"), NOW)
        writing.add(page([2], "c"), NOW)
        with pytest.raises(SourceError, match="circles"):
            writing.add(page([1], "b"), NOW)


@pytest.mark.parametrize("damage", [b"", b"not gzip", gzip.compress(b"[9]")], ids=["empty", "not_gzip", "another"])
def test_a_changed_body_is_found_out_when_it_is_needed(store: Store, damage: bytes) -> None:
    found = delivered(store, page([1]))
    found.body_file(1).write_bytes(damage)
    with pytest.raises(SourceError, match=r"AAPL/.*/0001\.gz: .*downloaded again"):
        found.body(found.answers[0])


@pytest.mark.parametrize("damage", [None, b"", b"PAR1 and nothing else"])
def test_rows_are_made_again_from_the_bodies(store: Store, damage: bytes | None) -> None:
    found = delivered(store, page([1, 2]))
    rows = found.folder / "rows.parquet"
    rows.unlink() if damage is None else rows.write_bytes(damage)
    assert found.rows(parse)["Volume"].to_list() == [1, 2]
    assert pl.read_parquet(rows)["Volume"].to_list() == [1, 2]


def test_what_cannot_be_read_is_set_aside_and_only_the_last_is_kept(store: Store) -> None:
    for number in (1, 2):
        with store.writing(store.begin("AAPL", SPAN, NOW + dt.timedelta(hours=number), "AAPL.US")) as writing:
            assert writing is not None
            writing.add(Page(b"?", "question"), NOW)
            kept = writing.set_aside()
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert kept.name.endswith(".refused")
    assert gzip.decompress((kept / "0001.gz").read_bytes()) == b"?"
    assert store.deliveries("AAPL") == () and store.unfinished("AAPL") == []


def test_a_removal_that_was_killed_half_way_is_completed_by_the_next(store: Store) -> None:
    first, second, third = (delivered(store, page([n]), now=NOW + dt.timedelta(hours=n)) for n in (1, 2, 3))
    (first.folder.rename(first.folder.with_name(first.folder.name + ".gone")) / "rows.parquet").unlink()
    assert store.deliveries("AAPL") == (second, third)
    store.forget([second])
    assert [path.name for path in third.folder.parent.iterdir()] == [third.folder.name]
    assert store.deliveries("AAPL") == (third,)


def test_strangers_in_the_folder_are_left_alone(store: Store) -> None:
    found = delivered(store, page([1]))
    (found.folder.parent / "notes.txt").write_text("mine")
    (found.folder.parent / "2024@now").mkdir()
    (found.folder.parent / found.folder.name.partition("~")[0]).mkdir()
    assert Store(store.directory).deliveries("AAPL") == (found,)
