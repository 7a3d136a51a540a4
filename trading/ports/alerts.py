"""What a person on call is told, and the seam through which it travels."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

Severity = Literal["info", "warning", "error", "critical"]


@dataclass(frozen=True)
class Alert:
    """One message to a person, readable without opening anything else.

    Attributes:
        title: one line, what happened, e.g. ``Kill switch engaged``.
        severity: ``critical`` money at risk now; ``error`` something stopped; ``warning`` look today;
            ``info`` for the record.
        at: when it happened, timezone-aware (kept in UTC); passed in, never read from a clock here.
        what: what broke, in a sentence or two.
        asset, partition, account: where; empty where it does not apply.
        figure, limit: the value that was seen and the limit that it is held against, with units, e.g.
            ``-5.3 %`` and ``-5.0 %``.
        link: page to open.
        command: command to run next.
        dedupe_key: the same key rings once, for ever; put the id of the occurrence in it (breach id, run
            id). Empty: always rings.

    Raises:
        ValueError: for an empty title, an unknown severity, a naive ``at`` or a limit without a figure.
    """

    title: str
    severity: Severity
    at: dt.datetime
    what: str = ""
    asset: str = ""
    partition: str = ""
    account: str = ""
    figure: str = ""
    limit: str = ""
    link: str = ""
    command: str = ""
    dedupe_key: str = ""

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise ValueError("an alert needs a title that says what happened")
        if self.severity not in get_args(Severity):
            raise ValueError(f"severity {self.severity!r} is unknown; use one of {', '.join(get_args(Severity))}")
        if self.at.tzinfo is None:
            raise ValueError(f"alert {self.title!r}: `at` needs a time zone, got {self.at.isoformat()}")
        if self.limit and not self.figure:
            raise ValueError(f"alert {self.title!r}: limit {self.limit!r} is given without the figure held against it")
        object.__setattr__(self, "at", self.at.astimezone(dt.UTC))

    def facts(self) -> Iterator[tuple[str, str]]:
        """Label and text of what is known besides title and `what`, in the order a person wants it."""
        if self.figure:
            yield "Figure", f"{self.figure} (limit {self.limit})" if self.limit else self.figure
        for label, text in (("Asset", self.asset), ("Partition", self.partition), ("Account", self.account)):
            if text:
                yield label, text
        yield "Time", self.at.strftime("%Y-%m-%d %H:%M:%S UTC")

    def text(self) -> str:
        """The alert as plain text, several lines."""
        lines = [f"[{self.severity.upper()}] {self.title}"]
        if self.what:
            lines.append(f"  {self.what}")
        lines += [f"  {label}: {text}" for label, text in self.facts()]
        if self.link:
            lines.append(f"  Open: {self.link}")
        if self.command:
            lines.append(f"  Run:  {self.command}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able fields; `at` in ISO 8601."""
        return {**self.__dict__, "at": self.at.isoformat()}


@dataclass(frozen=True)
class Delivery:
    """What became of an alert.

    Attributes:
        status: ``delivered`` to the channel; ``recorded`` on disk only; ``duplicate`` of one that already
            rang (recorded, not sent again); ``logged`` only, because even the disk refused it.
        detail: where it is, or why it is not where it should be.
    """

    status: Literal["delivered", "recorded", "duplicate", "logged"]
    detail: str


class AlertSink(Protocol):
    """Takes alerts to a person. Sending never raises: a run must not fail because a message did."""

    def send(self, alert: Alert) -> Delivery: ...
