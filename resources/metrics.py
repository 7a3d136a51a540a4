"""Prometheus metrics of orders and money, read from the ledger.

The ledger is where the router records each step before and after it takes it. Counted there, no restart loses a count and no
retry counts twice, whichever process has traded.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from resources.ledger import Ledger
from trading.orders.differences import DifferenceKind

LATENCY_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10_000.0)
"""Upper bounds, milliseconds."""

_DIFFERENCES = frozenset(get_args(DifferenceKind))


class OrderMetrics(Collector):
    """Follows one ledger: every collection reads what was recorded since the last one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._read: dict[str, int] = {}
        self._sent = Counter[tuple[str, ...]]()
        self._fills = Counter[tuple[str, ...]]()
        self._rejects = Counter[tuple[str, ...]]()
        self._differences = Counter[tuple[str, ...]]()
        self._realised: dict[tuple[str, ...], float] = {}
        self._latency: dict[tuple[str, ...], list[float]] = {}
        self._scopes: set[str] = set()

    def collect(self) -> Iterator[Metric]:
        """The families, in a fixed order. LedgerUnavailable where the ledger cannot be read: a scrape that fails is seen."""
        for row in self._new("order_events"):
            self._take_event(row)
        for row in self._new("fills"):
            self._fills[row["account"], row["variant"], row["leg"]] += 1
            book = (row["account"], row["variant"])
            self._realised[book] = self._realised.get(book, 0.0) + row["realised"]
        for row in self._new("risk_events"):
            if row["kind"] in _DIFFERENCES:
                self._differences[row["account"], row["kind"]] += 1
        book_labels = ["account", "variant"]
        yield _counter("orders_sent", "orders sent to a broker", book_labels, self._sent)
        yield _counter("fills", "executions, by leg", [*book_labels, "leg"], self._fills)
        yield _counter("rejects", "orders refused by a gate or a broker", [*book_labels, "reason"], self._rejects)
        yield _counter(
            "reconcile_differences", "where broker and ledger disagreed", ["account", "kind"], self._differences
        )
        realised = GaugeMetricFamily("pnl_realized", "of all fills, after fees, account currency", labels=book_labels)
        for labels, amount in sorted(self._realised.items()):
            realised.add_metric(labels, amount)
        yield realised
        yield self._kill_switch()
        yield self._latencies()

    def _take_event(self, row: Mapping[str, Any]) -> None:
        book = (row["account"], row["variant"])
        if row["state"] == "submitting":
            self._sent[book] += 1
        elif row["state"] == "rejected":
            self._rejects[(*book, row["reason"])] += 1
        elif row["state"] == "acknowledged":
            for stage, milliseconds in json.loads(row["payload"]).get("latency_ms", {}).items():
                self._latency.setdefault((row["account"], stage), []).append(milliseconds)

    def _kill_switch(self) -> Metric:
        engaged = {switch.scope for switch in self._ledger.engaged_switches()}
        self._scopes |= engaged | {"global"}
        family = GaugeMetricFamily("kill_switch_engaged", "1 while sending is stopped, by scope", labels=["scope"])
        for scope in sorted(self._scopes):
            family.add_metric([scope], float(scope in engaged))
        return family

    def _latencies(self) -> Metric:
        family = HistogramMetricFamily(
            "latency_ms", "from signal to send and from send to acknowledgement", labels=["account", "stage"]
        )
        for labels, seen in sorted(self._latency.items()):
            buckets: list[Any] = [(str(limit), sum(value <= limit for value in seen)) for limit in LATENCY_BUCKETS]
            family.add_metric(labels, [*buckets, ("+Inf", len(seen))], sum(seen))
        return family

    def _new(self, table: str) -> list[Mapping[str, Any]]:
        rows = self._ledger.rows_after(table, self._read.get(table, 0))
        if rows:
            self._read[table] = rows[-1]["id"]
        return rows


def order_registry(ledger: Ledger) -> CollectorRegistry:
    """A registry with the ledger's metrics and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(OrderMetrics(ledger))
    return registry


def write_metrics(ledger: Ledger, file: Path) -> None:
    """The text exposition into ``file``, whole or not at all, as the node exporter's textfile collector takes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(file), order_registry(ledger))


def _counter(name: str, text: str, labels: list[str], counts: Counter[tuple[str, ...]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family
