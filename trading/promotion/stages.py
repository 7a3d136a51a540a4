"""The ladder that a strategy version climbs."""

from typing import Literal

Stage = Literal["experiment", "lab", "paper", "live", "suspended", "retired"]

LADDER: tuple[Stage, ...] = ("experiment", "lab", "paper", "live")

Transition = Literal["experiment_to_lab", "lab_to_paper", "paper_to_live"]

NEXT: dict[Stage, tuple[Transition, Stage]] = {
    "experiment": ("experiment_to_lab", "lab"),
    "lab": ("lab_to_paper", "paper"),
    "paper": ("paper_to_live", "live"),
}
"""From a stage: the gates ahead, and where they lead."""

BELOW: dict[Stage, Stage] = {"lab": "experiment", "paper": "lab", "live": "paper"}
"""One rung down."""
