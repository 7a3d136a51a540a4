"""Synthetic M1 bars: U-shaped days, regimes with momentum, extended hours, and a known list of faults."""

import datetime as dt
from collections.abc import Iterator, Sequence
from functools import cached_property
from string import ascii_uppercase
from typing import Any

import numpy as np
import polars as pl

from trading.corporate_actions import ACTION_COLUMNS, SPLIT, collect_actions
from trading.errors import ConfigError
from trading.sessions import SessionCalendar, get_calendar
from trading.synthetic.faults import Fault, Injection, fault_table, inject, plan

Array = np.ndarray[Any, np.dtype[Any]]

_PRE = 90  # minutes of pre-market: from 08:00 New York
_DAY_LENGTH = 510  # minutes from the open to 18:00 New York
_MINUTE = 60_000_000
_SPLIT = 4
_ANNOUNCED = dt.timedelta(days=14)  # before it takes effect

_PRICES = (41.0, 58.0, 73.0, 236.0, 96.0, 121.0, 164.0, 318.0)
_ANNUAL_VOLATILITY = (0.38, 0.30, 0.45, 0.34, 0.27, 0.32, 0.24, 0.41)
_DAILY_VOLUME = (6.0e6, 2.4e6, 3.5e6, 5.2e6, 1.1e6, 1.8e6, 2.9e6, 0.9e6)


