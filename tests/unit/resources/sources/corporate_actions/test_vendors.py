import datetime as dt
import gzip
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from harness.vendor_server import Asked, Reply, VendorServer, vendor_server
from pydantic import ValidationError

from resources.sources.context import SourceContext
from resources.sources.corporate_actions.eodhd import EodhdActionsConfig
from resources.sources.corporate_actions.polygon import PolygonActionsConfig
from resources.sources.errors import SourceError
from trading.errors import ConfigError, ContractViolation, TradingError
from trading.ports.corporate_actions import CorporateActionSource
from trading.ports.sources import SourceDown

Opened = Callable[..., SourceContext]
FIRST, LAST = dt.date(2010, 1, 1), dt.date(2025, 1, 1)
KEY = "canaryKeyOfActions_51xQ"
DAY = dt.date(2014, 6, 9)

EODHD = {
    "/api/splits/AAPL.US": [
        {"date": "2014-06-09", "split": "7.000000/1.000000"},
        {"date": "2020-08-31", "split": "4.000000/1.000000"},
        {"date": "2005-02-28", "split": "2.000000/1.000000"},  # before what was asked for
    ],
    "/api/div/AAPL.US": [
        {
            "date": "2014-05-08",
            "declarationDate": "2014-04-23",
            "recordDate": "2014-05-12",
            "paymentDate": "2014-05-15",
            "period": "Quarterly",
            "value": 0.1175,
            "unadjustedValue": 3.29,
            "currency": "USD",
        },
        {"date": "2012-08-09", "declarationDate": None, "value": 0.0946, "unadjustedValue": 2.65, "currency": "USD"},
    ],
    "/api/splits/AIG.US": [{"date": "2009-07-01", "split": "1.000000/20.000000"}],
    "/api/div/AIG.US": [],
    "/api/splits/SPCL.US": [{"date": "2014-06-09", "split": "1.000000/1.000000"}],  # changes nothing
    "/api/div/SPCL.US": [
        {"date": "2014-03-10", "declarationDate": None, "unadjustedValue": 0, "currency": "USD"},  # changes nothing
        {"date": "2014-06-09", "declarationDate": "2014-05-01", "unadjustedValue": 0.1, "currency": "USD"},
        {"date": "2014-06-09", "declarationDate": "2014-05-20", "unadjustedValue": 0.2, "currency": "USD"},
        {"date": "2014-06-09", "declarationDate": "2014-05-20", "unadjustedValue": 0.2, "currency": "USD"},
    ],
}


@pytest.fixture
def eodhd() -> Iterator[VendorServer]:
    def answer(asked: Asked) -> Reply:
        if asked.query.get("api_token") != KEY:
            return Reply(401, b"Unauthenticated", content_type="text/html")
        if asked.path not in EODHD:
            return Reply(404, b"Ticker Not Found.", content_type="text/html")
        assert asked.query["from"] == "2010-01-01" and asked.query["to"] == "2025-01-01", asked
        return Reply(body=json.dumps(EODHD[asked.path]).encode())

    with vendor_server(answer) as server:
        yield server


def eodhd_source(server: VendorServer, context: Opened, key: str = KEY) -> CorporateActionSource:
    config = EodhdActionsConfig(kind="eodhd", base_url=server.url, patience_seconds=0.5)
    return config.open(context(env={"EODHD_API_KEY": key}))


