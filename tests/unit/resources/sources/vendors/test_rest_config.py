"""What stands in a universe's file for EODHD and Polygon."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from resources.sources.context import SourceContext
from resources.sources.vendors.eodhd import EodhdConfig
from resources.sources.vendors.polygon import PolygonConfig
from trading.errors import ConfigError

DAY = dt.date(2024, 1, 2)


def context(tmp_path: Path, symbols: tuple[str, ...] | None = ("AAPL",), **env: str) -> SourceContext:
    return SourceContext(tmp_path, tmp_path / "d", "XNYS", symbols, lambda: dt.datetime(2024, 1, 5, tzinfo=dt.UTC), env)


@pytest.mark.parametrize("config", [EodhdConfig(kind="eodhd"), PolygonConfig(kind="polygon")], ids=lambda c: c.kind)
def test_without_a_key_everything_works_but_asking(tmp_path: Path, config: EodhdConfig | PolygonConfig) -> None:
    source = config.open(context(tmp_path))
    assert source.directory == tmp_path / "d" / f"{config.kind}-1m"
    assert source.sessions() == []
    with pytest.raises(ConfigError, match=f"{config.key_env} is not set"):
        source.fetch([DAY])


def test_a_vendor_has_to_be_told_the_symbols(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must list them"):
        EodhdConfig(kind="eodhd").open(context(tmp_path, symbols=None))


@pytest.mark.parametrize("url", ["http://eodhd.com", "ftp://127.0.0.1", "eodhd.com", "https://"])
def test_a_key_never_travels_unencrypted(tmp_path: Path, url: str) -> None:
    source = EodhdConfig(kind="eodhd", base_url=url).open(context(tmp_path, EODHD_API_KEY="abcdefgh"))
    with pytest.raises(ConfigError, match="must be https://HOST"):
        source.fetch([DAY])


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "polygon"},
        {"requests_per_minute": 0},
        {"key_env": "not a name"},
        {"api_key": "abcdefgh"},
        {"step": "5m"},
        {"null_volume": "drop"},
        {"fresh_hours": -1},
        {"longest_span_days": 121},
        {"exchange": "US/../.."},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EodhdConfig(**{"kind": "eodhd", **given})


@pytest.mark.parametrize("given", [{"volume_unit": 0}, {"zone": "New York"}, {"longest_span_days": 1}], ids=str)
def test_settings_of_polygon(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PolygonConfig(**{"kind": "polygon", **given})


def test_days_have_downloads_and_spans_of_their_own(tmp_path: Path) -> None:
    config = EodhdConfig(kind="eodhd", step="1d")
    assert config.longest_span == dt.timedelta(days=3650)
    source = config.open(context(tmp_path))
    assert (source.step, source.directory.name) == ("1d", "eodhd-1d")
