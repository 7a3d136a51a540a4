"""A sweep gives for each of its sets exactly what a replay of that set alone gives."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading.errors import ContractViolation
from trading.replay import ReplayConfig, repeated, replay, replay_sweep
from trading.replay.contracts import LEVELS
from trading.replay.machine import Machine, new_log


def variants(oracle, seed, n=4):
    """One case's bars and instruments, with the signals of other draws and the settings of other cases."""
    bars, signals, _, instruments = oracle.frames(oracle.random_case(seed))
    configs = [oracle.frames(oracle.random_case(seed * 1000 + i))[2] for i in range(n)]
    parts = [
        signals.sample(fraction=0.7, seed=seed + i).select(pl.lit(i, dtype=pl.Int32).alias("set"), pl.all())
        for i in range(n - 1)
    ]
    return bars, pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=seed), configs, instruments


def check_sums(bars, got):
    """The trades by session are those of the frame of trades."""
    exits = got.trades.join(
        bars.select("Symbol", "session", exit_time="Timestamp"), on=["Symbol", "exit_time"], how="left"
    ).with_columns(
        place=pl.col("session").replace_strict(dict(zip(got.sessions, range(len(got.sessions)), strict=True)))
    )
    wanted = [np.zeros(got.equity.shape) for _ in range(3)]
    for number, place, pnl in exits.select("set", "place", "pnl").iter_rows():
        wanted[0][number, place] += 1
        wanted[1 if pnl > 0 else 2][number, place] += abs(pnl)
    sums = got.by_session
    assert np.array_equal(sums.trades, wanted[0])
    assert sums.won == pytest.approx(wanted[1])
    assert sums.lost == pytest.approx(wanted[2])


def check(case, where):
    bars, signals, configs, instruments = case
    got = replay_sweep(bars, signals, configs, instruments, trades=True, by_session=True)
    bare = replay_sweep(bars, signals, configs, instruments)
    assert_frame_equal(bare.metrics, got.metrics, check_exact=True)
    assert np.array_equal(bare.equity, got.equity)
    check_sums(bars, got)
    assert got.metrics["set"].to_list() == list(range(len(configs)))
    assert got.sessions.to_list() == bars["session"].unique().sort().to_list()
    assert got.equity.shape == (len(configs), got.sessions.len())
    for i, config in enumerate(configs):
        alone = replay(bars, signals.filter(pl.col("set") == i), config, instruments)
        metrics = got.metrics.row(i, named=True)
        assert metrics.pop("set") == i
        assert metrics == alone.metrics, f"{where}, set {i}"
        assert_frame_equal(got.trades.filter(pl.col("set") == i).drop("set"), alone.trades, check_exact=True)
        ends = bars.group_by("session").agg(pl.col("Timestamp").max()).sort("session")
        wanted = ends.join(alone.equity, on="Timestamp", how="left", maintain_order="left")["equity"]
        assert np.array_equal(got.equity[i], wanted.to_numpy()), f"{where}, set {i}"


@pytest.mark.parametrize("block", range(2))
def test_each_set_equals_its_replay(oracle, block):
    for seed in range(block * 30, block * 30 + 30):
        check(variants(oracle, seed), f"seed {seed}")


def of_one_symbol(case):
    bars, signals, configs, instruments = case
    one = pl.col("Symbol") == (bars["Symbol"].max() or "")
    return bars.filter(one), signals.filter(one), configs, instruments


@pytest.mark.parametrize("block", range(2))
def test_each_set_over_one_symbol_equals_its_replay(oracle, block):
    """One Symbol is gone through without queue and curve."""
    for seed in range(1000 + block * 40, 1000 + block * 40 + 40):
        bars, signals, configs, instruments = variants(oracle, seed)
        if bars.height:
            check(of_one_symbol((bars, signals, configs, instruments)), f"seed {seed}")


SIZINGS = (
    {"mode": "risk", "risk_pct": 0.5, "max_pos_pct": 100.0},
    {"mode": "risk", "risk_pct": 5.0, "max_pos_pct": 400.0},
    {"mode": "pct_of_equity", "pos_pct": 90.0},
    {"mode": "fixed", "qty": 3.0, "equity": None},
    {
        "mode": "kelly",
        "lookback": 30,
        "min_trades": 5,
        "fraction": 0.5,
        "min_pct": 0.5,
        "max_pct": 5.0,
        "max_pos_pct": 100.0,
    },
)


