"""What a folder's owner declares about its files; nothing of it is ever guessed."""

from collections.abc import Mapping
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from trading.contracts import PRICES
from trading.ports.sources import Step

UNIX_UNITS = {"unix_seconds": 1_000_000, "unix_milliseconds": 1_000, "unix_microseconds": 1}
"""Microseconds in one unit, by the name that `time_format` gives it."""

ISO = "iso"

_Name = Annotated[str, Field(min_length=1)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Columns(BaseModel):
    """The file's own column for each of ours; what is not named here is spelled as ours.

    ``Timestamp`` may be a pair, a column of dates and one of times. ``Symbol``, where declared, must say in every row what
    the file's name says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    Timestamp: _Name | tuple[_Name, _Name] | None = None
    Open: _Name = "Open"
    High: _Name = "High"
    Low: _Name = "Low"
    Close: _Name = "Close"
    Volume: _Name = "Volume"
    Symbol: _Name | None = None


class FileFormat(BaseModel):
    """How the files of a folder are written. As it is without a single setting, a file must be exactly in our form.

    Args:
        step: ``1m`` for minutes, ``1d`` for one bar a session, whose file column is a date.
        columns: their names for our columns; other columns are then left alone. Null refuses any name but ours.
        zone: IANA zone in which times without an offset are read; null refuses such times.
        time_format: ``iso`` (typed times, or ISO 8601 text), ``unix_seconds``, ``unix_milliseconds``,
            ``unix_microseconds``, or a pattern of strftime codes for text, e.g. ``%d.%m.%Y %H:%M``. Of a pair of text columns
            it describes the date, a space and the time.
        timestamp: whether a row is stamped with the ``start`` or the ``end`` of its minute.
        price_divisor: prices are divided by it, e.g. 10000 for prices kept in hundredths of a cent.
        volume_unit: what one of our whole volumes stands for. At 1 a fractional volume is refused; below it volumes are
            rounded to whole units, e.g. 1e-8 for crypto.
        separator: of CSV files.
        decimal: decimal sign of CSV files.

    Raises:
        pydantic.ValidationError: naming the setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Step = "1m"
    columns: Columns | None = None
    zone: str | None = None
    time_format: _Name = ISO
    timestamp: Literal["start", "end"] = "start"
    price_divisor: _Positive = 1.0
    volume_unit: _Positive = 1.0
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (KeyError, OSError, ValueError):  # unknown, a folder of zones, not a name
            raise ValueError(f"{zone!r} is no IANA time zone; it must be like America/New_York or UTC") from None
        return zone

    @field_validator("time_format")
    @classmethod
    def _readable(cls, text: str) -> str:
        if text != ISO and text not in UNIX_UNITS and "%" not in text:
            raise ValueError(f"{text!r} must be {ISO}, {', '.join(UNIX_UNITS)}, or a pattern like '%Y-%m-%d %H:%M'")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> "FileFormat":
        pair = self.columns is not None and isinstance(self.columns.Timestamp, tuple)
        if self.step == "1d" and (pair or self.zone or self.timestamp == "end"):
            raise ValueError("daily bars (step 1d) carry a date only: no zone, no pair of columns, no timestamp: end")
        if pair and self.time_format in UNIX_UNITS:
            raise ValueError(f"a pair of columns for Timestamp cannot be {self.time_format}; name one column")
        if self.separator == self.decimal:
            raise ValueError(f"separator and decimal are both {self.decimal!r}; they must differ")
        return self

    @property
    def declared(self) -> bool:
        """Whether times may be other than timestamps with a zone."""
        return self.columns is not None or self.zone is not None or self.time_format != ISO

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The file's columns that make up Timestamp, one or two."""
        given = self.columns.Timestamp if self.columns else None
        if given is None:
            return ("Date",) if self.step == "1d" else ("Timestamp",)
        return (given,) if isinstance(given, str) else given

    @property
    def symbol_column(self) -> str | None:
        """The file's column that must say its Symbol, where there is one."""
        return self.columns.Symbol if self.columns else "Symbol"

    @property
    def figures(self) -> Mapping[str, str]:
        """The file's column by our name, Open to Volume."""
        names = self.columns or Columns()
        return {ours: str(getattr(names, ours)) for ours in (*PRICES, "Volume")}


STRICT = FileFormat()
"""Exactly our own form: nothing is declared."""
