"""Revisions and their users on lakes made by hand: what a day's runs seldom show."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.lake import Lake, open_lake
from resources.lake.embedded import EmbeddedLake
from resources.lake.publish import Publisher
from resources.lake.reading import Snapshot
from resources.ledger import Ledger
from trading.contracts import BAR_COLUMNS
from trading_assets.old_bars import users_of_old_bars
from trading_assets.revisions import DATASET, OVERVIEW_FILE, revisions

DAY, NEXT, LATER = dt.date(2023, 10, 2), dt.date(2023, 10, 3), dt.date(2023, 10, 4)
OPEN = dt.datetime(2023, 10, 2, 13, 30, tzinfo=dt.UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with open_lake((tmp_path / "lake").as_uri()) as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def bars(close: float) -> pl.DataFrame:
    row = ("AAA", OPEN, 10.0, 12.0, 9.0, close, 100, DAY)
    return pl.DataFrame([row], schema=dict(BAR_COLUMNS), orient="row")


def publish(
    lake: Lake,
    dataset: str,
    session: dt.date,
    content: pl.DataFrame | Mapping[str, Any],
    inputs: Mapping[str, str] | None = None,
    **metadata: str,
) -> str:
    partition = {"session": str(session), **({"variant": "v"} if dataset in ("signals", "backtest") else {})}
    publisher = Publisher(lake, run_id="run", code_version="1", clock=lambda: dt.datetime.now(dt.UTC))
    files = content if isinstance(content, Mapping) else {"data.parquet": content}
    return publisher.publish(dataset, partition, files, audit=None, inputs=inputs or {}, metadata=metadata).commit_id


def made_of(lake: Lake, *names: str) -> dict[str, str]:
    """As inputs: those datasets, read at the head of main."""
    return dict.fromkeys(names, lake.resolve("main@"))


def five_minutes(lake: Lake, content: bytes, session: dt.date = DAY) -> str:
    return publish(lake, "m5_bars", session, {"data.parquet": content}, made_of(lake, "m1_bars"))


def signals(lake: Lake, content: bytes, session: dt.date = DAY, reads_from: dt.date | None = None) -> str:
    told = {"reads_from": json.dumps({"m5_bars": str(reads_from)})} if reads_from else {}
    return publish(lake, "signals", session, {"data.parquet": content}, made_of(lake, "m5_bars", "universe"), **told)


def backtest(lake: Lake, session: dt.date, first: dt.date, number: float = 0.0) -> str:
    row = {"variant": ["v"], "session": [session], "horizon": ["1m"], "first": [first], "sharpe": [number]}
    return publish(lake, "backtest", session, pl.DataFrame(row), made_of(lake, "m5_bars", "signals"))


def users(lake: Lake, ledger: Ledger, **how: Any) -> set[str]:
    return {str(one.session) for one in users_of_old_bars(lake, ledger, DAY, **how).backtests}


def test_a_window_that_ends_before_or_begins_after_the_session_does_not_rest_on_it(lake: Lake, ledger: Ledger) -> None:
    publish(lake, "m1_bars", DAY, bars(11.0))
    five_minutes(lake, b"1")
    for session, first in ((DAY, DAY), (NEXT, DAY), (LATER, NEXT)):
        backtest(lake, session, first)
    assert users(lake, ledger) == set(), "nothing was revised yet"
    publish(lake, "m1_bars", DAY, bars(11.5))
    assert users(lake, ledger) == {str(DAY), str(NEXT)}
    five_minutes(lake, b"2")
    backtest(lake, NEXT, DAY, number=1.0)
    assert users(lake, ledger) == {str(DAY)}


def test_the_next_session_rests_on_it_by_its_warm_up_where_its_commit_says_so(lake: Lake, ledger: Ledger) -> None:
    publish(lake, "m1_bars", DAY, bars(11.0))
    five_minutes(lake, b"1")
    publish(lake, "m1_bars", NEXT, bars(11.0))
    five_minutes(lake, b"1", NEXT)
    signals(lake, b"next", NEXT, reads_from=DAY)
    signals(lake, b"later", LATER)
    publish(lake, "m1_bars", DAY, bars(11.5))
    five_minutes(lake, b"2")
    # both windows begin after the session and read the new bars; the signals of one still warmed up on the old ones
    backtest(lake, NEXT, NEXT)
    backtest(lake, LATER, LATER)
    assert users(lake, ledger) == {str(NEXT)}
    signals(lake, b"next, anew", NEXT, reads_from=DAY)
    backtest(lake, NEXT, NEXT, number=1.0)
    assert users(lake, ledger) == set()


def test_a_universe_rests_on_the_daily_bars_of_sessions_before_its_own(lake: Lake, ledger: Ledger) -> None:
    publish(lake, "m1_bars", DAY, bars(11.0))
    daily = {"data.parquet": b"1"}
    publish(lake, "d1_bars", DAY, daily, made_of(lake, "m1_bars"))
    for session, reach in ((NEXT, {"reads_from": json.dumps({"d1_bars": str(DAY)})}), (LATER, {})):
        publish(lake, "daily_features", session, daily, made_of(lake, "d1_bars"), **reach)
        publish(lake, "universe", session, daily, made_of(lake, "daily_features"))
        publish(lake, "signals", session, {"data.parquet": b"s"}, made_of(lake, "universe"))
        backtest(lake, session, session)
    publish(lake, "m1_bars", DAY, bars(11.5))
    assert users(lake, ledger) == {str(NEXT)}


def test_content_that_came_out_the_same_from_the_new_bars_is_not_old(lake: Lake, ledger: Ledger) -> None:
    old = publish(lake, "m1_bars", DAY, bars(11.0))
    made = five_minutes(lake, b"1")
    backtest(lake, DAY, DAY)
    new = publish(lake, "m1_bars", DAY, bars(11.5))
    version = lake.get_commit(made).metadata["data_version"]

    def confirmed(reads: str) -> dict[str, Any]:
        def of(dataset: str, since: dt.datetime) -> dict[tuple[str, str], list[dict[str, str]]]:
            assert since < lake.get_commit(new).created
            return {(f"session={DAY}", version): [{"m1_bars": reads}]} if dataset == "m5_bars" else {}

        return {"confirmed": of}

    assert users(lake, ledger) == {str(DAY)}
    assert users(lake, ledger, **confirmed(old)) == {str(DAY)}
    assert users(lake, ledger, **confirmed(new)) == set()


def test_other_bytes_with_the_same_values_are_a_version_that_nobody_need_care_about(lake: Lake, ledger: Ledger) -> None:
    publish(lake, "m1_bars", DAY, bars(11.0))
    five_minutes(lake, b"1")
    backtest(lake, DAY, DAY)
    publish(lake, "m1_bars", DAY, bars(11.0).with_columns(source=pl.lit("another writer")))
    found = revisions(Snapshot(lake, "main"), DAY)
    assert found is not None
    overview, differences = found
    assert overview.select("revision", "compared", "rows_changed", "largest_bps").rows() == [(1, True, 0, None)]
    assert differences.is_empty()
    assert users_of_old_bars(lake, ledger, DAY).versions == 2
    assert users(lake, ledger) == set()


def test_bars_that_were_taken_away_and_came_back(lake: Lake) -> None:
    publish(lake, "m1_bars", DAY, bars(11.0))
    publish(lake, "m1_bars", DAY, {"report.parquet": b"no bar left"})
    publish(lake, "m1_bars", DAY, bars(11.0))
    found = revisions(Snapshot(lake, "main"), DAY)
    assert found is not None
    assert found[0].select("revision", "rows_removed", "rows_added").rows() == [(1, 1, 0), (2, 0, 1)]
    assert revisions(Snapshot(lake, "main"), NEXT) is None


def test_what_retention_took_is_kept_by_what_was_published_before_it(lake: Lake) -> None:
    assert isinstance(lake, EmbeddedLake)
    publish(lake, "m1_bars", DAY, bars(11.0))
    publish(lake, "m1_bars", DAY, bars(11.5))
    found = revisions(Snapshot(lake, "main"), DAY)
    assert found is not None
    overview, differences = found
    lake.gc(dt.timedelta(0), grace=dt.timedelta(0))
    lost = revisions(Snapshot(lake, "main"), DAY)
    assert lost is not None
    assert lost[0].select("revision", "compared", "rows_changed").rows() == [(1, False, 0)]
    publish(lake, DATASET, DAY, {"data.parquet": differences, OVERVIEW_FILE: overview})
    kept = revisions(Snapshot(lake, "main"), DAY)
    assert kept is not None
    assert kept[0].equals(overview) and kept[1].equals(differences)
    assert kept[1].select("column", "old", "new").rows() == [("Close", 11.0, 11.5)]
