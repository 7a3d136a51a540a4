"""Great Expectations as the judge: figures in, a verdict per expectation and its data docs out.

The library is imported on first use, which takes seconds, and sends nothing home.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from resources.expectations.figures import Computed, Figures, Progress
from resources.expectations.pages import SHOWN, finish_site
from resources.expectations.plan import Expectation, QualityPlan, Suite
from resources.expectations.results import Finding, Judged, Outcome, Verdict
from trading.errors import ConfigError, DataError

_SITE = "quality"
_SEVERITY = {"warning": "warning", "error": "critical"}


def judge(
    computed: Computed,
    plan: QualityPlan,
    docs: Path,
    *,
    at: dt.datetime,
    label: str | None = None,
    progress: Progress = lambda what, done, of: None,  # noqa: ARG005
) -> Outcome:
    """Judge every suite of ``plan`` and write the data docs anew.

    Args:
        computed: the figures.
        plan: suites and accepted findings.
        docs: folder of the pages; what is there is replaced at the end, by a rename.
        at: time of the run, UTC, on the pages.
        label: banner of the pages.

    Raises:
        ConfigError: a suite names figures or a column that there are not.
    """
    frames = {name: _rows(name, suite, computed) for name, suite in plan.suites.items()}
    context = _context(building := docs.with_name(f".{docs.name}.{os.getpid()}.building"))
    try:
        source = context.data_sources.add_pandas("figures")
        suites = []
        for done, (name, suite) in enumerate(plan.suites.items(), start=1):
            figures = frames[name]
            if figures.frame.is_empty():
                suites.append(Judged(name, suite.dataset, 0, skipped=_why_skipped(suite, computed)))
            else:
                batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(suite.figures)
                results = _validate(context, batch, name, suite, figures, at)
                suites.append(Judged(name, suite.dataset, figures.frame.height, _verdicts(plan, name, suite, results)))
            progress(f"suite {name}", done, len(plan.suites) + 1)
        context.build_data_docs()
        first, last = (computed.sessions[0], computed.sessions[-1]) if computed.sessions else (None, None)
        outcome = finish_site(building, Outcome(computed.commit, first, last, at, tuple(suites)), label)
        _swap(building, docs)
        progress("pages", len(plan.suites) + 1, len(plan.suites) + 1)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return outcome


def _rows(name: str, suite: Suite, computed: Computed) -> Figures:
    """The figures that the suite judges, with what it judges as Float64."""
    figures = computed.figures.get(suite.figures)
    if figures is None:
        known = ", ".join(sorted(computed.figures))
        raise ConfigError(f"quality suite {name}: there are no figures {suite.figures!r}; known are {known}")
    frame, keys = figures.frame, figures.keys
    for expected in suite.expectations.values():
        if expected.column not in frame.columns or expected.column in keys:
            known = ", ".join(column for column in frame.columns if column not in keys)
            raise ConfigError(
                f"quality suite {name}: {suite.figures} has no figure {expected.column!r}; it has {known}"
            )
    if "dataset" in keys:
        frame = frame.filter(pl.col("dataset") == suite.dataset)
        keys = tuple(key for key in keys if key != "dataset")
    columns = sorted({expected.column for expected in suite.expectations.values()})
    judged = frame.select(
        *(pl.col(key).cast(pl.String) for key in keys), *(pl.col(c).cast(pl.Float64) for c in columns)
    )
    return Figures(figures.name, keys, judged.sort(keys))


def _why_skipped(suite: Suite, computed: Computed) -> str:
    if not computed.sessions:
        return "the warehouse holds no session yet"
    return f"{suite.dataset} has no row in the sessions {computed.sessions[0]} to {computed.sessions[-1]}"


def _context(site: Path) -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    for name in list(context.list_data_docs_sites()):
        context.delete_data_docs_site(name)
    context.add_data_docs_site(
        _SITE,
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)},
        },
    )
    return context


def _validate(
    context: Any, batch: Any, name: str, suite: Suite, figures: Figures, at: dt.datetime
) -> Mapping[str, Any]:
    """Result by expectation name."""
    import great_expectations as gx

    expectations = [
        gx.expectations.ExpectColumnValuesToBeBetween(
            column=expected.column,
            min_value=expected.minimum,
            max_value=expected.maximum,
            severity=_SEVERITY[expected.severity],
            description=f"{short}: {expected.says}. Limit: {expected.limit} ({expected.severity}). Look: {expected.look}",
            meta={"name": short},
        )
        for short, expected in suite.expectations.items()
    ]
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=name,
            data=batch,
            suite=context.suites.add(
                gx.ExpectationSuite(name=name, expectations=[_one_row_per(figures.keys), *expectations])
            ),
        )
    )
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[definition],
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": list(figures.keys),
            "partial_unexpected_count": SHOWN,
            "return_unexpected_index_query": False,
        },
    )
    ran = checkpoint.run(
        batch_parameters={"dataframe": figures.frame.to_pandas()},
        run_id=gx.RunIdentifier(run_name=f"{at:%Y-%m-%dT%H%M}Z", run_time=at),
    )
    (result,) = ran.run_results.values()
    found: dict[str, Any] = {}
    for one in result.results:
        if one.exception_info.get("raised_exception"):
            raise DataError(f"quality suite {name}: {one.expectation_config.type}: {one.exception_info}")
        short = one.expectation_config.meta["name"]
        if not short and not one.success:
            raise DataError(f"quality suite {name}: {suite.figures} has several rows for one {', '.join(figures.keys)}")
        found[short] = one.result
    return found


def _one_row_per(keys: tuple[str, ...]) -> Any:
    import great_expectations as gx

    described = {"description": f"one row of figures per {', '.join(keys)}", "meta": {"name": ""}}
    if len(keys) == 1:
        return gx.expectations.ExpectColumnValuesToBeUnique(column=keys[0], **described)
    return gx.expectations.ExpectCompoundColumnsToBeUnique(column_list=list(keys), **described)


def _verdicts(plan: QualityPlan, name: str, suite: Suite, results: Mapping[str, Any]) -> tuple[Verdict, ...]:
    verdicts = []
    for short, expected in suite.expectations.items():
        result = results[short]
        findings = [
            _finding(plan, name, short, expected, dict(row)) for row in result.get("unexpected_index_list") or []
        ]
        findings.sort(key=lambda finding: (-expected.excess(finding.value), finding.where))
        judged = int(result["element_count"]) - int(result["missing_count"])
        verdicts.append(Verdict(short, expected, judged, tuple(findings)))
    return tuple(verdicts)


def _finding(plan: QualityPlan, suite: str, name: str, expected: Expectation, row: dict[str, Any]) -> Finding:
    value = float(row.pop(expected.column))
    reason = next((a.reason for a in plan.accepted if a.covers(suite, name, row)), "")
    return Finding(row, value, reason)


def _swap(built: Path, docs: Path) -> None:
    old = docs.with_name(f".{docs.name}.{os.getpid()}.old")
    if docs.exists():
        docs.rename(old)
    built.rename(docs)
    shutil.rmtree(old, ignore_errors=True)
