"""Pages that stand alone: one file each, no script, nothing from elsewhere, safe to open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Html(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


Cell = str | Html

# Whatever a page were made to say, a browser runs nothing of it and asks nobody for anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --faint: #d6dade;
  --soft: #60666c; --good: #2f7d4f; --bad: #b3372f; --mark: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --paper: #14171a;
  --faint: #3a4046; --soft: #a0a7ae; --good: #58b380; --bad: #e5776f; --mark: #7ab1ee; } }
@media print { :root { --ink: #000; --paper: #fff; --faint: #bbb; --soft: #444;
  --good: #2f7d4f; --bad: #b3372f; --mark: #1f5fa8; } figure, tr { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 2rem auto; padding: 0 1rem; max-width: 760px; color: var(--ink);
  background: var(--paper); font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2rem 0 .4rem; font-size: 1.15rem; }
p { margin: .3rem 0; } .soft, figcaption { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; min-width: 50%; }
th, td { padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--faint); overflow-wrap: break-word; }
th { color: var(--soft); font-weight: normal; white-space: nowrap; }
tbody th { color: var(--ink); }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { margin: .6rem 0; } svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.good { fill: var(--good); } .bad { fill: var(--bad); }
.rule { stroke: var(--faint); } .line { stroke: var(--ink); fill: none; }
.rung { stroke: var(--mark); stroke-width: 2; } .dot { fill: var(--ink); fill-opacity: .45; }
code { font: 13px ui-monospace, monospace; }
"""


def page(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """Return a whole page.

    Parameters
    ----------
    title
        Of the window.
    parts
        The page, as HTML.
    style
        CSS that it needs beside that of all pages.
    """
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<style>{STYLE}{style}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    numbers: Iterable[str],
    *,
    title: str = "",
) -> str:
    """Return a table.

    Parameters
    ----------
    columns
        Its head.
    rows
        Cells.
    numbers
        Columns that are set to the right.
    title
        What it shows, for those who cannot see; such a table has names of its rows in the first
        column, and scrolls with the keyboard.
    """
    marks = [' class="n"' if name in frozenset(numbers) else "" for name in columns]
    head = "".join(
        f'<th scope="col"{mark}>{escape(name)}</th>'
        for name, mark in zip(columns, marks, strict=True)
    )
    body = "".join(f"<tr>{_row(cells, marks, named=bool(title))}</tr>" for cells in rows)
    label = f' tabindex="0" role="region" aria-label="{escape(title)}"' if title else ""
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide"{label}>{whole}</div>'


def safe(cell: Cell) -> str:
    """Return text as HTML, escaped unless it is HTML already."""
    return cell if isinstance(cell, Html) else escape(cell)


def _row(cells: Sequence[Cell], marks: Sequence[str], *, named: bool) -> str:
    pairs = list(zip(cells, marks, strict=True))
    first = f'<th scope="row"{pairs[0][1]}>{safe(pairs[0][0])}</th>' if named else ""
    return first + "".join(
        f"<td{mark}>{safe(cell)}</td>" for cell, mark in (pairs[1:] if named else pairs)
    )
