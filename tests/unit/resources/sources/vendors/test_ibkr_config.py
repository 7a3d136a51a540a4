"""Settings of Interactive Brokers as a source, and the universes and the table that its page shows."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from resources.brokers.ibkr.contracts import ContractSpec
from resources.sources.context import SourceContext
from resources.sources.vendors.ibkr import IbkrConfig
from trading.errors import ConfigError
from trading.sessions import get_calendar

PAGE = Path(__file__).parents[5] / "docs/how-to/interactive-brokers-bars.md"
SHOWN = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


def context(folder: Path, symbols: tuple[str, ...] | None, calendar: str = "XNYS") -> SourceContext:
    return SourceContext(folder, folder, calendar, symbols, lambda: dt.datetime(2024, 1, 4, tzinfo=dt.UTC), {})


@pytest.mark.parametrize("text", SHOWN)
def test_the_example_can_be_used(text: str, tmp_path: Path) -> None:
    universe = yaml.safe_load(text)
    get_calendar(universe["calendar"])
    for feed, step in (("source", "1m"), ("daily", "1d")):
        if feed in universe:
            config = IbkrConfig(**universe[feed])
            assert set(config.contracts) <= set(universe["symbols"])
            assert config.open(context(tmp_path, tuple(universe["symbols"]), universe["calendar"])).step == step


def test_every_setting_is_in_the_table() -> None:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(IbkrConfig.model_fields) - {"kind"}


def test_it_asks_nobody_before_it_is_asked(tmp_path: Path) -> None:
    source = IbkrConfig(port=1).open(context(tmp_path, ("SPY",)))
    assert source.symbols() == [] and source.sessions() == []
    with pytest.raises(ConfigError, match="symbols is null"):
        IbkrConfig(port=1).open(context(tmp_path, None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "5m"},
        {"port": 0},
        {"client_id": 0},
        {"what_to_show": "ADJUSTED_LAST"},
        {"volume_unit": 0},
        {"requests_per_10_minutes": 1},
        {"days_per_request": 31},
        {"readonly": False},
        {"contracts": {"ES": {"sec_type": "FUT"}}},
        {"contracts": {"ES": {"sec_type": "FUT", "expiry": "2024"}}},
        {"contracts": {"SPY": {"strike": 400}}},
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IbkrConfig(**wrong)


def test_a_contract_has_what_tws_asks_for() -> None:
    fields = ContractSpec(sec_type="FUT", exchange="CME", expiry="202403").named("ES").fields()
    assert {name: value for name, value in fields.items() if value} == {
        "secType": "FUT",
        "symbol": "ES",
        "exchange": "CME",
        "currency": "USD",
        "lastTradeDateOrContractMonth": "202403",
        "includeExpired": True,
    }
    by_number = ContractSpec(con_id=756733).named("SPY").fields()
    assert {name: value for name, value in by_number.items() if value} == {"exchange": "SMART", "conId": 756733}
