"""A variant: one strategy with its parameters, timeframe and replay settings, under a name."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from trading.errors import ConfigError
from trading.replay.config import ReplayConfig
from trading.sizing import FixedSizing, KellySizing, PctOfEquitySizing
from trading.strategies import Params, Strategy, get_strategy, strategy_version
from trading.strategies.identity import DIGITS, content_hash

NAME_PATTERN = r"^[a-z0-9][a-z0-9_\-]{0,47}$"

_KEYS = ("name", "label", "universe", "strategy", "timeframe", "params", "replay")


class Variant(BaseModel):
    """One configured strategy; build through :meth:`from_config`.

    Args:
        name: partition key and file name: small letters, digits, ``_`` and ``-``.
        label: what a person reads; None: made of strategy and settings by :func:`run_label`.
        universe: whose Symbols it trades; None: those of every universe, which must then share one calendar.
        strategy: registered name.
        timeframe: one that the strategy reads.
        params: the strategy's own parameter model.
        replay: settings of its replays and of the sizing of its orders.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    label: str | None = None
    universe: str | None = None
    strategy: str
    timeframe: str
    params: SerializeAsAny[Params]
    replay: ReplayConfig

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A variant from what its YAML file holds.

        ``timeframe`` may be left out: the strategy's own. Where the parameters have ``valid_sessions``, the
            replay takes it
        from there, and may not say something else.

        Raises:
            ConfigError: naming the variant, the setting, what was found and what would be right.
        """
        name = config.get("name")
        where = f"variant {name!r}"
        for key in config:
            if key not in _KEYS:
                raise ConfigError(f"{where}: {key} is unknown; the settings are {', '.join(_KEYS)}")
        if not isinstance(config.get("strategy"), str):
            raise ConfigError(f"{where}: strategy is missing; it must be the name of a registered strategy")
        strategy = get_strategy(config["strategy"])
        timeframe = config.get("timeframe", strategy.timeframes[0])
        if timeframe not in strategy.timeframes:
            allowed = ", ".join(strategy.timeframes)
            raise ConfigError(f"{where}: timeframe: {strategy.name} reads {allowed} (found {timeframe!r})")
        params = strategy.parameters.read(_mapping(config, "params", where), where=f"{where}, params")
        replay = _mapping(config, "replay", where)
        validity = getattr(params, "valid_sessions", None)
        if validity is not None and replay.setdefault("valid_sessions", validity) != validity:
            raise ConfigError(
                f"{where}: replay.valid_sessions is {replay['valid_sessions']!r} and params.valid_sessions "
                f"{validity}; they must be equal, or the replay's left out"
            )
        try:
            return cls(
                name=name,
                label=config.get("label"),
                universe=config.get("universe"),
                strategy=strategy.name,
                timeframe=timeframe,
                params=params,
                replay=ReplayConfig.model_validate(replay),
            )
        except ValidationError as error:
            prefix = "replay." if error.title == "ReplayConfig" else ""
            faults = "; ".join(
                f"{prefix}{'.'.join(str(p) for p in fault['loc'])}: {fault['msg']} (found {fault['input']!r})"
                for fault in error.errors(include_url=False)
            )
            raise ConfigError(f"{where}: {faults}") from None

    @property
    def implementation(self) -> Strategy[Any]:
        return get_strategy(self.strategy)

    @cached_property
    def strategy_version(self) -> str:
        """Identity of what gives the signals: source, parameters, timeframe; see :func:`strategy_version`."""
        return strategy_version(self.implementation, self.params, self.timeframe)

    @cached_property
    def config_hash(self) -> str:
        """First 16 hex digits of SHA-256 over all that decides what is traded: everything but the label."""
        return content_hash(self.model_dump(mode="json", exclude={"label"}))[:DIGITS]


def _mapping(config: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: {key} must be a mapping (name: value), it is {value!r}")
    return dict(value)


def run_label(variant: Variant, metrics: Mapping[str, Any] | None = None) -> str:
    """One line for a person, e.g. ``IB · Risk 1% · 10k · fees 2bps · 20 trades · WR 0.75 · PnL +3.61``.

    Args:
        metrics: of a replay: num_trades, win_rate (share), net_pnl (currency); None leaves these parts out.
    """
    strategy = variant.implementation
    replay = variant.replay
    parts = [
        variant.label or strategy.short_name,
        _sizing_label(variant),
        _short(replay.initial_cash),
        f"fees {replay.costs.fees_bps:g}bps",
    ]
    if metrics is not None:
        trades = int(metrics["num_trades"])
        win_rate = metrics.get("win_rate")
        parts += [
            f"{trades} trade{'' if trades == 1 else 's'}",
            "WR n/a" if win_rate is None else f"WR {win_rate:.2f}",
            f"PnL {round(metrics['net_pnl'], 2) + 0.0:+.2f}",
        ]
    return " · ".join(parts)


def _sizing_label(variant: Variant) -> str:
    sizing = variant.replay.sizing
    if isinstance(sizing, FixedSizing):
        return f"Fixed {sizing.qty:g}"
    if isinstance(sizing, PctOfEquitySizing):
        return f"Position {sizing.pos_pct:g}%"
    if isinstance(sizing, KellySizing):
        return f"Kelly {sizing.fraction:g}"
    return f"Risk {sizing.risk_pct:g}%"


def _short(amount: float) -> str:
    """10000 as ``10k``, 2500000 as ``2.5M``, 950 as ``950``."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if amount >= size:
            return f"{amount / size:g}{letter}"
    return f"{amount:g}"
