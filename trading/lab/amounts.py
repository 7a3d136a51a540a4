"""Currency, unit and notional: what the figures of a replay are amounts of."""

from collections.abc import Mapping

import polars as pl

from trading.errors import ConfigError
from trading.instruments import Instrument

Instruments = Mapping[str, Instrument]


def currency_of(instruments: Instruments) -> str:
    """The one currency of all instruments, in which a replay counts its cash; of none, that of an instrument by default.

    Raises:
        ConfigError: they have several. A replay adds their results up, and converts nothing.
    """
    by_currency: dict[str, list[str]] = {}
    for symbol, instrument in sorted(instruments.items()):
        by_currency.setdefault(instrument.currency, []).append(symbol)
    if len(by_currency) > 1:
        found = "; ".join(f"{currency}: {', '.join(symbols[:5])}" for currency, symbols in sorted(by_currency.items()))
        raise ConfigError(
            f"a variant trades in one currency, its Symbols have {len(by_currency)} ({found}). Give the variant a "
            "`universe` of one currency, or set `currency` under the universe's `instruments`"
        )
    return next(iter(by_currency), str(Instrument.model_fields["currency"].default))


def units_of(instruments: Instruments) -> list[str]:
    """What quantities count, each unit once, sorted."""
    return sorted({instrument.unit for instrument in instruments.values()})


def filled_orders(fills: pl.DataFrame, instruments: Instruments) -> pl.DataFrame:
    """Fills with unit (of qty), notional (qty * the position's entry price) and currency (of price, fee and notional).

    Args:
        fills: ``ReplayResult.fills``. A setup enters at most once, so Symbol and setup_time name the position.
    """
    entered = pl.col("price").filter(pl.col("kind") == "entry").first().over("Symbol", "setup_time")
    return _with_amounts(fills.with_columns(notional=pl.col("qty") * entered), instruments)


def trades(closed: pl.DataFrame, instruments: Instruments) -> pl.DataFrame:
    """Trades with unit (of qty), notional (qty * entry_price) and currency (of prices, fees, pnl and notional)."""
    return _with_amounts(closed.with_columns(notional=pl.col("qty") * pl.col("entry_price")), instruments)


def _with_amounts(frame: pl.DataFrame, instruments: Instruments) -> pl.DataFrame:
    units = pl.DataFrame(
        {"Symbol": list(instruments), "unit": [instrument.unit for instrument in instruments.values()]},
        schema={"Symbol": pl.String, "unit": pl.String},
    )
    return (
        frame.join(units, on="Symbol", how="left", maintain_order="left")
        .with_columns(currency=pl.lit(currency_of(instruments)))
        .select(*(name for name in frame.columns if name != "notional"), "unit", "notional", "currency")
    )
