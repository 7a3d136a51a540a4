"""Parameter sets: grids, draws, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trading.errors import ConfigError
from trading.lab.axes import Axis
from trading.lab.sampling import grid_sets, random_sets
from trading.lab.sweep import Trials

from .conftest import config


def _axes(**axes):
    return {name: Axis.model_validate(axis) for name, axis in axes.items()}


def test_a_grid_is_every_combination_the_last_axis_fastest():
    sets = grid_sets(_axes(a=[1, 2], b=["x", None, True]), 6)
    assert sets.rows == ((1, "x"), (1, None), (1, True), (2, "x"), (2, None), (2, True))
    assert sets.grid == (2, 3)
    assert sets.frame["set"].to_list() == list(range(6))
    assert sets.frame["a"].to_list() == [1, 1, 1, 2, 2, 2]
    assert sets.frame["b"].to_list() == ["x", None, "true"] * 2


def test_integers_are_listed_with_their_step():
    assert Axis.model_validate({"integers": [5, 12], "step": 3}).listed == (5, 8, 11)


def test_too_many_sets_are_refused_with_their_number():
    with pytest.raises(ConfigError, match=r"a grid of 3 x 4 = 12 sets is more than max_sets, 11; list fewer"):
        grid_sets(_axes(a=[1, 2, 3], b=[1, 2, 3, 4]), 11)
    with pytest.raises(ConfigError, match=r"draws is 12, more than max_sets, 11"):
        random_sets(_axes(a=[1, 2, 3]), 12, 7, 11)


def test_a_grid_needs_listed_values():
    with pytest.raises(ConfigError, match=r"b: a grid needs listed values"):
        grid_sets(_axes(a=[1], b={"uniform": [0, 1]}), 100)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_draws_keep_their_bounds_and_come_again(seed, draws):
    axes = _axes(
        u={"uniform": [-1.0, 3.0], "decimals": 2},
        g={"log_uniform": [0.1, 10.0]},
        i={"integers": [3, 9], "step": 2},
        c=["x", "y"],
    )
    sets = random_sets(axes, draws, seed, 100)
    assert sets == random_sets(axes, draws, seed, 100)
    assert 1 <= len(sets) <= draws
    assert len({repr(row) for row in sets.rows}) == len(sets)
    for u, g, i, c in sets.rows:
        assert -1 <= u <= 3 and u == round(u, 2)
        assert 0.1 <= g <= 10
        assert i in (3, 5, 7, 9) and c in ("x", "y")


def test_another_axis_changes_nothing_of_the_first():
    alone = random_sets(_axes(a={"uniform": [0, 1]}), 20, 3, 100)
    beside = random_sets(_axes(z=[1, 2, 3], a={"uniform": [0, 1]}), 20, 3, 100)
    assert [row[0] for row in alone.rows] == [row[1] for row in beside.rows]


def test_log_uniform_draws_every_ratio_alike():
    sets = random_sets(_axes(g={"log_uniform": [1.0, 4.0]}), 4000, 1, 5000)
    assert sum(row[0] < 2 for row in sets.rows) / len(sets) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        (3, "an axis is a list of values, or one of"),
        ({}, "an axis is a list of values, or one of"),
        ({"uniform": [0, 1], "choice": [1]}, "an axis is a list of values, or one of"),
        ([], "the list of values is empty"),
        ([1, 2, 1], "each value may come once"),
        ({"uniform": [2, 1]}, r"uniform must be \[low, high\] with low below high"),
        ({"log_uniform": [0, 1]}, "log_uniform must lie above 0"),
        ({"integers": [3, 2]}, r"integers must be \[first, last\]"),
        ({"choice": [1, 2], "step": 2}, "step belongs to integers only"),
        ({"integers": [1, 2], "decimals": 2}, "decimals belongs to uniform and log_uniform only"),
        ({"normal": [0, 1]}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_axes_say_what_is_right(axis, says):
    with pytest.raises(ValidationError, match=says):
        Axis.model_validate(axis)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"params": None, "replay": None}, "params and replay name no axis"),
        ({"draws": 5}, "draws belongs to method random"),
        ({"method": "random"}, "draws belongs to method random, and is needed there"),
        ({"heat_map": ["params.risk_reward", "params.nothing"]}, "heat_map: params.nothing is no axis; the axes are"),
        ({"heat_map": ["params.risk_reward"] * 2}, "two different axes"),
        ({"cscv": {"blocks": 5}}, "multiple of 2"),
        ({"metric": "sortino"}, "'sharpe', 'net_pnl', 'expectancy' or 'profit_factor'"),
        ({"horizon": "2y"}, "'1y'"),
        ({"seeds": 3}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_sweeps_say_what_is_right(changed, says):
    with pytest.raises(ValidationError, match=says):
        config(**changed)


class TestTrials:
    def test_each_set_is_the_base_with_its_values(self, base):
        trials = Trials.of(config(), base)
        assert len(trials) == 12
        number = 7  # 2 * (risk_reward 2.0) ... : 2.0, 2, 1.0
        assert trials.sets.values(number) == {
            "params.risk_reward": 2.0,
            "params.max_setups_per_window": 2,
            "replay.sizing.risk_pct": 1.0,
        }
        variant = trials.variants[number]
        assert variant.params.risk_reward == 2.0 and variant.params.max_setups_per_window == 2
        assert variant.replay.sizing.risk_pct == 1.0 and variant.replay.sizing.max_pos_pct == 20.0
        assert trials.variants[trials.base].config_hash == base.config_hash

    def test_a_base_that_the_axes_do_not_meet_is_tried_too(self, base):
        trials = Trials.of(config(params={"risk_reward": [1.0, 3.0]}, replay=None), base)
        assert trials.sets.rows == ((1.0,), (3.0,), (2.0,))
        assert trials.base == 2

    def test_an_integer_meets_the_bases_float(self, base):
        assert Trials.of(config(params={"risk_reward": [1, 2]}, replay=None), base).base == 1

    def test_nested_settings_and_whole_sections(self, base):
        sizings = [{"mode": "fixed", "qty": 3}, {"mode": "pct_of_equity", "pos_pct": 5.0}]
        trials = Trials.of(config(params=None, replay={"sizing": sizings, "costs.fees_bps": [0.0, 3.0]}), base)
        assert [variant.replay.sizing.mode for variant in trials.variants] == ["fixed"] * 2 + ["pct_of_equity"] * 2 + [
            "risk"
        ]
        assert [variant.replay.costs.fees_bps for variant in trials.variants] == [0.0, 3.0, 0.0, 3.0, 1.0]

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            (
                {"params": {"risk_reward": [1.0, -2.0]}, "replay": None},
                r"sweep 'tried': set 1 \(params.risk_reward=-2.0\): variant 'base', params: risk_reward: .*greater than 0",
            ),
            ({"params": {"risk_rewrd": [1.0]}}, "risk_rewrd is unknown; the parameters are"),
            ({"replay": {"sizing.riskpct": [1.0]}}, "riskpct.*Extra inputs"),
            ({"replay": {"fees.bps": [1.0]}}, "replay.fees.bps: variant base has no setting fees that holds others"),
        ],
    )
    def test_a_set_that_is_no_variant_is_named(self, base, changed, says):
        with pytest.raises(ConfigError, match=says):
            Trials.of(config(**changed), base)

    def test_the_replay_follows_a_swept_validity(self):
        from trading.variants import Variant

        daily = Variant.from_config({"name": "d", "strategy": "insidebar_breakout"})
        trials = Trials.of(config(params={"valid_sessions": [1, 3]}, replay=None), daily)
        assert [variant.replay.valid_sessions for variant in trials.variants] == [1, 3]
