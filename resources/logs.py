"""Structured logs: one JSON object a line, with the fields that an order can be followed by, and no secret
in it.
"""

import datetime as dt
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from resources.redaction import Redactor

FIELDS = (
    "run_id",
    "oco_id",
    "order_ref",
    "symbol",
    "side",
    "prices",
    "reason",
    "account",
    "variant",
    "latency_ms",
)
"""What a caller may pass as ``extra={...}``; each becomes a key of the JSON object where it is given."""

LOGGERS = ("trading", "resources", "jobs", "sensors", "trading_assets")


class RedactionFilter(logging.Filter):
    """Takes secrets out of a record's message, its known fields, its exception and its stack."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor
        self._plain = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self._redactor.text(_message(record))
        record.args = None
        for name in FIELDS:
            if hasattr(record, name):
                setattr(record, name, self._redactor.data(getattr(record, name)))
        if record.exc_info and not record.exc_text:
            record.exc_text = self._plain.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._redactor.text(record.exc_text)
        if record.stack_info:
            record.stack_info = self._redactor.text(record.stack_info)
        return True


class JsonFormatter(logging.Formatter):
    """``{"at", "level", "logger", "message", <FIELDS that are set>, "exception"?, "stack"?}``; ``at`` in UTC.

    ``constants`` are fields of every line, e.g. the run id; a record's own field wins.
    """

    def __init__(self, constants: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._constants = dict(constants or {})

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **self._constants,
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                line[name] = value
        if record.exc_info or record.exc_text:
            line["exception"] = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(
    *,
    level: int | str = logging.INFO,
    stream: TextIO | None = None,
    env: Mapping[str, str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> logging.Handler:
    """Send the platform's own loggers (``LOGGERS``), not the root logger, to ``stream`` (default: stderr)
    as JSON lines.

    Called again it replaces what it set up before. ``env`` is where secrets are looked for (default: the
    environment); ``fields`` stand in every line. Returns the handler.
    """
    redactor = Redactor(env)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.set_name("trading-json")
    handler.addFilter(RedactionFilter(redactor))
    handler.setFormatter(JsonFormatter(redactor.data(dict(fields or {}))))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for old in [h for h in logger.handlers if h.get_name() == handler.get_name()]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    return handler


@contextmanager
def json_log_file(
    file: Path, *, fields: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Meanwhile, append what the platform's own loggers say, from INFO on, to ``file`` as JSON lines. Where it went before
    it still goes.
    """
    redactor = Redactor(env)
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.addFilter(RedactionFilter(redactor))
    handler.setFormatter(JsonFormatter(redactor.data(dict(fields or {}))))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A wrong placeholder must not lose the line that somebody needs at night.
        return f"{record.msg} {record.args!r}"
