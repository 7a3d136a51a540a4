import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.logs import LOGGERS, JsonFormatter, RedactionFilter, configure_logging, json_log_file
from resources.redaction import Redactor

ENV = {
    "SLACK_BOT_TOKEN": "plain-token-value",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "IB_PASSWORD": 'correct horse "battery"',
    "SHORT_KEY": "abc",
    "MONKEY_NAME": "harmless-monkey",
    "HOME": "/home/harmless",
}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield io.StringIO()
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers


def logged(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_fields_an_order_is_followed_by(stream: io.StringIO) -> None:
    configure_logging(stream=stream, env={}, fields={"run_id": "r1"})
    logging.getLogger("resources.router").info(
        "sent %s",
        "bracket",
        extra={
            "oco_id": "o1",
            "order_ref": "a1b2",
            "symbol": "AAPL",
            "side": 1,
            "prices": {"entry": 10.5, "sl": 10.0},
            "reason": "signal",
            "unknown": "left out",
        },
    )
    (line,) = logged(stream)
    assert str(line.pop("at")).endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "resources.router",
        "message": "sent bracket",
        "run_id": "r1",
        "oco_id": "o1",
        "order_ref": "a1b2",
        "symbol": "AAPL",
        "side": 1,
        "prices": {"entry": 10.5, "sl": 10.0},
        "reason": "signal",
    }


def test_secrets_are_taken_out_of_messages_fields_exceptions_and_stacks(stream: io.StringIO) -> None:
    configure_logging(stream=stream, env=ENV)
    log = logging.getLogger("trading_assets.cli")
    log.info("token %s", ENV["SLACK_BOT_TOKEN"], extra={"reason": f"pw {ENV['IB_PASSWORD']}"}, stack_info=True)
    log.info("nested", extra={"prices": {"k": [ENV["AWS_SECRET_ACCESS_KEY"]]}})
    try:
        raise RuntimeError(f"cannot log in with {ENV['IB_PASSWORD']} at postgresql://u:p4ssw0rd@db/x")
    except RuntimeError:
        log.exception("failed")
    text = stream.getvalue()
    for name in ("SLACK_BOT_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        assert ENV[name] not in text
    assert "battery" not in text
    assert "p4ssw0rd" not in text
    lines = logged(stream)
    assert lines[0]["message"] == "token [redacted]"
    assert lines[1]["prices"] == {"k": ["[redacted]"]}
    assert "postgresql://u:[redacted]@db/x" in str(lines[2]["exception"])


def test_a_wrong_placeholder_still_leaves_its_line() -> None:
    record = logging.LogRecord("jobs.daily", logging.WARNING, __file__, 1, "%d orders", ("three",), None)
    assert RedactionFilter(Redactor({})).filter(record)
    assert json.loads(JsonFormatter().format(record))["message"] == "%d orders ('three',)"


def test_setting_up_twice_writes_each_line_once(stream: io.StringIO) -> None:
    configure_logging(stream=io.StringIO(), env={})
    configure_logging(stream=stream, env={})
    logging.getLogger("sensors.alerts").info("once")
    assert len(logged(stream)) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc stays, too short to hide", "abc stays, too short to hide"),
        ("harmless-monkey at /home/harmless", "harmless-monkey at /home/harmless"),
        ("xoxb-1234567890-abc", "[redacted]"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [redacted]"),
        ("at 10:30@AAPL http://host:3000/a@b", "at 10:30@AAPL http://host:3000/a@b"),
    ],
)
def test_what_is_secret_and_what_is_not(text: str, expected: str) -> None:
    assert Redactor(ENV).text(text) == expected


def test_a_secret_that_begins_with_another_leaves_no_tail() -> None:
    assert Redactor({"A_TOKEN": "secret1", "B_TOKEN": "secret1-longer"}).text("x secret1-longer y") == "x [redacted] y"


def test_a_log_file_is_appended_to_while_it_is_open(tmp_path: Path) -> None:
    file, logger = tmp_path / "logs" / "orders.jsonl", logging.getLogger("resources.router")
    for run in ("r1", "r2"):
        with json_log_file(file, fields={"run_id": run}, env=ENV):
            logger.info("order sent", extra={"order_ref": "abc"})
            logger.debug("not this")
        logger.error("nor this, nobody listens any more")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["message"], line["run_id"], line["order_ref"]) for line in lines] == [
        ("order sent", "r1", "abc"), ("order sent", "r2", "abc"),
    ]  # fmt: skip