class SyntheticMarket:
    """A seeded market of made-up Symbols on the XNYS calendar.

    Everything is a function of the arguments: the same ones give the same frames on the same numpy. One
    Symbol does not depend on how many others there are, but for which of them the faults hit.

    Args:
        seed: any int >= 0.
        symbols: how many (named SYNA, SYNB, ... SYNAA, ...), or their names.
        first_session: first date looked at; moved on to the next session where it is none.
        sessions: how many.
        injections: wrong rows on request; without them every row is well-formed.

    Raises:
        ConfigError: an argument that makes no market, or an injection outside it.
    """

    def __init__(
        self,
        seed: int = 7,
        symbols: int | Sequence[str] = 8,
        first_session: dt.date = dt.date(2023, 10, 2),
        sessions: int = 48,
        injections: Sequence[Injection] = (),
    ) -> None:
        names = [_symbol(i) for i in range(symbols)] if isinstance(symbols, int) else list(symbols)
        if seed < 0 or sessions < 1 or not names or len(set(names)) != len(names):
            raise ConfigError("a synthetic market needs a seed >= 0, at least one session and distinct Symbols")
        self.seed = seed
        self.symbols = names
        self.calendar: SessionCalendar = get_calendar("XNYS")
        last = first_session + dt.timedelta(days=int(sessions * 1.6) + 14)
        self.schedule = self.calendar.frame(first_session, last).head(sessions)
        self.injections = list(injections)
        days = set(self.schedule["session"].to_list())
        for wanted in self.injections:
            if wanted.symbol not in names or wanted.session not in days:
                raise ConfigError(f"{wanted} is outside the market ({names[0]}.., {min(days)} to {max(days)})")
        self._faults = plan(self._rng(0), names, self.schedule, self.calendar)

    @property
    def label(self) -> str:
        return f"SYNTHETIC market, seed {self.seed}: not real prices"

    @property
    def sessions(self) -> list[dt.date]:
        return self.schedule["session"].to_list()

    @property
    def faults(self) -> pl.DataFrame:
        """What is irregular and where: kind, Symbol (null: all), session, count (minutes or rows), detail."""
        return fault_table(self._faults, self.injections)

    @property
    def corporate_actions(self) -> pl.DataFrame:
        """The market's splits, contract ``corporate_actions``; known two weeks before, as they are."""
        rows = [
            (fault.symbol, fault.session, SPLIT, float(_SPLIT), None, None, fault.session - _ANNOUNCED, "synthetic")
            for fault in self._faults
            if fault.kind == "split"
        ]
        return collect_actions([pl.DataFrame(rows, schema=dict(ACTION_COLUMNS), orient="row")])

    def frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Symbol and :meth:`frame` of each Symbol, in the order of ``symbols``."""
        for symbol in self.symbols:
            yield symbol, self.frame(symbol)

    def m1(self) -> pl.DataFrame:
        """All Symbols in one frame: Symbol, Timestamp, Open, High, Low, Close, Volume."""
        parts = [frame.select(pl.lit(symbol).alias("Symbol"), pl.all()) for symbol, frame in self.frames()]
        return pl.concat(parts)

    def frame(self, symbol: str) -> pl.DataFrame:
        """Minutes of one Symbol, extended hours and faults included, by time.

        Returns:
            Timestamp (Datetime[us, UTC], start of the minute), Open, High, Low, Close (Float64, whole cents,
            raw), Volume (Int64, at least 1).
        """
        index = self.symbols.index(symbol)
        rng = self._rng(1 + index)
        own = [f for f in self._faults if f.symbol == symbol]
        prices = self._prices(rng, index, own)
        volume = self._volume(rng, index)
        factor = self._split_factor(own)
        volume = np.maximum(1, np.rint(volume * factor)).astype(np.int64)
        keep = self._present(rng, own)
        columns = {name: values[keep] for name, values in prices.items()}
        frame = pl.DataFrame({"Timestamp": self._stamps[keep], **columns, "Volume": volume[keep]}).with_columns(
            pl.col("Timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        )
        frame = self._duplicate(frame, own)
        for wanted in self.injections:
            if wanted.symbol == symbol:
                frame = inject(frame, wanted, self._busy_minute(frame, wanted.session))
        return frame

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, stream])))

    @cached_property
    def _minutes(self) -> Array:
        """Regular minutes of each session, shape (sessions, 1)."""
        return self.schedule["minutes"].to_numpy()[:, None].astype(np.int64)

    @cached_property
    def _stamps(self) -> Array:
        """Microseconds of each minute from 08:00 to 18:00 New York, shape (sessions, 600)."""
        opens = self.schedule["open"].dt.epoch("us").to_numpy()
        stamps: Array = opens[:, None] + self._offsets * _MINUTE
        return stamps

    @cached_property
    def _offsets(self) -> Array:
        """Minutes since the open, shape (1, 600); below 0 is pre-market."""
        return np.arange(-_PRE, _DAY_LENGTH, dtype=np.int64)[None, :]

    @cached_property
    def _regular(self) -> Array:
        regular: Array = (self._offsets >= 0) & (self._offsets < self._minutes)
        return regular

    @cached_property
    def _activity(self) -> Array:
        """Volatility of each minute over the regular session's mean: high at open and close, low outside."""
        since, until = self._offsets.astype(float), (self._minutes - 1 - self._offsets).astype(float)
        smile = 0.62 + 1.5 * np.exp(-np.maximum(since, 0) / 22) + 0.7 * np.exp(-np.maximum(until, 0) / 28)
        smile = np.where(self._regular, smile, 0.0)
        mean = smile.sum(axis=1, keepdims=True) / self._minutes
        activity: Array = np.where(self._regular, smile / mean, 0.35)
        return activity

    @cached_property
    def _market_shocks(self) -> Array:
        """Shocks that all Symbols share, from a stream of their own."""
        rng = self._rng(1_000_000)
        shocks: Array = np.asarray(rng.standard_normal(self._stamps.shape))
        return shocks

    def _prices(self, rng: np.random.Generator, index: int, own: list[Fault]) -> dict[str, Array]:
        days, width = self._stamps.shape
        daily = _ANNUAL_VOLATILITY[index % 8] / np.sqrt(252)
        sigma = daily * 0.7 / np.sqrt(390) * self._activity * self._daily_heat(rng, days)
        shocks = 0.45 * self._market_shocks + 0.89 * rng.standard_normal((days, width))
        steps = sigma * (shocks + self._momentum(rng, days, width))
        steps[:, 0] += daily * 0.5 * rng.standard_normal(days)
        exact = _PRICES[index % 8] * np.exp(np.cumsum(steps.ravel())).reshape(days, width)
        exact = exact / self._split_factor(own)
        before = np.concatenate([[exact[0, 0]], exact.ravel()[:-1]]).reshape(days, width)
        before[:, 0] = exact[:, 0]
        noise = sigma * exact
        opened = before + 0.15 * noise * rng.standard_normal((days, width))
        reach = np.abs(rng.standard_normal((2, days, width))) * noise * 0.45
        opened, closed = _cents(opened), _cents(exact)
        high = np.maximum(_cents(np.maximum(before, exact) + reach[0]), np.maximum(opened, closed))
        low = np.minimum(_cents(np.minimum(before, exact) - reach[1]), np.minimum(opened, closed))
        return {"Open": opened, "High": high, "Low": np.maximum(low, 0.01), "Close": closed}

    @staticmethod
    def _daily_heat(rng: np.random.Generator, days: int) -> Array:
        """Volatility clusters: a log AR(1) over sessions, shape (sessions, 1)."""
        shocks = rng.standard_normal(days) * 0.18
        heat = np.zeros(days)
        for day in range(1, days):
            heat[day] = 0.75 * heat[day - 1] + shocks[day]
        by_day: Array = np.exp(heat)[:, None]
        return by_day

    @staticmethod
    def _momentum(rng: np.random.Generator, days: int, width: int) -> Array:
        """Drift in units of a minute's volatility: a regime over days, and runs of 20 to 75 minutes.

        Quiet stretches between runs make inside bars, runs make the breakouts after them.
        """
        regime = np.repeat(rng.normal(0.0, 0.012, size=days // 8 + 1), 8)[:days]
        total = days * width
        lengths = rng.integers(20, 76, size=total // 20 + 1)
        ends = np.cumsum(lengths)
        count = int(np.searchsorted(ends, total)) + 1
        strength = np.where(rng.random(count) < 0.45, rng.normal(0.0, 0.16, count), 0.0)
        drift: Array = np.repeat(strength, lengths[:count])[:total].reshape(days, width) + regime[:, None]
        return drift

    def _volume(self, rng: np.random.Generator, index: int) -> Array:
        """Shares per minute, before a split's factor."""
        per_minute = _DAILY_VOLUME[index % 8] / 390
        noise = np.exp(rng.standard_normal(self._stamps.shape) * 0.55 - 0.15)
        day = np.exp(rng.standard_normal((len(self.schedule), 1)) * 0.2)
        share = np.where(self._regular, self._activity**1.4, 0.03)
        volume: Array = per_minute * share * noise * day
        return volume

    def _split_factor(self, own: list[Fault]) -> Array:
        """1 before a split and its ratio from it on, shape (sessions, 1)."""
        factor = np.ones((len(self.schedule), 1))
        for fault in own:
            if fault.kind == "split":
                factor[self.sessions.index(fault.session) :] = _SPLIT
        return factor

    def _present(self, rng: np.random.Generator, own: list[Fault]) -> Array:
        """Which minutes have a row: all regular ones but the faults', about a quarter outside."""
        sparse = rng.random(self._stamps.shape) < np.where(self._offsets < 0, 0.28, 0.2)
        present: Array = self._regular | sparse
        for fault in own:
            if fault.kind in ("halt", "missing_minutes"):
                present[self.sessions.index(fault.session), np.array(fault.minutes) + _PRE] = False
        return present

    def _duplicate(self, frame: pl.DataFrame, own: list[Fault]) -> pl.DataFrame:
        for fault in own:
            if fault.kind == "exact_duplicates":
                start = self.calendar.open(fault.session)
                twice = [start + dt.timedelta(minutes=m) for m in fault.minutes]
                repeated = frame.filter(pl.col("Timestamp").is_in(twice))
                frame = pl.concat([frame, repeated]).sort("Timestamp", maintain_order=True)
        return frame

    def _busy_minute(self, frame: pl.DataFrame, session: dt.date) -> dt.datetime:
        """A minute in the middle of the session that has exactly one row."""
        start, middle = self.calendar.open(session), self.calendar.minutes(session) // 2
        once = frame.filter(pl.col("Timestamp").is_unique() & (pl.col("Timestamp") >= start))
        minute: dt.datetime = once["Timestamp"][middle]
        return minute


def _cents(prices: Array) -> Array:
    rounded: Array = np.rint(prices * 100) / 100
    return rounded


def _symbol(index: int) -> str:
    letters = ascii_uppercase[index % 26]
    while index >= 26:
        index = index // 26 - 1
        letters = ascii_uppercase[index % 26] + letters
    return f"SYN{letters}"
