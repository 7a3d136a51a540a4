"""Contracts: what every stored or exchanged frame must be, checked where it is made and where it is read.

A contract is a pandera schema under a name. Its module registers a builder, and the schema is built on first
use, because pandera costs about a second of import. Subjects keep their contracts with themselves; the bars'
are here.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

from trading.errors import ConfigError, ContractViolation

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

INSTANT = pl.Datetime("us", "UTC")
PRICES = ("Open", "High", "Low", "Close")
OFFENDERS = 5

_RULES_KEY = "rules"

_builders: dict[str, Callable[[], "DataFrameSchema"]] = {}


@dataclass(frozen=True)
class Rule:
    """A check over whole rows.

    Attributes:
        name: short and stable, e.g. ``high_bounds``; what ContractViolation.rule carries.
        holds: Boolean expression, true on good rows; null counts as good (nulls are the schema's own check).
        says: what must hold, for a person, e.g. ``High must be at or above Open and Close``.
    """

    name: str
    holds: pl.Expr
    says: str


def register(contract: str, builder: Callable[[], "DataFrameSchema"]) -> None:
    """Make ``contract`` known; ``builder`` runs once, on first use. ConfigError where the name is taken."""
    known = _builders.get(contract)
    if known is not None and _origin(known) != _origin(builder):
        raise ConfigError(f"contract {contract!r} is registered twice: {_origin(known)}, {_origin(builder)}")
    _builders[contract] = builder


def _origin(builder: Callable[[], "DataFrameSchema"]) -> str:
    return f"{builder.__module__}.{builder.__qualname__}"


def registered_contracts() -> list[str]:
    return sorted(_builders)


def table(
    contract: str,
    columns: Mapping[str, Any],
    *,
    rules: Sequence[Rule] = (),
    nullable: Iterable[str] = (),
    optional: Iterable[str] = (),
    extra: bool = False,
) -> "DataFrameSchema":
    """A pandera schema from dtypes and rules.

    Args:
        contract: name shown in messages.
        columns: polars dtype by column name.
        rules: checked over whole rows.
        nullable: columns that may hold nulls; in all others a null is the violation ``null``.
        optional: columns that may be absent.
        extra: whether columns beyond these are allowed.
    """
    import pandera.polars as pa

    may_be_null, may_be_absent = frozenset(nullable), frozenset(optional)
    for stray in (may_be_null | may_be_absent) - columns.keys():
        raise ConfigError(f"contract {contract!r}: {stray!r} is not one of its columns")
    return pa.DataFrameSchema(
        {
            name: pa.Column(dtype, nullable=name in may_be_null, required=name not in may_be_absent)
            for name, dtype in columns.items()
        },
        checks=[_check(rule) for rule in rules],
        strict=not extra,
        name=contract,
        metadata={_RULES_KEY: tuple(rules)},
    )


def _check(rule: Rule) -> Any:
    import pandera.polars as pa

    def holds(data: Any) -> pl.LazyFrame:
        frame: pl.LazyFrame = data.lazyframe
        return frame.select(rule.holds.fill_null(True))

    return pa.Check(holds, name=rule.name, error=rule.says)


def validate(frame: pl.DataFrame, contract: str, *, where: str = "") -> pl.DataFrame:
    """``frame`` itself where it keeps ``contract``.

    Args:
        frame: any height; an empty frame must have the columns all the same.
        contract: a registered name.
        where: what the frame is (a dataset, file or partition), for the message.

    Raises:
        ContractViolation: naming the contract, the broken rule or column, and the first offending rows.
        ConfigError: where the contract is unknown.
    """
    from pandera.errors import SchemaError, SchemaErrors

    schema = _schema(contract)
    if _keeps(frame, schema):
        return frame
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        found = min(errors.schema_errors, key=_order)
        raise _translate(found, frame, contract, where, len(errors.schema_errors)) from None
    except SchemaError as error:
        raise _translate(error, frame, contract, where, 1) from None
    return frame


def _keeps(frame: pl.DataFrame, schema: "DataFrameSchema") -> bool:
    """Whether a frame keeps all that :func:`table` declared, in one pass.

    pandera comes to the same verdict, column by column and rule by rule, which costs it more than the bars of a day cost to
    make. It is left to tell what is broken, and to judge what was not declared by :func:`table`.
    """
    rules: tuple[Rule, ...] | None = (schema.metadata or {}).get(_RULES_KEY)
    added = len(schema.checks) != len(rules or ()) or any(column.checks for column in schema.columns.values())
    if rules is None or added:
        return False
    declared, found = schema.columns, frame.schema
    if any(column.required and name not in found for name, column in declared.items()):
        return False
    for name, dtype in found.items():
        if name not in declared:
            if schema.strict:
                return False
        elif declared[name].dtype.type != dtype:
            return False
    whole = [name for name, column in declared.items() if name in found and not column.nullable]
    if any(frame[name].null_count() for name in whole):
        return False
    numbers = [pl.col(name).is_not_nan().all().alias(f"{name} is a number") for name in whole if found[name].is_float()]
    try:
        verdicts = frame.select(*numbers, *(rule.holds.all().alias(rule.name) for rule in rules))
    except pl.exceptions.PolarsError:
        return False  # a rule about a column that is not there
    return all(verdicts.row(0)) if verdicts.width else True


def violation(
    contract: str,
    rule: str,
    says: str,
    *,
    rows: pl.DataFrame | None = None,
    where: str = "",
    kind: type[ContractViolation] = ContractViolation,
) -> ContractViolation:
    """A ContractViolation in the one wording used everywhere, showing the first of the offending ``rows``."""
    details = "" if rows is None else show_rows(rows)
    count = "" if rows is None else f" ({rows.height} row{'s' if rows.height != 1 else ''})"
    place = f" in {where}" if where else ""
    message = f"{contract}{place}: {rule}{count}: {says}" + (f"\n{details}" if details else "")
    return kind(message, contract=contract, rule=rule, details=details)


def show_rows(rows: pl.DataFrame, limit: int = OFFENDERS) -> str:
    """The first rows as ``name=value`` lines, and how many more there are."""
    lines = ["  " + " ".join(f"{k}={_plain(v)}" for k, v in row.items()) for row in rows.head(limit).to_dicts()]
    if rows.height > limit:
        lines.append(f"  ... and {rows.height - limit} more")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value.tzinfo else value.isoformat()
    return str(value)


@cache
def _built(builder: Callable[[], "DataFrameSchema"]) -> "DataFrameSchema":
    return builder()


def _schema(contract: str) -> "DataFrameSchema":
    try:
        return _built(_builders[contract])
    except KeyError:
        known = ", ".join(registered_contracts())
        raise ConfigError(f"contract {contract!r} is unknown; registered: {known}") from None


_RULES = {
    "COLUMN_NOT_IN_DATAFRAME": "missing_column",
    "COLUMN_NOT_IN_SCHEMA": "unexpected_column",
    "WRONG_DATATYPE": "dtype",
    "SERIES_CONTAINS_NULLS": "null",
    "DATAFRAME_CHECK": "check",
}


def _reason(error: Any) -> str:
    return str(getattr(error.reason_code, "name", error.reason_code))


def _order(error: Any) -> int:
    """Columns before types before nulls before rows: the first cause explains the later ones."""
    return list(_RULES).index(_reason(error)) if _reason(error) in _RULES else len(_RULES)


def _translate(error: Any, frame: pl.DataFrame, contract: str, where: str, count: int) -> ContractViolation:
    reason = _reason(error)
    rule = _RULES.get(reason, reason.lower())
    if rule in ("missing_column", "unexpected_column", "dtype"):
        schema = _schema(contract)
        columns = {name: column.dtype.type for name, column in schema.columns.items()}
        absent = [name for name, column in schema.columns.items() if not column.required]
        require_columns(frame, columns, contract, where=where, optional=absent, extra=not schema.strict)
    if rule == "null":
        column = str(error.schema.name)
        bad = frame.filter(_absent(frame, column))
        says = f"column {column} must not be null or NaN"
        return violation(contract, rule, says, rows=bad, where=where)
    if rule == "check" and error.check is not None:
        mask = error.check_output.to_series()
        bad = frame.filter(~mask) if len(mask) == frame.height else error.failure_cases
        more = f" (and {count - 1} other rule{'s' if count > 2 else ''} broken)" if count > 1 else ""
        return violation(contract, str(error.check.name), f"{error.check.error}{more}", rows=bad, where=where)
    return violation(contract, rule, str(error), where=where)


def require_columns(
    frame: pl.DataFrame,
    columns: Mapping[str, Any],
    contract: str,
    *,
    where: str = "",
    optional: Iterable[str] = (),
    extra: bool = False,
) -> None:
    """Check names and dtypes only, without pandera: the cheap gate of hot paths.

    Raises:
        ContractViolation: ``missing_column``, ``unexpected_column``, ``naive_timestamp`` or ``dtype``.
    """
    may_be_absent = frozenset(optional)
    expected = f"the columns must be {' '.join(columns)}, they are {' '.join(frame.columns) or 'none'}"
    for name in [c for c in columns if c not in frame.columns and c not in may_be_absent]:
        twin = next((c for c in frame.columns if c.lower() == name.lower()), None)
        hint = f"; {twin!r} must be spelled {name!r}" if twin else ""
        raise violation(contract, "missing_column", f"{name!r} is missing; {expected}{hint}", where=where)
    for name in [] if extra else frame.columns:
        if name not in columns:
            raise violation(contract, "unexpected_column", f"{name!r} is not expected; {expected}", where=where)
    for name, right in columns.items():
        actual = frame.schema.get(name, right)
        if actual != right:
            naive = isinstance(actual, pl.Datetime) and actual.time_zone is None
            rule = "naive_timestamp" if naive else "dtype"
            hint = ": a timestamp needs its time zone, UTC" if naive else ""
            says = f"column {name} must be {_name(right)}, it is {_name(actual)}{hint}"
            raise violation(contract, rule, says, where=where)


def _name(dtype: Any) -> str:
    if isinstance(dtype, pl.Datetime):
        return f"Datetime[{dtype.time_unit}, {dtype.time_zone or 'no time zone'}]"
    return str(dtype)


def _absent(frame: pl.DataFrame, column: str) -> pl.Expr:
    null = pl.col(column).is_null()
    return null | pl.col(column).is_nan() if frame.schema[column].is_float() else null


def sorted_unique(*keys: str) -> Rule:
    """Rows ascend strictly by ``keys`` taken together: sorted, and none twice."""
    ascends = pl.lit(False)
    for key in reversed(keys):
        ascends = (pl.col(key) > pl.col(key).shift()) | ((pl.col(key) == pl.col(key).shift()) & ascends)
    first = pl.int_range(pl.len()) == 0
    return Rule("sorted_unique", first | ascends, f"rows must ascend by {', '.join(keys)}, each once")


def bar_rules() -> list[Rule]:
    """What every bar of every timeframe must satisfy."""
    low, high = pl.min_horizontal("Open", "Close"), pl.max_horizontal("Open", "Close")
    positive = pl.all_horizontal(*((pl.col(p) > 0) & pl.col(p).is_finite() for p in PRICES))
    return [
        Rule("price_not_positive", positive, "Open, High, Low and Close must be finite and above 0"),
        Rule("low_bounds", pl.col("Low") <= low, "Low must be at or below Open and Close"),
        Rule("high_bounds", pl.col("High") >= high, "High must be at or above Open and Close"),
        Rule("volume_negative", pl.col("Volume") >= 0, "Volume must be 0 or more"),
    ]


BAR_COLUMNS: Mapping[str, Any] = {
    "Symbol": pl.String,
    "Timestamp": INSTANT,
    **dict.fromkeys(PRICES, pl.Float64),
    "Volume": pl.Int64,
    "session": pl.Date,
}

ON_GRID = Rule("off_grid", pl.col("Timestamp").dt.epoch("us") % 60_000_000 == 0, "Timestamp must be a whole minute")


RAW_COLUMNS: Mapping[str, Any] = {
    **{name: dtype for name, dtype in BAR_COLUMNS.items() if name != "session"},
    "source_file": pl.String,
}


def _m1_raw() -> "DataFrameSchema":
    return table("m1_raw", RAW_COLUMNS, nullable=[*PRICES, "Volume"])


def _m1_bars() -> "DataFrameSchema":
    rules = [*bar_rules(), ON_GRID, sorted_unique("Symbol", "Timestamp")]
    return table("m1_bars", BAR_COLUMNS, rules=rules)


def _bars() -> "DataFrameSchema":
    columns = {**BAR_COLUMNS, "minutes": pl.Int32, "complete": pl.Boolean}
    present = Rule("minutes_present", pl.col("minutes") >= 1, "a bar is made of at least one minute")
    rules = [*bar_rules(), ON_GRID, present, sorted_unique("Symbol", "Timestamp")]
    return table("bars", columns, rules=rules)


register("m1_raw", _m1_raw)
register("m1_bars", _m1_bars)
register("bars", _bars)
