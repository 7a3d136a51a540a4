"""A drawing surface for pictures that are made by the hundred: lines and areas by Agg, text by Pillow, PNG out.

A backtest keeps its curves as pictures, one pair per variant and session. matplotlib's figures lay themselves out anew for
each, which costs more than the replay; this draws at given places, in about a twentieth of the time.
Pillow comes with matplotlib, which needs it, and so do the fonts.
"""

import io
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Colour = str
Anchor = Literal["la", "lm", "rm", "ma", "ra", "lb", "ls"]
"""Where the given place is in the text, as Pillow has it: l, m, r across; a (top), m, b (bottom) down."""

_DPI = 72.0  # a point is a pixel
_COLOURS = 64


@dataclass
class Canvas:
    """Places are pixels from the top left. Safe to use from several threads, each with a canvas of its own."""

    width: int
    height: int
    _texts: list[tuple[tuple[float, float], str, int, bool, Colour, Anchor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from matplotlib.backends.backend_agg import RendererAgg

        self._agg = RendererAgg(self.width, self.height, _DPI)
        edges = np.array([0.0, self.width, self.width, 0.0]), np.array([0.0, 0.0, self.height, self.height])
        self.area(*edges, colour="#ffffff")

    def line(
        self, x: Points, y: Points, *, colour: Colour, width: float = 1.0, dashes: tuple[float, float] | None = None
    ) -> None:
        """Through the points given; a straight one lies on whole pixels."""
        pen = self._pen(colour, width)
        pen.set_snap(len(x) == 2)
        if dashes:
            pen.set_dashes(0.0, list(dashes))
        self._draw(pen, x, y)

    def area(self, x: Points, y: Points, *, colour: Colour, opacity: float = 1.0) -> None:
        """Inside the points given, the last joined to the first."""
        from matplotlib.colors import to_rgba

        self._draw(self._pen(colour, 0.0), x, y, to_rgba(colour, opacity))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: Colour,
        size: int = 13,
        bold: bool = False,
        anchor: Anchor = "la",
    ) -> None:
        self._texts.append(((x, y), text, size, bold, colour, anchor))

    def png(self) -> bytes:
        """The picture, in a palette of its own; the same calls give the same bytes."""
        from PIL import Image, ImageDraw

        picture = Image.fromarray(np.ascontiguousarray(np.asarray(self._agg.buffer_rgba())[:, :, :3]))
        draw = ImageDraw.Draw(picture)
        for place, text, size, bold, colour, anchor in self._texts:
            draw.text(place, text, font=_font(size, bold), fill=colour, anchor=anchor)
        buffer = io.BytesIO()
        few = picture.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(buffer, "png")
        return buffer.getvalue()

    def _pen(self, colour: Colour, width: float) -> Any:
        pen = self._agg.new_gc()
        pen.set_foreground(colour)
        pen.set_linewidth(width)
        pen.set_joinstyle("round")
        return pen

    def _draw(self, pen: Any, x: Points, y: Points, face: Any = None) -> None:
        from matplotlib.path import Path as Line
        from matplotlib.transforms import IdentityTransform

        points = np.column_stack([x, self.height - y])  # Agg counts from the bottom
        self._agg.draw_path(pen, Line(points, closed=False), IdentityTransform(), face)


def text_width(text: str, size: int = 13, *, bold: bool = False) -> float:
    """In pixels."""
    return float(_font(size, bold).getlength(text))


def wrapped(text: str, width: float, size: int, *, bold: bool = False) -> list[str]:
    """``text`` in lines of at most ``width`` pixels, broken between words; a longer word is left whole."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@cache
def _font(size: int, bold: bool) -> Any:
    import matplotlib as mpl
    from PIL import ImageFont

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    file = folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)
