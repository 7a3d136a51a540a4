"""What was measured, and how it is compared: per row of the table, column and way, all milliseconds."""

from dataclasses import dataclass, field
from statistics import median

OURS = "lake"


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds of one product at one work.

    Attributes:
        milliseconds: the median.
        rounds: of how many.
        way: which way of the product, "" where there is one only.
        at_least: measured on a part of the work and scaled up, which is kind to what slows down as it grows.
    """

    milliseconds: float
    rounds: int
    way: str
    at_least: bool


@dataclass(slots=True)
class Results:
    """All figures, in the order in which they came."""

    _figures: dict[str, dict[str, list[Figure]]] = field(default_factory=dict)

    def add(self, title: str, column: str, way: str, measured: list[float], *, at_least: bool = False) -> None:
        figure = Figure(median(measured), len(measured), way, at_least)
        self._figures.setdefault(title, {}).setdefault(column, []).append(figure)

    def titles(self) -> list[str]:
        return list(self._figures)

    def columns(self) -> list[str]:
        """Ours first, then the others in the order in which they came."""
        found = dict.fromkeys(column for row in self._figures.values() for column in row)
        return sorted(found, key=lambda column: column != OURS)

    def best(self, title: str, column: str) -> Figure | None:
        """The fastest way of a product, None where it was not measured."""
        figures = self._figures[title].get(column, [])
        return min(figures, key=lambda figure: figure.milliseconds, default=None)

    def several_ways(self) -> list[tuple[str, str, list[Figure]]]:
        """Title, column and figures where a product was measured in more ways than one."""
        return [
            (title, column, figures)
            for title, row in self._figures.items()
            for column, figures in row.items()
            if len(figures) > 1
        ]
