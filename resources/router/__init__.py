"""The router: carries intents to a broker and what comes back to the ledger."""

from resources.router.admission import SessionPassed
from resources.router.report import RoutingReport
from resources.router.router import Router

__all__ = ["Router", "RoutingReport", "SessionPassed"]
