"""Other futures for bars: hidden or forged after a cut, in one place or in many blocks at once."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import polars as pl

from trading.contracts import PRICES

Array = np.ndarray[Any, np.dtype[Any]]

_NOISE = 0.05  # standard deviation of the forged log prices
_SHIFT = 0.4  # by which all of them move together, up at one cut and down at another
_DROPPED = 0.1  # share of the forged bars that is left out
_HIDDEN = 0.25  # share of the blocks whose future is hidden instead of forged


@dataclass(frozen=True)
class Timeline:
    """The timestamps of some bars, in blocks of whole sessions. A place is a position among them.

    Attributes:
        instants: distinct timestamps, ascending (datetime64[us]).
        block: number of the block of each (int64, ascending from 0).
    """

    instants: Array
    block: Array

    @classmethod
    def of(cls, bars: pl.DataFrame, *, memory: int) -> "Timeline":
        """The timeline of ``bars``; its blocks are the fewest sessions that hold ``memory`` timestamps on average."""
        days = bars.group_by("Timestamp").agg(pl.col("session").min()).sort("Timestamp")
        number = days["session"].rle_id().to_numpy().astype(np.int64)
        sessions = int(number[-1]) + 1 if len(number) else 1
        together = max(1, -(-memory * sessions // max(len(number), 1)))
        return cls(_datetimes(days["Timestamp"]), number // together)

    def at(self, place: int) -> dt.datetime:
        instant: dt.datetime = self.instants[place].item()
        return instant.replace(tzinfo=dt.UTC)

    def places(self, timestamps: pl.Series) -> Array:
        """Place of each of ``timestamps``, which are all on the timeline."""
        return np.searchsorted(self.instants, _datetimes(timestamps))

    def rounds(self, count: int, at_signals: Array, random: np.random.Generator) -> Iterator[dict[int, int]]:
        """Cuts (place by block) of ``count`` rounds: the even blocks and the odd ones in turn, no place of a block twice.

        Places with a signal come every second time while there are any. A round without a cut is left out.
        """
        signal = np.zeros(len(self.instants), dtype=bool)
        signal[at_signals] = True
        edges = np.flatnonzero(np.diff(self.block, prepend=-1, append=-1))
        orders = []
        for start, end in pairwise(edges):
            places = random.permutation(np.arange(start, end - 1))  # the last ones are what edges() is for
            own, others = places[signal[places]], places[~signal[places]]
            shared = min(len(own), len(others))
            paired = np.stack([own[:shared], others[:shared]], axis=1).ravel()
            orders.append(np.concatenate([paired, own[shared:], others[shared:]]))
        for number in range(count):
            turn = number // 2
            cuts = {
                block: int(order[turn])
                for block, order in enumerate(orders)
                if block % 2 == number % 2 and turn < len(order)
            }
            if cuts:
                yield cuts

    def edges(self) -> "tuple[Timeline, list[dict[int, int]]]":
        """Cuts of two rounds at the last place of every block, where nothing of the block itself is left to forge.

        They go with the timeline that is given along: its blocks reach from the middle of one to the middle of the next.
        """
        place = np.arange(len(self.block))
        start = np.searchsorted(self.block, self.block)
        size = np.searchsorted(self.block, self.block, side="right") - start
        between = Timeline(self.instants, self.block + (2 * (place - start) >= size))
        last = np.flatnonzero(np.diff(self.block))
        cuts = dict(zip(between.block[last].tolist(), last.tolist(), strict=True))
        rounds = [{block: cut for block, cut in cuts.items() if block % 2 == parity} for parity in (0, 1)]
        return between, [found for found in rounds if found]

    def suspicious(self, expected: pl.DataFrame, found: pl.DataFrame, cuts: Mapping[int, int]) -> list[int]:
        """Those of ``cuts`` before which, within their own block, the two signal frames differ."""
        last = np.full(int(self.block[-1]) + 1, -1, dtype=np.int64)
        last[list(cuts)] = list(cuts.values())

        def tested(frame: pl.DataFrame) -> pl.DataFrame:
            places = self.places(frame["Timestamp"])
            return frame.filter(pl.Series(places <= last[self.block[places]], dtype=pl.Boolean))

        one, other = tested(expected), tested(found)
        if one.equals(other):
            return []
        return [cut for block, cut in cuts.items() if not self._of(block, one).equals(self._of(block, other))]

    def _of(self, block: int, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.Series(self.block[self.places(frame["Timestamp"])] == block, dtype=pl.Boolean))


@dataclass(frozen=True)
class Future:
    """Bars whose blocks each have another future after a cut.

    Attributes:
        original: the bars as they are.
        cuts: place of the cut by block.
        hidden: whether a block's future is hidden, by block; forged otherwise.
        of_row: the block of each row that is treated, -1 for the others.
        factors: of all prices of each row.
        kept: whether a forged row stays.
    """

    original: pl.DataFrame
    cuts: Mapping[int, int]
    hidden: Array
    of_row: Array
    factors: Array
    kept: Array

    @property
    def bars(self) -> pl.DataFrame:
        return _treated(self.original, self.of_row >= 0, self.factors, self.kept)

    def only(self, cut: int) -> pl.DataFrame:
        """The bars with the other future of this cut's block alone."""
        return _treated(self.original, self.of_row == self._block(cut), self.factors, self.kept)

    def experiment(self, cut: int) -> Literal["truncation", "perturbation"]:
        return "truncation" if self.hidden[self._block(cut)] else "perturbation"

    def _block(self, cut: int) -> int:
        return next(block for block, place in self.cuts.items() if place == cut)


