"""The frame of every page and the few elements on it. Text is escaped here and nowhere else."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from trading.reports.records import Picture
from trading.reports.style import CSS

# Nothing is loaded from anywhere, and a text that slipped through unescaped could not run.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Html:
    """Markup that is safe as it is."""

    markup: str


@dataclass(frozen=True)
class Cell:
    """A table cell: ``content`` and CSS classes, e.g. ``num``, ``num good``."""

    content: "str | Html"
    classes: str = ""


def text(value: str | Html) -> str:
    return value.markup if isinstance(value, Html) else escape(value)


def page(title: str, body: Iterable[Html], *, label: str | None) -> str:
    """A whole document; ``label`` becomes the banner on top."""
    banner = f'<div class="banner" role="note">{escape(label)}</div>' if label else ""
    content = "\n".join(part.markup for part in body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{banner}\n<main>\n{content}\n</main>\n"
        "</body>\n</html>\n"
    )


def heading(level: int, content: str) -> Html:
    return Html(f"<h{level}>{escape(content)}</h{level}>")


def paragraph(content: str | Html, *, muted: bool = False) -> Html:
    opening = '<p class="muted">' if muted else "<p>"
    return Html(f"{opening}{text(content)}</p>")


def table(
    head: Sequence[tuple[str, str]], rows: Iterable[Sequence[Cell]], *, same: Iterable[bool] | None = None
) -> Html:
    """A table that scrolls sideways by itself where the window is narrow.

    Args:
        head: (text, classes) of each column.
        same: per row, whether its first cell belongs to the row above (then drawn without a line between).
    """
    top = "".join(f'<th scope="col" class="{classes}">{escape(name)}</th>' for name, classes in head)
    body = []
    flags = iter(same or ())
    for row in rows:
        cells = "".join(f'<td class="{cell.classes}">{text(cell.content)}</td>' for cell in row)
        opening = '<tr class="same">' if next(flags, False) else "<tr>"
        body.append(f"{opening}{cells}</tr>")
    return Html(f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{"".join(body)}</tbody></table></div>')


def tiles(figures: Iterable[tuple[str, str, str]]) -> Html:
    """(figure, what it is, classes) each."""
    inner = "".join(
        f'<div class="tile"><b class="{classes}">{escape(figure)}</b><span>{escape(name)}</span></div>'
        for figure, name, classes in figures
    )
    return Html(f'<div class="tiles">{inner}</div>')


def pill(content: str, classes: str = "") -> Html:
    return Html(f'<span class="pill {classes}">{escape(content)}</span>')


def link(href: str, content: str) -> Html:
    """A link; only relative ones and http(s), so that no text from outside becomes a script."""
    scheme = href.split(":", 1)[0].lower() if ":" in href.split("/", 1)[0] else ""
    if scheme not in ("", "http", "https"):
        return Html(escape(content))
    return Html(f'<a href="{escape(href)}">{escape(content)}</a>')


def card(*parts: Html) -> Html:
    return Html(f'<div class="card">{"".join(part.markup for part in parts)}</div>')


def facts(values: Mapping[str, str]) -> Html:
    inner = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>" for name, value in values.items())
    return Html(f"<dl>{inner}</dl>")


def pictures(shown: Iterable[Picture]) -> Html:
    inner = "".join(
        f'<img alt="{escape(p.alt)}" src="data:image/png;base64,{base64.b64encode(p.png).decode("ascii")}">'
        for p in shown
    )
    return Html(f'<div class="pictures">{inner}</div>')