def a_walk(seed, sessions=25, length=40, symbols=1):
    """Random walks long enough for drawdowns within drawdowns, in whole cents, and brackets of some sets on them."""
    rng = np.random.default_rng(seed)
    n = sessions * length
    parts = []
    for number in range(symbols):
        close = 50.0 + np.cumsum(rng.integers(-9, 10, n) + rng.choice([-1, 0, 1])) / 100
        opened = np.concatenate([close[:1], close[:-1]]) + rng.choice([0.0, 0.0, 0.0, 0.25, -0.25], n)
        reach = rng.integers(0, 8, (2, n)) / 100
        stamps = np.arange(sessions)[:, None] * 86_400_000_000 + np.arange(length) * 60_000_000
        prices = {
            "Open": opened, "High": np.maximum(opened, close) + reach[0], "Low": np.minimum(opened, close) - reach[1],
            "Close": close,
        }  # fmt: skip
        parts.append(
            pl.DataFrame(
                {
                    "Symbol": pl.repeat(f"W{number}", n, eager=True),
                    "Timestamp": pl.Series(stamps.ravel()).cast(pl.Datetime("us", "UTC")),
                    **{name: np.round(values, 2) for name, values in prices.items()},
                    "Volume": np.full(n, 100),
                    "session": pl.Series(np.repeat(np.arange(sessions), length)).cast(pl.Int32).cast(pl.Date),
                }
            )
        )
    bars = pl.concat(parts)
    configs, signals = [], []
    for number, sizing in enumerate(SIZINGS):
        configs.append(
            ReplayConfig.model_validate(
                {
                    "sizing": sizing,
                    "costs": {"fees_bps": rng.choice([0.0, 1.0]), "slippage_bps": rng.choice([0.0, 0.5])},
                    "exit_at_session_end": bool(rng.integers(2)),
                    "valid_sessions": int(rng.integers(3)),
                    "max_hold_sessions": [None, 2][rng.integers(2)],
                    "max_leverage": float(rng.choice([0.5, 1.0, 4.0])),
                }
            )
        )
        some = bars.filter(pl.Series(rng.random(bars.height) < 0.2))
        off, stop, goal = (rng.integers(low, 30, some.height) / 100 for low in (0, 1, 1))
        long, short = some["Close"] + off, some["Close"] - off
        target = pl.Series(rng.random(some.height) < 0.8)
        levels = (long, long - stop, long + goal, short, short + stop, short - goal)
        signals.append(
            some.select("Symbol", "Timestamp").with_columns(
                pl.lit(number, pl.Int32).alias("set"),
                **{
                    name: pl.when(target | (not name.startswith("tp"))).then(values)
                    for name, values in zip(LEVELS, levels, strict=True)
                },
            )
        )
    return bars, pl.concat(signals), configs, None


@pytest.mark.parametrize("symbols", [1, 2])
def test_long_walks_have_the_drawdown_of_every_close(symbols):
    for seed in range(6):
        check(a_walk(seed, symbols=symbols), f"walk {seed}")


def test_questions_to_exact_arithmetic_come_up_over_one_symbol(oracle, monkeypatch):
    asked = set()
    answer = Machine.answer

    def note(self, question, *rest):
        asked.add(question)
        answer(self, question, *rest)

    monkeypatch.setattr(Machine, "answer", note)
    for seed in range(1000, 1080):
        bars, signals, configs, instruments = of_one_symbol(variants(oracle, seed))
        replay_sweep(bars, signals, configs, instruments)
    assert len(asked) == 3


def test_without_trades_there_are_none(oracle):
    bars, signals, configs, instruments = variants(oracle, 6)
    got = replay_sweep(bars, signals, configs, instruments)
    assert got.trades is None and got.by_session is None


def test_no_sets(oracle):
    bars, signals, _, instruments = variants(oracle, 6)
    got = replay_sweep(bars, signals.clear(), [], instruments, trades=True, by_session=True)
    assert got.metrics.height == got.trades.height == 0
    assert got.by_session.won.shape == got.equity.shape
    assert got.equity.shape == (0, got.sessions.len())


@pytest.mark.parametrize("number", [-1, 4, None])
def test_a_set_without_config_is_refused(oracle, number):
    bars, signals, configs, instruments = variants(oracle, 6)
    bad = signals.with_columns(set=pl.when(pl.int_range(pl.len()) == 1).then(pl.lit(number, pl.Int32)).otherwise("set"))
    with pytest.raises(ContractViolation, match="index of one of 4 configs") as refused:
        replay_sweep(bars, bad, configs, instruments)
    assert (refused.value.contract, refused.value.rule) == ("replay.signals", "set")
    assert "1 offending" in str(refused.value)


