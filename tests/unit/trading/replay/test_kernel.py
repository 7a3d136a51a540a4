"""The compiled part: questions to exact arithmetic, and life without a cache directory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trading.replay import replay, state
from trading.replay.machine import Machine, warm_up

ROOT = Path(__file__).parents[4]

TINY = """
import sys, types
sys.path.insert(0, {root!r})
import polars as pl
from trading.replay import ReplayConfig, kernel, replay
from trading.replay.contracts import BARS, SIGNALS
replay(pl.DataFrame(schema=BARS), pl.DataFrame(schema=SIGNALS), ReplayConfig())
print(type(kernel.run._cache).__name__)
"""


def test_nothing_heavy_is_imported_with_the_package():
    code = "import sys; import trading.replay, trading.replay.book; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_works_where_nothing_can_be_cached():
    """/dev/null is no directory, so numba finds no place for its files."""
    # not optimised, which makes compiling a good deal shorter
    env = {**os.environ, "HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "NUMBA_OPT": "0"}
    env.pop("NUMBA_CACHE_DIR", None)
    code = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes[:] = []\n"  # what a read-only installation amounts to
        + TINY.format(root=str(ROOT))
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "NullCache"


def test_every_kind_of_question_comes_up_and_is_answered(oracle, monkeypatch):
    """The random cases are no test of exactness if floats decide all of them."""
    asked = set()
    answer = Machine.answer

    def note(self, question, *rest):
        asked.add((question, self.config.sizing.mode))
        answer(self, question, *rest)

    monkeypatch.setattr(Machine, "answer", note)
    for seed in (27, 70, 89, 230, 241, 498):
        replay(*oracle.frames(oracle.random_case(seed)))
    assert {question for question, _ in asked} == {state.ASK_NEAREST, state.ASK_AFFORDABLE, state.ASK_SIZE}
    assert {mode for question, mode in asked if question == state.ASK_SIZE} == {"pct_of_equity", "risk", "kelly"}


def test_codes_are_distinct_and_named():
    reasons = [
        state.SL, state.TP, state.EOD, state.TIME, state.END, state.FLATTENED, state.AMBIGUOUS, state.GAP_TARGET,
        state.GAP_STOP, state.BUYING_POWER, state.SIZE, state.VALIDITY_OVER, state.FILLED,
    ]  # fmt: skip
    assert len(set(reasons)) == len(reasons)
    assert set(state.REASONS) == set(reasons)


def test_the_run_record_carries_a_fingerprint_of_codes_and_source(monkeypatch):
    assert state.fingerprint() in state.RUN.names
    monkeypatch.setattr(state, "TP", 99)
    assert state.fingerprint() not in state.RUN.names
    assert np.zeros(1, state.RUN)["cash"][0] == 0.0


def test_a_warm_up_compiles_for_the_types_of_a_run(oracle):
    """What a Book's first bars would have to load is there."""
    from trading.replay import kernel, passes

    warm_up()
    functions = (kernel.start, kernel.run, passes.boundaries, passes.order_is_good, passes.session_ends)
    known = [set(function.signatures) for function in functions]
    replay(*oracle.frames(oracle.random_case(6)))
    assert [set(function.signatures) for function in functions] == known
