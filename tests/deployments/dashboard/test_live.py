"""Pages that look again by themselves do not disturb whoever reads, opens, chooses or types."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from deployments.dashboard.app import build_app
from deployments.dashboard.htmx import has_htmx
from deployments.dashboard.links import LiveLinks
from tests.deployments.dashboard.browser import Visitor, served
from tests.deployments.dashboard.world import CAMPAIGN, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_htmx(), reason="htmx is not here: make htmx"),
]

LINKS = LiveLinks()
# What a refresh replaces: the mark is gone afterwards.
MARK = "document.getElementById('content').dataset.mark = 'old'"
LOOK = "document.getElementById('content').dispatchEvent(new Event('look'))"
HIDE = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
OLD = "main[data-mark=old]"


def look(page: Page) -> None:
    """Let the page look again, and wait until it has."""
    page.evaluate(MARK)
    page.evaluate(LOOK)
    expect(page.locator(OLD)).to_have_count(0)
    page.wait_for_timeout(50)  # htmx settles 20 ms later


def test_boxes_focus_and_scroll_stay(visit: Visitor, site: str) -> None:
    """An opened box stays open, its summary has the focus, nothing moves."""
    page = visit(f"{site}{LINKS.to('campaign', CAMPAIGN)}", width=400)
    expect(page.locator("details summary").first).to_be_visible()
    page.locator("details summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details").first).to_have_attribute("open", "")
    page.evaluate("document.querySelectorAll('.wide')[0].scrollLeft = 60")
    before = page.evaluate("window.scrollY")
    look(page)
    expect(page.locator("details").first).to_have_attribute("open", "")
    expect(page.locator("details summary").first).to_be_focused()
    assert page.evaluate("document.querySelectorAll('.wide')[0].scrollLeft") == 60
    assert before > 0
    assert page.evaluate("window.scrollY") == before
    page.keyboard.press("Enter")
    look(page)
    assert page.locator("details").first.get_attribute("open") is None


def test_focus_on_a_link_stays(visit: Visitor, site: str) -> None:
    """The second of two links with one address is the one that had the focus."""
    page = visit(f"{site}{LINKS.to('campaign', CAMPAIGN)}")
    same = page.locator(f"main a[href='{LINKS.to('errors', CAMPAIGN)}']")
    assert same.count() > 1
    same.nth(1).focus()
    look(page)
    expect(same.nth(1)).to_be_focused()


def test_typed_text_stays(visit: Visitor, site: str) -> None:
    """What was typed is not lost, also when the field has no focus any more."""
    page = visit(f"{site}{LINKS.to('campaigns')}")
    page.evaluate(
        "document.getElementById('content').insertAdjacentHTML('beforeend', '<input id=typed>')"
    )
    page.locator("#typed").fill("half a na")
    page.locator("h1").click()
    page.evaluate(MARK)
    page.evaluate(LOOK)
    page.wait_for_timeout(300)
    expect(page.locator("#typed")).to_have_value("half a na")
    expect(page.locator(OLD)).to_have_count(1)
    page.locator("#typed").fill("")
    page.locator("#typed").blur()
    look(page)


def test_hidden_page_does_not_ask(visit: Visitor, site: str) -> None:
    """Behind another window it asks for nothing, and looks at once when it is shown again."""
    page = visit(f"{site}{LINKS.to('campaigns')}")
    page.evaluate(HIDE % "true")
    asked: list[str] = []
    # The browser asks for the icon on its own, whenever it likes.
    page.on("request", lambda request: asked.extend({request.url} - {f"{site}/static/icon.svg"}))
    page.evaluate(LOOK)
    page.wait_for_timeout(300)
    assert asked == []
    page.evaluate(MARK)
    page.evaluate(HIDE % "false")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(OLD)).to_have_count(0)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        (500, "text/html", "<main id=content>failure</main>"),
        (502, "text/html", "<h1>502 Bad Gateway</h1>"),
        (503, "text/plain", "Service Unavailable"),
        (404, "text/html", "<h1>no such backend</h1>"),
        (403, "text/plain", "the proxy in front does not say who you are"),
        (200, "text/html", "<form id=content>Sign in</form>"),
    ],
)
def test_server_that_is_gone_is_said(
    visit: Visitor, world: World, answer: tuple[int, str, str] | None
) -> None:
    """It says that what is shown is old, keeps it, asks on, and takes it back when all is well."""
    with served(build_app(world.settings)) as here:
        page = visit(f"{here}/")
        gone = page.locator("#gone")
        page.route("**/*", lambda route: _answer(route, answer))
        page.evaluate(MARK)
        for _ in range(2):
            with page.expect_event("requestfinished" if answer else "requestfailed"):
                page.evaluate(LOOK)
            expect(gone).to_be_visible()
            expect(gone).to_have_attribute("role", "status")
            expect(page.locator(OLD)).to_contain_text(CAMPAIGN)
        page.unroute("**/*")
        look(page)
        expect(gone).to_be_hidden()
        expect(page.locator("main#content")).to_contain_text(CAMPAIGN)
    visit.complaints.clear()  # the console has a line for each answer that was none


def _answer(route: Route, answer: tuple[int, str, str] | None) -> None:
    """Answer as a proxy would, or not at all."""
    if answer is None:
        route.abort()
    else:
        route.fulfill(status=answer[0], content_type=answer[1], body=answer[2])
