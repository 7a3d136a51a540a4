"""The replay: what a signal frame would have traded, by exact and pessimistic rules."""

from trading.replay.config import Costs, ReplayConfig
from trading.replay.engine import replay
from trading.replay.result import ReplayResult
from trading.replay.sweep import SweepResult, replay_sweep

__all__ = ["Costs", "ReplayConfig", "ReplayResult", "SweepResult", "replay", "replay_sweep"]
