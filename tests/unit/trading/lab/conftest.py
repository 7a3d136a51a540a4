"""What the lab's tests share: a small market of inside bars, and a variant to start from."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trading.bars import assemble_m1, resample
from trading.lab.config import SweepConfig
from trading.synthetic import SyntheticMarket
from trading.variants import Variant

ANSWERS = Path(__file__).parents[3] / "answers" / "lab"


def answers(name: str) -> pl.DataFrame:
    return pl.read_csv(ANSWERS / name, comment_prefix="#")


@pytest.fixture(scope="session")
def bars() -> pl.DataFrame:
    market = SyntheticMarket(seed=5, symbols=3, sessions=24)
    raw = pl.concat(frame.with_columns(Symbol=pl.lit(symbol)) for symbol, frame in market.frames())
    columns = ["Symbol", "Timestamp", "Open", "High", "Low", "Close", "Volume"]
    return resample(assemble_m1([raw.select(columns)]).bars, "5m")


@pytest.fixture(scope="session")
def base() -> Variant:
    return Variant.from_config(
        {
            "name": "base",
            "strategy": "insidebar_intraday",
            "params": {"risk_reward": 2.0},
            "replay": {
                "costs": {"fees_bps": 1.0, "slippage_bps": 1.0},
                "sizing": {"mode": "risk", "risk_pct": 1.0, "max_pos_pct": 20.0, "equity": 10_000.0},
            },
        }
    )


def config(**changed: Any) -> SweepConfig:
    content: dict[str, Any] = {
        "name": "tried",
        "variant": "base",
        "params": {"risk_reward": [1.0, 2.0, 3.0], "max_setups_per_window": [1, 2]},
        "replay": {"sizing.risk_pct": [0.5, 1.0]},
        "walk_forward": {"train": 8, "test": 4},
        "cscv": {"blocks": 6},
        "monte_carlo": {"runs": 50},
        **changed,
    }
    return SweepConfig.model_validate({name: value for name, value in content.items() if value is not None})
