"""Trades of an account held against the replay of the same sessions."""

import math
from dataclasses import dataclass

import polars as pl

from trading.errors import DataError

KEYS = ("Symbol", "setup_time", "side")
"""What makes two trades the same one: the signal's bar and the side."""

TRADES = {
    "Symbol": pl.String(),
    "setup_time": pl.Datetime("us", "UTC"),
    "side": pl.Int8(),
    "qty": pl.Float64(),
    "entry_price": pl.Float64(),
    "exit_price": pl.Float64(),
    "exit_reason": pl.String(),
}
"""Columns of a closed trade that are compared."""

_WITHOUT_SLIPPAGE = "tp"  # a limit order
_BPS = 1e4
_DIGITS = 6  # of a basis point: less is how floats are written


@dataclass(frozen=True)
class PaperParity:
    """What the account did against what the replay says it should have done.

    Attributes:
        trades: of the account.
        missed, extra: in the replay only; in the account only.
        max_price_difference_bps: largest of an entry or exit of a matched trade, of the replay's price; None without one.
        slippage_bps: mean over entries and exits of matched trades that pay it, against the trader positive, measured from the
            price that the replay's own assumption starts from; None without one.
        slippage_fills: number of those.
        rows: one a trade: the columns of :data:`TRADES`, those of the replay with ``_replay``, ``found`` (matched, missed or
            extra) and ``price_difference_bps``, the larger of its two.
    """

    trades: int
    missed: int
    extra: int
    max_price_difference_bps: float | None
    slippage_bps: float | None
    slippage_fills: int
    rows: pl.DataFrame


def paper_parity(account: pl.DataFrame, replayed: pl.DataFrame, assumed_slippage_bps: float) -> PaperParity:
    """Compare closed trades, one by one.

    Args:
        account, replayed: columns of :data:`TRADES`; more are ignored. ``replayed`` without those that only the end of the
            data closed.
        assumed_slippage_bps: that is in the prices of ``replayed``, see :class:`trading.replay.Costs`.

    Raises:
        DataError: a trade comes twice on one side.
    """
    for name, frame in (("the account", account), ("the replay", replayed)):
        twice = frame.filter(pl.struct(*KEYS).is_duplicated())
        if twice.height:
            raise DataError(f"{name} has {twice.height} trades of one signal and side, the first: {twice.row(0)}")
    both = account.select(*TRADES).join(
        replayed.select(*TRADES), on=KEYS, how="full", suffix="_replay", coalesce=True, validate="1:1"
    )
    ours, theirs = pl.col("qty").is_not_null(), pl.col("qty_replay").is_not_null()
    gaps = [(pl.col(name) / pl.col(f"{name}_replay") - 1).abs() * _BPS for name in ("entry_price", "exit_price")]
    rows = both.with_columns(
        found=pl.when(~ours).then(pl.lit("missed")).when(~theirs).then(pl.lit("extra")).otherwise(pl.lit("matched")),
        price_difference_bps=pl.when(ours & theirs).then(pl.max_horizontal(*gaps).round(_DIGITS)),
    ).sort("setup_time", "Symbol", "side")
    paid = _slippage(rows.filter(pl.col("found") == "matched"), assumed_slippage_bps)
    worst = rows["price_difference_bps"].max()
    return PaperParity(
        trades=account.height,
        missed=rows.filter(pl.col("found") == "missed").height,
        extra=rows.filter(pl.col("found") == "extra").height,
        max_price_difference_bps=worst if isinstance(worst, float) else None,
        slippage_bps=round(math.fsum(paid) / len(paid), _DIGITS) if paid else None,
        slippage_fills=len(paid),
        rows=rows,
    )


def _slippage(matched: pl.DataFrame, assumed_bps: float) -> list[float]:
    """Paid per fill, basis points of the price without slippage."""
    buys = pl.col("side")  # an entry buys where the side is long, an exit where it is short
    paid: list[float] = []
    for price, sign in (("entry_price", buys), ("exit_price", -buys)):
        rows = matched
        if price == "exit_price":  # an exit of another kind than the replay's has no price to start from
            same = pl.col("exit_reason") == pl.col("exit_reason_replay")
            rows = matched.filter(same & (pl.col("exit_reason") != _WITHOUT_SLIPPAGE))
        start = pl.col(f"{price}_replay") / (1 + sign * assumed_bps / _BPS)
        paid += rows.select((sign * (pl.col(price) / start - 1) * _BPS).alias("paid"))["paid"].to_list()
    return paid
