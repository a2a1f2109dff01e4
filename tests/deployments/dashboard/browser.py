"""A browser for the tests of the dashboard: Chromium of the system, on the real server.

Fixtures: `visit` opens pages, and the test fails afterwards if one of them complained on its
console, broke the content policy or asked another place for anything.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from starlette.types import ASGIApp

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
NARROW = 400  # CSS pixels: a telephone, and a window at 320 % on a desk
WIDE = 1200
# As root Chromium has no sandbox; the rest keeps it from asking its maker for anything.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = 10_000.0  # milliseconds

# Without htmx a live page is loaded anew every ten seconds: on a slow machine while it is checked.
_NO_RELOAD = "window.setInterval = () => 0"

# Without preload: it reads the style sheet anew, which a page of a file may not.
_AXE = {"resultTypes": ["violations"], "preload": False}

_SCRIPT = re.compile(r"<script\b[^>]*></script>")
_NOSCRIPT = re.compile(r"</?noscript>")

# What makes a page wider than its window, but for regions that scroll by themselves.
_TOO_WIDE = """
() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
  [...document.body.querySelectorAll('*')]
    .filter(e => !e.closest('.wide, pre') && e.getBoundingClientRect().right > window.innerWidth)
    .map(e => e.outerHTML.slice(0, 120))
"""


def chromium() -> str | None:
    """Return the path of the browser: HSTFLOW_TEST_BROWSER, or what PATH has."""
    named = os.environ.get("HSTFLOW_TEST_BROWSER")
    if named:
        return shutil.which(named)
    return next((found for name in CHROMIUMS if (found := shutil.which(name))), None)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application by uvicorn on a free port, and give its address.

    Yields
    ------
    str
        Such as ``http://127.0.0.1:34567``.
    """
    config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            # It queues what comes before the server is up: nothing to wait for.
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@dataclass
class Visitor:
    """Opens pages in windows of their own, and remembers what they complained about.

    Attributes
    ----------
    complaints
        Lines of the console, errors of scripts, requests to other places.
    """

    browser: Browser
    complaints: list[str] = field(default_factory=list)
    _windows: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        address: str,
        *,
        script: bool = True,
        dark: bool = False,
        width: int = WIDE,
        code: int = 200,
        user: tuple[str, str] | None = None,
        live: bool = False,
    ) -> Page:
        """Open an address, and return its page.

        Parameters
        ----------
        script
            Whether the window runs scripts.
        dark
            Whether the person likes dark pages.
        width
            Of the window, CSS pixels.
        code
            What the server is to answer.
        user
            Name and password, where the server asks for them.
        live
            Whether the page may load itself anew while it is looked at.
        """
        credentials: Any = {"username": user[0], "password": user[1]} if user else None
        window = self.browser.new_context(
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": 800},
            http_credentials=credentials,
        )
        window.set_default_timeout(PATIENCE)
        self._windows.append(window)
        page = window.new_page()
        if not live:
            page.add_init_script(_NO_RELOAD)
        self._listen(page, address, code)
        answer = page.goto(address)
        if address.startswith("http"):
            assert answer is not None
            assert answer.status == code, page.inner_text("body")[:500]
        return page

    def as_without_scripts(self, seen: Page) -> Page:
        """Return what a window without scripts shows, in one where axe can run.

        What stands in `noscript` is then a part of the page, and no script of the page is there.
        """
        html = _NOSCRIPT.sub("", _SCRIPT.sub("", seen.content()))
        window = self.browser.new_context(viewport={"width": WIDE, "height": 800})
        window.set_default_timeout(PATIENCE)
        self._windows.append(window)
        page = window.new_page()
        self._listen(page, seen.url, 200)
        page.route(seen.url, lambda route: route.fulfill(content_type="text/html", body=html))
        page.goto(seen.url)
        return page

    def close(self) -> None:
        """Close all windows."""
        while self._windows:
            self._windows.pop().close()

    def _listen(self, page: Page, address: str, code: int) -> None:
        def hear(message: ConsoleMessage) -> None:
            # Chromium writes a line for each answer that is an error, also for a wanted one.
            wanted = code >= 400 and f"status of {code}" in message.text
            if message.type in {"error", "warning"} and not wanted:
                self.complaints.append(f"{message.location['url']}: {message.text}")

        def look(request: Any) -> None:
            if not _is_near(address, request.url):
                self.complaints.append(f"{page.url}: asked for {request.url}")

        page.on("console", hear)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("request", look)


