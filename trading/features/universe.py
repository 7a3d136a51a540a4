"""Which Symbols may give signals in a session, from figures known before its open."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading.contracts import Rule, register, require_columns, sorted_unique, table, violation
from trading.errors import DataError
from trading.features.daily import FEATURES_SCHEMA, FIGURES, FeatureWindows

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

UNIVERSE_SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "Symbol": pl.String,
        "session": pl.Date,
        "admitted": pl.Boolean,
        "removed_by": pl.String,
        "reason": pl.String,
        **{name: dtype for name, dtype in FEATURES_SCHEMA.items() if name not in ("Symbol", "session")},
    }
)

_BLACKOUT: Mapping[str, Any] = {"Symbol": pl.String, "first": pl.Date, "last": pl.Date}
_DEFAULT = FeatureWindows()

Missing = Literal["admit", "remove"]
Ranking = Literal["avg_volume", "avg_dollar_volume", "last_close", "roc", "atr"]


class _Filter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    on_missing: Missing = "remove"


class MinAverageVolume(_Filter):
    """Mean daily volume of the last ``sessions`` sessions is at least ``minimum``; each of them needs a
    bar.
    """

    kind: Literal["min_average_volume"]
    sessions: int = Field(_DEFAULT.volume, ge=1)
    minimum: float = Field(ge=0, allow_inf_nan=False)


class PriceRange(_Filter):
    """Close of the previous session lies in [minimum, maximum], in the instrument's currency."""

    kind: Literal["price_range"]
    minimum: float = Field(0.0, ge=0, allow_inf_nan=False)
    maximum: float | None = Field(None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> "PriceRange":
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"maximum {self.maximum} is below minimum {self.minimum}")
        return self


class RateOfChange(_Filter):
    """Close of the previous session over the one ``sessions`` before it, minus 1, lies in [minimum,
    maximum].
    """

    kind: Literal["rate_of_change"]
    sessions: int = Field(_DEFAULT.roc, ge=1)
    minimum: float | None = Field(None, allow_inf_nan=False)
    maximum: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _bounded(self) -> "RateOfChange":
        if self.minimum is None and self.maximum is None:
            raise ValueError("a minimum, a maximum or both are needed")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"maximum {self.maximum} is below minimum {self.minimum}")
        return self


class Blackout(_Filter):
    """Symbols named in the dated list are out from ``first`` to ``last``; Symbol ``*`` is every Symbol."""

    kind: Literal["blackout"]


class TopN(_Filter):
    """The ``n`` Symbols with the highest ``by`` among those still in; ties go by Symbol.

    One without the figure takes no place: it stays in or goes as ``on_missing`` says.
    """

    kind: Literal["top_n"]
    n: int = Field(ge=1)
    by: Ranking = "avg_dollar_volume"


Filter = Annotated[MinAverageVolume | PriceRange | RateOfChange | Blackout | TopN, Field(discriminator="kind")]


class UniverseConfig(BaseModel):
    """A chain of filters, applied in order; each kind at most once.

    ``on_missing`` of a filter says what a Symbol with too little history gets; ``remove`` by default.
    ``atr_sessions`` is the window of the average true range, which no filter sets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: tuple[Filter, ...] = ()
    atr_sessions: int = Field(_DEFAULT.atr, ge=1)

    @model_validator(mode="after")
    def _distinct(self) -> "UniverseConfig":
        kinds = [f.kind for f in self.filters]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise ValueError(f"filter {kind} comes {kinds.count(kind)} times; each kind may come once")
        return self

    @property
    def windows(self) -> FeatureWindows:
        """The windows that the filters ask for; the usual ones for figures that no filter names a window of."""
        volume = [f.sessions for f in self.filters if isinstance(f, MinAverageVolume)]
        roc = [f.sessions for f in self.filters if isinstance(f, RateOfChange)]
        return FeatureWindows(
            atr=self.atr_sessions, volume=volume[0] if volume else _DEFAULT.volume, roc=roc[0] if roc else _DEFAULT.roc
        )


def build_universe(
    features: pl.DataFrame, session: dt.date, config: UniverseConfig, blackout: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Symbols admitted to ``session``, with the filter and reason that removed each other one.

    Args:
        features: one row per candidate, from :func:`trading.features.daily.daily_features` with the windows of ``config``.
        session: the session decided; that of every row.
        config: the chain.
        blackout: Symbol, first, last (Dates, both included); needed where the chain has a ``blackout`` filter.

    Returns:
        One row per candidate, sorted by Symbol, columns of ``UNIVERSE_SCHEMA``: the figures it was judged by; removed_by
        and reason are null for admitted ones.

    Raises:
        DataError: features of another session, a wrong column, or the blackout list is missing.
    """
    require_columns(features, FEATURES_SCHEMA, "daily_features", where=f"universe of {session}", extra=True)
    others = features.filter(pl.col("session") != session)
    if others.height:
        raise DataError(f"universe of {session}: {others.height} rows of features are of {others['session'][0]}")
    banned = _banned(blackout, session, config)
    state = features.sort("Symbol").with_columns(removed_by=pl.lit(None, pl.String), reason=pl.lit(None, pl.String))
    for chosen in config.filters:
        state = _apply(state, chosen, banned)
    return state.with_columns(admitted=pl.col("removed_by").is_null()).select(
        pl.col(name).cast(dtype) for name, dtype in UNIVERSE_SCHEMA.items()
    )


