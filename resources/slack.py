"""Alerts to Slack and to files: whatever Slack does, each alert ends on disk, and ringing never raises."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resources.redaction import Redactor
from trading.ports.alerts import Alert, AlertSink, Delivery, Severity

log = logging.getLogger(__name__)

SLACK_URL = "https://slack.com/api/"
_LEVELS: Mapping[Severity, int] = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_SIGNS: Mapping[Severity, str] = {
    "info": ":information_source:",
    "warning": ":warning:",
    "error": ":red_circle:",
    "critical": ":rotating_light:",
}
# Slack's answers after which the same request may succeed a moment later; any other error needs a person.
_TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "service_unavailable", "internal_error", "fatal_error", "request_timeout"}
)
# https://docs.slack.dev/reference/block-kit/blocks: header 150, section text 3000, section field 2000
# characters.
_HEADER_LIMIT, _SECTION_LIMIT, _FIELD_LIMIT = 150, 2900, 1900
_CLAIM_SECONDS = 60.0


class FileAlerts:
    """Alerts under one folder: ``alerts.jsonl`` (one JSON object a line), ``alerts.txt`` (the same, to read).

    Each goes to the log too. The dedupe keys that rang are kept in ``rang/``, one file each, so that the
    router, a sensor and a run, in different processes, ring once for the same occurrence. A key counts as
    rung once its alert was taken; one that is claimed and not taken within a minute (the process died)
    rings again at the next send.
    """

    def __init__(self, folder: Path, *, redactor: Redactor | None = None) -> None:
        self.folder = folder
        self._redactor = redactor or Redactor()

    def send(self, alert: Alert) -> Delivery:
        if not self.claim(alert):
            return self.record(alert, Delivery("duplicate", f"{alert.dedupe_key} rang before"))
        delivery = self.record(alert, Delivery("recorded", str(self.folder / "alerts.txt")))
        self.settle(alert, taken=delivery.status == "recorded")
        return delivery

    def claim(self, alert: Alert) -> bool:
        """True for the one caller that is to ring for this dedupe key, who then calls `settle`.

        A disk that cannot be written rings rather than stays silent.
        """
        if not alert.dedupe_key:
            return True
        rang, claimed = self._markers(alert)
        try:
            if rang.exists():
                return False
            claimed.parent.mkdir(parents=True, exist_ok=True)
            with claimed.open("x", encoding="utf-8") as file:
                file.write(self._redactor.text(alert.text()) + "\n")
        except FileExistsError:
            return self._left_behind(claimed)
        except OSError as error:
            log.error("alert marker %s cannot be written (%s); ringing without it", claimed, error)
        return True

    def settle(self, alert: Alert, *, taken: bool) -> None:
        """After a claim: keep the key as rung if the alert was taken, else free it for the next attempt."""
        if not alert.dedupe_key:
            return
        rang, claimed = self._markers(alert)
        try:
            if taken:
                claimed.replace(rang)
            else:
                claimed.unlink(missing_ok=True)
        except OSError as error:
            log.error("alert marker %s cannot be settled (%s); the alert may ring again", claimed, error)

    def record(self, alert: Alert, delivery: Delivery) -> Delivery:
        """Append the alert with what became of it; never raises."""
        safe = self._redactor.data(alert.as_dict())
        text = self._redactor.text(alert.text())
        note = self._redactor.text(f"{delivery.status}: {delivery.detail}")
        line = json.dumps({**safe, "delivery": delivery.status, "detail": self._redactor.text(delivery.detail)})
        log.log(_LEVELS[alert.severity], "%s (%s)", text, note)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _append(self.folder / "alerts.jsonl", line + "\n")
            _append(self.folder / "alerts.txt", f"{text}\n  ({note})\n\n")
        except OSError as error:
            log.critical("alert could not be written under %s (%s): %s", self.folder, error, line)
            if delivery.status == "delivered":
                return delivery
            return Delivery("logged", f"{self.folder}: {error}")
        return delivery

    def _markers(self, alert: Alert) -> tuple[Path, Path]:
        name = hashlib.sha256(alert.dedupe_key.encode()).hexdigest()[:32]
        return self.folder / "rang" / name, self.folder / "rang" / f"{name}.claimed"

    @staticmethod
    def _left_behind(claimed: Path) -> bool:
        try:
            if time.time() - claimed.stat().st_mtime < _CLAIM_SECONDS:
                return False
            os.utime(claimed)
        except FileNotFoundError:
            return False  # settled this very moment
        return True


class SlackAlerts:
    """Alerts through Slack's ``chat.postMessage``, with files as the record and the fallback.

    Args:
        token: bot token (``xoxb-...``); never logged, never part of an error.
        channel: name or id.
        files: where every alert is recorded, also the ones that Slack refused.
        base_url: Slack's, or another server that speaks its API.
        timeout_seconds: of connecting and of each read.
        attempts: tries in all, on 429 (waiting as `Retry-After` says), connection errors, time-outs and 5xx.
        deadline_seconds: no try begins, and no wait ends, later than this after the first.
        sleep, monotonic: waiting and its clock, for tests.
    """

    def __init__(
        self,
        token: str,
        channel: str,
        files: FileAlerts,
        *,
        base_url: str = SLACK_URL,
        timeout_seconds: int = 5,
        attempts: int = 3,
        deadline_seconds: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token.strip()
        self._channel = channel
        self._files = files
        self._base_url = base_url
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._deadline = deadline_seconds
        self._sleep = sleep
        self._monotonic = monotonic
        self._redactor = Redactor(values=(self._token,))

    def __repr__(self) -> str:
        return f"SlackAlerts(channel={self._channel!r}, base_url={self._base_url!r})"

    def send(self, alert: Alert) -> Delivery:
        if not self._files.claim(alert):
            return self._files.record(alert, Delivery("duplicate", f"{alert.dedupe_key} rang before"))
        try:
            problem = self._post(alert)
        except Exception as error:
            # The caller is a trading run: whatever breaks in here must not break it, and must be told.
            problem = f"{type(error).__name__}: {error}"
        self._files.settle(alert, taken=problem is None)
        if problem is None:
            return self._files.record(alert, Delivery("delivered", f"Slack {self._channel}"))
        safe = self._redactor.text(problem)
        log.error("Slack did not take the alert %r: %s", alert.title, safe)
        return self._files.record(alert, Delivery("recorded", f"not in Slack {self._channel}: {safe}"))

    def _post(self, alert: Alert) -> str | None:
        """None when Slack has the message, else why not."""
        from http.client import HTTPException

        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError, SlackRequestError

        client = WebClient(
            token=self._token,
            base_url=self._base_url,
            timeout=self._timeout,
            retry_handlers=[],
            logger=_sdk_log(),
        )
        if urlsplit(self._base_url).hostname in ("127.0.0.1", "::1", "localhost"):
            client.proxy = None  # the SDK takes HTTPS_PROXY for every address, this machine's own too
        message = slack_message(alert, self._redactor)
        started = self._monotonic()
        problem = "no attempt was made"
        for attempt in range(1, self._attempts + 1):
            wait = float(2 ** (attempt - 1))
            try:
                client.chat_postMessage(channel=self._channel, **message)
                return None
            except SlackApiError as error:
                problem, transient, told = _explain(error, self._channel)
                if not transient:
                    return problem
                wait = told if told is not None else wait
            except (OSError, HTTPException) as error:  # refused, reset, timed out, name not found
                problem = f"{type(error).__name__}: {error}"
            except SlackRequestError as error:
                return str(error)
            if attempt < self._attempts:
                if self._monotonic() - started + wait > self._deadline:
                    return f"{problem}; gave up after attempt {attempt}, {wait:g} s more would pass the deadline"
                self._sleep(wait)
        return f"{problem}; {self._attempts} attempts"


def alert_sink(
    *,
    folder: Path,
    channel: str,
    token_env: str = "SLACK_BOT_TOKEN",
    base_url: str = SLACK_URL,
    env: Mapping[str, str] = os.environ,
) -> AlertSink:
    """Slack where the variable named ``token_env`` holds a token, else files under ``folder``."""
    token = env.get(token_env, "").strip()
    files = FileAlerts(folder, redactor=Redactor(env, values=(token,) if token else ()))
    return SlackAlerts(token, channel, files, base_url=base_url) if token else files


def slack_message(alert: Alert, redactor: Redactor | None = None) -> dict[str, Any]:
    """``text`` (the notification on the phone) and Block Kit ``blocks`` of an alert, within Slack's
    limits.
    """
    clean = redactor.text if redactor else str
    sign = _SIGNS[alert.severity]
    # Cut before escaping, so that no entity is cut in two.
    title = clean(alert.title)
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _cut(f"{sign} {title}", _HEADER_LIMIT), "emoji": True},
        }
    ]
    if alert.what:
        blocks.append(_section(_escape(clean(alert.what), _SECTION_LIMIT)))
    fields = [
        {"type": "mrkdwn", "text": f"*{label}*\n{_escape(clean(text), _FIELD_LIMIT)}"} for label, text in alert.facts()
    ]
    blocks.append({"type": "section", "fields": fields})
    if alert.command:
        blocks.append(_section(f"*Run*\n```{_escape(clean(alert.command), _SECTION_LIMIT)}```"))
    if alert.link:
        blocks.append(_section(f"*Open*\n{_escape(clean(alert.link), _SECTION_LIMIT)}"))
    summary = f"{sign} {alert.severity.upper()}: {title}"
    if alert.figure:
        summary += f" - {clean(alert.figure)}" + (f" (limit {clean(alert.limit)})" if alert.limit else "")
    return {"text": _escape(summary, _SECTION_LIMIT), "blocks": blocks, "unfurl_links": False}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escape(text: str, limit: int) -> str:
    """Slack's three control characters as entities
    (https://docs.slack.dev/messaging/formatting-message-text).
    """
    while True:
        escaped = _cut(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(escaped) <= limit:
            return escaped
        text = _cut(text, min(len(text), limit) - (len(escaped) - limit + 3) // 4 - 1)


def _explain(error: Any, channel: str) -> tuple[str, bool, float | None]:
    """What Slack said in words, whether trying again can help, and how many seconds it asked to wait."""
    response = error.response
    status = int(response.status_code)
    code = "" if isinstance(response.data, bytes) else str(response.get("error") or "")
    advice = {
        "invalid_auth": "the bot token is wrong; set a valid one in the variable named by alerts.token_env",
        "not_authed": "no bot token was sent; set it in the variable named by alerts.token_env",
        "token_revoked": "the bot token is revoked; install the app again and set its new token",
        "account_inactive": "the token belongs to a removed user or workspace",
        "channel_not_found": f"there is no channel {channel}, or it is private and the bot is not in it",
        "not_in_channel": f"invite the bot to {channel}",
        "is_archived": f"{channel} is archived",
        "missing_scope": "the app needs the scope chat:write",
    }.get(code, "")
    text = f"HTTP {status} {code}".strip() + (f": {advice}" if advice else "")
    told = next((str(v) for k, v in dict(response.headers).items() if k.lower() == "retry-after"), "")
    wait = float(told) if told.isdecimal() else None
    return text, status == 429 or status >= 500 or code in _TRANSIENT, wait


def _sdk_log() -> logging.Logger:
    """The SDK's own logger, silent: what failed is reported here, and at DEBUG it would print requests."""
    logger = logging.getLogger(f"{__name__}.sdk")
    logger.setLevel(logging.CRITICAL)
    return logger


def _append(path: Path, text: str) -> None:
    """One write of a whole line at the end: several processes may append at once."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        data = text.encode()
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(f"{path}: {written} of {len(data)} bytes written")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
