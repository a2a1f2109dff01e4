"""What the pages of a difference report are made of: numbers in words, sections, style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote

from calib.campaigns.page import Html, safe
from calib.reprocessing.palette import stops

# A cell with no number.
NOTHING = "-"

STYLE = """
body { max-width: 1060px; } main { display: block; } h3 { margin: 1.4rem 0 .3rem; font-size: 1rem; }
.wide { margin: .6rem 0; } section { break-inside: auto; } a { color: var(--mark); }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 2px solid var(--mark);
  outline-offset: 2px; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem;
  background: var(--paper); padding: .3rem .6rem; }
td, th { padding-right: 1rem; }
.box { border: 1px solid var(--faint); border-left: 4px solid var(--mark); padding: .5rem .9rem;
  margin: 1rem 0; } .box.warn { border-left-color: var(--bad); } .box h2 { margin: 0 0 .3rem; }
pre { margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
pre, td code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
.bad-word { color: var(--bad); font-weight: 600; } .good-word { color: var(--good); }
.three { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: .8rem; }
.three img { width: 100%; height: auto; display: block; image-rendering: pixelated;
  border: 1px solid var(--faint); } .three figure { margin: 0; }
.bar { height: .8rem; border: 1px solid var(--faint); print-color-adjust: exact;
  -webkit-print-color-adjust: exact; } .ends { display: flex; justify-content: space-between; }
.low { fill: #2166ac; } .high { fill: #b2182b; }
@media (prefers-color-scheme: dark) { .low { fill: #5a9bd4; } .high { fill: #e0605a; } }
@media print { details::details-content { content-visibility: visible; block-size: auto; }
  .low { fill: #2166ac; } .high { fill: #b2182b; } details > * { display: block; }
  body { max-width: none; margin: 0; font-size: 11px; } }
details { margin: .4rem 0; } summary { cursor: pointer; } figure.chart { max-width: 720px; }
"""


def section(title: str, parts: Iterable[str], *, key: str, kind: str = "") -> str:
    """Return a part of a page with its heading, found by readers of the screen."""
    mark = f' class="{kind}"' if kind else ""
    inner = "\n".join(parts)
    head = f'<h2 id="{key}">{escape(title)}</h2>'
    return f'<section aria-labelledby="{key}"{mark}>{head}{inner}</section>'


def framed(head: Iterable[str], body: Iterable[str], foot: Iterable[str]) -> Iterator[str]:
    """Yield a page's landmarks: the way past the head, head, main part and foot."""
    yield '<a class="skip" href="#main">to the content</a>'
    yield "<header>" + "\n".join(head) + "</header>"
    yield '<main id="main">' + "\n".join(body) + "</main>"
    yield '<footer class="soft">' + "\n".join(foot) + "</footer>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of text or HTML."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{safe(text)}</p>"


def command(text: str) -> str:
    """Return a command to copy."""
    return f"<pre><code>{escape(text)}</code></pre>"


def link(target: str, text: str) -> Html:
    """Return a link to a file of the report."""
    return Html(f'<a href="{quote(target)}">{escape(text)}</a>')


def joined(parts: Iterable[str], by: str = ", ") -> Html:
    """Return text and HTML behind each other."""
    return Html(by.join(safe(part) for part in parts))


def word(text: str, *, is_bad: bool = False, is_good: bool = False) -> Html:
    """Return a word that stands out; the colour says nothing that the word does not."""
    kind = "bad-word" if is_bad else "good-word" if is_good else ""
    return Html(f'<span class="{kind}">{escape(text)}</span>' if kind else escape(text))


def number(value: float | None) -> str:
    """Return a number with four digits: ``0.0123``, ``-1.2e+05``."""
    return NOTHING if value is None else f"{value:.4g}"


def share(value: float | None) -> str:
    """Return a part of a whole in per cent: ``12.3 %``; ``< 0.01 %`` for what is hardly any."""
    if value is None:
        return NOTHING
    per_cent = 100 * value
    if 0 < per_cent < 0.01:  # noqa: PLR2004 - the last digit shown
        return "< 0.01\N{NO-BREAK SPACE}%"
    return f"{per_cent:.3g}\N{NO-BREAK SPACE}%"


def reference(name: str | None) -> str:
    """Return the name of a reference, or that there is none."""
    return name or "none"


def colour_bar(limit: float, unit: str) -> str:
    """Return the colours of a picture of differences with the numbers they stand for."""
    colours = ", ".join(stops().values())
    words = f"colours from {-limit:.3g} (blue) over 0 (white) to {limit:+.3g} (red) {unit}"
    ends = "".join(f"<span>{escape(text)}</span>" for text in _ends(limit, unit))
    return (
        f'<div role="img" aria-label="{escape(words)}">'
        f'<div class="bar" style="background:linear-gradient(to right,{colours})"></div>'
        f'<div class="ends soft">{ends}</div></div>'
    )


def _ends(limit: float, unit: str) -> tuple[str, str, str]:
    return f"{-limit:.3g}", "0", f"{limit:+.3g} {unit}".strip()
