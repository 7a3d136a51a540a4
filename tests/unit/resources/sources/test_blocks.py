"""Reading a folder that does not fit into memory: the same rows, in spans of sessions."""

import datetime as dt
import threading
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from resources.sources import FolderSource, PackageSource, SourceFileRefused
from resources.sources.session_blocks import BYTES_PER_ROW, plan_blocks
from resources.sources.synthetic_package import write_package
from trading.synthetic import SyntheticMarket

MONDAY = dt.date(2024, 1, 1)


def _day(number: int) -> dt.date:
    return MONDAY + dt.timedelta(days=number)


@given(
    rows=st.lists(st.integers(0, 50), min_size=1, max_size=60),
    wanted=st.lists(st.integers(0, 70), max_size=60),
    budget=st.integers(0, 400),
)
def test_blocks_hold_every_session_once_and_keep_to_the_budget(rows: list[int], wanted: list[int], budget: int) -> None:
    by_date = {_day(i): n for i, n in enumerate(rows)}
    sessions = sorted({_day(i) for i in wanted})
    spans = plan_blocks(by_date, sessions[::-1], budget)
    assert [day for first, last in spans for day in sessions if first <= day <= last] == sessions
    for first, last in spans:
        held = sum(n for day, n in by_date.items() if first <= day <= last)
        assert first == last or held <= budget
    assert all(one[1] < other[0] for one, other in pairwise(spans))


