"""Every page in a browser: with scripts and without, by keyboard, narrow, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import expect

from deployments.dashboard import pages
from deployments.dashboard.app import build_app
from deployments.dashboard.links import LiveLinks
from deployments.dashboard.settings import DashboardSettings
from tests.deployments.dashboard.browser import (
    NARROW,
    WIDE,
    Visitor,
    check_access,
    check_width,
    check_words,
    has_focus,
    picture,
    served,
    tab_to,
)
from tests.deployments.dashboard.reviewed import CANARY
from tests.deployments.dashboard.world import CAMPAIGN, REVIEWED, World

LINKS = LiveLinks()

# Page -> its address in the world of these tests.
ADDRESSES: Mapping[str, Callable[[World], str | None]] = {
    "campaigns": lambda _: LINKS.to("campaigns"),
    "campaign": lambda _: LINKS.to("campaign", CAMPAIGN),
    "matrix": lambda _: LINKS.to("matrix", CAMPAIGN),
    "errors": lambda _: LINKS.to("errors", CAMPAIGN),
    "all_errors": lambda _: LINKS.to("all_errors"),
    "gallery": lambda _: LINKS.to("gallery", CAMPAIGN),
    "workers": lambda _: LINKS.to("workers", CAMPAIGN),
    "rescue": lambda _: LINKS.to("rescue", CAMPAIGN),
    "rescue_all": lambda _: LINKS.to("rescue_all", state="error"),
    "rescued": lambda _: LINKS.to("rescued", after="0", upto="9999", by="somebody", number="1"),
    "control": lambda _: LINKS.to("control", CAMPAIGN, wish="pause"),
    "dataset": lambda world: LINKS.to("dataset", world.good),
    "log": lambda world: LINKS.to("log", world.good, file=world.log),
    "difference": lambda world: LINKS.to("difference", world.good),
    "references": lambda _: LINKS.to("references"),
    "reference": lambda world: LINKS.to("reference", world.references[0]),
    "contexts": lambda _: LINKS.to("contexts"),
    "reprocessings": lambda _: LINKS.to("reprocessings"),
    "reprocessing": lambda _: LINKS.to("reprocessing", CAMPAIGN),
    "approve": lambda _: LINKS.to("approve", REVIEWED),
    "canary": lambda _: LINKS.to("canary", REVIEWED, CANARY),
}
# Pages that look otherwise with other words in their address.
VARIANTS: Mapping[str, Callable[[World], str | None]] = {
    "approve-not": lambda _: LINKS.to("approve", CAMPAIGN),
    "control-cancel": lambda _: LINKS.to("control", CAMPAIGN, wish="cancel"),
    "errors-none": lambda _: LINKS.to("errors", "winter"),
    "gallery-none": lambda _: LINKS.to("gallery", CAMPAIGN, state="blocked"),
    "matrix-filtered": lambda _: LINKS.to("matrix", CAMPAIGN, state="error", sort="changed"),
    "matrix-none": lambda _: LINKS.to("matrix", CAMPAIGN, name="zzz*"),
    "references-none": lambda _: LINKS.to("references", q="zzz"),
    "reprocessing-reviewed": lambda _: LINKS.to("reprocessing", REVIEWED),
    "rescue-none": lambda _: LINKS.to("rescue", "winter"),
    "broken": lambda world: LINKS.to("dataset", world.broken),
}
# Of these the answer is no page, but files and words for programs.
OTHERS = {"product", "picture", "canary_picture", "metrics", "health"}
PAGES = sorted((pages.ANSWERS.keys() - OTHERS) | VARIANTS.keys())

# In `make test` these two stand for all: long lines and charts, and a form of filters.
QUICK = ("campaign", "matrix")


# Which links at the top look like the page that is shown.
_MARKED = """
() => [...document.querySelectorAll('header nav a')]
  .map(each => getComputedStyle(each).boxShadow !== 'none')
