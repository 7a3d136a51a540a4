"""Sources over the vendors' servers of tests, with patience that takes no time and a clock that a test sets."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import eodhd_server, polygon_server
from harness.vendor_server import VendorServer
from resources.sources.downloads.source import DownloadedSource
from resources.sources.vendors.eodhd import EodhdBars
from resources.sources.vendors.http import JsonRequests
from resources.sources.vendors.pace import Pace
from resources.sources.vendors.patience import Patience
from resources.sources.vendors.polygon import PolygonBars
from trading.ports.sources import Step


@dataclass
class SetClock:
    now: dt.datetime

    def __call__(self) -> dt.datetime:
        return self.now


@dataclass
class Account:
    """How a test asks one vendor. ``slept`` are the pauses before a request was tried again, seconds."""

    server: VendorServer
    kind: str
    key: str
    patience: Patience = field(default_factory=Patience)
    slept: list[float] = field(default_factory=list)

    @property
    def variable(self) -> str:
        return f"{self.kind.upper()}_API_KEY"

    def bars(self, step: Step = "1m", longest_span: dt.timedelta = dt.timedelta(days=60)) -> EodhdBars | PolygonBars:
        requests = JsonRequests(
            self.kind,
            self.server.url,
            variable=self.variable,
            key=self.key,
            parameter="api_token" if self.kind == "eodhd" else None,
            pace=Pace(1_000_000),
            patience=self.patience,
            sleep=self.slept.append,
        )
        make = EodhdBars if self.kind == "eodhd" else PolygonBars
        return make(requests, step=step, longest_span=longest_span)

    def source(
        self, directory: Path, symbols: Sequence[str], clock: SetClock, step: Step = "1m", days: int = 60
    ) -> DownloadedSource:
        vendor = self.bars(step, dt.timedelta(days=days))
        return DownloadedSource(vendor, directory, symbols, calendar="XNYS", clock=clock)


def account(kind: str, server: VendorServer) -> Account:
    return Account(server, kind, eodhd_server.KEY if kind == "eodhd" else polygon_server.KEY)
