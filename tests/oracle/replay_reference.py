"""A second replay, written from the rules' page alone: slow, plain, exact. It imports nothing of the product.

All arithmetic is in Fractions of the decimals that floats show. Input and output are plain lists and dicts:

bars     [{"symbol", "time" (int), "o", "h", "l", "c", "session" (anything comparable)}]
signals  [{"symbol", "time", "long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short"}], None = absent
config   the dict that ReplayConfig.model_validate takes
instruments  {symbol: {"tick", "lot", "min_qty"}}
"""

from fractions import Fraction
from functools import cache
from math import ceil, floor


@cache
def decimal(value):
    return Fraction(repr(float(value)))


def to_tick(value, tick, up):
    if value is None:
        return None
    steps = decimal(value) / tick
    return (ceil(steps) if up else floor(steps)) * tick


class Reference:
    def __init__(self, bars, signals, config, instruments):
        self.config = config
        self.slip = decimal(config["costs"]["slippage_bps"]) / 10000
        self.fee = decimal(config["costs"]["fees_bps"]) / 10000
        self.cash = decimal(config["initial_cash"])
        self.instruments = {s: {k: decimal(v) for k, v in i.items()} for s, i in instruments.items()}
        self.symbols = sorted({bar["symbol"] for bar in bars})
        self.of = {s: sorted((b for b in bars if b["symbol"] == s), key=lambda b: b["time"]) for s in self.symbols}
        self.bar = {}
        for s in self.symbols:
            days = sorted({b["session"] for b in self.of[s]})
            for n, b in enumerate(self.of[s]):
                number = days.index(b["session"])
                last = n == len(self.of[s]) - 1 or self.of[s][n + 1]["session"] != b["session"]
                known = {k: decimal(b[k]) for k in "ohlc"}
                self.bar[s, b["time"]] = {**known, "n": n, "day": number, "last": last}
        self.signals = {(x["symbol"], x["time"]): x for x in signals}
        self.position = {}
        self.pending = {}
        self.trades = []
        self.rejected = []
        self.events = []
        self.curve = []

    def go(self):
        for t in sorted({time for _, time in self.bar}):
            here = [s for s in self.symbols if (s, t) in self.bar]
            flat = [s for s in here if s not in self.position]
            for s in here:
                if s in self.position:
                    self.leave(s, t, self.bar[s, t], fresh=False)
            for s in here:
                if s in flat and s in self.pending:
                    self.enter(s, t, self.bar[s, t])
            for s in here:
                self.arm(s, t, self.bar[s, t])
            marked = Fraction(0)
            for s, p in self.position.items():
                close = [decimal(b["c"]) for b in self.of[s] if b["time"] <= t][-1]
                marked += p["side"] * p["qty"] * (close - p["price"])
            self.curve.append((t, self.cash, marked))
        for s in sorted(self.position):
            bar = self.of[s][-1]
            self.close(s, bar["time"], self.bar[s, bar["time"]], decimal(bar["c"]), "end")
        self.trades.sort(key=lambda x: (x["exit_time"], x["symbol"]))
        return self

    def leave(self, s, t, bar, fresh):
        p = self.position[s]
        stop, target = p["sl"], p["tp"]
        if p["side"] == 1:
            stopped, reached = (lambda x: x <= stop), (lambda x: target is not None and x >= target)
            worst, best = bar["l"], bar["h"]
        else:
            stopped, reached = (lambda x: x >= stop), (lambda x: target is not None and x <= target)
            worst, best = bar["h"], bar["l"]
        if not fresh and stopped(bar["o"]):
            return self.close(s, t, bar, bar["o"], "sl")
        if not fresh and reached(bar["o"]):
            return self.close(s, t, bar, bar["o"], "tp")
        if stopped(worst):
            return self.close(s, t, bar, stop, "sl")
        if reached(best):
            return self.close(s, t, bar, target, "tp")
        if bar["last"] and self.config["exit_at_session_end"]:
            return self.close(s, t, bar, bar["c"], "eod")
        held = bar["day"] - p["day"] + 1
        limit = self.config["max_hold_sessions"]
        if bar["last"] and limit is not None and held >= limit:
            return self.close(s, t, bar, bar["c"], "time")
        return None

    def close(self, s, t, bar, raw, reason):
        p = self.position.pop(s)
        price = raw if reason == "tp" else raw * (1 - p["side"] * self.slip)
        fee = self.fee * p["qty"] * price
        gross = p["side"] * p["qty"] * (price - p["price"])
        self.cash += gross - fee
        trade = {
            "symbol": s,
            "setup_time": p["setup_time"],
            "side": p["side"],
            "qty": p["qty"],
            "entry_time": p["time"],
            "entry_price": p["price"],
            "exit_time": t,
            "exit_price": price,
            "exit_reason": reason,
            "fees": p["fee"] + fee,
            "pnl": gross - p["fee"] - fee,
            "bars_held": bar["n"] - p["n"] + 1,
        }
        self.trades.append(trade)
        self.events.append(trade)  # in order of exit

    def enter(self, s, t, bar):
        w = self.pending[s]
        long_hit = "long" in w and bar["h"] >= w["long"][0]
        short_hit = "short" in w and bar["l"] <= w["short"][0]
        if not (long_hit or short_hit):
            return None
        del self.pending[s]
        name = "long" if long_hit else "short"
        if long_hit and short_hit:
            up, down = w["long"][0], w["short"][0]
            if bar["o"] >= up:
                name = "long"
            elif bar["o"] <= down:
                name = "short"
            elif abs(up - bar["o"]) == abs(bar["o"] - down):
                return self.reject(s, w["time"], t, "ambiguous")
            else:
                name = "long" if abs(up - bar["o"]) < abs(bar["o"] - down) else "short"
        entry, stop, target, qty = w[name]
        side = 1 if name == "long" else -1
        raw = max(bar["o"], entry) if side == 1 else min(bar["o"], entry)
        if target is not None and side * raw >= side * target:
            return self.reject(s, w["time"], t, "gap_through_target")
        if side * raw <= side * stop:
            return self.reject(s, w["time"], t, "gap_through_stop")
        lot, least = self.instruments[s]["lot"], self.instruments[s]["min_qty"]
        notional = sum(p["qty"] * p["price"] for p in self.position.values())
        room = self.cash * decimal(self.config["max_leverage"]) - notional
        qty = min(qty, floor(room / raw / lot) * lot)
        if qty < least:
            return self.reject(s, w["time"], t, "buying_power")
        price = raw * (1 + side * self.slip)
        fee = self.fee * qty * price
        self.cash -= fee
        self.position[s] = {
            "side": side,
            "qty": qty,
            "price": price,
            "sl": stop,
            "tp": target,
            "fee": fee,
            "time": t,
            "n": bar["n"],
            "day": bar["day"],
            "setup_time": w["time"],
        }
        return self.leave(s, t, bar, fresh=True)

    def reject(self, s, setup_time, t, reason):
        self.rejected.append({"symbol": s, "setup_time": setup_time, "time": t, "reason": reason})

    def arm(self, s, t, bar):
        x = self.signals.get((s, t))
        if x is not None and s not in self.position:
            tick = self.instruments[s]["tick"]
            self.pending.pop(s, None)
            w = {"time": t, "until": bar["day"] + self.config["valid_sessions"]}
            if x["long_entry"] is not None:
                self.side(w, "long", s, *(to_tick(x[k], tick, up) for k, up in LONG))
            if x["short_entry"] is not None:
                self.side(w, "short", s, *(to_tick(x[k], tick, up) for k, up in SHORT))
            if "long" in w or "short" in w:
                self.pending[s] = w
            else:
                self.reject(s, t, t, "size")
        if bar["last"] and s in self.pending and bar["day"] >= self.pending[s]["until"]:
            del self.pending[s]

    def side(self, w, name, s, entry, stop, target):
        qty = self.size(entry, stop, self.instruments[s]["lot"])
        if qty >= self.instruments[s]["min_qty"]:
            w[name] = (entry, stop, target, qty)

    def size(self, entry, stop, lot):
        z = self.config["sizing"]
        equity = self.cash if z.get("equity") is None else decimal(z["equity"])
        if z["mode"] == "fixed":
            return decimal(z["qty"])
        if z["mode"] == "pct_of_equity":
            return floor(equity * decimal(z["pos_pct"]) / 100 / entry / lot) * lot
        pct = decimal(z["risk_pct"]) if z["mode"] == "risk" else self.kelly(z)
        cap = floor(equity * decimal(z["max_pos_pct"]) / 100 / entry / lot) * lot
        return min(floor(equity * pct / 100 / abs(entry - stop) / lot) * lot, cap)

    def kelly(self, z):
        if len(self.events) < z["min_trades"]:
            return decimal(z["min_pct"])
        pnls = [trade["pnl"] for trade in self.events][-z["lookback"] :]
        wins = [x for x in pnls if x > 0]
        losses = [-x for x in pnls if x <= 0]
        share = Fraction(len(wins), len(pnls))
        if not losses:
            f = share
        elif not wins:
            f = Fraction(0)
        elif sum(losses) == 0:
            f = share
        else:
            f = share - (1 - share) / ((sum(wins) / len(wins)) / (sum(losses) / len(losses)))
        if f <= 0:
            return Fraction(0)
        return min(decimal(z["max_pct"]), max(decimal(z["min_pct"]), 100 * decimal(z["fraction"]) * f))


LONG = (("long_entry", True), ("sl_long", False), ("tp_long", True))
SHORT = (("short_entry", False), ("sl_short", True), ("tp_short", False))


def reference_replay(bars, signals, config, instruments):
    return Reference(bars, signals, config, instruments).go()
