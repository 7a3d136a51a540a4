"""What can be traded: the tick grid, the lot grid and the exchange of one Symbol."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SYMBOL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._\-^=]{0,31}$"

Unit = Literal["shares", "contracts", "units"]
"""What a quantity counts; ``units`` is for what is neither, such as coins or an amount of a currency."""

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Instrument(BaseModel):
    """One tradable Symbol, validated at construction.

    Args:
        symbol: as it stands in the Symbol column; letters, digits and ``. _ - ^ =`` (it
            becomes part of paths).
        tick_size: smallest price step, in ``currency`` per unit.
        lot_size: quantities are whole multiples of it.
        min_qty: smallest quantity of one order.
        currency: of prices, three to five capital letters.
        unit: what a quantity counts.
        calendar: name of the exchange calendar, see :func:`trading.sessions.get_calendar`.

    Raises:
        pydantic.ValidationError: naming the field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)]
    tick_size: _Positive = 0.01
    lot_size: _Positive = 1
    min_qty: _Positive = 1
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3,5}$")] = "USD"
    unit: Unit = "shares"
    calendar: Annotated[str, Field(min_length=1)] = "XNYS"

    @property
    def tick(self) -> Decimal:
        """Exact tick: the shortest decimal that reads back as ``tick_size``, so 0.01 is one cent exactly."""
        return Decimal(repr(self.tick_size))

    @property
    def lot(self) -> Decimal:
        """Exact lot, see :attr:`tick`."""
        return Decimal(repr(self.lot_size))
