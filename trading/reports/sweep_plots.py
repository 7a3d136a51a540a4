"""Pictures of a sweep, as PNG bytes; the same input gives the same bytes."""

from typing import TYPE_CHECKING

import numpy as np

from trading.reports.plots import _figure, _finish, _message, _style

if TYPE_CHECKING:
    from trading.lab.heat_map import HeatMap

# Blue and orange, told apart by colour-blind readers too; white is 0.
_BELOW, _ABOVE = "#B35806", "#2166AC"
_EMPTY = "#eceff3"
_MOST_FIGURES = 150  # cells up to which each has its figure written in


def heat_map_png(found: "HeatMap", *, metric: str, title: str, note: str = "", label: str | None = None) -> bytes:
    """The best metric of each cell as colour and figure; blue above 0, orange below, grey where there is none.

    Args:
        found: its marked cells are framed, and named below.
        metric: what is shown, for the scale.
        note: a line under the title.
        label: a warning on the picture, e.g. ``SYNTHETIC market``.
    """
    from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
    from matplotlib.patches import Rectangle

    rows, columns = found.values.shape
    with _style():
        figure = _figure(max(6.4, 2.6 + 0.72 * columns), max(3.4, 2.2 + 0.4 * rows))
        heading = f"{title}\n{note}" if note else title
        known = found.values[np.isfinite(found.values)]
        if known.size == 0:
            return _message(figure, heading, f"No set has the metric {metric}", label)
        axes = figure.subplots()
        reach = float(np.abs(known).max()) or 1.0
        colours = LinearSegmentedColormap.from_list("below_above", [_BELOW, "#ffffff", _ABOVE], bad=_EMPTY)
        scale = TwoSlopeNorm(0.0, -reach, reach)
        shown = np.ma.masked_invalid(found.values)
        image = axes.imshow(shown, origin="lower", aspect="auto", cmap=colours, norm=scale, interpolation="nearest")
        axes.grid(visible=False)
        slanted = max(len(text) for text in found.x_labels) * columns > 90
        axes.set_xticks(
            range(columns), found.x_labels, rotation=30 if slanted else 0, ha="right" if slanted else "center"
        )
        axes.set_yticks(range(rows), found.y_labels)
        axes.set_xlabel(found.x)
        axes.set_ylabel(found.y)
        if rows * columns <= _MOST_FIGURES:
            for row, column in zip(*np.nonzero(np.isfinite(found.values)), strict=True):
                value = float(found.values[row, column])
                ink = "#ffffff" if abs(value) > 0.62 * reach else "#1b1f24"
                axes.text(
                    column,
                    row,
                    f"{value:.2f}" if reach < 1000 else f"{value:,.0f}",
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=8,
                )
        for number, (name, (column, row)) in enumerate(found.marked.items()):
            inset = 0.04 + 0.07 * number
            axes.add_patch(
                Rectangle(
                    (column - 0.5 + inset, row - 0.5 + inset),
                    1 - 2 * inset,
                    1 - 2 * inset,
                    fill=False,
                    edgecolor="#000000",
                    linewidth=1.8,
                    linestyle="-" if number == 0 else (0, (3, 2)),
                    label=name,
                )
            )
        if found.marked:
            figure.legend(loc="outside lower left", ncols=2, frameon=False)
        bar = figure.colorbar(image, ax=axes, pad=0.02)
        bar.set_label(metric)
        bar.outline.set_visible(False)
        return _finish(figure, heading, label)