def test_eodhd_splits_and_dividends_as_paid(eodhd: VendorServer, context: Opened, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    read = eodhd_source(eodhd, context).read(
        ["AAPL", "AAPL", "AIG"], FIRST, LAST, lambda done, of, what: told.append((done, of, what))
    )
    assert read.frame.rows() == [
        ("AAPL", dt.date(2012, 8, 9), "dividend", None, 2.65, "USD", None, "eodhd"),
        ("AAPL", dt.date(2014, 5, 8), "dividend", None, 3.29, "USD", dt.date(2014, 4, 23), "eodhd"),
        ("AAPL", DAY, "split", 7.0, None, None, None, "eodhd"),
        ("AAPL", dt.date(2020, 8, 31), "split", 4.0, None, None, None, "eodhd"),
    ]
    assert told == [(1, 2, "corporate actions of AAPL"), (2, 2, "corporate actions of AIG")]
    assert len(eodhd.asked) == 4
    kept = {file.name.rsplit("-", 1)[0]: gzip.decompress(file.read_bytes()) for file in tmp_path.rglob("*.json.gz")}
    assert json.loads(kept["AAPL.US-splits"]) == EODHD["/api/splits/AAPL.US"]
    assert read.files == {name: hashlib.sha256(body).hexdigest() for name, body in kept.items()}
    assert set(read.arrived) == set(read.files)


def test_the_same_answer_is_kept_once(eodhd: VendorServer, context: Opened, tmp_path: Path) -> None:
    for _ in range(2):
        eodhd_source(eodhd, context).read(["AIG"], FIRST, LAST)
    assert len(list(tmp_path.rglob("*.json.gz"))) == 2


def test_a_special_dividend_adds_to_the_regular_one(eodhd: VendorServer, context: Opened) -> None:
    read = eodhd_source(eodhd, context).read(["SPCL"], FIRST, LAST)
    assert read.frame.rows() == [("SPCL", DAY, "dividend", None, 0.3, "USD", dt.date(2014, 5, 20), "eodhd")]


def test_an_unknown_symbol_is_named_and_the_others_come(eodhd: VendorServer, context: Opened) -> None:
    read = eodhd_source(eodhd, context).read(["NONE", "AAPL"], FIRST, LAST)
    assert read.frame["Symbol"].unique().to_list() == ["AAPL"]
    assert list(read.refused) == ["NONE"] and "404" in read.refused["NONE"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([{"date": "09.06.2014", "split": "7/1"}], r"splits of AAPL.US .* row 1: date is '09.06.2014'"),
        ([{"date": "2014-06-09", "split": "7:1"}], r"row 1: split is '7:1'; it must be NEW/OLD"),
        ([{"date": "2014-06-09", "split": "0/1"}], r"row 1: a split of 1 into 0 shares; both must be above 0"),
        ([{"date": "2014-06-09", "split": "-7/1"}], r"row 1: split, new is '-7'; it must be a number, 0 or more"),
        ([{"split": "7/1"}], r"row 1: date is None"),
        (["2014-06-09"], r"row 1: date is None"),
    ],
)
def test_rows_that_eodhd_does_not_document_refuse_their_symbol_alone(
    eodhd: VendorServer, context: Opened, body: list[Any], says: str
) -> None:
    eodhd.faults.append(Reply(body=json.dumps(body).encode()))
    read = eodhd_source(eodhd, context).read(["AAPL", "SPCL"], FIRST, LAST)
    assert read.frame["Symbol"].to_list() == ["SPCL"]
    assert list(read.refused) == ["AAPL"] and re.search(says, read.refused["AAPL"])


