"""Calls of the simulated broker as lines of JSON, for a broker that runs as a process of its own.

A request is ``{"call": name, "arguments": {...}}``, an answer ``{"result": ...}`` or ``{"error": kind, "says": text}``. What
the arguments are is read off the signatures of :class:`resources.brokers.simulated.SimulatedBroker`.
"""

import base64
import io
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import polars as pl
from pydantic import ConfigDict, PlainSerializer, PlainValidator, TypeAdapter

from resources.brokers.simulated.broker import SimulatedBroker
from trading.errors import DataError, TradingError
from trading.orders.intents import OrderIntent
from trading.ports.broker import BrokerError, BrokerUnavailable, UnknownOrder

CALLS = (
    "connect", "place_bracket", "find", "protect", "cancel", "cancel_all", "flatten", "open_orders", "positions",
    "executions", "account_values", "events", "open_book", "clock", "advance", "lose_exits",
)  # fmt: skip
_ERRORS: dict[str, type[TradingError]] = {
    kind.__name__: kind for kind in (UnknownOrder, BrokerUnavailable, BrokerError, DataError)
}


def _pack(frame: pl.DataFrame) -> str:
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def _unpack(packed: str) -> pl.DataFrame:
    return pl.read_ipc(io.BytesIO(base64.b64decode(packed)))


_Frame = Annotated[pl.DataFrame, PlainSerializer(_pack), PlainValidator(_unpack)]
_FOR_WIRE: Mapping[Any, Any] = {pl.DataFrame: _Frame, Sequence[OrderIntent]: list[OrderIntent]}


def request(call: str, arguments: Mapping[str, Any]) -> bytes:
    """One line."""
    packed = {name: _adapter(call, name).dump_python(value, mode="json") for name, value in arguments.items()}
    return _line({"call": call, "arguments": packed})


def read_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the call; BrokerError where the broker has no such call."""
    content = json.loads(line)
    call = content["call"]
    if call not in CALLS:
        raise BrokerError(f"the simulated broker has no call {call!r}; it has {', '.join(CALLS)}")
    # floats and dates come out of JSON as what they were before: the adapters are strict about neither
    return call, {name: _adapter(call, name).validate_python(value) for name, value in content["arguments"].items()}


def answer(call: str, result: Any) -> bytes:
    return _line({"result": _adapter(call, "return").dump_python(result, mode="json")})


def error_answer(error: TradingError) -> bytes:
    """Of the most special kind that the other side knows."""
    kind = next((name for name, known in _ERRORS.items() if isinstance(error, known)), "BrokerError")
    return _line({"error": kind, "says": str(error)})


def read_answer(call: str, line: bytes) -> Any:
    """The result; raises what the broker raised."""
    content = json.loads(line)
    if "error" in content:
        raise _ERRORS.get(content["error"], BrokerError)(content["says"])
    return _adapter(call, "return").validate_python(content["result"])


@cache
def _adapter(call: str, name: str) -> TypeAdapter[Any]:
    method: Callable[..., Any] = getattr(SimulatedBroker, call)
    hint = typing.get_type_hints(method)[name]
    hint = _FOR_WIRE.get(hint, hint)
    return TypeAdapter(hint, config=None if _has_config(hint) else ConfigDict(arbitrary_types_allowed=True))


def _has_config(hint: Any) -> bool:
    """Whether pydantic takes the settings from the type itself."""
    return hasattr(hint, "model_config") or hasattr(hint, "__dataclass_fields__")


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