def test_blocks_are_of_about_equal_weight() -> None:
    by_date = {_day(i): 10 for i in range(252)}
    spans = plan_blocks(by_date, by_date, 2520 * 10 // 22)  # room for 114 sessions
    assert [(last - first).days + 1 for first, last in spans] == [85, 85, 82]
    assert plan_blocks(by_date, [_day(0), _day(251)], 100) == [(_day(0), _day(0)), (_day(251), _day(251))]
    assert plan_blocks({}, [_day(3)], 100) == [(_day(3), _day(3))]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dt.date]]:
    folder = tmp_path_factory.mktemp("package")
    made = SyntheticMarket(seed=3, symbols=4, sessions=12)
    write_package(folder, made)
    unordered = pl.read_parquet(folder / "SYNB.parquet")
    unordered.sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / "SYNB.parquet")
    text = pl.read_parquet(folder / "SYNC.parquet").with_columns(pl.col("Timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    text.write_csv(folder / "SYNC.csv")
    (folder / "SYNC.parquet").unlink()
    return folder, made.sessions


@pytest.mark.parametrize("room", [0, 6000 * BYTES_PER_ROW, 1 << 30])
@pytest.mark.parametrize("kind", [FolderSource, PackageSource])
def test_however_it_is_read_a_session_is_the_same(
    room: int, kind: type[FolderSource | PackageSource], market: tuple[Path, list[dt.date]]
) -> None:
    folder, sessions = market
    plain = {
        day: pl.concat(
            pl.read_parquet(f) if f.suffix == ".parquet" else pl.read_csv(f, try_parse_dates=True)
            for f in sorted(folder.iterdir())
            if f.suffix in (".parquet", ".csv")
        )
        .with_columns(pl.col("Timestamp").dt.cast_time_unit("us"), pl.col("^(Open|High|Low|Close)$").cast(pl.Float64))
        .filter(pl.col("Timestamp").dt.convert_time_zone("America/New_York").dt.date() == day)
        for day in sessions
    }
    planned, unplanned = kind(folder, cache_bytes=room), kind(folder, cache_bytes=room)
    planned.fetch(sessions)
    for day in sessions:
        raw = planned.read_session(day)
        assert raw.frame["Symbol"].unique(maintain_order=True).to_list() == ["SYNA", "SYNB", "SYNC", "SYND"]
        assert_frame_equal(raw.frame.select(plain[day].columns), plain[day])
        alone = unplanned.read_session(day)
        assert_frame_equal(alone.frame, raw.frame)
        assert (alone.files, alone.skips) == (raw.files, raw.skips)
    assert_frame_equal(planned.read_session(sessions[3]).frame, unplanned.read_session(sessions[3]).frame)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose rows are read, each time that they are."""
    from resources.sources import file_content, session_blocks

    read: list[str] = []
    real = session_blocks.read_bars

    def counted(path: Path, *args: object, **more: object) -> pl.DataFrame:
        if more.get("prices", True):
            read.append(path.name)
        return real(path, *args, **more)  # type: ignore[arg-type]

    for module in (file_content, session_blocks):
        monkeypatch.setattr(module, "read_bars", counted)
    return read


NAMES = ["SYNA.parquet", "SYNB.parquet", "SYNC.csv", "SYND.parquet"]


def test_a_folder_that_fits_is_decoded_once(market: tuple[Path, list[dt.date]], decoded: list[str]) -> None:
    folder, sessions = market
    source = FolderSource(folder)
    assert source.sessions() == sessions
    source.fetch(sessions)
    for day in sessions:
        source.read_session(day)
    assert sorted(decoded) == NAMES


def test_files_are_decoded_once_per_block(market: tuple[Path, list[dt.date]], decoded: list[str]) -> None:
    folder, sessions = market
    source = FolderSource(folder, cache_bytes=9_000 * BYTES_PER_ROW)
    source.fetch(sessions)
    rows = sum(source.read_session(day).frame.height for day in sessions)
    blocks = -(-rows // 9_000)
    assert blocks == 3
    assert sorted(decoded) == sorted(NAMES * blocks)


def test_fetch_tells_how_much_is_indexed(market: tuple[Path, list[dt.date]]) -> None:
    folder, sessions = market
    told: list[tuple[int, int, str]] = []
    source = FolderSource(folder, cache_bytes=0)
    source.fetch(sessions, lambda done, total, what: told.append((done, total, what)))
    assert [(done, total) for done, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {what for _, _, what in told} == {"SYNA.parquet", "SYNB.parquet", "SYNC.csv", "SYND.parquet"}
    told.clear()
    source.fetch(sessions, lambda done, total, what: told.append((done, total, what)))
    assert told == [], "what has not changed is not indexed again"


@pytest.mark.parametrize("room", [6000 * BYTES_PER_ROW, 1 << 30])
def test_a_file_that_changes_inside_a_block_is_read_again(room: int, tmp_path: Path) -> None:
    market = SyntheticMarket(seed=3, symbols=2, sessions=8)
    write_package(tmp_path, market)
    source = FolderSource(tmp_path, cache_bytes=room)
    source.fetch(market.sessions)
    before = source.read_session(market.sessions[0])
    changed = pl.read_parquet(tmp_path / "SYNA.parquet").with_columns(pl.col("Volume") + 1)
    changed.write_parquet(tmp_path / "SYNA.parquet")
    after = source.read_session(market.sessions[1])
    assert after.files["SYNA.parquet"] != before.files["SYNA.parquet"]
    assert after.files["SYNB.parquet"] == before.files["SYNB.parquet"]
    again = FolderSource(tmp_path).read_session(market.sessions[1])
    assert_frame_equal(after.frame, again.frame)


def test_a_file_cut_off_inside_a_block_is_refused_from_then_on(tmp_path: Path) -> None:
    market = SyntheticMarket(seed=3, symbols=2, sessions=4)
    write_package(tmp_path, market)
    source = FolderSource(tmp_path, cache_bytes=0)
    source.fetch(market.sessions)
    source.read_session(market.sessions[0])
    file = tmp_path / "SYNA.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    raw = source.read_session(market.sessions[1])
    assert raw.frame["Symbol"].unique().to_list() == ["SYNB"]
    with pytest.raises(SourceFileRefused, match="cannot be read as Parquet"):
        source.read_session(market.sessions[2], symbols=["SYNA"])


def test_sessions_may_be_read_from_several_threads(market: tuple[Path, list[dt.date]]) -> None:
    folder, sessions = market
    source = FolderSource(folder, cache_bytes=6000 * BYTES_PER_ROW)
    source.fetch(sessions)
    alone = FolderSource(folder)
    wrong: list[dt.date] = []

    def read(days: list[dt.date]) -> None:
        wrong.extend(day for day in days if not source.read_session(day).frame.equals(expected[day]))

    expected = {day: alone.read_session(day).frame for day in sessions}
    threads = [threading.Thread(target=read, args=(sessions[i::3],)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(8)), room=st.sampled_from([0, 2500, 10_000]))
def test_sessions_may_be_read_in_any_order(
    order: list[int], room: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = _small(tmp_path_factory)
    sessions = FolderSource(folder).sessions()
    expected = FolderSource(folder)
    source = FolderSource(folder, cache_bytes=room * BYTES_PER_ROW)
    source.fetch(sessions)
    for i in order:
        assert source.read_session(sessions[i]).frame.equals(expected.read_session(sessions[i]).frame)


_made: list[Path] = []


def _small(factory: pytest.TempPathFactory) -> Path:
    if not _made:
        folder = factory.mktemp("small")
        write_package(folder, SyntheticMarket(seed=5, symbols=1, sessions=8))
        _made.append(folder)
    return _made[0]


def test_rows_of_a_futures_evening_belong_to_the_next_session(tmp_path: Path) -> None:
    """CMES opens at 17:00 Chicago on the evening before; 2024-01-07 is a Sunday."""
    stamps = ["2024-01-05T21:59:00Z", "2024-01-07T22:59:00Z", "2024-01-07T23:00:00Z", "2024-01-08T15:00:00Z"]
    lines = [f"{stamp},1,1,1,1,{i}" for i, stamp in enumerate(stamps)]
    header = "Timestamp,Open,High,Low,Close,Volume"
    (tmp_path / "long").mkdir()
    (tmp_path / "long" / "ES.csv").write_text("\n".join([header, *lines]))
    (tmp_path / "days" / "ES").mkdir(parents=True)
    for day, rows in (("2024-01-05", lines[:1]), ("2024-01-07", lines[1:3]), ("2024-01-08", lines[3:])):
        (tmp_path / "days" / "ES" / f"{day}.csv").write_text("\n".join([header, *rows]))
    for layout in ("long", "days"):
        source = FolderSource(tmp_path / layout, calendar="CMES")
        assert source.sessions() == [dt.date(2024, 1, 5), dt.date(2024, 1, 8)]
        assert source.read_session(dt.date(2024, 1, 5)).frame["Volume"].to_list() == [0]
        assert source.read_session(dt.date(2024, 1, 8)).frame["Volume"].to_list() == [2, 3]
        by_slice = FolderSource(tmp_path / layout, calendar="CMES", cache_bytes=0)
        for calendar, volumes in (("XNYS", [3]), ("CMES", [2, 3]), ("XNYS", [3])):
            assert by_slice.read_session(dt.date(2024, 1, 8), calendar).frame["Volume"].to_list() == volumes
        outside = [(skip.kind, skip.session) for skip in source.skips()]
        assert outside == [("not_a_session", dt.date(2024, 1, 7))], "before the open a Sunday row has no session"