@pytest.mark.parametrize(
    "fault",
    [
        Reply(503, b"busy"),
        Reply(body=b'[{"date": "2014', how="half"),
        Reply(body=b'{"error": 1}'),
        Reply(how="nothing"),
    ],
    ids=["busy", "half", "no list", "reset"],
)
def test_a_vendor_that_stumbles_is_asked_again_and_one_that_is_down_is_said_to_be(
    eodhd: VendorServer, context: Opened, fault: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    config = EodhdActionsConfig(kind="eodhd", base_url=eodhd.url, patience_seconds=30)
    eodhd.faults.append(fault)
    read = config.open(context(env={"EODHD_API_KEY": KEY})).read(["AIG"], FIRST, LAST)
    assert read.frame.is_empty() and len(eodhd.asked) == 3
    eodhd.faults.extend([fault] * 20)
    with pytest.raises(SourceDown, match=r"splits of AIG\.US 2010-01-01 to 2025-01-01") as down:
        eodhd_source(eodhd, context).read(["AIG"], FIRST, LAST)
    assert KEY not in caplog.text + repr(down.value) + repr(down.value.__context__) + repr(down.value.__cause__)


def test_a_wrong_or_missing_key_says_which_variable(eodhd: VendorServer, context: Opened) -> None:
    with pytest.raises(SourceError, match="EODHD_API_KEY"):
        eodhd_source(eodhd, context, key="wrong").read(["AAPL"], FIRST, LAST)
    with pytest.raises(ConfigError, match="EODHD_API_KEY is not set"):
        eodhd_source(eodhd, context, key="").read(["AAPL"], FIRST, LAST)
    with pytest.raises(ConfigError, match="must list its symbols"):
        eodhd_source(eodhd, context).read(None, FIRST, LAST)


@pytest.mark.parametrize("config", [EodhdActionsConfig, PolygonActionsConfig])
@pytest.mark.parametrize("wrong", [{"requests_per_minute": 0}, {"key_env": "not a name"}, {"patience_seconds": 0}])
def test_settings_out_of_bounds_are_refused(
    config: type[EodhdActionsConfig | PolygonActionsConfig], wrong: dict[str, Any]
) -> None:
    kind = config.model_fields["kind"].annotation
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        config.model_validate({"kind": get_args(kind)[0], **wrong})


def _split(ticker: str, day: str, old: float, new: float) -> dict[str, Any]:
    kind = "forward_split" if new > old else "reverse_split"
    return {
        "id": f"S{ticker}{day}",
        "ticker": ticker,
        "execution_date": day,
        "split_from": old,
        "split_to": new,
        "adjustment_type": kind,
        "historical_adjustment_factor": 0.1,
    }


def _paid(ticker: str, day: str, amount: float, number: int = 1, currency: str = "USD") -> dict[str, Any]:
    return {
        "id": f"D{ticker}{day}{number}",
        "ticker": ticker,
        "ex_dividend_date": day,
        "declaration_date": "2014-04-23",
        "cash_amount": amount,
        "split_adjusted_cash_amount": amount / 28,
        "currency": currency,
        "frequency": 4,
        "distribution_type": "recurring",
    }


POLYGON = {
    "splits": [
        _split("AAPL", "2014-06-09", 1, 7),
        _split("BRK.B", "2010-01-21", 1, 50),
        _split("GE", "2021-08-02", 8, 1),
    ],
    "dividends": [
        _paid("AAPL", "2014-05-08", 3.29),
        _paid("GE", "2014-06-19", 0.22, 1),
        _paid("GE", "2014-06-19", 0.1, 2),
        _paid("AAPL", "2014-08-07", 0.47),
    ],
}


@pytest.fixture
def polygon() -> Iterator[VendorServer]:
    """Two rows a page; the last row of a page comes again with the next."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(401, b'{"status": "ERROR", "error": "Unknown API Key"}')
        assert "apiKey" not in asked.query, asked
        what = asked.path.removeprefix("/stocks/v1/")
        day = {"splits": "execution_date", "dividends": "ex_dividend_date"}[what]
        first, last = asked.query[f"{day}.gte"], asked.query[f"{day}.lte"]
        tickers = asked.query["ticker.any_of"].split(",")
        rows = sorted(
            (row for row in POLYGON[what] if row["ticker"] in tickers and first <= row[day] <= last),
            key=lambda row: row[day],
        )
        start = int(asked.query.get("cursor", 0))
        said: dict[str, Any] = {"status": "OK", "request_id": "1", "results": rows[start : start + 2]}
        if start + 2 < len(rows):
            query = "&".join(f"{name}={value}" for name, value in {**asked.query, "cursor": start + 1}.items())
            said["next_url"] = f"https://api.massive.com{asked.path}?{query}&apiKey=theirs"
        return Reply(body=json.dumps(said).encode())

    with vendor_server(answer) as server:
        yield server


def polygon_source(server: VendorServer, context: Opened, **settings: Any) -> CorporateActionSource:
    config = PolygonActionsConfig(
        kind="polygon", base_url=server.url, requests_per_minute=1000, patience_seconds=0.5, **settings
    )
    return config.open(context(env={"POLYGON_API_KEY": KEY}))


@pytest.mark.parametrize("together", [1, 2, 50])
def test_polygon_pages_and_groups_give_every_action_once(polygon: VendorServer, context: Opened, together: int) -> None:
    source = polygon_source(polygon, context, tickers={"BRK-B": "BRK.B"}, tickers_per_request=together)
    read = source.read(["GE", "AAPL", "BRK-B"], FIRST, LAST)
    declared = dt.date(2014, 4, 23)
    assert read.frame.rows() == [
        ("AAPL", dt.date(2014, 5, 8), "dividend", None, 3.29, "USD", declared, "polygon"),
        ("AAPL", DAY, "split", 7.0, None, None, None, "polygon"),
        ("AAPL", dt.date(2014, 8, 7), "dividend", None, 0.47, "USD", declared, "polygon"),
        ("BRK-B", dt.date(2010, 1, 21), "split", 50.0, None, None, None, "polygon"),
        ("GE", dt.date(2014, 6, 19), "dividend", None, 0.32, "USD", declared, "polygon"),
        ("GE", dt.date(2021, 8, 2), "split", 0.125, None, None, None, "polygon"),
    ]
    assert len(read.files) == len(polygon.asked)


def test_a_currency_that_is_none_refuses_its_symbol_alone(polygon: VendorServer, context: Opened) -> None:
    polygon.faults.append(Reply(body=json.dumps({"status": "OK", "results": []}).encode()))
    rows = [_paid("GE", "2014-06-19", 1.0, 1, "GBp"), _paid("AAPL", "2014-06-19", 2.0)]
    polygon.faults.append(Reply(body=json.dumps({"status": "OK", "results": rows}).encode()))
    read = polygon_source(polygon, context).read(["GE", "AAPL"], FIRST, LAST)
    assert read.frame["Symbol"].to_list() == ["AAPL"] and "currency is 'GBp'" in read.refused["GE"]


def test_polygon_dividends_in_two_currencies_are_left_to_a_person(polygon: VendorServer, context: Opened) -> None:
    rows = [_paid("GE", "2014-06-19", 1.0, 1), _paid("GE", "2014-06-19", 2.0, 2, "EUR")]
    polygon.faults.append(Reply(body=json.dumps({"status": "OK", "results": []}).encode()))
    polygon.faults.append(Reply(body=json.dumps({"status": "OK", "results": rows}).encode()))
    with pytest.raises(ContractViolation, match="conflicting_actions"):
        polygon_source(polygon, context).read(["GE"], FIRST, LAST)


def test_a_row_of_polygon_that_cannot_be_read_refuses_its_symbol_alone(polygon: VendorServer, context: Opened) -> None:
    rows = [_split("AAPL", "2014-06-09", 0, 7), _split("GE", "2021-08-02", 8, 1)]
    polygon.faults.append(Reply(body=json.dumps({"status": "OK", "results": rows}).encode()))
    read = polygon_source(polygon, context).read(["GE", "AAPL"], FIRST, LAST)
    assert read.frame["Symbol"].unique().to_list() == ["GE"]
    assert (
        "splits of AAPL to GE" in read.refused["AAPL"] and "row 1: a split of 0 into 7 shares" in read.refused["AAPL"]
    )


@pytest.mark.parametrize(
    "said",
    [{"status": "ERROR"}, {"status": "OK"}, {"status": "OK", "results": [{"ticker": "GE"}]}, []],
    ids=["status", "no results", "no id", "a list"],
)
def test_an_answer_without_results_is_no_answer(polygon: VendorServer, context: Opened, said: Any) -> None:
    polygon.faults.extend([Reply(body=json.dumps(said).encode())] * 9)
    with pytest.raises(SourceDown) as down:
        polygon_source(polygon, context).read(["GE"], FIRST, LAST)
    assert isinstance(down.value, TradingError) and KEY not in str(down.value)
