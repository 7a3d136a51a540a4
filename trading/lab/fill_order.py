"""How much of a result hangs on the order in which prices came inside a bar, which bars do not tell."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from trading.instruments import Instrument
from trading.replay import ReplayConfig, ReplayResult, replay
from trading.replay.fill_order import FILL_ORDERS, FillOrder

Metrics = Mapping[str, float | int | None]


@dataclass(frozen=True)
class FillOrderSensitivity:
    """The metrics of :class:`trading.replay.ReplayResult` under each of :data:`FILL_ORDERS`."""

    metrics: Mapping[FillOrder, Metrics]

    @property
    def worst_expectancy(self) -> float | None:
        """The lowest expectancy of them; None where one has no trade."""
        found = [metrics["expectancy"] for metrics in self.metrics.values()]
        known = [value for value in found if value is not None]
        return min(known) if len(known) == len(found) else None


def fill_order_sensitivity(
    bars: pl.DataFrame,
    signals: pl.DataFrame,
    config: ReplayConfig,
    instruments: Mapping[str, Instrument] | None,
    rules: ReplayResult,
) -> FillOrderSensitivity:
    """Replay under the other readings of a bar.

    Args:
        rules: the replay by the rules, which are the pessimistic reading.
    """
    others = [name for name in FILL_ORDERS if name != "pessimistic"]
    found: dict[FillOrder, Metrics] = {"pessimistic": rules.metrics}
    for name in others:
        found[name] = replay(bars, signals, config, instruments, fill_order=name).metrics
    return FillOrderSensitivity(found)
