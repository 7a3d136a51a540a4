"""What the configurations of all sources that download have in common."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from resources.sources.context import SourceContext
from trading.errors import ConfigError
from trading.ports.sources import Step

if TYPE_CHECKING:
    from resources.sources.downloads.source import DownloadedSource
    from resources.sources.downloads.vendor import Vendor
    from resources.sources.vendors.patience import Patience


class DownloadConfig(BaseModel):
    """Settings that every source has whose bars are downloaded.

    Args:
        kind: which vendor.
        step: ``1m`` or ``1d``.
        fresh_hours: how long an answer is good for: asked for again later, a session is downloaded again, which is how
            late revisions are found.
        keep_superseded: answers per Symbol that stay on disk after newer ones took all their sessions.
        patience_seconds: how long one request is tried before the vendor counts as down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    step: Step
    fresh_hours: float = Field(12.0, ge=0)
    keep_superseded: int = Field(3, ge=0)
    patience_seconds: float = Field(120.0, gt=0)

    @property
    def patience(self) -> "Patience":
        from resources.sources.vendors.patience import Patience

        return Patience(seconds=self.patience_seconds)

    def directory(self, context: SourceContext, vendor: str) -> Path:
        """Where the answers of ``vendor`` go."""
        return context.downloads / f"{vendor}-{self.step}"

    def source(self, vendor: "Vendor", context: SourceContext) -> "DownloadedSource":
        """``vendor`` over this universe's downloads. ConfigError where the universe names no Symbols."""
        from resources.sources.downloads.source import DownloadedSource

        if context.symbols is None:
            raise ConfigError(
                f"source {self.kind}: symbols is null; a vendor is asked by Symbol, so the universe must list them"
            )
        return DownloadedSource(
            vendor,
            self.directory(context, vendor.name),
            context.symbols,
            calendar=context.calendar,
            clock=context.clock,
            fresh=dt.timedelta(hours=self.fresh_hours),
            keep_superseded=self.keep_superseded,
        )
