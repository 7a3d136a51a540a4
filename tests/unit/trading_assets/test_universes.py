from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from trading.errors import ConfigError
from trading_assets.settings import CONFIGS, Settings
from trading_assets.universes import blackout_list, load_universes

FOLDER = {"kind": "folder", "path": "data"}
BINANCE = {"kind": "ccxt", "exchange": "binance"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "universes").mkdir()
    return Settings(home=tmp_path, calendar="24/7")


def write(settings: Settings, name: str, **content: Any) -> None:
    (settings.home / "universes" / f"{name}.yaml").write_text(yaml.safe_dump({"source": FOLDER, **content}))


def test_those_that_ship_can_be_read(tmp_path: Path) -> None:
    universes = load_universes(Settings(home=tmp_path, configs=CONFIGS))
    assert [universe.name for universe in universes.all] == ["us"]
    assert universes.of("ANYTHING").calendar == "XNYS"


def test_a_symbol_belongs_to_the_universe_that_lists_it(settings: Settings) -> None:
    write(settings, "us", calendar="XNYS")
    write(settings, "crypto", calendar="24/7", symbols=["BTC-USDT", "ETH-USDT"], source=BINANCE)
    universes = load_universes(settings)
    assert universes.of("ETH-USDT").name == "crypto" and universes.of("SPY").name == "us"
    assert universes.calendars(["SPY", "BTC-USDT", "AAPL"]) == {"XNYS": ["AAPL", "SPY"], "24/7": ["BTC-USDT"]}
    assert universes.trades("us", "SPY") and not universes.trades("crypto", "SPY") and universes.trades(None, "SPY")


def test_instruments_take_the_default_and_what_their_symbol_says(settings: Settings) -> None:
    own = {"default": {"tick_size": 0.25, "currency": "EUR"}, "ES": {"tick_size": 0.5}}
    write(settings, "futures", calendar="CMES", symbols=["ES", "NQ"], instruments=own)
    found = load_universes(settings).instruments(["NQ", "ES"])
    assert [(i.symbol, i.tick_size, i.currency, i.calendar) for i in found.values()] == [
        ("ES", 0.5, "EUR", "CMES"),
        ("NQ", 0.25, "EUR", "CMES"),
    ]


def test_a_variant_trades_on_one_calendar(settings: Settings) -> None:
    write(settings, "us", calendar="XNYS", symbols=["SPY"])
    universes = load_universes(settings)
    assert universes.calendar_of("v", None) == "XNYS"
    write(settings, "crypto", calendar="24/7", symbols=["BTC-USDT"], source=BINANCE)
    universes = load_universes(settings)
    assert universes.calendar_of("v", "crypto") == "24/7"
    with pytest.raises(ConfigError, match=r"variant v: universe is missing; .* 24/7, XNYS, .*crypto, us"):
        universes.calendar_of("v", None)
    with pytest.raises(ConfigError, match="no universe 'shares'; there are crypto, us"):
        universes.calendar_of("v", "shares")
    with pytest.raises(ConfigError, match="Symbol QQQ is in no universe"):
        universes.of("QQQ")


def test_benchmarks_alone_leave_the_calendar_of_what_trades(settings: Settings) -> None:
    write(settings, "us", calendar="XNYS", symbols=["SPY"])
    write(settings, "benchmarks", calendar="XLON", symbols=["ISF"], source=None, daily={**FOLDER, "step": "1d"})
    assert load_universes(settings).calendar_of("v", None) == "XNYS"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a": {}, "b": {}}, "universes a and b both take all Symbols"),
        ({"a": {"symbols": ["SPY"]}, "b": {"symbols": ["SPY"]}}, "Symbol SPY is in universes a and b"),
        ({"a": {"source": None}}, r"a\.yaml: .*source of minutes, of daily bars"),
        ({"a": {"source": {"kind": "ftp"}}}, r"a\.yaml: source: .*'ftp'"),
        ({"a": {"source": {**FOLDER, "paht": 1}}}, r"a\.yaml: source\.folder\.paht"),
        ({"a": {"symbols": ["BTC/USDT"]}}, r"a\.yaml: symbols\.0"),
        ({"a": {"filter": []}}, r"a\.yaml: filter: Extra inputs"),
        ({"a": {"instruments": {"SPY": {"tick_size": 0}}}}, r"a\.yaml: .*tick_size"),
        ({"A b": {}}, r"A b\.yaml: name"),
        ({}, "holds no .yaml file"),
    ],
)
def test_a_wrong_universe_names_its_file_and_setting(
    settings: Settings, files: dict[str, dict[str, Any]], expected: str
) -> None:
    for name, content in files.items():
        write(settings, name, **content)
    with pytest.raises(ConfigError, match=expected):
        load_universes(settings)


def test_the_blackout_list_lies_beside_the_universe(settings: Settings) -> None:
    write(settings, "us", blackout_file="out.csv", filters=[{"kind": "blackout"}])
    universe = load_universes(settings).named("us")
    with pytest.raises(ConfigError, match=r"out\.csv \(blackout_file of universe us\): expected CSV"):
        blackout_list(settings, universe)
    (settings.home / "universes" / "out.csv").write_text("Symbol,first,last\nSPY,2024-01-02,2024-01-03\n")
    found = blackout_list(settings, universe)
    assert isinstance(found, pl.DataFrame) and found["Symbol"].to_list() == ["SPY"]
