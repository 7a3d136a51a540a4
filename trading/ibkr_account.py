"""How an account reaches Interactive Brokers: everything but its number and port, which come from the environment."""

import datetime as dt
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading.ibkr_contracts import ContractSpec

_Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
_Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class RestartWindow(BaseModel):
    """When TWS or IB Gateway restarts every day: no new entries, and no attempt to connect.

    Args:
        start, end: ``HH:MM``, start included, end excluded; past midnight where end is before start.
        timezone: of both.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: _Clock
    end: _Clock
    timezone: str = "America/New_York"

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.start == self.end:
            raise ValueError(f"start and end are both {self.start}; a window has a length")
        if self.timezone not in available_timezones():
            raise ValueError(f"there is no time zone {self.timezone!r}; write it like America/New_York")
        return self

    def holds(self, at: dt.datetime) -> bool:
        """Whether ``at`` (with time zone) is within it."""
        now = f"{at.astimezone(ZoneInfo(self.timezone)):%H:%M}"
        if self.start < self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end


class IbkrAccount(BaseModel):
    """Settings of an account with ``broker: ibkr``.

    Args:
        host: of TWS or IB Gateway.
        client_id: which of its API clients the account's orders belong to; one program at a time.
        account_env, port_env: environment variables with the account's number and the port; with ``_FILE`` appended, of a
            mounted file that has it.
        contract, contracts: what Symbols are at Interactive Brokers; the latter by Symbol.
        entry_limit_ticks: worst price of an entry beyond its stop, in ticks (a stop-limit order); None = a plain stop.
        calendar: by which executions belong to sessions.
        restart: the gateway's nightly restart.
        answer_seconds: within which TWS must answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    client_id: Annotated[int, Field(ge=1)] = 51
    account_env: _Variable = "IBKR_ACCOUNT"
    port_env: _Variable = "IBKR_PORT"
    contract: ContractSpec = ContractSpec()
    contracts: dict[str, ContractSpec] = Field(default_factory=dict)
    entry_limit_ticks: Annotated[int, Field(ge=0)] | None = None
    calendar: Annotated[str, Field(min_length=1)] = "XNYS"
    restart: RestartWindow | None = None
    answer_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0

    def spec(self, symbol: str) -> ContractSpec:
        """The instrument of ``symbol``."""
        return self.contracts.get(symbol, self.contract).named(symbol)
