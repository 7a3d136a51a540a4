"""What the configurations of vendors over HTTP have in common."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from resources.sources.context import SourceContext
from resources.sources.vendors.json_bars import NullVolume
from trading.errors import ConfigError
from trading.ports.sources import Step

if TYPE_CHECKING:
    from resources.sources.downloads.source import DownloadedSource
    from resources.sources.downloads.vendor import Vendor
    from resources.sources.vendors.http import JsonRequests

_DAYS_PER_REQUEST = 3650  # of daily bars

# Types rather than fields, so that a vendor's own default keeps the bounds.
PerMinute = Annotated[int, Field(ge=1)]
Days = Annotated[int, Field(ge=2)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class VendorConfig(BaseModel):
    """Settings that every vendor over HTTP has.

    Args:
        kind: which vendor.
        step: ``1m`` or ``1d``.
        base_url: where its API is.
        key_env: environment variable that holds the key; the key itself never stands in a file.
        requests_per_minute: that this process sends at most, to all its Symbols together.
        longest_span_days: of minutes in one request; daily bars are asked for in spans of ten years.
        fresh_hours: how long an answer is good for: asked for again later, a session is downloaded again, which is how
            late revisions are found.
        keep_superseded: answers per Symbol that stay on disk after newer ones took all their sessions.
        patience_seconds: how long one request is tried before the vendor counts as down.
        tickers: the vendor's ticker by Symbol, where it is another.
        null_volume: what a bar with prices and without a volume becomes: ``refuse`` leaves it null, so that assembly
            refuses its session; ``zero`` is for indices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    step: Step = "1m"
    base_url: str
    key_env: Variable
    requests_per_minute: PerMinute
    longest_span_days: Days
    fresh_hours: float = Field(12.0, ge=0)
    keep_superseded: int = Field(3, ge=0)
    patience_seconds: float = Field(120.0, gt=0)
    tickers: dict[str, str] = Field(default_factory=dict)
    null_volume: NullVolume = "refuse"

    @property
    def longest_span(self) -> dt.timedelta:
        return dt.timedelta(days=self.longest_span_days if self.step == "1m" else _DAYS_PER_REQUEST)

    def requests(self, context: SourceContext, *, parameter: str | None = None) -> "JsonRequests":
        """How to ask this vendor; ``parameter`` is the query parameter of its key, None a bearer header."""
        from resources.sources.vendors.http import JsonRequests
        from resources.sources.vendors.pace import pace_of
        from resources.sources.vendors.patience import Patience

        return JsonRequests(
            self.kind,
            self.base_url,
            variable=self.key_env,
            key=context.env.get(self.key_env),
            parameter=parameter,
            pace=pace_of(f"{self.kind} {self.base_url} {self.key_env}", self.requests_per_minute),
            patience=Patience(seconds=self.patience_seconds),
        )

    def source(self, vendor: "Vendor", context: SourceContext) -> "DownloadedSource":
        """``vendor`` over this universe's downloads. ConfigError where the universe names no Symbols."""
        from resources.sources.downloads.source import DownloadedSource

        if context.symbols is None:
            raise ConfigError(
                f"source {self.kind}: symbols is null; a vendor is asked by Symbol, so the universe must list them"
            )
        return DownloadedSource(
            vendor,
            context.downloads / f"{self.kind}-{self.step}",
            context.symbols,
            calendar=context.calendar,
            clock=context.clock,
            fresh=dt.timedelta(hours=self.fresh_hours),
            keep_superseded=self.keep_superseded,
        )
