"""What a universe's YAML file may say of where its bars and corporate actions come from."""

from typing import Annotated

from pydantic import Field

from resources.sources.corporate_actions.csv_file import CsvActionsConfig
from resources.sources.corporate_actions.factor_file import FactorFileConfig
from resources.sources.folder import FolderConfig
from resources.sources.vendors.ccxt_exchange import CcxtConfig
from resources.sources.vendors.eodhd import EodhdConfig
from resources.sources.vendors.polygon import PolygonConfig

SourceConfig = Annotated[FolderConfig | EodhdConfig | PolygonConfig | CcxtConfig, Field(discriminator="kind")]
"""One of the kinds of source, told apart by ``kind``; each opens itself."""

ActionsConfig = Annotated[CsvActionsConfig | FactorFileConfig, Field(discriminator="kind")]
"""One of the kinds of source of splits and dividends, told apart by ``kind``; each opens itself."""
