"""Quality of what is stored: figures by SQL over the warehouse and the lake, judged by Great Expectations."""

from resources.expectations.figures import compute_figures, judged_sessions, warehouse_commit
from resources.expectations.judge import judge
from resources.expectations.plan import Accepted, Expectation, QualityPlan, Suite
from resources.expectations.results import Finding, Judged, Outcome, Verdict

__all__ = [
    "Accepted",
    "Expectation",
    "Finding",
    "Judged",
    "Outcome",
    "QualityPlan",
    "Suite",
    "Verdict",
    "compute_figures",
    "judge",
    "judged_sessions",
    "warehouse_commit",
]
