"""Orders, executions and accounts on the wire, as TWS of server version 176 writes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.tws_messages import framed

_ACTION, _REF, _OCA_TYPE = 15, 25, 46


@dataclass
class ServerOrder:
    """An order as the server keeps it."""

    client_id: int
    order_id: int
    perm_id: int
    con_id: int
    symbol: str
    exchange: str
    action: str
    qty: float
    type: str
    limit: str
    aux: str
    tif: str
    oca_group: str
    account: str
    ref: str
    transmit: bool
    parent_id: int
    good_till: str
    oca_type: int
    status: str = "PreSubmitted"
    filled: float = 0.0
    average: float = 0.0
    why: str = ""
    history: list[str] = field(default_factory=list)

    @property
    def live(self) -> bool:
        return self.status not in ("Filled", "Cancelled", "Staged")

    @property
    def remaining(self) -> float:
        return self.qty - self.filled


def placed(fields: Sequence[str], client_id: int, perm_id: int) -> ServerOrder:
    """Message 3, after its number."""
    return ServerOrder(
        client_id, int(fields[0]), perm_id, int(fields[1] or 0), fields[2], fields[8], fields[_ACTION], float(fields[16]),
        fields[17], fields[18], fields[19], fields[20], fields[21], fields[22], fields[_REF], fields[26] == "1",
        int(fields[27] or 0), fields[37], int(fields[_OCA_TYPE] or 0), status="Staged",
    )  # fmt: skip


def _contract(o: ServerOrder, exchange: str = "SMART") -> list[object]:
    return [o.con_id, o.symbol, "STK", "", "0", "?", "", exchange, "USD", o.symbol, "NMS"]


def open_order(o: ServerOrder) -> bytes:
    """Message 5."""
    order = [
        o.action,
        f"{o.qty:g}",
        o.type,
        o.limit or "0.0",
        o.aux or "0.0",
        o.tif,
        o.oca_group,
        o.account,
        "",
        0,
        o.ref,
    ]
    ids = [
        o.client_id,
        o.perm_id,
        0,
        0,
        0,
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        o.good_till,
        "",
        "",
        "",
        0,
        "",
        -1,
        0,
        "",
        "",
        "",
    ]
    flags = ["", "", "", 0, 0, 0, "", o.oca_type, 0, 0, "", o.parent_id, 0, "", 0, "", ""]
    trailing = [0, 0, "", "", "", "", "", 0, 0, 0]
    scale = ["", "", "", "", 0, "", "", 0, 0, ""]
    state = [0, 0, o.status, *[""] * 9, "", "", "", "", "", 0, 0]
    adjusted = [0, "None", "", "", "", "", "", "", 0, "", "", "", "", 0, 0, 0, 0]
    newest = ["", "", 0, "", "", "", "", ""]
    return framed([5, o.order_id, *_contract(o), *order, *ids, *flags, *trailing, *scale, *state, *adjusted, *newest])


def completed_order(o: ServerOrder) -> bytes:
    """Message 101: without order and client id, and with the quantity that was filled."""
    order = [o.action, "0" if o.status == "Filled" else f"{o.qty:g}", o.type, o.limit or "0.0", o.aux or "0.0", o.tif]
    ids = [o.oca_group, o.account, "", 0, o.ref, o.perm_id, 0, 0, 0, "", "", "", "", "", "", o.good_till, "", "", ""]
    more = [0, "", -1, "", "", "", "", "", 0, 0, 0, "", o.oca_type, 0, "", 0, "", ""]
    trailing = [0, 0, "", "", "", 0, 0, 0, "", "", "", "", "", "", 0, 0, "", 0, o.status, 0, 0, 0]
    done = ["", "", "", 0, 0, "", f"{o.filled:g}", 0, 0, "", 0, 0, 0, "20240301 12:00:00 UTC", o.why or o.status]
    return framed([101, *_contract(o), *order, *ids, *more, *trailing, *done, "", "", "", "", ""])


def order_status(o: ServerOrder) -> bytes:
    """Message 3."""
    told = [o.order_id, o.status, f"{o.filled:g}", f"{o.remaining:g}", o.average, o.perm_id, o.parent_id, o.average]
    return framed([3, *told, o.client_id, "", 0])


@dataclass(frozen=True)
class ServerFill:
    """One execution; ``exec_id`` with the number of its correction at the end."""

    exec_id: str
    order: ServerOrder
    at: str
    qty: float
    price: float
    fee: float


def exec_details(req_id: int, f: ServerFill) -> bytes:
    """Message 11."""
    o = f.order
    side = "BOT" if o.action == "BUY" else "SLD"
    what = [f.exec_id, f.at, o.account, "ARCA", side, f"{f.qty:g}", f.price, o.perm_id, o.client_id, 0, f"{o.filled:g}"]
    return framed([11, req_id, o.order_id, *_contract(o, "ARCA"), *what, o.average, o.ref, "", "", "", 2])


def commission_report(f: ServerFill) -> bytes:
    """Message 59."""
    return framed([59, 1, f.exec_id, f.fee, "USD", "", "", ""])


def position(account: str, con_id: int, symbol: str, qty: float, average: float) -> bytes:
    """Message 61; the exchange is the listing one."""
    contract = [con_id, symbol, "STK", "", "0", "", "", "ARCA", "USD", symbol, "NMS"]
    return framed([61, 3, account, *contract, f"{qty:g}", average])


def portfolio(account: str, con_id: int, symbol: str, qty: float, price: float, average: float) -> bytes:
    """Message 7."""
    contract = [con_id, symbol, "STK", "", "0", "", "", "ARCA", "USD", symbol, "NMS"]
    return framed([7, 8, *contract, f"{qty:g}", price, qty * price, average, qty * (price - average), 0, account])
