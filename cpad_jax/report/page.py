"""A web page in one file: it needs no network, runs no script, and shows names as text only."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence

from cpad_jax.printable import printable
from cpad_jax.report import style

# A browser that keeps to this fetches nothing and runs nothing, whatever the page says.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_LONGEST = 80


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: Its anchor: letters and hyphens.
        title: Its heading, plain text.
        body: HTML; whatever comes from data has been through `text`.
    """

    key: str
    title: str
    body: str


def text(value: object, longest: int = _LONGEST) -> str:
    """Anything as HTML text, also within attributes; cut where it is longer than `longest`."""
    words = printable(value, keep='\n\t')
    return html.escape(words if len(words) <= longest else words[: longest - 1] + '…')


def name(value: object) -> str:
    """Somebody's name, kept apart from the words around it whatever way it is written."""
    return f'<bdi>{text(value)}</bdi>'


def grid(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    labels: int = 1,
    above: Sequence[Sequence[tuple[str, int]]] = (),
) -> str:
    """A table that scrolls in its own box where it is wider than the page.

    Args:
        head: HTML of the columns' headers.
        rows: HTML of the cells.
        caption: What it shows, plain text.
        labels: Number of columns, from the left, that name a row; the others are numbers.
        above: Rows of headings above the headers, each of (HTML, number of columns spanned).
    """
    headings = ''
    for heading in above:
        cells = ''.join(
            f'<th scope="colgroup" colspan="{span}">{cell}</th>' if cell else
            f'<td colspan="{span}"></td>'
            for cell, span in heading
        )  # fmt: skip
        headings += f'<tr>{cells}</tr>'
    columns = ''.join(
        f'<th scope="col"{" class=label" if number < labels else ""}>{cell}</th>'
        for number, cell in enumerate(head)
    )
    lines = []
    for row in rows:
        first = ''.join(f'<th scope="row">{cell}</th>' for cell in row[:labels])
        lines.append(f'<tr>{first}{"".join(f"<td>{cell}</td>" for cell in row[labels:])}</tr>')
    # The caption stands outside of the box, so that it stays where the table is scrolled.
    title = text(caption, 300)
    return (
        f'<p class="caption">{title}</p><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{title}"><table aria-label="{title}"><thead>{headings}'
        f'<tr>{columns}</tr></thead>'
        f'<tbody>{"".join(lines)}</tbody></table></div>'
    )


def render(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
        title: Plain text.
        lead: HTML below the title.
        sections: In their order; those that have no body are left out.
    """
    sections = [section for section in sections if section.body]
    links = ''.join(f'<a href="#{text(s.key)}">{text(s.title)}</a>' for s in sections)
    parts = ''.join(
        f'<section id="{text(s.key)}"><h2>{text(s.title)}</h2>{s.body}</section>' for s in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f'<title>{text(title)}</title><style>{style.CSS}</style></head>\n'
        f'<body><header><h1>{text(title)}</h1>{lead}<nav aria-label="Sections">{links}</nav>'
        f'</header><main>{parts}</main></body></html>\n'
    )
