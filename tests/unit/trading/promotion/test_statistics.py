"""Wilson's bound against published answers and some worked by hand."""

import pytest

from trading.errors import DataError
from trading.promotion.statistics import wilson_lower_bound


@pytest.mark.parametrize(
    ("wins", "trades", "expected"),
    [
        # z = 1.959964; 8 of 10: (0.8 + 0.192073 - 0.313713 ...) / 1.384146
        (8, 10, 0.490162),
        (1, 1, 0.206549),
        (10, 100, 0.055229),
        (50, 100, 0.403832),
        (0, 5, 0.0),
    ],
)
def test_wilson(wins, trades, expected):
    assert wilson_lower_bound(wins, trades) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("wins", "trades", "expected"), [(81, 263, 0.2553), (15, 148, 0.0624), (0, 20, 0.0), (1, 29, 0.0061)]
)
def test_published(wins, trades, expected):
    """Newcombe, R. G. (1998), Two-sided confidence intervals for the single proportion: comparison of seven methods, Statistics
    in Medicine 17, 857-872, table I: the lower limits of method 3, the score interval without continuity correction.
    """
    assert round(wilson_lower_bound(wins, trades), 4) == expected


def test_wilson_edges():
    assert wilson_lower_bound(0, 0) is None
    # all won: n / (n + z^2)
    assert wilson_lower_bound(20, 20) == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)
    assert wilson_lower_bound(600, 1000, 0.99) < wilson_lower_bound(600, 1000, 0.95) < 0.6
    for wins, trades in ((3, 2), (-1, 2)):
        with pytest.raises(DataError, match="wins must be from 0"):
            wilson_lower_bound(wins, trades)
