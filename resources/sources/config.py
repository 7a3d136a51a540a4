"""What a universe's YAML file may say of where its bars come from."""

from typing import Annotated

from pydantic import Field

from resources.sources.folder import FolderConfig
from resources.sources.package import PackageConfig
from resources.sources.vendors.ccxt_exchange import CcxtConfig
from resources.sources.vendors.eodhd import EodhdConfig
from resources.sources.vendors.ibkr import IbkrConfig
from resources.sources.vendors.polygon import PolygonConfig
from resources.sources.vendors.yahoo import YahooConfig

SourceConfig = Annotated[
    FolderConfig | PackageConfig | EodhdConfig | PolygonConfig | CcxtConfig | YahooConfig | IbkrConfig,
    Field(discriminator="kind"),
]
"""One of the kinds of source, told apart by ``kind``; each opens itself."""
