"""Great Expectations' data docs made readable where they lie: nothing is loaded from elsewhere, and an index in front.

The library's pages fetch their style and their index table from the network. A trading machine has none, and pages about its data
tell nobody that they were opened.
"""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from html import escape
from pathlib import Path

from resources.expectations.results import Judged, Outcome, Verdict
from trading.reports import html
from trading.reports.html import Cell, Html
from trading.reports.style import CSS

SHOWN = 50
"""Rows outside a limit that a page shows, of each expectation."""

_WORST = 10

_EXTERNAL = re.compile(
    r'<script\b[^>]*\bsrc="https?:[^>]*>\s*</script>|<link\b[^>]*\bhref="https?:[^>]*>|<footer\b.*?</footer>', re.DOTALL
)
_HOW_TO = re.compile(r"<script\b.*?</script>|<style\b.*?</style>", re.DOTALL)
_NAVIGATION = re.compile(r"<nav\b[^>]*navbar.*?</nav>", re.DOTALL)
_POLICY = "default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'"
_PAGE_STYLE = """
body{padding:1.2rem;max-width:76rem;margin:0 auto}
i.fa-check-circle::before{content:"\\2713 met"}i.fa-times::before{content:"\\2717 not met"}
i.fa-exclamation-triangle::before{content:"! error"}i{font-style:normal;font-weight:700;white-space:nowrap}
i.text-success{color:var(--good)}i.text-danger{color:var(--bad)}i.text-warning{color:var(--warn)}
.collapse,.col-lg-2,a[data-toggle=collapse]{display:none}ul{list-style:none;padding-left:1rem}
"""


def finish_site(site: Path, outcome: Outcome, label: str | None) -> Outcome:
    """Clean the pages below ``site`` and write its index; the suites of the result know their page, relative to ``site``."""
    for file in sorted(site.rglob("*.html")):
        depth = len(file.relative_to(site).parts) - 1
        file.write_text(_offline(file.read_text(encoding="utf-8"), "../" * depth), encoding="utf-8")
    pages = {file.relative_to(site).parts[1]: file for file in sorted((site / "validations").rglob("*.html"))}
    suites = tuple(
        replace(suite, page=pages[suite.suite].relative_to(site).as_posix()) if suite.suite in pages else suite
        for suite in outcome.suites
    )
    finished = replace(outcome, suites=suites)
    (site / "index.html").write_text(_index(finished, label), encoding="utf-8")
    _write_findings(site / "findings.csv", finished)
    return finished


def _write_findings(file: Path, outcome: Outcome) -> None:
    """Every row outside a limit, for a spreadsheet."""
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(
            ["suite", "dataset", "expectation", "severity", "Symbol", "session", "where", "figure", "limit", "accepted"]
        )
        for suite in outcome.suites:
            for verdict in suite.verdicts:
                for found in verdict.findings:
                    writer.writerow(
                        [
                            suite.suite,
                            suite.dataset,
                            verdict.name,
                            verdict.expectation.severity,
                            found.row.get("Symbol", ""),
                            found.row.get("session", ""),
                            found.where,
                            found.value,
                            verdict.expectation.limit,
                            found.accepted,
                        ]
                    )


def _offline(page: str, to_index: str) -> str:
    page = _NAVIGATION.sub("", _HOW_TO.sub("", _EXTERNAL.sub("", page)))
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<style>{CSS}{_PAGE_STYLE}</style>\n</head>'
    )
    back = f'<p><a href="{escape(to_index)}index.html">All suites</a></p>'
    return re.sub(r"(<body[^>]*>)", rf"\1\n{back}", page.replace("</head>", head, 1), count=1)


def _index(outcome: Outcome, label: str | None) -> str:
    failed = [suite for suite in outcome.suites if suite.failed]
    skipped = [suite for suite in outcome.suites if suite.skipped]
    passed = len(outcome.suites) - len(failed) - len(skipped)
    span = f"{outcome.first} to {outcome.last}" if outcome.first else "none"
    body = [
        html.heading(1, "Data quality"),
        html.tiles(
            [
                (str(len(failed)), "suites with findings", "bad" if failed else ""),
                (str(passed), "suites as expected", "good" if passed else ""),
                (str(len(skipped)), "suites without data", ""),
            ]
        ),
        html.facts(
            {"Sessions": span, "Judged": f"{outcome.at:%Y-%m-%d %H:%M} UTC", "Commit of the lake": outcome.commit}
        ),
        html.heading(2, "Suites"),
        html.table(
            [("Suite", ""), ("Dataset", ""), ("Result", ""), ("Rows", "num"), ("What failed", "")],
            [_suite_row(suite) for suite in outcome.suites],
        ),
    ]
    for suite in failed:
        body += [html.heading(2, suite.suite), *(_findings(verdict) for verdict in suite.failed)]
    accepted = [
        [
            Cell(suite.suite),
            Cell(verdict.name),
            Cell(finding.where),
            Cell(f"{finding.value:g}", "num"),
            Cell(finding.accepted),
        ]
        for suite in outcome.suites
        for verdict in suite.verdicts
        for finding in verdict.findings
        if finding.accepted
    ]
    if accepted:
        head = [("Suite", ""), ("Expectation", ""), ("Where", ""), ("Figure", "num"), ("Why it is right", "")]
        body += [html.heading(2, "Accepted"), html.table(head, accepted)]
    return html.page("Data quality", body, label=label)


def _suite_row(suite: Judged) -> list[Cell]:
    if suite.skipped:
        result, what = html.pill("skipped"), suite.skipped
    elif suite.failed:
        result = html.pill(suite.severity, "bad" if suite.severity == "error" else "warn")
        what = "; ".join(f"{verdict.name} ({len(verdict.open)})" for verdict in suite.failed)
    else:
        result, what = html.pill("as expected", "good"), ""
    name: Html | str = html.link(suite.page, suite.suite) if suite.page else suite.suite
    return [Cell(name), Cell(suite.dataset), Cell(result), Cell(f"{suite.rows:,}", "num"), Cell(what)]


def _findings(verdict: Verdict) -> Html:
    expected = verdict.expectation
    worst = verdict.open[:_WORST]
    rows = [[*(Cell(str(part)) for part in f.row.values()), Cell(f"{f.value:g}", "num")] for f in worst]
    more = len(verdict.open) - len(rows)
    return html.card(
        html.heading(3, f"{verdict.name}: {len(verdict.open)} of {verdict.judged} rows"),
        html.paragraph(
            f"Expected: {expected.says}. Limit of {expected.column}: {expected.limit} ({expected.severity})."
        ),
        html.paragraph(f"Look: {expected.look}"),
        html.table([*((key, "") for key in worst[0].row), (expected.column, "num")], rows),
        html.paragraph(f"and {more} more, on the suite's page and in findings.csv" if more > 0 else "", muted=True),
    )
