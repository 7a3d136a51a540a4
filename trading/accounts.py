"""What one trading account may do: its broker, its books with their capital, its limits."""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from trading.ibkr_account import IbkrAccount

_ACCOUNT_NUMBER = (
    r"(?i)(DU|DF|U|F|I)?\d{5,}"  # as Interactive Brokers writes them, paper ones with a D; or digits alone
)

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,63}$"

ReconcilePolicy = Literal["adopt", "protect", "flatten", "halt"]

_Name = Annotated[str, Field(pattern=NAME_PATTERN)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Percent = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]
_Minutes = Annotated[float, Field(ge=0, le=24 * 60, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BookConfig(_Model):
    """One variant's own book in the account.

    Args:
        capital: seed, in the account's currency; drawdown is measured against it.
    """

    capital: _Positive


class SpendingWindow(_Model):
    """Gate 8: most new notional of the account's entries sent between two times of the exchange's day.

    Args:
        start, end: ``HH:MM`` on the exchange's clock, start included, end excluded.
        max_notional: sum of quantity times entry level, in currency.
    """

    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
    max_notional: _NotNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"start ({self.start}) must be before end ({self.end})")
        return self


class KellyCap(_Model):
    """Gate 11: risk per trade at most ``fraction`` of Kelly, held within ``min_pct`` and ``max_pct`` of equity.

    Args:
        min_trades: closed trades of the book from which its Kelly fraction counts.
    """

    min_trades: Annotated[int, Field(ge=1)] = 10
    fraction: _Positive = 0.5
    min_pct: _NotNegative = 1.0
    max_pct: _Percent = 5.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_pct > self.max_pct:
            raise ValueError(f"min_pct ({self.min_pct}) must not exceed max_pct ({self.max_pct})")
        return self


class Limits(_Model):
    """Settings of the pre-trade gates, in their order; all percentages are of the book's equity unless said.

    Args:
        dedupe_seconds: gate 4, same Symbol, side and price in the book within this time is a duplicate.
        cooldown_minutes: gate 5, no re-entry of a Symbol in the book for this long after its stop-out.
        orders_per_second, orders_per_minute: gate 6, token buckets of the account.
        max_trades_account, max_trades_variant, max_trades_symbol: gate 7, entries per session, filled or working.
        spending_windows: gate 8; empty = no rule.
        hard_stop_pct: gate 9, most that one order may lose at its stop.
        expectancy_min_trades: gate 10, closed trades of the book from which its win rate counts; None = not enforced.
        kelly: gate 11; None = not enforced.
        max_symbol_pct, max_gross_pct, max_net_pct: gate 12, notional held and on order, against the account's equity.
        max_leverage: gate 12, gross notional of the book over its equity.
        max_price_deviation_pct: gate 13, distance of the entry from the last price, percent of it.
        max_price_age_seconds: gate 13, age of the last price.
        max_batch_risk_pct: of a batch, before any gate: what all its setups may lose together at their stops, of the account's
            equity; the setups that come later than those that fit are left out. None = no limit.
    """

    dedupe_seconds: _NotNegative = 30.0
    cooldown_minutes: _Minutes = 5.0
    orders_per_second: Annotated[int, Field(ge=1)] = 50
    orders_per_minute: Annotated[int, Field(ge=1)] = 500
    max_trades_account: _Count = 1000
    max_trades_variant: _Count = 500
    max_trades_symbol: _Count = 100
    spending_windows: tuple[SpendingWindow, ...] = ()
    hard_stop_pct: _Percent = 2.0
    expectancy_min_trades: Annotated[int, Field(ge=1)] | None = 30
    kelly: KellyCap | None = KellyCap()
    max_symbol_pct: _Positive = 100.0
    max_gross_pct: _Positive = 400.0
    max_net_pct: _Positive = 400.0
    max_leverage: _Positive = 4.0
    max_price_deviation_pct: _Positive = 10.0
    max_price_age_seconds: _Positive = 300.0
    max_batch_risk_pct: _Percent | None = None


class OverheatLimits(_Model):
    """Settings of the breaker of an overheated market, see :mod:`trading.risk.overheat`.

    Args:
        lookback: sessions before, which a session is held against.
        min_sessions: with fewer of them nothing trips.
        quantile: of the look-back, above which volatility or gaps are hot.
        release_quantile: at or under which both must be for a step back up.
        gap_pct: a bar that opens further than this from the Close before it has a gap, percent.
        steps: size factors in the order in which they are taken, down to 0.
    """

    lookback: Annotated[int, Field(ge=2)] = 60
    min_sessions: Annotated[int, Field(ge=2)] = 20
    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.95
    release_quantile: Annotated[float, Field(gt=0, lt=1)] = 0.8
    gap_pct: _Positive = 1.0
    steps: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1)] = (0.5, 0.25, 0.0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.release_quantile > self.quantile:
            raise ValueError(f"release_quantile ({self.release_quantile}) must not exceed quantile ({self.quantile})")
        if list(self.steps) != sorted(set(self.steps), reverse=True) or self.steps[-1] != 0:
            raise ValueError(f"steps must fall and end at 0, got {list(self.steps)}")
        if self.min_sessions > self.lookback:
            raise ValueError(f"min_sessions ({self.min_sessions}) must not exceed lookback ({self.lookback})")
        return self


class TrailingStopLimits(_Model):
    """The bot's trailing stop: from ``activate_pct`` percent of gain on, ``trail_pct`` percent behind the best Close."""

    activate_pct: _NotNegative = 0.5
    trail_pct: _Percent = 2.0


class BreakerLimits(_Model):
    """Settings of the circuit breakers.

    Args:
        daily_loss_pct: loss of the account since the session's start, percent of its equity then, that stops everything.
        drawdown_pct: loss of a book, or of the account, against its seed capital that suspends it.
        losing_streak_alpha: significance of the binomial test of a losing streak.
        losing_streak_min_trades: trades below which that test says nothing.
        overheat: smaller orders in an overheated market; None = off.
        max_data_age_seconds: newest bar of the session older than this: no new entry.
        grace_seconds: broker silent for longer: no new entry.
        max_clock_skew_seconds: clock further off: no new entry.
    """

    daily_loss_pct: _Percent = 5.0
    drawdown_pct: _Percent = 25.0
    losing_streak_alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    losing_streak_min_trades: Annotated[int, Field(ge=1)] = 10
    overheat: OverheatLimits | None = OverheatLimits()
    max_data_age_seconds: _Positive = 900.0
    grace_seconds: _NotNegative = 60.0
    max_clock_skew_seconds: _Positive = 5.0


class AccountConfig(_Model):
    """One account, from ``configs/accounts/<name>.yml``; pydantic.ValidationError names a wrong field.

    Every (account, variant) is a book of its own: own capital, own positions, own drawdown. Account numbers and
    keys are never written here, not even as the account's name.

    Args:
        name: of the account on this platform.
        broker: adapter that carries the orders.
        mode: ``paper`` or ``live``; live needs a broker other than the simulated one.
        currency: of capital and prices.
        variants: the books by name of the variant.
        flatten_minutes: before the session's close at which open positions of intraday variants are flattened;
            0 = at the close itself, which is the replay's ``eod``.
        moc_guard_minutes: before the session's close, the venue's cut-off for market-on-close orders: entries lose their
            validity there, and what is flattened later is flattened by a market order; 0 = entries live to the close, and no
            MOC order is used.
        approval_days: how long a person's approval lets a version trade live, days.
        trailing_stop: closes a position that gives its gain back; None = off, as the replay knows none.
        on_kill: what an engaged kill switch does besides refusing entries. ``cancel``: working entries, positions keep
            their stops; ``flatten``: positions too.
        broker_address: where the simulated broker runs as a process of its own, ``unix:/path/of/socket`` or
            ``tcp://127.0.0.1:PORT``; None = within the process that trades.
        reconcile_seconds: most time between two comparisons of broker and ledger while a session is traded.
        reconcile_policy: what a difference between broker and ledger leads to, besides that there is no new entry until
            none is left. ``halt``: nothing is touched. ``protect``: missing stops are attached, orders that nobody wished
            for are cancelled. ``flatten``: what differs is closed or cancelled. ``adopt``: the ledger takes over what the
            broker holds, with stops attached.
        orphan_stop_pct: distance of the stop from the entry price that a position of unknown origin gets, percent.
        ibkr: how Interactive Brokers is reached with ``broker: ibkr``; None = the defaults.
    """

    name: _Name
    broker: Literal["simulated", "ibkr"] = "simulated"
    mode: Literal["paper", "live"] = "paper"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,5}$")] = "USD"
    variants: Annotated[dict[_Name, BookConfig], Field(min_length=1)]
    flatten_minutes: _Minutes = 0.0
    moc_guard_minutes: _Minutes = 0.0
    approval_days: Annotated[int, Field(ge=1, le=366)] = 90
    broker_address: str | None = None
    reconcile_seconds: Annotated[float, Field(ge=1, le=24 * 3600)] = 900.0
    reconcile_policy: ReconcilePolicy = "halt"
    orphan_stop_pct: _Percent = 2.0
    ibkr: IbkrAccount | None = None
    limits: Limits = Limits()
    breakers: BreakerLimits = BreakerLimits()
    trailing_stop: TrailingStopLimits | None = None
    on_kill: Literal["cancel", "flatten"] = "cancel"

    @field_validator("name")
    @classmethod
    def _no_account_number(cls, name: str) -> str:
        if re.fullmatch(_ACCOUNT_NUMBER, name):
            raise ValueError("a broker's account number must not stand in a config; give the account a name of its own")
        return name

    @model_validator(mode="after")
    def _live_is_real(self) -> Self:
        if self.mode == "live" and self.broker == "simulated":
            raise ValueError("mode live needs a real broker; broker simulated trades in mode paper only")
        if self.ibkr is not None and self.broker != "ibkr":
            raise ValueError(f"ibkr has settings for broker ibkr; the account's broker is {self.broker}")
        return self

    @property
    def ibkr_settings(self) -> IbkrAccount:
        """As configured, else the defaults."""
        return self.ibkr or IbkrAccount()

    @property
    def capital(self) -> float:
        """Seed capital of all books together."""
        return sum(book.capital for book in self.variants.values())
