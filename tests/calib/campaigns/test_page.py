"""Pages that stand alone: what is written on them is text, whatever it says."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from calib.campaigns.page import Html, page, table

HOSTILE = st.text() | st.sampled_from(("<script>x</script>", '"><img src=x>', "&lt;", "'--"))


class _Text(HTMLParser):
    """Gathers tags and text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(HOSTILE, HOSTILE)
def test_text_stays_text(cell: str, title: str) -> None:
    """No element comes from what a file or a person says; HTML of ours passes."""
    rows = [[cell, Html("<b>ours</b>")]]
    found = _Text(page(title, [table(("a", cell), rows, ("a",), title=title)]))
    allowed = {"html", "head", "meta", "title", "style", "body", "div", "table", "thead"}
    assert set(found.tags) <= allowed | {"tbody", "tr", "th", "td", "b"}
    assert found.tags.count("b") == 1


def test_a_table_has_names_of_columns_and_rows() -> None:
    """For those who hear it; numbers are set to the right; it scrolls with the keyboard."""
    found = table(("name", "size"), [["x", "3"]], ("size",), title="Files")
    assert '<th scope="col" class="n">size</th>' in found
    assert '<th scope="row">x</th><td class="n">3</td>' in found
    assert 'tabindex="0" role="region" aria-label="Files"' in found
