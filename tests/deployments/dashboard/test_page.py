"""What surrounds the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployments.dashboard import page as pages
from deployments.dashboard.links import LiveLinks
from deployments.dashboard.page import NAVIGATION, Page
from tests.deployments.dashboard.conftest import Client

TEMPLATES = Path(pages.__file__).parent / "templates"


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("/", ("Campaigns", "page")),
        ("/campaigns/spring/datasets", ("Campaigns", "true")),
        ("/campaigns/spring/errors", ("Campaigns", "true")),
        ("/errors", ("Errors", "page")),
        ("/rescue?state=error", ("Errors", "true")),
        ("/contexts", ("Contexts", "page")),
        ("/nowhere", None),
    ],
)
def test_the_navigation_says_where_one_is(
    client: Client, address: str, here: tuple[str, str] | None
) -> None:
    """One link at the top is the page that is shown, or the one that it belongs to."""
    text = client(may_change=True).get(address).text
    top = text.partition("<header>")[2].partition("</header>")[0]
    found = re.findall(r'<a [^>]*aria-current="(page|true)"[^>]*>([^<]*)<', top)
    assert found == ([here[::-1]] if here else [])


def test_without_scripts_a_page_is_loaded_again_when_asked(client: Client) -> None:
    """Only then (WCAG 2.2.1); a link begins it and one ends it, and filters stay as they are."""
    meta = '<meta http-equiv="refresh" content="30">'
    plain = client().get("/?page=1").text
    assert meta not in plain
    assert '<a href="?page=1&amp;refresh=yes">Load it again every 30 s</a>' in plain
    asked = client().get("/?page=1&refresh=yes").text
    assert f"<noscript>{meta}</noscript>" in asked
    assert '<a href="?page=1">Stop that</a>' in asked
    assert "refresh" not in client().get("/campaigns/spring/datasets").text  # it is not live


def test_every_page_belongs_somewhere() -> None:
    """A template that somebody adds has its place in the navigation; errors have none."""
    home = (("Campaigns", "/"),)
    whole = [each.name for each in TEMPLATES.glob("*.html") if "extends" in each.read_text()]
    lost = {name for name in whole if Page(name, "", {}, home).part is None}
    assert lost == {"error.html"}
    assert all(LiveLinks().to(name) for _, name in NAVIGATION)
