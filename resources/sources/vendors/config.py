"""What the configurations of vendors of bars over HTTP have in common."""

import datetime as dt
from typing import Annotated

from pydantic import Field

from resources.sources.vendors.download_config import DownloadConfig
from resources.sources.vendors.json_bars import NullVolume
from resources.sources.vendors.keyed_config import KeyedConfig
from trading.ports.sources import Step

_DAYS_PER_REQUEST = 3650  # of daily bars

Days = Annotated[int, Field(ge=2)]


class VendorConfig(KeyedConfig, DownloadConfig):
    """Settings that every vendor of bars over HTTP has, besides those of its key and of its downloads.

    Args:
        step: ``1m`` or ``1d``.
        longest_span_days: of minutes in one request; daily bars are asked for in spans of ten years.
        null_volume: what a bar with prices and without a volume becomes: ``refuse`` leaves it null, so that assembly
            refuses its session; ``zero`` is for indices.
    """

    step: Step = "1m"
    longest_span_days: Days
    null_volume: NullVolume = "refuse"

    @property
    def longest_span(self) -> dt.timedelta:
        return dt.timedelta(days=self.longest_span_days if self.step == "1m" else _DAYS_PER_REQUEST)
