"""The universes that the page on vendors shows are universes."""

import re
from pathlib import Path

import pytest
import yaml

from resources.sources.vendors.eodhd import EodhdConfig
from resources.sources.vendors.polygon import PolygonConfig

PAGE = Path(__file__).parents[5] / "docs/how-to/market-data-vendors.md"
KINDS = {"eodhd": EodhdConfig, "polygon": PolygonConfig}
SHOWN = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("text", SHOWN)
def test_the_example_can_be_used(text: str) -> None:
    universe = yaml.safe_load(text)
    for feed, step in (("source", "1m"), ("daily", "1d")):
        if feed in universe:
            given = universe[feed]
            config = KINDS[given["kind"]](**given)
            assert config.step == step
            assert set(config.tickers) <= set(universe["symbols"])


@pytest.mark.parametrize("config", KINDS.values())
def test_every_setting_is_in_the_table_with_its_default(config: type[EodhdConfig | PolygonConfig]) -> None:
    column = 1 + list(KINDS.values()).index(config)
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines()
    ]
    shown = {row[0]: row[column] for row in rows if len(row) == 4}
    for name, field in config.model_fields.items():
        if name != "kind":
            assert shown[name] == str(field.default if field.default_factory is None else {}).removesuffix(".0"), name
