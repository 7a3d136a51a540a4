"""The line that says where a version stands."""

from trading.promotion import decide, decide_all, decide_by_person
from trading.promotion.standing import standing_line


def test_what_is_missing_is_told_with_figures(green, strict, spoil):
    poor = spoil(green, horizons__3__metrics__sharpe=0.82, robustness__pbo=None)
    said = standing_line(decide_all(poor, strict, "experiment")[-1], "2024-03-15")
    assert said == (
        "risk1: LAB since 2024-03-15; missing for paper: 1y.sharpe 0.82 (asked: 1), pbo not known (asked: 0.2)"
    )


def test_only_the_approval(green, strict):
    assert standing_line(decide(green, strict, "paper"), "2024-01-02") == (
        "risk1: PAPER since 2024-01-02; missing for live: approval (insufficient)"
    )


def test_live_and_suspended(green, strict, spoil):
    assert standing_line(decide(green, strict, "live"), "2024-01-02").endswith("LIVE since 2024-01-02; all gates green")
    red = spoil(green, execution__sessions=39)
    assert standing_line(decide(red, strict, "live"), "x").endswith("red: paper_sessions 39 (asked: 40)")
    stopped = decide_by_person(green, strict, "live", "suspended", by="Ada", reason="looks wrong")
    assert standing_line(stopped, "x") == "risk1: SUSPENDED since x; looks wrong"


def test_many_are_cut(green, strict):
    bare = green.model_copy(update={"horizons": ()})
    assert " and " in standing_line(decide(bare, strict, "lab"), "x") and standing_line(
        decide(bare, strict, "lab"), "x"
    ).endswith("more")
