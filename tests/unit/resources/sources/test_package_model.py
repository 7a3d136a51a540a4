"""Random deliveries of a package against the rule said in a few lines of plain Python."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.sources import PackageSource, SourceFileRefused
from resources.sources.package import Redelivery

OPENS = {dt.date(2023, 11, day): dt.datetime(2023, 11, day, 14, 30, tzinfo=dt.UTC) for day in (20, 21, 22)}
DROPS = ("", "2023-11-23", "2023-11-24", "2023-11-27")

Minute = tuple[dt.date, int]
Delivery = list[Minute] | None
"""Minutes of one file in its order; None for a file that is cut off."""

minutes = st.lists(st.tuples(st.sampled_from(sorted(OPENS)), st.integers(0, 3)), max_size=6)
deliveries = st.lists(st.one_of(minutes, minutes, minutes, st.none()), min_size=1, max_size=4)


def _expected(given: list[Delivery], session: dt.date, rule: Redelivery) -> list[tuple[int, int]] | None:
    """Delivery and place in it of every row of ``session``; None where it must be refused."""
    taken: list[tuple[int, int]] = []
    seen: set[int] = set()
    for number in reversed(range(len(given))):
        delivery = given[number]
        if delivery is None:
            return None
        own = [(place, minute) for place, (day, minute) in enumerate(delivery) if day == session]
        taken += [(number, place) for place, minute in own if minute not in seen]
        seen |= {minute for _, minute in own}
        if own and rule == "session":
            break
    return sorted(taken)


@settings(max_examples=60, deadline=None)
@given(given_files=deliveries, rule=st.sampled_from(["session", "minute"]), room=st.sampled_from([0, 1 << 30]))
def test_sessions_come_from_the_newest_delivery(
    given_files: list[Delivery], rule: Redelivery, room: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    package = tmp_path_factory.mktemp("package")
    pl.DataFrame(schema=_row(dt.date(2023, 11, 20), 0, 0).schema).write_parquet(package / "ZZZ.parquet")
    for number, delivery in enumerate(given_files):
        _write(package, number, delivery)
    source = PackageSource(package, redelivery=rule, cache_bytes=room)
    source.fetch(sorted(OPENS))
    for session in OPENS:
        expected = _expected(given_files, session, rule)
        if expected is None:
            with pytest.raises(SourceFileRefused):
                source.read_session(session)
        else:
            volumes = source.read_session(session).frame["Volume"].to_list()
            assert sorted(volumes) == [number * 100 + place for number, place in expected]


def _write(package: Path, number: int, delivery: Delivery) -> None:
    folder = package / "drops" / DROPS[number] if number else package
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "AAA.parquet"
    rows = [_row(day, minute, number * 100 + i) for i, (day, minute) in enumerate(delivery or [])]
    pl.concat([*rows, _row(dt.date(2023, 11, 20), 0, 0).clear()]).write_parquet(file)
    if delivery is None:
        file.write_bytes(file.read_bytes()[:-9])


def _row(day: dt.date, minute: int, volume: int) -> pl.DataFrame:
    start = pl.Series("Timestamp", [OPENS[day] + dt.timedelta(minutes=minute)], pl.Datetime("us", "UTC"))
    return pl.DataFrame({"Timestamp": start, "Open": 1.0, "High": 1.0, "Low": 1.0, "Close": 1.0, "Volume": volume})
