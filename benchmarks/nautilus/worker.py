"""nautilus_trader's side of benchmarks/replay, in its own environment: ``worker.py FOLDER CONFIG`` prints JSON.

Two stop-market entries a signal; when one is in, the other is cancelled, and stop and target are sent; all is closed on the
last bar of a session. Quantities are sized by the balance at the time. The engine is built and loaded before
the clock runs.
"""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig, RiskEngineConfig, StrategyConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
LEVELS = ["long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short"]
BARS_A_SESSION = 78


class Brackets(Strategy):
    def __init__(self, instrument, bar_type, levels, config):
        super().__init__(StrategyConfig(order_id_tag="1"))
        self.instrument, self.bar_type, self.levels, self.settings = instrument, bar_type, levels, config
        self.row = -1
        self.exits = {}

    def on_start(self):
        self.subscribe_bars(self.bar_type)

    def on_bar(self, _):
        self.row += 1
        held = self.portfolio.net_position(self.instrument.id) != 0
        if self.row % BARS_A_SESSION == BARS_A_SESSION - 1:
            self.cancel_all_orders(self.instrument.id)
            self.close_all_positions(self.instrument.id)
        elif not held and self.row in self.levels:
            self.cancel_all_orders(self.instrument.id)
            self.exits.clear()
            levels = self.levels[self.row]
            self.bracket(OrderSide.BUY, *levels[:3])
            self.bracket(OrderSide.SELL, *levels[3:])

    def bracket(self, side, entry, stop, target):
        sizing = self.settings["sizing"]
        funds = self.portfolio.account(VENUE).balance_total(USD).as_double()
        risked = funds * sizing["risk_pct"] / 100 / abs(entry - stop)
        quantity = int(min(risked, funds * sizing["max_pos_pct"] / 100 / entry))
        if quantity < 1:
            return
        order = self.order_factory.stop_market(
            self.instrument.id, side, Quantity.from_int(quantity), trigger_price=Price(entry, 2)
        )
        self.exits[order.client_order_id] = (stop, target)
        self.submit_order(order)

    def on_order_filled(self, event):
        if event.client_order_id not in self.exits:
            return
        stop, target = self.exits[event.client_order_id]
        self.exits.clear()
        self.cancel_all_orders(self.instrument.id)
        side = OrderSide.SELL if event.order_side == OrderSide.BUY else OrderSide.BUY
        quantity, instrument = event.last_qty, self.instrument.id
        self.submit_order(
            self.order_factory.stop_market(instrument, side, quantity, trigger_price=Price(stop, 2), reduce_only=True)
        )
        self.submit_order(
            self.order_factory.limit(instrument, side, quantity, price=Price(target, 2), reduce_only=True)
        )

    def on_position_closed(self, _):
        self.cancel_all_orders(self.instrument.id)


def run(folder, config):
    bars = pa.ipc.open_file(folder / "bars.arrow").read_all().to_pandas()
    signals = pa.ipc.open_file(folder / "signals.arrow").read_all().to_pandas()
    row_of = {stamp: row for row, stamp in enumerate(bars["Timestamp"])}
    levels = {row_of[row["Timestamp"]]: [float(row[name]) for name in LEVELS] for _, row in signals.iterrows()}
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True))
    )
    engine.add_venue(
        VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(config["initial_cash"], USD)], base_currency=USD
    )
    fee = Decimal(str(config["costs"]["fees_bps"])) / 10_000
    instrument = Equity(
        InstrumentId(Symbol("AAA"), VENUE), Symbol("AAA"), USD, 2, Price.from_str("0.01"), Quantity.from_int(1), 0, 0,
        maker_fee=fee, taker_fee=fee,
    )  # fmt: skip
    engine.add_instrument(instrument)
    bar_type = BarType.from_str("AAA.SIM-5-MINUTE-LAST-EXTERNAL")
    frame = bars.set_index("Timestamp")[["Open", "High", "Low", "Close", "Volume"]]
    frame.columns = [name.lower() for name in frame.columns]
    frame["volume"] = 1e9  # no order is filled in parts
    engine.add_data(BarDataWrangler(bar_type, instrument).process(frame))
    engine.add_strategy(Brackets(instrument, bar_type, levels, config))
    cpu, begun = time.process_time(), time.perf_counter()
    engine.run()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    trades = len(engine.trader.generate_positions_report())
    pnl = engine.portfolio.account(VENUE).balance_total(USD).as_double() - config["initial_cash"]
    engine.dispose()
    return {"seconds": seconds, "cpu_seconds": cpu, "trades": trades, "pnl": pnl}


def peak_bytes():
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    found = run(Path(sys.argv[1]), json.loads(sys.argv[2]))
    print(json.dumps({**found, "peak_bytes": peak_bytes(), "used_bytes": 0, "cold": 0.0}))