def removals(universe: pl.DataFrame) -> dict[str, int]:
    """How many Symbols each filter removed, by filter name."""
    counts = universe.filter(~pl.col("admitted")).group_by("removed_by").len().sort("removed_by")
    return dict(counts.iter_rows())


def _banned(blackout: pl.DataFrame | None, session: dt.date, config: UniverseConfig) -> frozenset[str]:
    wanted = any(isinstance(f, Blackout) for f in config.filters)
    if not wanted:
        if blackout is not None:
            raise DataError("universe: a blackout list is given, but the filters have no {kind: blackout}")
        return frozenset()
    if blackout is None:
        raise DataError("universe: the blackout filter needs its list (columns Symbol, first, last)")
    require_columns(blackout, _BLACKOUT, "blackout", where="universe", extra=True)
    bad = blackout.filter(pl.any_horizontal(pl.col(*_BLACKOUT).is_null()) | (pl.col("last") < pl.col("first")))
    if bad.height:
        raise violation("blackout", "period", "Symbol, first and last are needed, first <= last", rows=bad)
    on = blackout.filter((pl.col("first") <= session) & (pl.col("last") >= session))
    return frozenset(on["Symbol"].to_list())


def _apply(state: pl.DataFrame, chosen: Filter, banned: frozenset[str]) -> pl.DataFrame:
    keeps, figure, why = _judge(state, chosen, banned)
    missing = pl.lit(False) if figure is None else pl.col(figure).is_null()
    leaves = pl.lit(chosen.on_missing == "remove") & missing | ~missing & ~keeps
    reason = pl.when(missing).then(pl.lit(f"too little history for {figure}")).otherwise(why)
    goes = pl.col("removed_by").is_null() & leaves.fill_null(True)
    return state.with_columns(
        removed_by=pl.when(goes).then(pl.lit(chosen.kind)).otherwise("removed_by"),
        reason=pl.when(goes).then(reason).otherwise("reason"),
    )


def _judge(state: pl.DataFrame, chosen: Filter, banned: frozenset[str]) -> tuple[pl.Expr, str | None, pl.Expr]:
    """What keeps a Symbol, the figure it is judged by (None: needs none), and the reason of a removal."""
    if isinstance(chosen, MinAverageVolume):
        figure = "avg_volume"
        text = pl.format(
            f"{figure} {{}} over {chosen.sessions} sessions is below {chosen.minimum:,.0f}", _shown(figure, 0)
        )
        return pl.col(figure) >= chosen.minimum, figure, text
    if isinstance(chosen, PriceRange):
        bounds = _bounds(chosen.minimum, chosen.maximum)
        text = pl.format(f"last_close {{}} is outside {bounds}", _shown("last_close", 4))
        return _within("last_close", chosen.minimum, chosen.maximum), "last_close", text
    if isinstance(chosen, RateOfChange):
        bounds = _bounds(chosen.minimum, chosen.maximum)
        text = pl.format(f"roc {{}} over {chosen.sessions} sessions is outside {bounds}", _shown("roc", 6))
        return _within("roc", chosen.minimum, chosen.maximum), "roc", text
    if isinstance(chosen, Blackout):
        clear = pl.lit("*" not in banned) & ~pl.col("Symbol").is_in(sorted(banned))
        return clear, None, pl.lit("on the blackout list")
    ranked = state.filter(pl.col("removed_by").is_null() & pl.col(chosen.by).is_not_null())
    ranked = ranked.sort(chosen.by, "Symbol", descending=[True, False]).head(chosen.n)
    text = pl.format(f"{chosen.by} {{}} is not among the highest {chosen.n}", _shown(chosen.by, 4))
    return pl.col("Symbol").is_in(ranked["Symbol"].to_list()), chosen.by, text


def _within(figure: str, minimum: float | None, maximum: float | None) -> pl.Expr:
    low = pl.lit(True) if minimum is None else pl.col(figure) >= minimum
    high = pl.lit(True) if maximum is None else pl.col(figure) <= maximum
    return low & high


def _bounds(minimum: float | None, maximum: float | None) -> str:
    low = "-inf" if minimum is None else f"{minimum:g}"
    return f"[{low}, {'inf' if maximum is None else f'{maximum:g}'}]"


def _shown(figure: str, decimals: int) -> pl.Expr:
    return pl.col(figure).round(decimals).cast(pl.String)


def _contract() -> "DataFrameSchema":
    told = Rule(
        "removal_explained",
        pl.col("admitted") == (pl.col("removed_by").is_null() & pl.col("reason").is_null()),
        "a removed Symbol has removed_by and reason, an admitted one has neither",
    )
    rules = [told, sorted_unique("Symbol")]
    return table("universe", UNIVERSE_SCHEMA, rules=rules, nullable=["removed_by", "reason", *FIGURES])


register("universe", _contract)
