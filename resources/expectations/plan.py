"""configs/quality.yaml as frozen models: which figures of which dataset are judged by which limits."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading.bars.outliers import OutlierConfig

Severity = Literal["warning", "error"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Expectation(_Model):
    """One limit on one column of the figures.

    Args:
        column: of the figures; null values are not judged.
        minimum, maximum: inclusive; at least one of them.
        severity: of the failed check.
        says: what must hold, for a person.
        look: what to do where it does not.
    """

    column: str
    minimum: float | None = None
    maximum: float | None = None
    severity: Severity = "warning"
    says: str = Field(min_length=1)
    look: str = Field(min_length=1)

    @model_validator(mode="after")
    def _limited(self) -> "Expectation":
        if self.minimum is None and self.maximum is None:
            raise ValueError(f"column {self.column} needs a minimum or a maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"column {self.column}: minimum {self.minimum} is above maximum {self.maximum}")
        return self

    @property
    def limit(self) -> str:
        """``0.9 to 1.01``, ``at least 0.9``, ``at most 5``."""
        if self.minimum is None:
            return f"at most {self.maximum:g}"
        if self.maximum is None:
            return f"at least {self.minimum:g}"
        return f"{self.minimum:g}" if self.minimum == self.maximum else f"{self.minimum:g} to {self.maximum:g}"

    def excess(self, value: float) -> float:
        """How far ``value`` is outside the limits, 0 within; to find the worst of several."""
        below = 0.0 if self.minimum is None else self.minimum - value
        above = 0.0 if self.maximum is None else value - self.maximum
        return max(below, above, 0.0)


class Suite(_Model):
    """The expectations on one dataset.

    Args:
        dataset: dataset or model of the warehouse that the figures are about; default: the suite's own name.
        figures: name of a file of dbt_like_sql/quality. Where it has a column ``dataset``, only rows of this one count.
        expectations: by name.
    """

    dataset: str
    figures: str
    expectations: Mapping[str, Expectation] = Field(min_length=1)


class Accepted(_Model):
    """A finding that a person has looked at; left out fields stand for all."""

    suite: str
    expectation: str
    symbol: str | None = Field(None, alias="Symbol")
    session: dt.date | None = None
    reason: str = Field(min_length=1)

    def covers(self, suite: str, expectation: str, row: Mapping[str, Any]) -> bool:
        return (
            (self.suite, self.expectation) == (suite, expectation)
            and self.symbol in (None, row.get("Symbol"))
            and (self.session is None or str(self.session) == str(row.get("session")))
        )


class QualityPlan(_Model):
    """The whole file.

    Args:
        sessions: newest sessions that are judged unless others are asked for.
        outliers: thresholds of the table ``price_outliers``.
        accepted: findings that do not count.
        suites: by name.
    """

    sessions: int = Field(5, ge=1)
    outliers: OutlierConfig = OutlierConfig()
    accepted: tuple[Accepted, ...] = ()
    suites: Mapping[str, Suite] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        """A suite without ``dataset`` is about the dataset of its name."""
        suites = content.get("suites") if isinstance(content, dict) else None
        if not isinstance(suites, dict):
            return content
        named = {
            name: {"dataset": name, **suite} if isinstance(suite, dict) else suite for name, suite in suites.items()
        }
        return {**content, "suites": named}

    @model_validator(mode="after")
    def _known(self) -> "QualityPlan":
        for accepted in self.accepted:
            suite = self.suites.get(accepted.suite)
            if suite is None or accepted.expectation not in suite.expectations:
                raise ValueError(
                    f"accepted: there is no expectation {accepted.expectation!r} in suite {accepted.suite!r}"
                )
        return self
