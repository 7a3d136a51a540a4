"""What fails rings once: through Slack where a token is set, else into files, whenever the daemon stops and starts."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from harness.home import make_home
from harness.installation import Installation
from harness.processes import Processes
from harness.slack import SlackServer, slack_server

from trading.synthetic import Injection, SyntheticMarket

pytestmark = pytest.mark.slow

TOKEN = "xoxb-e2e-not-a-real-token"
REFUSED = "Check contract failed on m1_bars"
FAILED = "Run of market_data_job failed"


def _recorded(home: Path) -> list[dict[str, Any]]:
    file = home / "alerts" / "alerts.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _rung(home: Path) -> list[dict[str, Any]]:
    """What rang. A tick that a kill interrupted comes again, and its alert is then on record as a duplicate."""
    return [line for line in _recorded(home) if line["delivery"] != "duplicate"]


def _sensor_ticks_again(desk: Installation, times: int = 2) -> None:
    """Until the alerts sensor has ticked that often from now on."""

    def newest() -> tuple[float, int]:
        ticks = desk.graphql.sensor_ticks("alerts")
        assert not any(tick["error"] for tick in ticks), ticks
        return (ticks[0]["timestamp"] if ticks else 0.0), len(ticks)

    seen = {newest()}

    def ticked() -> bool:
        seen.add(newest())
        return len(seen) > times

    desk.processes.wait_until(f"the alerts sensor ticks {times} times", ticked, 90)


def _arrives(desk: Installation, slack: SlackServer, title: str, count: int) -> None:
    def arrived() -> bool:
        return sum(title in text for text in slack.texts()) >= count

    desk.processes.wait_until(f"{title!r} arrives in Slack for the {count}. time", arrived, 90)


@pytest.mark.timeout(1200)
def test_each_failure_rings_once_across_restarts_and_in_files_without_a_token(
    tmp_path: Path, processes: Processes
) -> None:
    home = tmp_path / "home"
    days = SyntheticMarket(seed=7, symbols=3, sessions=3).sessions
    with slack_server() as slack:
        make_home(
            home,
            sessions=3,
            injections=[Injection("conflicting_duplicate", "SYNA", days[1])],
            settings={"alerts": {"base_url": slack.url, "channel": "#desk"}},
        )
        good, refused, _ = (day.isoformat() for day in days)
        desk = Installation(home, processes, env={"SLACK_BOT_TOKEN": TOKEN}).start()

        # A refused session: its check fails, one message says so; a good one is silent.
        for session in (good, refused):
            run = desk.graphql.launch("market_data_job", {"dagster/partition": session})
            status = desk.wait_for_run(run, 90).status
            assert status == ("SUCCESS" if session == good else "FAILURE"), desk.graphql.failures(run)
        _arrives(desk, slack, REFUSED, 1)

        # While the daemon is down a run fails for another cause; it rings when the daemon is back.
        desk.kill("daemon")
        (home / "data").rename(home / "elsewhere")
        run = desk.graphql.launch("market_data_job", {"dagster/partition": good})
        (started,) = [one for one in desk.graphql.runs() if one.run_id == run]
        assert started.status == "QUEUED"
        desk.start_daemon()
        assert desk.wait_for_run(run, 90).status == "FAILURE"
        _arrives(desk, slack, FAILED, 1)
        desk.stop("daemon")
        desk.start_daemon()
        _sensor_ticks_again(desk)

        rung = Counter(text.split(": ", 2)[2].split(" - ")[0] for text in slack.texts())
        assert rung == {REFUSED: 1, FAILED: 1}
        assert slack.tokens == {TOKEN}
        shown = json.dumps(slack.messages)
        assert "SYNA" in shown and refused in shown and f"/runs/{run}" in shown
        assert slack.messages[0]["channel"] == "#desk"
        assert [line["delivery"] for line in _rung(home)] == ["delivered", "delivered"]

        # Without a token the same goes to the folder, and nothing to Slack.
        desk.stop("code-server")
        desk.env = {}
        desk.start_code_server()
        desk.processes.wait_until("the code location is back", lambda: desk.graphql.loaded(), 60)
        run = desk.graphql.launch("market_data_job", {"dagster/partition": refused})
        assert desk.wait_for_run(run, 90).status == "FAILURE"
        desk.processes.wait_until("the alert is in the folder", lambda: len(_rung(home)) == 3, 90)
        last = _rung(home)[-1]
        assert (last["title"], last["delivery"]) == (FAILED, "recorded")
        assert FAILED in (home / "alerts" / "alerts.txt").read_text()
        assert len(slack.messages) == 2
