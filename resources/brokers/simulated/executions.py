"""One fill as several executions, as a market gives it."""

from decimal import Decimal

from trading.ticks import exact


def parts(qty: float, count: int, lot: Decimal) -> list[float]:
    """``qty`` in at most ``count`` parts of whole lots, the larger ones first; they add up to it exactly."""
    lots = exact(qty) / exact(float(lot))
    if lots.denominator != 1 or count == 1:
        return [qty]
    count = min(count, int(lots))
    whole, left = divmod(int(lots), count)
    return [float((whole + (number < left)) * exact(float(lot))) for number in range(count)]


def shares(amount: float, quantities: list[float]) -> list[float]:
    """``amount``, a fee, spread over the quantities; the last part takes what rounding leaves."""
    total = sum(quantities)
    spread = [amount * quantity / total for quantity in quantities[:-1]]
    return [*spread, amount - sum(spread)]
