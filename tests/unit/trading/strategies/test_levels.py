"""Levels are the decimals that they mean, however far the target."""

from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.strategies import with_targets
from trading.strategies.levels import clean

_ENTRY = st.integers(min_value=200, max_value=99_999_999)


@settings(max_examples=200, deadline=None)
@given(
    entry=_ENTRY,
    distance=st.integers(min_value=1, max_value=100_000),
    places=st.integers(min_value=0, max_value=4),
    reward=st.sampled_from(["0.5", "1", "1.5", "2", "3", "7.5", "10", "25"]),
)
def test_targets_are_exact_decimals(entry: int, distance: int, places: int, reward: str) -> None:
    unit = Decimal(1).scaleb(-places)
    level, far = entry * unit, min(distance, entry - 1) * unit
    setups = pl.DataFrame(
        {
            "long_entry": [float(level)],
            "sl_long": [float(level - far)],
            "short_entry": [float(level)],
            "sl_short": [float(level + far)],
        }
    )
    found = with_targets(setups, float(reward)).row(0, named=True)
    assert found["tp_long"] == float(level + Decimal(reward) * far)
    assert found["tp_short"] == float(level - Decimal(reward) * far)


def test_what_nearly_cancels_out_loses_the_noise_of_its_parts() -> None:
    assert 100.5 - 99.9 != 0.6
    frame = pl.DataFrame({"entry": [100.5, 1000.0, 0.00000412], "sl": [99.9, 999.93, 0.00000405]})
    entry, sl = pl.col("entry"), pl.col("sl")
    assert frame.select(clean(entry - sl, entry)).to_series().to_list() == [0.6, 0.07, 0.00000007]


def test_a_side_without_a_distance_is_absent() -> None:
    setups = pl.DataFrame(
        {"long_entry": [10.0, 10.0], "sl_long": [10.0, 9.0], "short_entry": [10.0, 9.0], "sl_short": [10.0, 9.0]}
    )
    assert with_targets(setups, 2.0).rows() == [(10.0, 9.0, None, None, 12.0, None)]
