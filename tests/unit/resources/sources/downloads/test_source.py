"""When something is asked for, and which answer a session is read from."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from harness.listed_bars import ListedBars, Row

from resources.sources.downloads.source import DownloadedSource
from resources.sources.downloads.store import Store
from resources.sources.errors import SourceError
from trading.ports.sources import BarSource, SourceDown
from trading.sessions import get_calendar

DAYS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]
HOUR = dt.timedelta(hours=1)
NIGHT = dt.datetime(2024, 1, 6, 8, tzinfo=dt.UTC)  # more than a day after the last close


def minutes(session: dt.date, price: float = 100.0, every: int = 60) -> list[Row]:
    """From 04:00 to 19:59 New York."""
    start = get_calendar("XNYS").open(session) - dt.timedelta(minutes=330)
    return [(start + dt.timedelta(minutes=n), price + n / 100, n) for n in range(0, 960, every)]


@dataclass
class Here:
    """A source whose vendor and clock are ours."""

    folder: Path
    vendor: ListedBars
    now: dt.datetime = NIGHT
    calendar: str = "XNYS"
    symbols: tuple[str, ...] = ("AAPL",)
    keep: int = 3

    def source(self) -> DownloadedSource:
        return DownloadedSource(
            self.vendor,
            self.folder,
            self.symbols,
            calendar=self.calendar,
            clock=lambda: self.now,
            keep_superseded=self.keep,
        )

    def asked(self) -> list[tuple[str, str, str, str | None]]:
        """Symbol, first and last day of the span, cursor; since the last call."""
        asked = [(s, f"{a:%m-%d}", f"{b - HOUR:%m-%d}", c) for s, a, b, c in self.vendor.asked]
        self.vendor.asked.clear()
        return asked


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path, ListedBars({"AAPL": [row for day in DAYS for row in minutes(day)]}))


def kinds(source: DownloadedSource, session: dt.date) -> list[str]:
    return [skip.kind for skip in source.read_session(session).skips]


def test_it_is_a_bar_source(here: Here) -> None:
    source = here.source()
    assert isinstance(source, BarSource)
    assert (source.name, source.label, source.step) == (f"listed in {here.folder}", None, "1m")


def test_asked_once_and_again_only_when_no_longer_fresh(here: Here) -> None:
    source = here.source()
    source.fetch(DAYS)
    source.fetch(DAYS)
    assert here.asked() == [("AAPL", "01-02", "01-05", None)]
    here.now += 11 * HOUR
    here.source().fetch(DAYS)
    assert here.asked() == []
    here.now += 1 * HOUR
    source.fetch(DAYS[1:2])
    assert here.asked() == [("AAPL", "01-03", "01-04", None)]


def test_only_what_is_missing_is_asked_for(here: Here) -> None:
    source = here.source()
    source.fetch(DAYS[1:2])
    here.asked()
    source.fetch(DAYS)
    assert here.asked() == [("AAPL", "01-02", "01-03", None), ("AAPL", "01-04", "01-05", None)]


def test_a_session_that_is_not_over_is_not_asked_for(here: Here) -> None:
    here.now = get_calendar("XNYS").close(DAYS[2]) - dt.timedelta(seconds=1)
    source = here.source()
    source.fetch(DAYS)
    assert here.asked() == [("AAPL", "01-02", "01-04", None)]
    assert kinds(source, DAYS[2]) == ["not_fetched"]
    here.now += dt.timedelta(seconds=1)
    source.fetch(DAYS)
    assert here.asked() == [("AAPL", "01-04", "01-05", None)]


def test_an_answer_from_before_the_close_counts_for_nothing(here: Here) -> None:
    """Asked on a calendar that closes early; on the one that reads, the session was still open."""
    here.now = dt.datetime(2024, 1, 2, 19, tzinfo=dt.UTC)
    here.calendar = "XNYS 09:30-13:00 America/New_York"
    here.source().fetch(DAYS[:1])
    here.calendar = "XNYS"
    source = here.source()
    assert kinds(source, DAYS[0]) == ["asked_too_early"]
    assert source.sessions() == []
    here.now = NIGHT
    source.fetch(DAYS[:1])
    assert kinds(source, DAYS[0]) == []


def test_an_empty_answer_soon_after_the_close_is_asked_for_again_and_later_believed(here: Here) -> None:
    here.vendor.bars["AAPL"] = minutes(DAYS[0])
    here.now = get_calendar("XNYS").close(DAYS[1]) + HOUR
    source = here.source()
    source.fetch(DAYS[:2])
    here.asked()
    here.now += HOUR
    source.fetch(DAYS[:2])
    assert here.asked() == [("AAPL", "01-03", "01-04", None)]
    assert kinds(source, DAYS[1]) == ["no_rows"]
    here.now += 24 * HOUR
    source.fetch(DAYS[1:2])
    here.asked()
    here.now += HOUR
    source.fetch(DAYS[1:2])
    assert here.asked() == []
    assert kinds(source, DAYS[1]) == ["no_rows"]
    assert source.sessions() == DAYS[:1]


def test_the_newest_answer_wins_for_a_session_as_a_whole(here: Here) -> None:
    source = here.source()
    source.fetch(DAYS)
    here.vendor.bars["AAPL"] = minutes(DAYS[1], price=50.0, every=120)
    here.now += 13 * HOUR
    source.fetch(DAYS[1:2])
    assert source.read_session(DAYS[1]).frame["Open"].to_list() == [50.0 + n / 100 for n in range(0, 960, 120)]
    assert source.read_session(DAYS[0]).frame["Open"].to_list() == [100.0 + n / 100 for n in range(0, 960, 60)]


def test_a_session_that_the_vendor_has_no_more_is_empty_and_says_so(here: Here) -> None:
    source = here.source()
    source.fetch(DAYS)
    here.vendor.bars["AAPL"] = []
    here.now += 13 * HOUR
    source.fetch(DAYS[1:2])
    raw = source.read_session(DAYS[1])
    assert raw.frame.is_empty() and raw.files == {}
    assert [(skip.kind, skip.rows) for skip in raw.skips] == [("emptied", 16)]
    assert source.sessions() == [DAYS[0], DAYS[2]]


def test_superseded_answers_are_kept_up_to_a_number(here: Here) -> None:
    here.keep = 2
    source = here.source()
    for _ in range(5):
        source.fetch(DAYS)
        here.now += 13 * HOUR
    assert len(list((here.folder / "AAPL").iterdir())) == 3
    source.fetch(DAYS[:1])  # the last one is still needed for the other two sessions
    assert len(list((here.folder / "AAPL").iterdir())) == 4
    assert source.sessions() == DAYS


def test_answers_that_were_asked_for_with_another_ticker_do_not_count(here: Here) -> None:
    here.vendor.page_size = 10
    source = here.source()
    source.fetch(DAYS[:1])
    here.vendor.pages_left = 2
    with pytest.raises(SourceDown):
        source.fetch(DAYS)
    here.vendor.pages_left = None
    here.vendor.ticker = "another"
    here.asked()
    other = here.source()
    assert (other.symbols(), other.sessions()) == ([], [])
    assert kinds(other, DAYS[0]) == ["not_fetched"]
    other.fetch(DAYS)
    assert here.asked() == [("AAPL", "01-02", "01-05", None)]
    here.vendor.ticker = "itself"
    assert here.source().sessions() == DAYS[:1]  # it stays for the record


def test_after_hours_of_a_winter_evening_belong_to_their_session(here: Here) -> None:
    here.vendor.bars["AAPL"] = [(dt.datetime(2024, 1, 4, 0, 30, tzinfo=dt.UTC), 100.0, 1)]  # 19:30 of the 3rd
    source = here.source()
    source.fetch(DAYS)
    assert [source.read_session(day).frame.height for day in DAYS] == [0, 1, 0]


def test_an_evening_before_belongs_to_the_session_that_it_opens(here: Here) -> None:
    here.calendar = "CMES"
    sunday = dt.datetime(2024, 1, 7, 23, 30, tzinfo=dt.UTC)
    here.vendor.bars["AAPL"] = [(sunday, 100.0, 1)]
    here.now = dt.datetime(2024, 1, 10, tzinfo=dt.UTC)
    source = here.source()
    source.fetch([dt.date(2024, 1, 8)])
    assert source.read_session(dt.date(2024, 1, 8)).frame["Timestamp"].to_list() == [sunday]


def test_a_download_goes_on_page_by_page(here: Here) -> None:
    here.vendor.page_size = 10
    here.vendor.pages_left = 3
    source = here.source()
    with pytest.raises(SourceDown):
        source.fetch(DAYS)
    here.vendor.pages_left = None
    here.asked()
    here.now += HOUR
    here.source().fetch(DAYS)
    assert here.asked() == [("AAPL", "01-02", "01-05", "30")]
    assert sum(source.read_session(day).frame.height for day in DAYS) == 48
    assert source.read_session(DAYS[2]).arrived[f"AAPL/{_folder(here)}/0005.gz"] == here.now
    assert source.read_session(DAYS[0]).arrived[f"AAPL/{_folder(here)}/0001.gz"] == NIGHT


def test_what_was_left_too_long_ago_is_begun_anew(here: Here) -> None:
    here.vendor.page_size = 10
    here.vendor.pages_left = 3
    source = here.source()
    with pytest.raises(SourceDown):
        source.fetch(DAYS)
    here.vendor.pages_left = None
    here.asked()
    here.now += 13 * HOUR
    source.fetch(DAYS)
    assert here.asked() == [("AAPL", "01-02", "01-05", None)]
    assert len(list((here.folder / "AAPL").iterdir())) == 1


def test_what_was_left_waits_while_other_sessions_are_asked_for(here: Here) -> None:
    here.vendor.page_size = 10
    here.vendor.pages_left = 2
    source = here.source()
    with pytest.raises(SourceDown):
        source.fetch(DAYS[:2])
    here.vendor.pages_left = None
    source.fetch(DAYS[2:])
    here.asked()
    source.fetch(DAYS[:2])
    assert here.asked() == [("AAPL", "01-02", "01-04", "20")]


def test_what_another_process_is_at_is_asked_for_by_this_one_too(here: Here) -> None:
    here.vendor.page_size = 10
    here.vendor.pages_left = 2
    source = here.source()
    with pytest.raises(SourceDown):
        source.fetch(DAYS)
    here.vendor.pages_left = None
    here.asked()
    other = Store(here.folder)
    [left] = other.unfinished("AAPL")
    with other.writing(left) as theirs:
        assert theirs is not None
        source.fetch(DAYS)
        assert here.asked() == [("AAPL", "01-02", "01-05", None)]
        assert source.sessions() == DAYS
        assert [answer.number for answer in theirs.answers] == [1, 2]


def test_a_cursor_that_the_vendor_no_longer_takes_begins_anew(here: Here) -> None:
    here.vendor.page_size = 10
    here.vendor.pages_left = 2
    source = here.source()
    with pytest.raises(SourceDown):
        source.fetch(DAYS)
    here.vendor.pages_left = None
    here.vendor.expired.add("20")
    here.asked()
    source.fetch(DAYS)
    assert [cursor for *_, cursor in here.asked()] == ["20", None]
    assert source.sessions() == DAYS


def test_answers_that_are_not_as_documented_are_a_problem_of_their_symbol(here: Here) -> None:
    here.symbols = ("AAPL", "ODD")
    here.vendor.bars["ODD"] = [(minutes(DAYS[0])[0][0], "one", 1)]  # type: ignore[list-item]
    source = here.source()
    source.fetch(DAYS)
    [problem] = source.problems()
    assert problem.symbol == "ODD" and "must be a number" in problem.message and ".refused" in problem.message
    assert source.sessions() == DAYS
    assert kinds(source, DAYS[0]) == ["refused_symbol"]
    here.vendor.bars["ODD"] = minutes(DAYS[0])
    source.fetch(DAYS)
    assert source.problems() == []
    assert kinds(source, DAYS[0]) == []


def test_a_named_symbol_must_be_here(here: Here) -> None:
    source = here.source()
    with pytest.raises(SourceError, match="AAPL 2024-01-02 is not in"):
        source.read_session(DAYS[0], symbols=["AAPL"])
    with pytest.raises(SourceError, match="not asked for Symbol 'MSFT'"):
        source.read_session(DAYS[0], symbols=["MSFT"])


def test_a_holiday_is_no_session(here: Here) -> None:
    source = here.source()
    source.fetch([dt.date(2024, 1, 1), *DAYS])
    assert here.asked() == [("AAPL", "01-02", "01-05", None)]
    raw = source.read_session(dt.date(2024, 1, 1))
    assert raw.frame.is_empty() and [skip.kind for skip in raw.skips] == ["not_a_session"]


def test_read_on_another_calendar(here: Here) -> None:
    source = here.source()
    source.fetch(DAYS)
    frame = source.read_session(DAYS[1], calendar="24/7").frame
    assert frame["Timestamp"].dt.date().unique().to_list() == [DAYS[1]]


def test_a_damaged_file_of_rows_is_made_again_between_good_ones(here: Here) -> None:
    here.symbols = ("AAPL", "MSFT")
    here.vendor.bars["MSFT"] = minutes(DAYS[0], price=400.0)
    source = here.source()
    source.fetch(DAYS)
    whole = source.read_session(DAYS[0]).frame
    next((here.folder / "MSFT").glob("*/rows.parquet")).write_bytes(b"torn")
    assert source.read_session(DAYS[0]).frame.equals(whole)
    assert whole["Symbol"].unique(maintain_order=True).to_list() == ["AAPL", "MSFT"]


def test_nothing_is_here_before_anything_was_asked_for(here: Here) -> None:
    source = here.source()
    assert (source.symbols(), source.sessions(), source.problems()) == ([], [], [])
    raw = source.read_session(DAYS[0])
    assert raw.frame.schema == pl.Schema(
        {
            "Symbol": pl.String,
            "Timestamp": pl.Datetime("us", "UTC"),
            **dict.fromkeys(("Open", "High", "Low", "Close"), pl.Float64),
            "Volume": pl.Int64,
            "source_file": pl.String,
        }
    )
    assert not here.folder.joinpath("AAPL").exists()


def _folder(here: Here) -> str:
    [folder] = (here.folder / "AAPL").iterdir()
    return folder.name
