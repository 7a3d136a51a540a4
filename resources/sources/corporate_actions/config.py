"""What a universe's YAML file may say of where its corporate actions come from."""

from typing import Annotated

from pydantic import Field

from resources.sources.corporate_actions.csv_file import CsvActionsConfig
from resources.sources.corporate_actions.eodhd import EodhdActionsConfig
from resources.sources.corporate_actions.factor_file import FactorFileConfig
from resources.sources.corporate_actions.polygon import PolygonActionsConfig

CorporateActionsConfig = Annotated[
    CsvActionsConfig | FactorFileConfig | EodhdActionsConfig | PolygonActionsConfig, Field(discriminator="kind")
]
"""One of the kinds, told apart by ``kind``; each has ``open(SourceContext) -> CorporateActionSource``."""
