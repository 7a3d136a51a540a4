"""Which instrument of Interactive Brokers is meant."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_DATED = ("FUT",)


class ContractSpec(BaseModel):
    """An instrument as Interactive Brokers names it; what is left out is not asked for.

    Args:
        sec_type: ``STK`` (also ETFs), ``FUT``, ``CASH`` (forex), ``IND``, ``CFD``, ``CRYPTO``, ``CMDTY``.
        symbol: IBKR's own; the Symbol where None. Of forex and crypto the base currency.
        exchange: ``SMART`` for stocks, ``CME`` for its futures, ``IDEALPRO`` for forex, ``PAXOS`` for crypto.
        currency: of the price.
        primary_exchange: tells stocks of the same name apart behind ``SMART``.
        expiry: of a future, ``YYYYMM`` or its last trading day ``YYYYMMDD``; expired ones too, for two years.
        multiplier, trading_class, local_symbol: tell futures on the same underlying apart.
        con_id: IBKR's number of the contract; with it nothing else is needed but ``exchange``, and ``sec_type`` where it
            may have expired.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sec_type: Literal["STK", "FUT", "CASH", "IND", "CFD", "CRYPTO", "CMDTY"] = "STK"
    symbol: str | None = Field(None, min_length=1)
    exchange: str = Field("SMART", min_length=1)
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    primary_exchange: str = ""
    expiry: str = Field("", pattern=r"^(\d{6}|\d{8})?$")
    multiplier: str = ""
    trading_class: str = ""
    local_symbol: str = ""
    con_id: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _names_one_expiry(self) -> Self:
        if self.sec_type in _DATED and not (self.expiry or self.local_symbol or self.con_id):
            raise ValueError("a future needs expiry (YYYYMM), local_symbol or con_id: each expiry is its own contract")
        return self

    def named(self, symbol: str) -> "ContractSpec":
        """With ``symbol`` where none is given."""
        return self if self.symbol is not None else self.model_copy(update={"symbol": symbol})

    def __str__(self) -> str:
        given = self.model_dump(exclude_defaults=True)
        given = {"sec_type": self.sec_type, **given, "exchange": self.exchange, "currency": self.currency}
        return ", ".join(f"{name} {value}" for name, value in given.items())

    def fields(self) -> dict[str, Any]:
        """For the library's constructor of contracts."""
        return {
            "secType": "" if self.con_id else self.sec_type,
            "symbol": "" if self.con_id else self.symbol or "",
            "exchange": self.exchange,
            "currency": "" if self.con_id else self.currency,
            "primaryExchange": self.primary_exchange,
            "lastTradeDateOrContractMonth": self.expiry,
            "multiplier": self.multiplier,
            "tradingClass": self.trading_class,
            "localSymbol": self.local_symbol,
            "conId": self.con_id,
            "includeExpired": self.sec_type in _DATED,
        }
