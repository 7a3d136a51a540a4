"""Parameter models: the base of every strategy's, and what several share."""

from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from trading.errors import ConfigError

AtrPeriod = Annotated[int, Field(ge=1, le=1000)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

_MINUTES_OF_DAY = 24 * 60


class Params(BaseModel):
    """Base of the parameter models: frozen, and a name that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, values: Any, *, where: str) -> Self:
        """``values`` (a mapping, or such a model) validated.

        Raises:
            ConfigError: naming ``where``, each wrong parameter, what was found and what would be right.
        """
        if isinstance(values, cls):
            return values
        raw = values.model_dump() if isinstance(values, Params) else values
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            faults = "; ".join(cls._fault(dict(fault)) for fault in error.errors(include_url=False))
            raise ConfigError(f"{where}: {faults}") from None

    @classmethod
    def _fault(cls, fault: dict[str, Any]) -> str:
        name = ".".join(str(part) for part in fault["loc"]) or "parameters"
        if fault["type"] == "extra_forbidden":
            return f"{name} is unknown; the parameters are {', '.join(cls.model_fields)}"
        return f"{name}: {fault['msg']} (found {fault['input']!r})"


def minute_of_day(text: str) -> int:
    """``"15:30"`` as 930; ``"24:00"`` is 1440. ValueError where it is no such time."""
    hours, colon, minutes = text.partition(":")
    if colon and len(hours) == 2 and len(minutes) == 2 and (hours + minutes).isdecimal():
        value = int(hours) * 60 + int(minutes)
        if int(minutes) < 60 and value <= _MINUTES_OF_DAY:
            return value
    raise ValueError(f"{text!r} is no time of day; it must be like '15:30', from '00:00' to '24:00'")


class WindowParams(Params):
    """Local-time windows of a session.

    Args:
        session_windows: list of ``[start, end)`` local times, e.g. ``[["15:00", "16:00"]]``, ascending and
            without overlap; None: the whole session is one window. A bar is in a window by its start.
        session_zone: IANA time zone of these times.
    """

    session_windows: tuple[tuple[str, str], ...] | None = None
    session_zone: str = "Europe/Berlin"

    @field_validator("session_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no IANA time zone; it must be like 'Europe/Berlin'") from None
        return value

    @model_validator(mode="after")
    def _ordered_windows(self) -> Self:
        if self.session_windows is not None and not self.session_windows:
            raise ValueError("session_windows is empty; leave it null for the whole session")
        end_before = 0
        for start, end in self.windows():
            if start >= end:
                raise ValueError("each of session_windows must end after it starts, within one local day")
            if start < end_before:
                raise ValueError("session_windows must ascend and not overlap")
            end_before = end
        return self

    def windows(self) -> list[tuple[int, int]]:
        """The windows in minutes of the local day; empty where the whole session is one."""
        return [(minute_of_day(a), minute_of_day(b)) for a, b in self.session_windows or ()]
