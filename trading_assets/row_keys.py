"""Which columns name a row of each published file: what revisions are told by."""

from collections.abc import Mapping
from typing import Final

_BAR = ("Symbol", "Timestamp")

KEYS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("d1_raw", "data.parquet"): _BAR,
    ("m1_raw", "data.parquet"): _BAR,  # not unique there; rows of a repeated minute are compared whole
    ("m1_bars", "refused.parquet"): _BAR,
    ("m1_bars", "report.parquet"): ("Symbol", "session"),
    **dict.fromkeys(
        ((name, "data.parquet") for name in ("m1_bars", "m5_bars", "m15_bars", "h1_bars", "d1_bars")), _BAR
    ),
    ("bar_quality", "data.parquet"): ("Symbol", "session"),
    ("bar_revisions", "data.parquet"): ("session", "revision", "Symbol", "Timestamp", "column"),
    ("bar_revisions", "revisions.parquet"): ("session", "revision"),
    ("corporate_actions", "data.parquet"): ("Symbol", "ex_date", "kind"),
    ("daily_features", "data.parquet"): ("Symbol", "session"),
    ("universe", "data.parquet"): ("Symbol", "session"),
    ("signals", "data.parquet"): _BAR,
    ("backtest", "data.parquet"): ("variant", "session", "horizon"),
    ("backtest", "equity_curve.parquet"): ("horizon", "Timestamp"),
    ("backtest", "filled_orders.parquet"): ("horizon", "Symbol", "setup_time", "time", "kind", "side"),
    ("backtest", "trades.parquet"): ("horizon", "Symbol", "setup_time", "side"),
    ("sweep", "data.parquet"): ("set",),
    ("sweep", "session_returns.parquet"): ("set", "session"),
    ("sweep", "walk_forward.parquet"): ("fold",),
    ("sweep", "walk_forward_returns.parquet"): ("session",),
    ("engine_parity", "data.parquet"): ("session", "variant", "compared"),
    ("paper_parity", "data.parquet"): ("account", "variant", "session"),
    ("paper_parity", "trades.parquet"): ("variant", "Symbol", "setup_time", "side"),
    ("promotion_decision", "data.parquet"): ("decision_id",),
    ("promotion_decision", "gates.parquet"): ("decision_id", "transition", "name"),
    ("order_batch", "data.parquet"): ("idempotency_key",),
    ("order_routing", "data.parquet"): ("id",),
    ("order_routing", "fills.parquet"): ("execution_id",),
    ("price_outliers", "data.parquet"): ("dataset", "universe", "Symbol", "session", "rule"),
    ("portfolio_worth", "data.parquet"): ("account", "variant", "session"),
    ("portfolio_worth", "positions.parquet"): ("account", "session", "order_ref"),
    ("report", "data.parquet"): ("session",),
}
"""Key columns by dataset and file. What is not listed has no key, e.g. the differences that a reconciliation found."""


def row_keys(path: str) -> tuple[str, ...]:
    """Key columns of the file at an object path, ``m5_bars/session=2020-01-02/data.parquet``; () where it has none."""
    dataset, _, file = path.partition("/")[0], "", path.rpartition("/")[2]
    return KEYS.get((dataset, file), ())
