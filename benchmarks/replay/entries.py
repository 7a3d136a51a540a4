"""Brackets as the arrays that vectorbt's from_signals takes: who was filled first is looked up beforehand, without the clock."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.replay.data import BARS_A_SESSION, CONFIG


@dataclass(frozen=True)
class Entries:
    """Arrays of (timestamps, Symbols), C-ordered."""

    long: Any
    short: Any
    exits: Any
    price: Any
    size: Any
    sl_stop: Any
    tp_stop: Any
    count: int


def entries(grid: Any, levels: Any) -> Entries:
    """The first bar of the session after each signal, up to the next one, on which a side is hit.

    Sizes are those of the cash that there is at the beginning, as from_signals cannot know a risk of the equity at the
    time. An entry on the last bar of a session is left out, as its exit would be another order on the same bar.
    """
    shape = grid.close.shape
    row, column = np.nonzero(grid.signal >= 0)
    order = np.lexsort((row, column))
    row, column = row[order], column[order]
    k = grid.signal[row, column]
    following = np.full(len(row), shape[0])
    same = column[1:] == column[:-1]
    following[:-1][same] = row[1:][same]
    end = np.minimum(following, row // BARS_A_SESSION * BARS_A_SESSION + BARS_A_SESSION - 2)
    up, down = levels[k, 0], levels[k, 3]
    hit = np.full(len(row), -1)
    for ahead in range(1, BARS_A_SESSION):
        at = np.minimum(row + ahead, shape[0] - 1)
        found = (hit < 0) & (row + ahead <= end)
        found &= (grid.high[at, column] >= up) | (grid.low[at, column] <= down)
        hit[found] = at[found]
    filled = hit >= 0
    at, column, k = hit[filled], column[filled], k[filled]
    opened = grid.open[at, column]
    up, down = levels[k, 0], levels[k, 3]
    goes_up, goes_down = grid.high[at, column] >= up, grid.low[at, column] <= down
    nearer = np.where(opened >= up, True, np.where(opened <= down, False, up - opened < opened - down))
    long = goes_up & (~goes_down | nearer)
    raw = np.where(long, np.maximum(opened, up), np.minimum(opened, down))
    stop = np.where(long, levels[k, 1], levels[k, 4])
    target = np.where(long, levels[k, 2], levels[k, 5])
    entry = np.where(long, up, down)
    sizing, cash = CONFIG.sizing, CONFIG.initial_cash
    size = np.floor(
        np.minimum(
            cash * sizing.risk_pct / 100 / np.abs(entry - stop),  # type: ignore[union-attr]
            cash * sizing.max_pos_pct / 100 / entry,  # type: ignore[union-attr]
        )
    )
    keep = (size > 0) & np.where(long, raw < target, raw > target)

    def laid(values: Any, empty: Any) -> Any:
        array = np.full(shape, empty)
        array[at[keep], column[keep]] = values[keep]
        return array

    exits = grid.last.astype(bool)
    price = np.where(exits, grid.close, laid(raw, np.nan))
    return Entries(
        long=laid(long, False),
        short=laid(~long, False),
        exits=exits,
        price=price,
        size=laid(size, 0.0),
        sl_stop=laid(np.abs(raw - stop) / raw, np.nan),
        tp_stop=laid(np.abs(target - raw) / raw, np.nan),
        count=int(keep.sum()),
    )
