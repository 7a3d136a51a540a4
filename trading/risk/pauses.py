"""What pauses new entries without engaging the kill switch: it ends by itself when its cause does."""

from dataclasses import dataclass

from trading.accounts import BreakerLimits


@dataclass(frozen=True)
class Health:
    """What was measured of the things that trading rests on, at one instant.

    Attributes:
        data_age_seconds: since the end of the newest bar; None = no bar has come yet.
        broker_silent_seconds: since the broker last answered.
        ledger_writable, lake_writable: whether a write was taken just now.
        clock_skew_seconds: of this machine's clock against others, unsigned.
        size_factor: of :func:`trading.risk.overheat.heat_steps`.
    """

    data_age_seconds: float | None = 0.0
    broker_silent_seconds: float = 0.0
    ledger_writable: bool = True
    lake_writable: bool = True
    clock_skew_seconds: float = 0.0
    size_factor: float = 1.0


@dataclass(frozen=True)
class Pause:
    """A reason why no new entry is sent now; ``figure`` was held against ``limit``."""

    name: str
    figure: float | None
    limit: float
    says: str


def pauses(health: Health, limits: BreakerLimits) -> list[Pause]:
    """Every reason to pause; empty = none. A figure that is not a number pauses."""
    found: list[Pause] = []
    if health.data_age_seconds is None or not health.data_age_seconds <= limits.max_data_age_seconds:
        age = "there is no bar" if health.data_age_seconds is None else f"{health.data_age_seconds:g} s old"
        says = f"the newest bar: {age}, limit {limits.max_data_age_seconds:g} s"
        found.append(Pause("stale_data", health.data_age_seconds, limits.max_data_age_seconds, says))
    if not health.broker_silent_seconds <= limits.grace_seconds:
        says = f"the broker has not answered for {health.broker_silent_seconds:g} s, grace {limits.grace_seconds:g} s"
        found.append(Pause("broker_disconnected", health.broker_silent_seconds, limits.grace_seconds, says))
    for name, writable in (("ledger", health.ledger_writable), ("lake", health.lake_writable)):
        if not writable:
            found.append(Pause(f"{name}_not_writable", 0.0, 1.0, f"the {name} does not take a write"))
    if not health.clock_skew_seconds <= limits.max_clock_skew_seconds:
        says = f"the clock is {health.clock_skew_seconds:g} s off, limit {limits.max_clock_skew_seconds:g} s"
        found.append(Pause("clock_skew", health.clock_skew_seconds, limits.max_clock_skew_seconds, says))
    if not health.size_factor > 0:
        found.append(Pause("overheated", health.size_factor, 0.0, "the market is overheated: the size factor is 0"))
    return found
