import datetime as dt
import json
import os
from pathlib import Path

import pytest

from resources.slack import FileAlerts, slack_message
from trading.ports.alerts import Alert

AT = dt.datetime(2024, 3, 1, 15, 0, tzinfo=dt.UTC)


def test_the_message_keeps_slacks_limits_whatever_the_text() -> None:
    long = "<&>" * 5000
    alert = Alert(
        title=long,
        severity="error",
        at=AT,
        what=long,
        asset=long,
        figure=long,
        limit=long,
        link=long,
        command=long,
    )
    message = slack_message(alert)
    assert len(message["text"]) <= 3000
    for block in message["blocks"]:
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
        for text in [block.get("text"), *block.get("fields", [])]:
            if text is not None:
                limit = 2000 if text in block.get("fields", []) else 3000
                assert len(text["text"]) <= limit
                rest = text["text"].replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
                assert block["type"] == "header" or not set("&<>") & set(rest)


def test_a_plain_alert_has_no_empty_parts() -> None:
    message = slack_message(Alert(title="Backfill finished", severity="info", at=AT))
    assert [block["type"] for block in message["blocks"]] == ["header", "section"]
    assert message["blocks"][1]["fields"] == [{"type": "mrkdwn", "text": "*Time*\n2024-03-01 15:00:00 UTC"}]


def test_a_claim_that_a_dead_process_left_rings_again(tmp_path: Path) -> None:
    alert = Alert(title="Broker lost", severity="error", at=AT, dedupe_key="run-7")
    files = FileAlerts(tmp_path)
    assert files.claim(alert)
    assert not files.claim(alert), "a second process must not ring while the first one does"
    (marker,) = (tmp_path / "rang").iterdir()
    assert "Broker lost" in marker.read_text()
    os.utime(marker, (1, 1))
    assert files.claim(alert)
    files.settle(alert, taken=True)
    assert not files.claim(alert)
    os.utime(next((tmp_path / "rang").iterdir()), (1, 1))
    assert not files.claim(alert), "what rang stays rung however long ago"


def test_the_text_file_reads_as_a_person_wants_it(tmp_path: Path) -> None:
    FileAlerts(tmp_path).send(
        Alert(
            title="Coverage below limit",
            severity="warning",
            at=AT,
            what="AAPL lacks 60 minutes.",
            asset="bar_quality",
            partition="2024-03-01",
            figure="84.6 %",
            limit="90 %",
            command="trading show bar_quality 2024-03-01",
        )
    )
    assert (tmp_path / "alerts.txt").read_text() == (
        "[WARNING] Coverage below limit\n"
        "  AAPL lacks 60 minutes.\n"
        "  Figure: 84.6 % (limit 90 %)\n"
        "  Asset: bar_quality\n"
        "  Partition: 2024-03-01\n"
        "  Time: 2024-03-01 15:00:00 UTC\n"
        "  Run:  trading show bar_quality 2024-03-01\n"
        f"  (recorded: {tmp_path / 'alerts.txt'})\n\n"
    )
    assert json.loads((tmp_path / "alerts.jsonl").read_text())["limit"] == "90 %"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": " "}, "needs a title"),
        ({"severity": "loud"}, "info, warning, error, critical"),
        ({"at": AT.replace(tzinfo=None)}, "needs a time zone"),
        ({"limit": "5 %"}, "without the figure"),
    ],
)
def test_an_alert_that_says_too_little_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Alert(**{"title": "x", "severity": "info", "at": AT, **changes})  # type: ignore[arg-type]