def _is_near(address: str, asked: str) -> bool:
    """Tell whether a request goes where the page came from; files may ask for files."""
    here, there = urlsplit(address), urlsplit(asked)
    return there.scheme == "data" or (here.scheme, here.netloc) == (there.scheme, there.netloc)


Visit = Visitor


@pytest.fixture(scope="session")
def chrome() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """Return one Chromium for all tests, and the loop that talks with it.

    Playwright leaves its loop running in this thread, so that no test after it could run one.
    The loop is taken off here, and put back while a test has a window (`visit`).
    """
    path = chromium()
    if path is None:
        pytest.skip(f"no {', '.join(CHROMIUMS)} on PATH (HSTFLOW_TEST_BROWSER names another)")
    talk = sync_playwright().start()
    browser = talk.chromium.launch(executable_path=path, args=[*SWITCHES])
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    yield browser, loop
    asyncio._set_running_loop(loop)
    browser.close()
    talk.stop()


@pytest.fixture
def visit(chrome: tuple[Browser, asyncio.AbstractEventLoop]) -> Iterator[Visitor]:
    """Return a function that opens pages; afterwards none of them may have complained."""
    browser, loop = chrome
    asyncio._set_running_loop(loop)
    visitor = Visitor(browser)
    try:
        yield visitor
    finally:
        visitor.close()
        asyncio._set_running_loop(None)
    assert not visitor.complaints, "\n".join(visitor.complaints)


def check_access(page: Page) -> None:
    """Fail if axe finds a serious or critical thing that keeps somebody out."""
    found = [
        each
        for each in Axe().run(page, options=_AXE).response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
    lines = [
        f"{each['id']}: {each['help']}\n  {node['html']}\n  {node.get('failureSummary', '')}"
        for each in found
        for node in each["nodes"][:3]
    ]
    assert not found, f"{page.url}\n" + "\n".join(lines)


def check_width(page: Page) -> None:
    """Fail if the page is wider than its window; tables and logs may scroll by themselves."""
    found = page.evaluate(_TOO_WIDE)
    assert not found, f"{page.url} is too wide for {page.viewport_size}: {found[:5]}"


def check_words(page: Page) -> None:
    """Fail unless the page has a title, one heading that says the same, and a language."""
    assert page.title().endswith(" - hstflow")
    assert page.locator("h1").count() == 1
    assert page.locator("h1").inner_text() == page.title().removesuffix(" - hstflow")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("main#content").count() == 1
    assert "None" not in [text.strip() for text in page.locator("a, td, th").all_inner_texts()]
    assert page.locator("a[href='None'], a[href='']").count() == 0


def tab_to(page: Page, found: Callable[[], bool], presses: int = 40) -> int:
    """Press Tab until something is found; return how often."""
    for number in range(1, presses + 1):
        page.keyboard.press("Tab")
        if found():
            return number
    raise AssertionError(f"{page.url}: {presses} times Tab do not reach it")


def has_focus(page: Page, selector: str) -> Callable[[], bool]:
    """Return what tells whether the focus is on, or in, something."""
    return lambda: bool(page.evaluate("s => Boolean(document.activeElement?.closest(s))", selector))


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in HSTFLOW_SCREENSHOTS, where it is set."""
    folder = os.environ.get("HSTFLOW_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