"""


def every(name: str = "page") -> pytest.MarkDecorator:
    """Run a test with each page; but for a few in `make full` only."""
    some = [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in PAGES]
    return pytest.mark.parametrize(name, some)


def address(page: str, world: World) -> str:
    """Return the path of a page in the world of these tests."""
    found = {**ADDRESSES, **VARIANTS}[page](world)
    assert found is not None
    return found


def test_every_page_is_visited() -> None:
    """A page that somebody adds is a file, or has a place in the tests below."""
    assert pages.ANSWERS.keys() - OTHERS <= ADDRESSES.keys()


@every()
def test_page_with_scripts(page: str, visit: Visitor, site: str, world: World) -> None:
    """Title and heading agree, axe finds nothing in light or dark, and a telephone has room."""
    seen = visit(site + address(page, world))
    check_words(seen)
    check_access(seen)
    marked = [each.get_attribute("aria-current") for each in seen.locator("header nav a").all()]
    assert seen.evaluate(_MARKED) == [each is not None for each in marked]
    picture(seen, page)
    seen.emulate_media(color_scheme="dark")
    check_access(seen)
    picture(seen, f"{page}-dark")
    seen.set_viewport_size({"width": NARROW, "height": 800})
    check_width(seen)
    picture(seen, f"{page}-narrow")


@every()
def test_page_without_scripts(page: str, visit: Visitor, site: str, world: World) -> None:
    """It says the same, and the keyboard skips to the content and then comes to what is there.

    Axe finds nothing in what is shown then.
    """
    seen = visit(site + address(page, world), script=False)
    check_words(seen)
    plain = visit.as_without_scripts(seen)
    check_access(plain)
    check_width(plain)
    picture(plain, f"{page}-plain")
    seen.keyboard.press("Tab")
    skip = seen.locator(".skip")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    seen.keyboard.press("Enter")
    expect(seen.locator("main")).to_be_focused()
    unnamed = "main :is(input, select, textarea):not([type=hidden]):not([id]):not(label *)"
    assert seen.locator(unnamed).count() == 0
    assert seen.locator("main table:not(.wide table)").count() == 0
    assert seen.locator("main thead th:not([scope])").count() == 0
    first = "form.filters input, form.filters select, form.filters button"
    if seen.locator(first).count():
        tab_to(seen, has_focus(seen, "form.filters"))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_page_prints(page: str, visit: Visitor, site: str, world: World) -> None:
    """On paper it is black on white, whatever the window is, with nothing to click at."""
    seen = visit(site + address(page, world), dark=True)
    seen.emulate_media(media="print")
    body = "getComputedStyle(document.body)"
    assert seen.evaluate(f"{body}.color") == "rgb(0, 0, 0)"
    assert seen.evaluate(f"{body}.backgroundColor") == "rgb(255, 255, 255)"
    for each in seen.locator("nav, form, .skip").all():
        assert not each.is_visible(), each.evaluate("e => e.outerHTML.slice(0, 120)")


@pytest.mark.slow
@pytest.mark.parametrize("page", ["dataset", "errors", "matrix"])
def test_hostile_reason_is_text(page: str, visit: Visitor, site: str, world: World) -> None:
    """What a broken file says is shown as it is: no element of it, no script."""
    if page not in pages.ANSWERS:
        pytest.skip(f"there is no page {page} yet")
    path = LiveLinks().to(page, world.broken if page == "dataset" else CAMPAIGN)
    seen = visit(f"{site}{path}")
    assert seen.locator("[onmouseover]").count() == 0
    if page != "matrix":
        assert "<b onmouseover=alert(1)>" in seen.inner_text("main")


def test_unknown_page(visit: Visitor, site: str) -> None:
    """An address that is not there gets a page that says so, and the way back."""
    seen = visit(f"{site}/no/such/page", code=404)
    check_words(seen)
    check_access(seen)
    picture(seen, "not-found")
    expect(seen.get_by_role("link", name="All campaigns")).to_be_visible()


@pytest.mark.slow
def test_no_ledger_and_unreadable_ledger(visit: Visitor, tmp_path: Path) -> None:
    """Before the first run, and with a ledger that is none, a page says what to do."""
    (tmp_path / "bad.db").write_text("no ledger")
    for name, code in (("none", 200), ("bad", 503)):
        settings = DashboardSettings(ledger=f"sqlite:///{tmp_path / name}.db", period=0.0)
        with served(build_app(settings)) as here:
            seen = visit(f"{here}/", code=code)
            check_words(seen)
            check_access(seen)
            seen.set_viewport_size({"width": NARROW, "height": 800})
            check_width(seen)
            seen.set_viewport_size({"width": WIDE, "height": 800})
            picture(seen, f"ledger-{name}")
            visit.close()


@pytest.mark.slow
def test_empty_ledger(visit: Visitor, tmp_path: Path) -> None:
    """A ledger with nothing in it has pages that say what to do next."""
    from calib.ledger.ledger import open_ledger

    url = f"sqlite:///{tmp_path / 'empty.db'}"
    open_ledger(url).close()
    with served(build_app(DashboardSettings(ledger=url, period=0.0))) as here:
        for page in sorted({"campaigns", "references", "contexts", "reprocessings"} & set(PAGES)):
            seen = visit(f"{here}{LiveLinks().to(page)}")
            check_words(seen)
            check_access(seen)
            expect(seen.locator("main .empty").first).to_be_visible()
            picture(seen, f"empty-{page}")
        visit.close()  # live pages would look for the server that ends here


@pytest.mark.slow
def test_difference_comes_by_itself(visit: Visitor, site: str, world: World) -> None:
    """The page of two versions looks again until all is compared, and then has pictures."""
    seen = visit(site + address("difference", world), live=True)
    # In one question: between two looks of the page nothing may be there at all.
    done = "main:not(:has(.state.running)) .three img"
    expect(seen.locator(done).first).to_be_visible(timeout=180_000)
    assert "cannot be compared" not in seen.inner_text("main")
    check_words(seen)
    check_access(seen)
    picture(seen, "difference-done")
    seen.emulate_media(color_scheme="dark")
    check_access(seen)
    seen.set_viewport_size({"width": NARROW, "height": 800})
    check_width(seen)
    picture(seen, "difference-done-narrow")


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False])
def test_read_only_says_the_command(
    script: bool,
    visit: Visitor,
    world: World,
) -> None:
    """Where nothing may be changed there is no form of a change, but the command that does it."""
    settings = DashboardSettings(ledger=world.ledger, work=str(world.work), period=0.0)
    with served(build_app(settings)) as here:
        for page in ("rescue", "control", "approve"):
            seen = visit(here + address(page, world), script=script)
            check_words(seen)
            check_access(seen) if script else None
            assert seen.locator("form[method=post]").count() == 0
            expect(seen.locator("main pre code").first).to_contain_text("hstflow campaign")
        refused = seen.request.post(f"{here}{LINKS.to('rescue', CAMPAIGN)}")
        assert refused.status == 403
        seen.set_content(refused.text())
        expect(seen.get_by_role("heading", name="Refused")).to_be_visible()


@pytest.mark.slow
def test_filters_are_sent_by_enter(visit: Visitor, site: str, world: World) -> None:
    """A name and Enter are enough, with no script, and the address can be kept."""
    seen = visit(site + address("matrix", world), script=False)
    seen.get_by_role("textbox", name="Name").fill(world.broken)
    seen.keyboard.press("Enter")
    seen.wait_for_url("**name=*")
    expect(seen.locator("table.matrix tbody tr")).to_have_count(1)
