"""What a book holds and what it has earned, from its executions alone, in exact arithmetic.

Average cost: an execution that opens adds quantity and money, one that closes takes both off in proportion and realises the
difference. Realised and unrealised together are therefore the money that went in and out, plus what is held at its last price,
whatever the order of partial executions. Each bracket (``order_ref``) is held by itself, so variants with the same Symbol
never mix.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from trading.errors import OrderError
from trading.ticks import exact


class Execution(Protocol):
    """What a position is made of; ``side`` is of the position (1 long, -1 short) on both legs."""

    @property
    def account(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def order_ref(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def leg(self) -> str: ...
    @property
    def side(self) -> int: ...
    @property
    def qty(self) -> float: ...
    @property
    def price(self) -> float: ...
    @property
    def fee(self) -> float: ...


@dataclass(frozen=True)
class Holding:
    """What one bracket holds now; ``cost`` is quantity times average entry price."""

    account: str
    variant: str
    order_ref: str
    symbol: str
    side: int
    qty: Fraction
    cost: Fraction

    @property
    def entry_price(self) -> Fraction:
        return self.cost / self.qty

    def unrealised(self, last_price: float) -> Fraction:
        """At ``last_price``, before the costs of closing; currency."""
        return self.side * (self.qty * exact(last_price) - self.cost)


@dataclass(frozen=True)
class BookValue:
    """A book's, or an account's, money; currency.

    Attributes:
        realised: of everything closed, after all fees paid so far, those of open positions too.
        unrealised: of what is held, at its last prices.
        fees: paid so far.
        long_exposure, short_exposure: quantity times last price of what is held on each side, both positive.
    """

    realised: Fraction = Fraction(0)
    unrealised: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    long_exposure: Fraction = Fraction(0)
    short_exposure: Fraction = Fraction(0)

    def __add__(self, other: "BookValue") -> "BookValue":
        return BookValue(
            self.realised + other.realised,
            self.unrealised + other.unrealised,
            self.fees + other.fees,
            self.long_exposure + other.long_exposure,
            self.short_exposure + other.short_exposure,
        )

    @property
    def pnl(self) -> Fraction:
        return self.realised + self.unrealised

    @property
    def gross_exposure(self) -> Fraction:
        return self.long_exposure + self.short_exposure

    @property
    def net_exposure(self) -> Fraction:
        return self.long_exposure - self.short_exposure


def fill(held: Holding | None, execution: Execution) -> tuple[Holding | None, Fraction]:
    """What its bracket holds after ``execution``, None for nothing, and what that realised less its fee.

    Raises:
        OrderError: it closes more than is held, or is of another side than what is held.
    """
    qty, price, fee = exact(execution.qty), exact(execution.price), exact(execution.fee)
    where = f"execution of {execution.order_ref} ({execution.account}/{execution.variant}, {execution.symbol})"
    if held is not None and held.side != execution.side:
        raise OrderError(f"{where}: side {execution.side}, held is side {held.side}")
    if execution.leg == "entry":
        before = (held.qty, held.cost) if held is not None else (Fraction(0), Fraction(0))
        holding = Holding(
            execution.account, execution.variant, execution.order_ref, execution.symbol, execution.side,
            before[0] + qty, before[1] + qty * price,
        )  # fmt: skip
        return holding, -fee
    if held is None or qty > held.qty:
        has = 0.0 if held is None else float(held.qty)
        raise OrderError(f"{where} closes {execution.qty:g}, held is {has:g}")
    share = qty / held.qty
    realised = held.side * (qty * price - held.cost * share) - fee
    if qty == held.qty:
        return None, realised
    left = Holding(
        held.account, held.variant, held.order_ref, held.symbol, held.side, held.qty - qty, held.cost * (1 - share)
    )
    return left, realised


class Portfolio:
    """Books as executions come in, in the order they were recorded."""

    def __init__(self) -> None:
        self._held: dict[str, Holding] = {}
        self._closed: dict[tuple[str, str], BookValue] = {}

    def take(self, executions: Iterable[Execution]) -> None:
        """Play further executions. OrderError where they contradict what is held."""
        for execution in executions:
            after, realised = fill(self._held.get(execution.order_ref), execution)
            if after is None:
                del self._held[execution.order_ref]
            else:
                self._held[execution.order_ref] = after
            book = (execution.account, execution.variant)
            earned = BookValue(realised=realised, fees=exact(execution.fee))
            self._closed[book] = self._closed.get(book, BookValue()) + earned

    def holdings(self) -> list[Holding]:
        """What is held now; by first execution."""
        return list(self._held.values())

    def values(self, last_prices: Mapping[str, float]) -> dict[tuple[str, str], BookValue]:
        """Money of each (account, variant) that has traded; sum them for an account.

        Args:
            last_prices: by ``order_ref`` of what is held.

        Raises:
            OrderError: something is held without a last price.
        """
        values = dict(self._closed)
        for holding in self._held.values():
            if holding.order_ref not in last_prices:
                raise OrderError(
                    f"{holding.account}/{holding.variant} holds {float(holding.qty):g} {holding.symbol} of order "
                    f"{holding.order_ref}, for which there is no last price"
                )
            price = last_prices[holding.order_ref]
            exposure = holding.qty * exact(price)
            values[holding.account, holding.variant] += BookValue(
                unrealised=holding.unrealised(price),
                long_exposure=exposure if holding.side > 0 else Fraction(0),
                short_exposure=exposure if holding.side < 0 else Fraction(0),
            )
        return values


def holdings(executions: Iterable[Execution]) -> list[Holding]:
    """What is held after ``executions``, see :class:`Portfolio`."""
    portfolio = Portfolio()
    portfolio.take(executions)
    return portfolio.holdings()


def book_values(executions: Iterable[Execution], last_prices: Mapping[str, float]) -> dict[tuple[str, str], BookValue]:
    """Money of each book after ``executions``, see :class:`Portfolio`."""
    portfolio = Portfolio()
    portfolio.take(executions)
    return portfolio.values(last_prices)


def cents(amount: Fraction) -> Decimal:
    """``amount`` in the account's currency, rounded half to even to two places."""
    return Decimal(round(amount * 100)) / 100
