"""A day by itself: the schedule ticks in a real daemon, stage follows stage, and the daemon may die in between."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from harness.day import CHAIN, materialised_at, wait_for_day
from harness.home import make_home
from harness.installation import Installation
from harness.processes import Processes

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1200)
def test_the_schedule_starts_the_day_and_the_day_ends_once_though_the_daemon_dies(
    tmp_path: Path, processes: Processes
) -> None:
    home = tmp_path / "home"
    sessions = make_home(home, sessions=6)
    session = sessions[-1].isoformat()
    after = dt.datetime.combine(sessions[-1] + dt.timedelta(days=1), dt.time(0, 15), ZoneInfo("America/New_York"))
    # The schedule is turned on ten minutes before it is due; the daemon starts when it is.
    desk = Installation(home, processes, clocks={"webserver": after - dt.timedelta(minutes=10), "daemon": after})
    desk.start(daemon=False)

    asked = desk.graphql.dry_run("daily_schedule", after.timestamp())
    assert asked["error"] is None
    assert [{tag["key"]: tag["value"] for tag in request["tags"]}["session"] for request in asked["runRequests"]] == [
        session
    ]
    weekend = desk.graphql.dry_run("daily_schedule", (after - dt.timedelta(days=after.isoweekday() % 7)).timestamp())
    assert weekend["runRequests"] in (None, []) and "no session" in weekend["skipReason"]

    desk.graphql.start_schedule("daily_schedule")
    desk.start_daemon()
    processes.wait_until("the schedule ticks", lambda: desk.graphql.runs(CHAIN[0]), 150)
    desk.kill("daemon")
    desk.start_daemon()
    wait_for_day(desk, session, 150)

    ticks = desk.graphql.schedule_ticks("daily_schedule")
    assert [(tick["status"], tick["timestamp"], len(tick["runIds"])) for tick in ticks] == [
        ("SUCCESS", after.timestamp(), 1)
    ]
    times = list(materialised_at(desk, session).values())
    assert times == sorted(times)
