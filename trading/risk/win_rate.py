"""The win rate that a variant was promoted with: what its live trades are held against."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trading.promotion.statistics import wilson_lower_bound


@dataclass(frozen=True)
class WinRateReference:
    """Reference of the losing-streak breaker.

    Attributes:
        rate: lower bound of the win rate in the backtest that the variant was promoted on.
        since: session of that decision; trades closed after it count.
    """

    rate: float
    since: dt.date


def reference_of(metrics: Sequence[Mapping[str, float | None]], since: dt.date) -> WinRateReference | None:
    """From the metrics of the backtest's horizons: the one with the most trades; None without a trade.

    Args:
        metrics: of a replay each, with ``num_trades`` and ``win_rate``.
    """
    found = [(int(m.get("num_trades") or 0), m.get("win_rate")) for m in metrics]
    trades, rate = max(found, key=lambda item: item[0], default=(0, None))
    if trades == 0 or rate is None:
        return None
    bound = wilson_lower_bound(round(rate * trades), trades)
    return None if bound is None else WinRateReference(bound, since)
