"""Gates: a tighter limit never lets more through, what is not a number never does, and they read only what they are given."""

import builtins
import dataclasses
import datetime as dt
import inspect
import types
from typing import Any

import pytest
from harness.gates import AT, a_context, an_account, an_intent
from hypothesis import given
from hypothesis import strategies as st

from trading.accounts import KellyCap, SpendingWindow
from trading.risk import gates
from trading.risk.gates import GATES, BookResults, Exposure, SentOrder, TokenBucket, TradeCounts, evaluate

# By setting: a looser and a tighter value.
TIGHTER: list[tuple[str, st.SearchStrategy[tuple[Any, Any]]]] = [
    *((name, st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda p: (max(p), min(p))))
      for name in ("max_trades_account", "max_trades_variant", "max_trades_symbol")),
    *((name, st.tuples(st.floats(0.1, 90), st.floats(0.1, 90)).map(lambda p: (max(p), min(p))))
      for name in ("hard_stop_pct", "max_symbol_pct", "max_gross_pct", "max_net_pct", "max_leverage",
                   "max_price_deviation_pct", "max_price_age_seconds")),
    *((name, st.tuples(st.floats(0, 90), st.floats(0, 90)).map(lambda p: (min(p), max(p))))
      for name in ("dedupe_seconds", "cooldown_minutes")),
    ("expectancy_min_trades", st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda p: (max(p), min(p)))),
    ("kelly", st.tuples(st.floats(1, 5), st.floats(1, 5)).map(
        lambda p: (KellyCap(max_pct=max(p)), KellyCap(max_pct=min(p))))),
    ("spending_windows", st.tuples(st.floats(0, 3000), st.floats(0, 3000)).map(
        lambda p: ([_window(max(p))], [_window(max(p)), _window(min(p))]))),
]  # fmt: skip


def _window(most: float) -> SpendingWindow:
    return SpendingWindow(start="09:30", end="16:00", max_notional=most)


moments = st.integers(0, 1800).map(lambda seconds: AT - dt.timedelta(seconds=seconds))
exposures = st.lists(
    st.builds(Exposure, st.sampled_from("vw"), st.sampled_from(["AAA", "BBB"]), st.sampled_from([1, -1]),
              st.floats(0, 9000), st.sampled_from(["o", "p", "q", ""])), max_size=5,
)  # fmt: skip
contexts = st.builds(
    a_context,
    sent=st.lists(st.builds(SentOrder, st.sampled_from("kx"), st.sampled_from([1, -1]), st.just(100.0), moments), max_size=3),
    trades=st.builds(TradeCounts, *[st.integers(0, 9)] * 3),
    buckets=st.lists(st.builds(TokenBucket, st.just(3), st.just(1.0), st.floats(0, 3)), max_size=2),
    held=exposures,
    pending=exposures,
    stop_outs=st.dictionaries(st.just(("v", "AAA")), moments),
    last_price=st.one_of(st.none(), st.floats(1, 300)),
    last_price_at=st.one_of(st.none(), moments),
    results=st.integers(0, 99).flatmap(
        lambda n: st.builds(BookResults, st.just(n), st.integers(0, n), st.floats(0.1, 50), st.floats(0.1, 50))),
    equity=st.floats(-100, 20_000),
    account_equity=st.floats(-100, 20_000),
)  # fmt: skip


def _passed(limits: dict[str, Any], context: gates.GateContext) -> set[str]:
    return {result.name for result in evaluate(an_intent(), an_account(**limits), context) if result.passed}


@pytest.mark.parametrize("name", [name for name, _ in TIGHTER])
@given(data=st.data(), context=contexts)
def test_a_tighter_limit_never_lets_more_through(name: str, data: st.DataObject, context: gates.GateContext) -> None:
    loose, tight = data.draw(dict(TIGHTER)[name])
    assert _passed({name: tight}, context) <= _passed({name: loose}, context)


@given(contexts, exposures)
def test_more_on_order_never_lets_more_through(context: gates.GateContext, more: list[Exposure]) -> None:
    fuller = dataclasses.replace(context, pending=[*context.pending, *more])
    assert _passed({}, fuller) <= _passed({}, context)


@given(contexts)
def test_the_same_is_answered_to_the_same(context: gates.GateContext) -> None:
    before = dataclasses.replace(context)
    first = evaluate(an_intent(), an_account(), context)
    assert evaluate(an_intent(), an_account(), context) == first and context == before


@pytest.mark.parametrize(
    ("field", "gate"),
    [("equity", "hard_stop"), ("equity", "exposure"), ("account_equity", "exposure"), ("last_price", "price")],
)
def test_what_is_not_a_number_never_passes(field: str, gate: str) -> None:
    assert gate not in _passed({}, a_context(**{field: float("nan")}))


def test_gates_read_only_what_they_are_given() -> None:
    """Every name that a gate, or a function of its module, takes from outside is a function, a class or a constant."""
    functions = [
        item for item in vars(gates).values() if inspect.isfunction(item) and item.__module__ == gates.__name__
    ]
    assert set(GATES) <= set(functions)
    for function in functions:
        taken = inspect.getclosurevars(function)
        assert not taken.nonlocals, function
        for name, value in taken.globals.items():
            immutable = isinstance(value, (str, int, float, tuple, frozenset))
            assert callable(value) or immutable or isinstance(value, types.GenericAlias), (function, name)
        assert not {"open", "print", "input", "exec", "eval"} & set(taken.builtins), function
        assert not {"now", "today", "utcnow", "environ"} & (set(function.__code__.co_names) - set(vars(builtins))), (
            function
        )
