"""From package files to published partitions: the platform's backfill, and the bare computation that is in it.

``python -m benchmarks.bars.backfill bare|platform PACKAGE OUT`` does one of them in a process of its own, and prints what it
took as JSON.
"""

import datetime as dt
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from benchmarks.bars.child import peak_bytes

TIMEFRAMES = ("5m", "15m", "1h", "1d")
ASSETS = ("m1_raw", "m1_bars", "m5_bars", "m15_bars", "h1_bars", "d1_bars", "bar_quality")


def bare(package: Path, out: Path) -> dict[str, float]:
    """The same functions on the same threads, and a plain file for each result: what a script would do."""
    from resources.lake.layout import EncodedFrame
    from resources.sources.context import SourceContext
    from resources.sources.package import PackageConfig
    from trading.bars import QualityConfig, assemble_m1, daily_quality, resample_each
    from trading.ports.sources import RawSession
    from trading_assets.ahead import ahead

    context = SourceContext(
        home=out,
        downloads=out / "downloads",
        calendar="XNYS",
        symbols=None,
        clock=lambda: dt.datetime.now(dt.UTC),
        env={},
    )
    source = PackageConfig(path=package).open(context)

    def compute(raw: RawSession) -> dict[str, EncodedFrame]:
        assembled = assemble_m1([raw.frame])
        frames: dict[str, pl.DataFrame] = {
            "m1_raw": raw.frame,
            "m1_bars": assembled.bars,
            "report": assembled.report,
            **resample_each(assembled.bars, TIMEFRAMES),
            "quality": daily_quality(assembled, config=QualityConfig(min_coverage=0.95)),
        }
        return {name: EncodedFrame.of(frame) for name, frame in frames.items()}

    with _taking() as took:
        sessions = source.sessions("XNYS")
        source.fetch(sessions)
        read = ahead(source.read_session, sessions, 1)
        for (session, _), made in ahead(lambda item: compute(item[1]()), read):
            for name, encoded in made().items():
                (out / f"{name}-{session}.parquet").write_bytes(encoded.data)
    return took


def platform(package: Path, out: Path) -> dict[str, float]:
    """One run over all sessions, as `trading materialise` makes it."""
    from trading_assets.definitions import build_defs
    from trading_assets.runs import local_instance, run_job
    from trading_assets.settings import Settings

    marker = json.loads((package / "DATASET.json").read_text())
    (out / "universes").mkdir()
    universe = {"source": {"kind": "package", "path": str(package.resolve())}}
    (out / "universes" / "us.yaml").write_text(json.dumps(universe))  # JSON is YAML
    first, last = marker["first_session"], marker["last_session"]
    (out / "platform.yaml").write_text(json.dumps({"first_session": first, "last_session": last}))
    settings = Settings.load(out, env={})
    job = dg.define_asset_job("bars", dg.AssetSelection.assets(*ASSETS), executor_def=dg.in_process_executor)
    defs = dg.Definitions.merge(build_defs(settings), dg.Definitions(jobs=[job])).resolve_job_def("bars")
    with local_instance(settings) as instance, _bookkeeping() as kept, _taking() as took:
        outcome = run_job(defs, instance, first, last)
    if not outcome.success:
        raise RuntimeError(f"the backfill failed: {outcome.failures} {dict(list(outcome.refused.items())[:3])}")
    return {"partitions": sum(outcome.published.values()), **kept, **took}


@contextmanager
def _taking() -> Iterator[dict[str, float]]:
    """Seconds by the clock and of processor time; imports and definitions come before."""
    took: dict[str, float] = {}
    cpu, begun = time.process_time(), time.perf_counter()
    yield took
    took["seconds"], took["cpu_seconds"] = time.perf_counter() - begun, time.process_time() - cpu


@contextmanager
def _bookkeeping() -> Iterator[dict[str, float]]:
    """Time in Dagster's own calls that make and store events, and that create the run with its planned ones."""
    kept = {"events": 0.0, "event_seconds": 0.0, "event_cpu_seconds": 0.0}
    inside = threading.local()

    def timed(call: Callable[..., Any], stores: bool) -> Callable[..., Any]:
        def wrapper(*args: Any, **named: Any) -> Any:
            kept["events"] += stores
            if getattr(inside, "now", False):
                return call(*args, **named)
            inside.now, begun, cpu = True, time.perf_counter(), time.thread_time()
            try:
                return call(*args, **named)
            finally:
                inside.now = False
                kept["event_seconds"] += time.perf_counter() - begun
                kept["event_cpu_seconds"] += time.thread_time() - cpu

        return wrapper

    calls = [
        (dg.DagsterInstance, "create_run_for_job", False),
        (dg.DagsterInstance, "handle_new_event", True),
        (dg.AssetExecutionContext, "log_event", False),
    ]
    originals = [getattr(owner, name) for owner, name, _ in calls]
    for (owner, name, stores), original in zip(calls, originals, strict=True):
        setattr(owner, name, timed(original, stores))
    try:
        yield kept
    finally:
        for (owner, name, _), original in zip(calls, originals, strict=True):
            setattr(owner, name, original)


def main() -> None:
    way, package, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    took = {"bare": bare, "platform": platform}[way](package, out)
    print(json.dumps({"peak_bytes": peak_bytes(), **took}))


if __name__ == "__main__":
    main()