def test_bad_bars_are_refused_without_any_set(oracle):
    bars, signals, _, instruments = variants(oracle, 6)
    with pytest.raises(ContractViolation, match="prices must be finite"):
        replay_sweep(bars.with_columns(Low=pl.lit(-1.0)), signals.clear(), [], instruments)


def test_the_sets_of_the_random_cases_are_of_every_sizing(oracle):
    modes = {config.sizing.mode for seed in range(60) for config in variants(oracle, seed)[2]}
    symbols = {variants(oracle, seed)[0]["Symbol"].n_unique() for seed in range(60)}
    assert modes == {"fixed", "pct_of_equity", "risk", "kelly"}
    assert max(symbols) > 2


def test_rows_may_come_in_any_order(oracle):
    bars, signals, configs, instruments = variants(oracle, 6)
    shuffled = replay_sweep(bars, signals, configs, instruments, trades=True)
    for by in (["set", "Symbol", "Timestamp"], ["Symbol", "Timestamp", "set"], ["Timestamp"]):
        again = replay_sweep(bars, signals.sort(by), configs, instruments, trades=True)
        assert_frame_equal(again.metrics, shuffled.metrics, check_exact=True)
        assert_frame_equal(again.trades, shuffled.trades, check_exact=True)
        assert np.array_equal(again.equity, shuffled.equity)


def test_what_was_summed_up_before_rows_proved_out_of_order_does_not_count_twice():
    bars, signals, configs, instruments = a_walk(3, sessions=5)
    signals = signals.sort("set", "Symbol", "Timestamp")
    last = pl.col("set") == len(configs) - 1
    late = pl.concat([signals.filter(~last), signals.filter(last).reverse()])
    wanted = replay_sweep(bars, signals, configs, instruments, by_session=True).by_session
    got = replay_sweep(bars, late, configs, instruments, by_session=True).by_session
    assert wanted.trades[0].sum() > 0
    for name in ("trades", "won", "lost"):
        assert np.array_equal(getattr(got, name), getattr(wanted, name))


@pytest.mark.parametrize("in_order", [True, False])
def test_a_bad_signal_in_any_set_is_refused_and_shown(oracle, in_order):
    bars, signals, configs, instruments = variants(oracle, 6)
    signals = signals.sort("set", "Symbol", "Timestamp") if in_order else signals
    row = int(signals.with_row_index().filter(pl.col("long_entry").is_not_null())["index"][-1])
    picked = pl.int_range(pl.len()) == row
    for name, value, rule in (("tp_long", float("nan"), "finite"), ("sl_long", 1e6, "stop_side")):
        bad = signals.with_columns(pl.when(picked).then(value).otherwise(name).alias(name))
        with pytest.raises(ContractViolation, match="1 offending row") as refused:
            replay_sweep(bars, bad, configs, instruments)
        assert refused.value.rule == rule
        assert f"│ {row} " in refused.value.details


def test_a_bar_may_have_a_signal_of_each_set_but_not_two(oracle):
    bars, signals, configs, instruments = variants(oracle, 6)
    first = signals[:1]
    each = pl.concat([first.with_columns(set=pl.lit(i, pl.Int32)) for i in range(len(configs))])
    assert replay_sweep(bars, each, configs, instruments).metrics.height == len(configs)
    with pytest.raises(ContractViolation) as refused:
        replay_sweep(bars, pl.concat([each, first]), configs, instruments)
    assert refused.value.rule == "duplicate"


@pytest.mark.parametrize("symbols", [1, 2])
def test_memory_is_of_threads_and_not_of_sets(monkeypatch, symbols):
    """Whatever is as long as bars or signals is made once a thread."""
    made = []

    def note(*size):
        made.append(size)
        return new_log(*size)

    monkeypatch.setattr(repeated, "new_log", note)
    bars, signals, configs, instruments = a_walk(1, sessions=2, symbols=symbols)
    first = signals.filter(pl.col("set") == 0).sort("Symbol", "Timestamp")
    many = pl.concat([first.with_columns(set=pl.lit(i, pl.Int32)) for i in range(40)])
    assert replay_sweep(bars, many, configs[:1] * 40, instruments).metrics.height == 40
    assert 1 <= len(made) <= pl.thread_pool_size()
