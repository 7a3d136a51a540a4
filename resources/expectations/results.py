"""What a quality run found: per suite a verdict on each expectation, with the rows outside its limits."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resources.expectations.plan import Expectation, Severity


@dataclass(frozen=True)
class Finding:
    """One row of figures outside a limit; ``row`` has the keys of the figures, e.g. Symbol and session."""

    row: Mapping[str, Any]
    value: float
    accepted: str = ""

    @property
    def where(self) -> str:
        return " ".join(str(part) for part in self.row.values() if part != "")


@dataclass(frozen=True)
class Verdict:
    """One expectation on all rows; ``findings`` worst first."""

    name: str
    expectation: Expectation
    judged: int
    findings: tuple[Finding, ...] = ()

    @property
    def open(self) -> tuple[Finding, ...]:
        """Those that nobody has accepted."""
        return tuple(finding for finding in self.findings if not finding.accepted)

    @property
    def passed(self) -> bool:
        return not self.open

    def __str__(self) -> str:
        if self.passed:
            return f"{self.name}: {self.judged} rows, all right"
        worst = self.open[0]
        return (
            f"{self.name}: {len(self.open)} of {self.judged} rows, worst {worst.where} with {self.expectation.column} "
            f"{worst.value:g} (limit {self.expectation.limit}). Expected: {self.expectation.says}. Look: {self.expectation.look}"
        )


@dataclass(frozen=True)
class Judged:
    """A suite over all its rows; ``skipped`` says why where there was nothing to judge."""

    suite: str
    dataset: str
    rows: int
    verdicts: tuple[Verdict, ...] = ()
    skipped: str = ""
    page: str = ""

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """Errors first, each with the most rows first."""
        failed = [verdict for verdict in self.verdicts if not verdict.passed]
        return tuple(sorted(failed, key=lambda v: (v.expectation.severity != "error", -len(v.open), v.name)))

    @property
    def passed(self) -> bool:
        return not self.skipped and not self.failed

    @property
    def severity(self) -> Severity:
        """Of the gravest failure."""
        return self.failed[0].expectation.severity if self.failed else "warning"


@dataclass(frozen=True)
class Outcome:
    """A whole run: the commit that was judged, from which session to which, and where its pages are."""

    commit: str
    first: dt.date | None
    last: dt.date | None
    at: dt.datetime
    suites: tuple[Judged, ...] = field(default_factory=tuple)
