"""The rules one by one, against answers worked out by hand (tests/answers/replay)."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from trading.replay import replay

CASES = sorted((Path(__file__).parents[3] / "answers" / "replay").glob("*.csv"))
LEVELS = ("long_entry", "sl_long", "tp_long", "short_entry", "sl_short", "tp_short")
T0 = 1_704_205_800_000_000  # 2024-01-02 14:30 UTC


def moment(text: str) -> int:
    session, minute = text.split(".")
    return T0 + (int(session) - 1) * 86_400_000_000 + int(minute) * 60_000_000


def value(text: str):
    return {"true": True, "false": False, "none": None}[text] if text.isalpha() and text != "nan" else float(text)


@dataclass
class Case:
    bars: list = field(default_factory=list)
    signals: list = field(default_factory=list)
    config: dict = field(default_factory=dict)
    instruments: dict = field(default_factory=dict)
    trades: list = field(default_factory=list)
    rejected: list = field(default_factory=list)

    @property
    def parts(self):
        return self.bars, self.signals, self.config, self.instruments


def load(path: Path) -> Case:
    case = Case()
    sizing = {"mode": "fixed", "qty": 10.0}
    case.config = {
        "initial_cash": 10000.0,
        "costs": {"fees_bps": 0.0, "slippage_bps": 0.0},
        "sizing": sizing,
        "exit_at_session_end": False,
        "valid_sessions": 0,
        "max_hold_sessions": None,
        "max_leverage": 1.0,
    }
    for kind, *row in csv.reader(line for line in path.read_text().splitlines() if not line.startswith("#")):
        if kind == "config":
            name, _, inner = row[0].partition(".")
            if row[0] == "sizing.mode":
                sizing.clear()
                sizing["mode"] = row[1]
            elif inner:
                number = value(row[1])
                case.config[name][inner] = int(number) if inner in ("lookback", "min_trades") else number
            else:
                number = value(row[1])
                case.config[name] = int(number) if name.endswith("sessions") else number
        elif kind == "instrument":
            case.instruments[row[0]] = dict(zip(("tick", "lot", "min_qty"), map(float, row[1:]), strict=True))
        elif kind == "bar":
            o, h, low, c = map(float, row[2:])
            day = int(row[1].split(".")[0])
            case.bars.append(
                {"symbol": row[0], "time": moment(row[1]), "o": o, "h": h, "l": low, "c": c, "session": day}
            )
        elif kind == "signal":
            levels = [float(x) if x else None for x in row[2:]]
            case.signals.append({"symbol": row[0], "time": moment(row[1]), **dict(zip(LEVELS, levels, strict=True))})
        elif kind == "trade":
            symbol, setup, side, qty, entry, entry_price, exit_, exit_price, reason, fees, pnl, held = row
            exact = (symbol, moment(setup), int(side), float(qty), moment(entry), moment(exit_), reason, int(held))
            case.trades.append((exact, (float(entry_price), float(exit_price), float(fees), float(pnl))))
        elif kind == "rejected":
            case.rejected.append((row[0], moment(row[1]), moment(row[2]), row[3]))
        else:
            raise ValueError(f"{path}: {kind}")
    for bar in case.bars:
        case.instruments.setdefault(bar["symbol"], {"tick": 0.01, "lot": 1.0, "min_qty": 1.0})
    return case


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
class TestAnswers:
    def test_replay(self, path, oracle):
        case = load(path)
        result = replay(*oracle.frames(case.parts))
        rows = result.trades.with_columns(pl.col(pl.Datetime).to_physical()).to_dicts()
        exact = ("Symbol", "setup_time", "side", "qty", "entry_time", "exit_time", "exit_reason", "bars_held")
        assert [tuple(row[k] for k in exact) for row in rows] == [trade[0] for trade in case.trades]
        for row, (_, money) in zip(rows, case.trades, strict=True):
            got = (row["entry_price"], row["exit_price"], row["fees"], row["pnl"])
            assert got == pytest.approx(money, abs=1e-9)
        assert result.rejected.with_columns(pl.col(pl.Datetime).to_physical()).rows() == case.rejected
        net = sum(money[3] for _, money in case.trades)
        assert result.metrics["final_cash"] == pytest.approx(case.config["initial_cash"] + net, abs=1e-9)

    def test_reference(self, path, oracle):
        """The reference that random cases are judged by agrees with the answers too."""
        case = load(path)
        result = oracle.replay(*case.parts)
        exact = ("symbol", "setup_time", "side", "qty", "entry_time", "exit_time", "exit_reason", "bars_held")
        got = [tuple(float(t[k]) if k == "qty" else t[k] for k in exact) for t in result.trades]
        assert got == [trade[0] for trade in case.trades]
        for trade, (_, money) in zip(result.trades, case.trades, strict=True):
            figures = tuple(float(trade[k]) for k in ("entry_price", "exit_price", "fees", "pnl"))
            assert figures == pytest.approx(money, abs=1e-9)
        assert [tuple(r.values()) for r in result.rejected] == case.rejected


def test_there_are_answers():
    assert len(CASES) > 60