class Futures:
    """Makes other futures for one frame of bars."""

    def __init__(self, bars: pl.DataFrame, time: Timeline, random: np.random.Generator) -> None:
        self.bars, self.random = bars, random
        self.place = time.places(bars["Timestamp"])
        rises = pl.col("Close") > pl.col("Close").shift().over("Symbol")
        self.rises = bars.select(rises.fill_null(False)).to_series().to_numpy()

    def forged(self, cut: int, *, up: bool) -> pl.DataFrame:
        """Everything after ``cut`` forged."""
        factors, kept = self._forgery(np.full(self.bars.height, _SHIFT if up else -_SHIFT))
        return _treated(self.bars, self.place > cut, factors, kept)

    def in_blocks(self, time: Timeline, cuts: Mapping[int, int]) -> Future:
        """After each of ``cuts`` the rest of its block hidden, or forged against what came: a bar that rose is far down.

        So a rule that asks where the next bars go gets the other answer. ``time`` has the blocks.
        """
        count = int(time.block[-1]) + 1
        last = np.full(count, len(time.instants), dtype=np.int64)  # nothing lies after it
        last[list(cuts)] = list(cuts.values())
        hidden = self.random.random(count) < _HIDDEN
        block = time.block[self.place]
        of_row = np.where(self.place > last[block], block, -1)
        factors, kept = self._forgery(np.where(self.rises, -_SHIFT, _SHIFT))
        return Future(self.bars, cuts, hidden, of_row, factors, kept & ~hidden[block])

    def _forgery(self, shift: Array) -> tuple[Array, Array]:
        """One factor a bar on all its prices, so that High and Low still bound the others; and who stays."""
        factors: Array = np.exp(shift + self.random.normal(0.0, _NOISE, len(shift)))
        return factors, self.random.random(len(shift)) >= _DROPPED


def _treated(bars: pl.DataFrame, rows: Array, factors: Array, kept: Array) -> pl.DataFrame:
    here, scale = pl.lit(pl.Series(rows)), pl.lit(pl.Series(factors))
    changed = bars.with_columns(
        *(pl.when(here).then(pl.col(price) * scale).otherwise(price).alias(price) for price in PRICES),
        Volume=pl.when(here).then(pl.col("Volume") * 3 + 1).otherwise("Volume"),
    )
    return changed.filter(pl.Series(~rows | kept, dtype=pl.Boolean))


def _datetimes(timestamps: pl.Series) -> Array:
    return timestamps.dt.replace_time_zone(None).to_numpy().astype("datetime64[us]", copy=False)
