"""Corporate actions: splits, dividends and changes of the company behind a Symbol, each with its dates.

Bars are stored as traded and are never rewritten; :mod:`trading.bars.adjust` makes adjusted views from these rows.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from trading.contracts import Rule, register, require_columns, sorted_unique, table, validate, violation

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

CONTRACT = "corporate_actions"

SPLIT, DIVIDEND, NEW_SECURITY = "split", "dividend", "new_security"
KINDS = (SPLIT, DIVIDEND, NEW_SECURITY)

ACTION_COLUMNS: Mapping[str, Any] = {
    "Symbol": pl.String,
    "ex_date": pl.Date,
    "kind": pl.String,
    "ratio": pl.Float64,
    "amount": pl.Float64,
    "currency": pl.String,
    "announced": pl.Date,
    "source": pl.String,
}
"""Symbol; ex_date: first date that trades without the claim; kind: one of ``KINDS``; ratio: new shares per old one, of
a split; amount: cash per share held at the last close before ex_date, in currency, of a dividend; announced: since when it
is known, null where it is not before ex_date; source: who says so.

``new_security``: from ex_date on the Symbol is another company or share class, and the series before it is not continued.
"""

ACTION_KEY = ("Symbol", "ex_date", "kind")


def no_actions() -> pl.DataFrame:
    """An empty frame of the contract."""
    return pl.DataFrame(schema=dict(ACTION_COLUMNS))


def collect_actions(frames: Iterable[pl.DataFrame], *, where: str = "") -> pl.DataFrame:
    """The frames as one, sorted by Symbol, ex_date, kind: the same rows in any order give the same frame.

    Rows that say exactly the same are one.

    Args:
        frames: columns of ``ACTION_COLUMNS`` in any order.
        where: what the frames are, for the message.

    Raises:
        ContractViolation: a wrong column or figure, or ``conflicting_actions``: the same Symbol, ex_date and kind with
            different figures. Nothing is guessed.
    """
    given = list(frames)
    for frame in given:
        require_columns(frame, ACTION_COLUMNS, CONTRACT, where=where)
    rows = pl.concat([no_actions(), *(frame.select(*ACTION_COLUMNS) for frame in given)]).unique()
    rows = rows.sort(*ACTION_KEY, "ratio", "amount", "currency", "announced", "source", nulls_last=True)
    twice = rows.filter(pl.struct(ACTION_KEY).is_duplicated())
    if twice.height:
        says = (
            "a Symbol has one split, one dividend and one change of security a day; correct or remove all rows but one"
        )
        raise violation(CONTRACT, "conflicting_actions", says, rows=twice, where=where)
    return validate(rows, CONTRACT, where=where)


def in_force_from() -> pl.Expr:
    """First date on which an action is both in effect and known (Date)."""
    return pl.max_horizontal("ex_date", "announced")


def action_rules() -> list[Rule]:
    """What every row must satisfy."""
    col = pl.col
    is_split, is_dividend = col("kind") == SPLIT, col("kind") == DIVIDEND
    ratio, amount = col("ratio"), col("amount")
    return [
        Rule("kind", col("kind").is_in(KINDS), f"kind must be one of {', '.join(KINDS)}"),
        Rule("ratio_for_splits", is_split == ratio.is_not_null(), "a split has a ratio, and nothing else has"),
        Rule(
            "ratio",
            ratio.is_null() | (ratio.is_finite() & (ratio > 0) & (ratio != 1)),
            "ratio is new shares per old one: finite, above 0, and not 1, which changes nothing",
        ),
        Rule(
            "amount_for_dividends",
            is_dividend == amount.is_not_null(),
            "a dividend has an amount, and nothing else has",
        ),
        Rule("amount", amount.is_null() | (amount.is_finite() & (amount > 0)), "amount must be finite and above 0"),
        Rule(
            "currency",
            (is_dividend == col("currency").is_not_null()) & col("currency").str.contains(r"^[A-Z]{3,5}$"),
            "a dividend, and nothing else, has a currency of three to five capital letters",
        ),
        sorted_unique(*ACTION_KEY),
    ]


def _corporate_actions() -> "DataFrameSchema":
    return table(CONTRACT, ACTION_COLUMNS, rules=action_rules(), nullable=["ratio", "amount", "currency", "announced"])


register(CONTRACT, _corporate_actions)
