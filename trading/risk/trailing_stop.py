"""The bot's own trailing stop, the first of three protective layers over a position."""

from dataclasses import dataclass, replace

from trading.accounts import TrailingStopLimits


@dataclass(frozen=True)
class TrailingStop:
    """A trailing stop of one position.

    Attributes:
        side: 1 long, -1 short.
        entry: average entry price, currency.
        best: the most favourable Close so far, the entry at the start.
    """

    side: int
    entry: float
    best: float

    @classmethod
    def of(cls, side: int, entry: float) -> "TrailingStop":
        return cls(side, entry, entry)

    def seen(self, close: float) -> "TrailingStop":
        """After a bar that closed at ``close``; the best never comes back."""
        return replace(self, best=max(self.best, close) if self.side > 0 else min(self.best, close))

    def active(self, limits: TrailingStopLimits) -> bool:
        """Whether the best was ``activate_pct`` percent better than the entry."""
        return self.side * (self.best - self.entry) * 100 >= limits.activate_pct * self.entry

    def level(self, limits: TrailingStopLimits) -> float | None:
        """Where the position is left: ``trail_pct`` percent behind the best; None while not active."""
        if not self.active(limits):
            return None
        return self.best * (1 - self.side * limits.trail_pct / 100)

    def hit(self, close: float, limits: TrailingStopLimits) -> bool:
        """Whether a Close is at the level or beyond it."""
        level = self.level(limits)
        return level is not None and self.side * (close - level) <= 0
