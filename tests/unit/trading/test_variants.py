"""Variants: read from configuration, identified by content, labelled for a person."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from trading.errors import ConfigError
from trading.variants import Variant, run_label

RUNS = Path(__file__).parents[3] / "configs" / "runs"

BASE = {
    "name": "risk1",
    "strategy": "insidebar_intraday",
    "timeframe": "5m",
    "params": {"risk_reward": 2.0},
    "replay": {
        "initial_cash": 10000.0,
        "costs": {"fees_bps": 2.0, "slippage_bps": 1.0},
        "sizing": {"mode": "risk", "risk_pct": 1.0, "max_pos_pct": 20.0, "equity": 10000.0},
    },
}


def test_the_delivered_variants_are_valid_and_differ():
    variants = [
        Variant.from_config({"name": file.stem, **yaml.safe_load(file.read_text(encoding="utf-8"))})
        for file in sorted(RUNS.glob("*.yml"))
    ]
    assert {"fixed1", "pos10pct", "risk1", "insidebar_breakout"} <= {v.name for v in variants}
    assert len({v.config_hash for v in variants}) == len(variants)
    assert all(v.replay.costs.fees_bps > 0 for v in variants)


def test_identity():
    one = Variant.from_config(BASE)
    spelled = Variant.from_config({**BASE, "timeframe": "5m", "params": {"risk_reward": 2, "strict": False}})
    assert (one.strategy_version, one.config_hash) == (spelled.strategy_version, spelled.config_hash)
    labelled = Variant.from_config({**BASE, "label": "Mine"})
    assert labelled.config_hash == one.config_hash
    resized = Variant.from_config({**BASE, "replay": {**BASE["replay"], "initial_cash": 5000.0}})
    assert resized.strategy_version == one.strategy_version
    assert resized.config_hash != one.config_hash
    other = Variant.from_config({**BASE, "params": {"risk_reward": 3.0}})
    assert other.strategy_version != one.strategy_version


def test_a_variant_cannot_change():
    with pytest.raises(ValidationError):
        Variant.from_config(BASE).timeframe = "1d"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"strategy": "nothing"}, "'nothing' is unknown; registered"),
        ({"strategy": None}, "strategy is missing"),
        ({"timeframe": "1d"}, "insidebar_intraday reads 5m .found '1d'"),
        ({"params": {"reward": 1}}, "params: reward is unknown; the parameters are"),
        ({"params": [1]}, "params must be a mapping"),
        ({"replay": {"initial_cash": -1}}, r"replay.initial_cash: .*greater than 0.*found -1"),
        ({"replay": {"sizing": {"mode": "risk"}}}, r"replay.sizing.*risk_pct: Field required"),
        ({"name": "Risk 1"}, "name: .*should match"),
        ({"fees": 2}, "fees is unknown; the settings are name, label"),
    ],
)
def test_wrong_settings_are_named(change, says):
    with pytest.raises(ConfigError, match=says) as error:
        Variant.from_config({**BASE, **change})
    if change.get("strategy") != "nothing":
        assert "variant" in str(error.value)


def test_the_validity_of_a_setup_has_one_source():
    base = {**BASE, "strategy": "insidebar_breakout", "timeframe": "1d", "params": {"valid_sessions": 3}}
    assert Variant.from_config(base).replay.valid_sessions == 3
    with pytest.raises(ConfigError, match=r"replay.valid_sessions is 1 and params.valid_sessions 3"):
        Variant.from_config({**base, "replay": {**BASE["replay"], "valid_sessions": 1}})


def test_labels():
    metrics = {"num_trades": 20, "win_rate": 0.75, "net_pnl": 3.61}
    variant = Variant.from_config(BASE)
    expected = "IB · Risk 1% · 10k · fees 2bps · 20 trades · WR 0.75 · PnL +3.61"
    assert run_label(variant, metrics) == expected
    assert run_label(variant) == "IB · Risk 1% · 10k · fees 2bps"
    sizings = {
        "Fixed 1": {"mode": "fixed", "qty": 1},
        "Position 10%": {"mode": "pct_of_equity", "pos_pct": 10},
        "Kelly 0.5": {
            "mode": "kelly",
            "lookback": 50,
            "min_trades": 20,
            "fraction": 0.5,
            "min_pct": 0.25,
            "max_pct": 2.0,
            "max_pos_pct": 20.0,
        },
    }
    for text, sizing in sizings.items():
        other = Variant.from_config({**BASE, "replay": {"initial_cash": 2_500_000.0, "sizing": sizing}})
        assert run_label(other) == f"IB · {text} · 2.5M · fees 0bps"
    none = {"num_trades": 1, "win_rate": None, "net_pnl": -0.004}
    assert run_label(variant, none).endswith("1 trade · WR n/a · PnL +0.00")
