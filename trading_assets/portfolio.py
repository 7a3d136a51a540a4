"""What accounts are worth and hold, as recorded and as the fills say."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading.portfolio import BookValue, Portfolio, cents
from trading.ticks import exact

if TYPE_CHECKING:
    from resources.ledger import Ledger, Worth
    from trading.accounts import AccountConfig


_HALF_A_CENT = exact(0.005)


@dataclass(frozen=True)
class Difference:
    """A figure of a book that was recorded and does not come out of the fills, currency."""

    variant: str
    figure: str
    recorded: float | None
    recomputed: float

    def __str__(self) -> str:
        return (
            f"{self.variant}: {self.figure} was recorded as {self.recorded:.4f}, the fills give {self.recomputed:.4f}"
        )


class Recomputation:
    """The account's recorded figures held against its fills, session after session; each fill is read once.

    Sessions may be asked for in any order, in ascending order they cost least.
    """

    def __init__(self, ledger: "Ledger", account: str) -> None:
        self._ledger, self._account = ledger, account
        self._portfolio, self._taken = Portfolio(), dt.date.min

    def differences(self, session: dt.date) -> list[Difference]:
        """Figures recorded of the session that the fills, valued at the recorded last prices, do not give to the cent.

        Raises:
            OrderError: the fills contradict each other, or hold what no position was recorded for.
        """
        recorded = self._ledger.worth(self._account, session=session)
        if any(worth.fees is None for worth in recorded):
            return []  # recorded by a version that kept no positions, hence no last prices
        if session < self._taken:
            self._portfolio, self._taken = Portfolio(), dt.date.min
        self._portfolio.take(self._ledger.fills_of_sessions(self._account, self._taken, session))
        self._taken = session
        positions = self._ledger.positions(self._account, session)
        values = self._portfolio.values({position.order_ref: position.last_price for position in positions})
        return [
            difference
            for worth in recorded
            for difference in _compared(worth, values.get((self._account, worth.variant), BookValue()))
        ]


def _compared(worth: "Worth", value: BookValue) -> Iterator[Difference]:
    realised = exact(worth.capital) + value.realised
    figures = (
        ("realised", worth.realised, realised),
        ("unrealised", worth.unrealised, value.unrealised),
        ("equity", worth.equity, realised + value.unrealised),
        ("fees", worth.fees, value.fees),
        ("long_exposure", worth.long_exposure, value.long_exposure),
        ("short_exposure", worth.short_exposure, value.short_exposure),
    )
    for name, said, gives in figures:
        if said is None or abs(exact(said) - gives) >= _HALF_A_CENT:
            yield Difference(worth.variant, name, said, float(gives))


@dataclass(frozen=True)
class Line:
    """A line for a person; ``wrong`` marks one that must not be there."""

    text: str
    wrong: bool = False


def portfolio_lines(ledger: "Ledger", config: "AccountConfig", session: dt.date | None) -> Iterator[Line]:
    """Worth, positions and what of them the fills do not give, as of a session; None = the newest."""
    days = {worth.session for worth in ledger.worth(config.name)}
    if session is None and days:
        session = max(days)
    if session not in days or session is None:
        yield Line(f"account {config.name}: nothing recorded" + (f" for session {session}" if session else ""))
        return
    for text in worth_lines(ledger, config, session):
        yield Line(text)
    for p in ledger.positions(config.name, session):
        yield Line(
            f"  {p.variant}: {p.side * p.qty:+g} {p.symbol} from {p.entry_price:.4f}, last {p.last_price:.4f}, unrealised "
            f"{p.unrealised:+,.2f} ({p.order_ref})"
        )
    differences = Recomputation(ledger, config.name).differences(session)
    for difference in differences:
        yield Line(f"  WRONG {difference}", wrong=True)
    if not differences:
        yield Line("  computed again from the fills: the same, to the cent")


def worth_lines(ledger: "Ledger", config: "AccountConfig", session: dt.date | None = None) -> Iterator[str]:
    """The account's worth as of a session (None: each book's newest), in total and book by book; nothing before the first."""
    newest: dict[str, Worth] = {worth.variant: worth for worth in ledger.worth(config.name, session=session)}
    if not newest:
        return
    last = max(worth.session for worth in newest.values())
    yield _line(f"account {config.name} after session {last}", list(newest.values()), config.currency)
    for name, worth in sorted(newest.items()):
        yield _line(f"  {name}", [worth], config.currency)


def _line(what: str, worth: "list[Worth]", currency: str) -> str:
    def total(name: str) -> str:
        values = [getattr(item, name) for item in worth]
        return "unknown" if None in values else f"{cents(sum(map(exact, values), exact(0))):,.2f}"

    return (
        f"{what}: equity {total('equity')} {currency}, realised {total('realised_pnl')}, unrealised {total('unrealised')}, "
        f"fees {total('fees')}, long {total('long_exposure')}, short {total('short_exposure')}"
    )
