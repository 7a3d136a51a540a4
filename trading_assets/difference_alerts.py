"""What a person on call is told about differences between broker and ledger."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trading.ports.alerts import Alert

if TYPE_CHECKING:
    from trading.orders.differences import Difference


def difference_alert(
    account: str,
    at: dt.datetime,
    found: Sequence["Difference"],
    left: Sequence["Difference"],
    *,
    key: str = "",
    link: str = "",
) -> Alert:
    """One message for all of them; critical while a position has no stop or is of unknown origin."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(d.kind for d in found).items()))
    dangerous = {"missing_exit", "exit_differs", "orphan_position", "quantity_differs"} & {d.kind for d in left}
    rest = f"{len(left)} left: no new entry until none is" if left else "none is left"
    return Alert(
        title=f"Broker and ledger differ: {account}",
        severity="critical" if dangerous else "error",
        at=at,
        what=f"{kinds}. {found[0].order_ref}: {found[0].says}. {rest}",
        account=account,
        link=link,
        command=f"trading reconcile {account}",
        dedupe_key=key,
    )
