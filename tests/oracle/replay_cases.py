"""Random replay cases made to be nasty: coarse prices, so that ties, gaps and levels on the tick are common."""

import random

MINUTE = 60_000_000
T0 = 1_704_205_800_000_000  # 2024-01-02 14:30 UTC


def random_case(seed):
    """(bars, signals, config, instruments) in the form of replay_reference; a pure function of ``seed``."""
    rng = random.Random(seed)
    n_symbols = rng.choice([1, 1, 2, 3, 5])
    tick = rng.choice([0.01, 0.01, 0.05, 0.25, 0.1, 1.0, 0.0001, 0.125])
    names = rng.sample(["A", "AA", "B", "BRK.B", "C", "a", "Z", "_X"[1:], "M1"], n_symbols)
    instruments = {
        s: {
            "tick": tick if rng.random() < 0.7 else rng.choice([0.01, 0.05, 0.25]),
            "lot": rng.choice([1.0, 1.0, 1.0, 10.0, 100.0, 0.1, 0.001]),
            "min_qty": rng.choice([1.0, 1.0, 1.0, 5.0, 0.001]),
        }
        for s in names
    }
    bars, signals = [], []
    n_sessions = rng.randint(1, 5)
    lengths = [rng.choice([1, 2, 4, 8, 12]) for _ in range(n_sessions)]
    missing = rng.choice([0.0, 0.0, 0.15, 0.5])
    grid = rng.choice([tick, tick, tick * 3, tick / 4, 0.01])
    vol = rng.choice([1, 2, 4, 8])
    p_signal = rng.choice([0.1, 0.3, 0.6, 1.0])
    for s in names:
        base = rng.choice([20, 100, 100, 333])
        base = max(base, 60 * tick)
        level = round(base / grid)

        def price(k):
            return round(max(k, 1) * grid, 6)

        for day in range(n_sessions):
            if rng.random() < 0.1:
                continue
            for minute in range(lengths[day]):
                level = max(level + rng.randint(-vol, vol), 25)
                if rng.random() < missing:
                    continue
                o = level + rng.choice([0, 0, 0, rng.randint(-3 * vol, 3 * vol)])
                c = max(o + rng.randint(-vol, vol), 1)
                o = max(o, 1)
                h = max(o, c) + rng.randint(0, vol)
                lo = max(min(o, c) - rng.randint(0, vol), 1)
                level = c
                time = T0 + day * 1440 * MINUTE + minute * MINUTE
                bars.append(
                    {
                        "symbol": s,
                        "time": time,
                        "o": price(o),
                        "h": price(h),
                        "l": price(lo),
                        "c": price(c),
                        "session": day,
                    }
                )
                if rng.random() < p_signal:
                    signals.append(_signal(rng, s, time, price, c, vol, grid))
    costs = rng.choice([(0.0, 0.0), (2.0, 1.0), (0.0, 5.0), (1.5, 0.0), (30.0, 30.0)])
    config = {
        "initial_cash": rng.choice([10000.0, 1000.0, 10000.1, 250.0, 1e6]),
        "costs": {"fees_bps": costs[0], "slippage_bps": costs[1]},
        "sizing": _sizing(rng),
        "exit_at_session_end": rng.random() < 0.5,
        "valid_sessions": rng.choice([0, 0, 1, 2, 4]),
        "max_hold_sessions": rng.choice([None, None, 1, 2, 3]),
        "max_leverage": rng.choice([1.0, 1.0, 0.5, 2.0, 0.3, 4.0]),
    }
    return bars, signals, config, instruments


def _signal(rng, symbol, time, price, close, vol, grid):
    signal = dict.fromkeys(("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short"))
    sides = rng.choice(["both", "both", "both", "long", "short", "none" if rng.random() < 0.1 else "both"])
    off = rng.choice([0.0, 0.0, 0.0, grid / 7, 1e-13])
    width = rng.randint(0, 2 * vol)
    if sides in ("both", "long"):
        entry = max(close + rng.randint(-1, 1) + width, 12)
        stop = entry - rng.randint(1, 3 * vol)
        signal["long_entry"] = price(entry) + off
        signal["sl_long"] = price(min(max(stop, 1), entry - 1))
        if rng.random() < 0.7:
            signal["tp_long"] = price(entry + rng.randint(1, 4 * vol)) + off
    if sides in ("both", "short"):
        entry = max(close + rng.randint(-1, 1) - width, 12)
        signal["short_entry"] = price(entry)
        signal["sl_short"] = price(entry + rng.randint(1, 3 * vol)) + off
        if rng.random() < 0.7:
            signal["tp_short"] = price(max(entry - rng.randint(1, 4 * vol), 1)) - off
    return {"symbol": symbol, "time": time, **signal}


def _sizing(rng):
    equity = rng.choice([None, None, 10000.0, 777.7])
    mode = rng.choice(["fixed", "pct_of_equity", "risk", "kelly"])
    if mode == "fixed":
        return {"mode": mode, "qty": rng.choice([1.0, 10.0, 37.0, 0.5, 150.0]), "equity": equity}
    if mode == "pct_of_equity":
        return {"mode": mode, "pos_pct": rng.choice([10.0, 20.0, 50.0, 100.0, 33.3]), "equity": equity}
    if mode == "risk":
        risk = rng.choice([0.1, 0.5, 1.0, 2.0, 0.3])
        return {"mode": mode, "risk_pct": risk, "max_pos_pct": rng.choice([20.0, 100.0, 5.0]), "equity": equity}
    return {
        "mode": mode,
        "lookback": rng.choice([1, 3, 5, 20]),
        "min_trades": rng.choice([1, 2, 5]),
        "fraction": rng.choice([0.25, 0.5, 1.0, 0.1]),
        "min_pct": rng.choice([0.0, 0.1, 1.0]),
        "max_pct": rng.choice([1.0, 5.0, 2.5]),
        "max_pos_pct": rng.choice([20.0, 100.0]),
        "equity": equity,
    }
