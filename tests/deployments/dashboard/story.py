"""The operator's story of docs/operator-story.md, played in a browser: no terminal in between.

``python tests/deployments/dashboard/story.py FOLDER`` (`make story`) starts `hstflow up` on a fresh
home, submits the demo to it, and draws the pictures of the page into a folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[3]
HSTFLOW = (sys.executable, "-m", "deployments.cli")
CAMPAIGN = "demo"
PERSON = "vera"
PASSWORD = "of-the-operator"  # noqa: S105 - of a dashboard that lives for the story
# Milliseconds: workers start, loops are compiled; on two busy cores.
LONG = 120_000.0
LIMIT = 120.0
WIDTH = 1100
# Colours of a picture: the pages have few.
COLOURS = 64

# So that a picture has the question and the form.
_FORM_UP = "e => e.querySelectorAll('h2')[0].scrollIntoView()"

Show = Callable[[Page, str], None]


def fresh(folder: Path) -> dict[str, str]:
    """Return the variables of an operator whose homes, ledger and caches are all in a folder."""
    foreign = ("PREFECT_", "HSTFLOW_", "CRDS_")
    ours = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {
        **ours,
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(folder / "prefect"),
        "HSTFLOW_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "HSTFLOW_WORK": str(folder / "work"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HSTFLOW_DASHBOARD_PASSWORD": f"{PERSON}:{PASSWORD}",
    }


@contextmanager
def is_up(environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Run `hstflow up` and give what it says when all is ready; it ends as by Ctrl-C."""
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [*HSTFLOW, "up", "--json", "--workers", "1"],
            cwd=ROOT,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            said.seek(0)
            assert line, said.read()
            yield json.loads(line)
        finally:
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=LIMIT)
    assert child.returncode == 130


def submit_demo(environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Run the second command of the story, and return what it says."""
    done = subprocess.run(
        [*HSTFLOW, "demo", str(folder), "--up", "--json"],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def play(page: Page, told: Mapping[str, Any], show: Show) -> None:
    """Follow the campaign from the home page, find what is broken, and rescue it.

    Parameters
    ----------
    page
        The browser's window.
    told
        What `hstflow demo --up --json` said.
    show
        Told at each step, for a picture.
    """
    number, broken = told["datasets"], told["broken"]
    page.goto(told["page"])
    _follow(page, number, show)
    _find(page, broken, show)
    _rescue(page, told["redelivered"], show)
    _see_the_end(page, number, broken, show)


def _state(page: Page, words: str) -> None:
    """Wait for what the campaign's page says of it; the page looks by itself, or is loaded anew."""
    expect(page.locator(".lead")).to_contain_text(words, timeout=LONG)


def _load_until(page: Page, found: Locator) -> None:
    """Load a page again, as somebody does who waits in front of it, until something is on it."""
    deadline = time.monotonic() + LONG / 1000
    while not found.count():
        assert time.monotonic() < deadline, page.inner_text("main")
        page.wait_for_timeout(500)
        page.reload()


def _follow(page: Page, number: int, show: Show) -> None:
    link = page.get_by_role("link", name=CAMPAIGN, exact=True)
    _load_until(page, link)
    link.click()
    _load_until(page, page.locator(".counts").get_by_text("processed"))
    expect(page.locator(".lead")).to_contain_text("running")
    show(page, "running")
    _state(page, "failed")
    expect(page.locator(".tiles")).to_contain_text(f"{number - 1} of {number}")
    show(page, "failed")


def _find(page: Page, broken: str, show: Show) -> None:
    page.get_by_role("link", name="Errors").last.click()
    expect(page.locator("main")).to_contain_text("CorruptFile")
    show(page, "errors")
    page.get_by_role("link", name=broken).first.click()
    reason = page.locator("main .warning").first
    expect(reason).to_contain_text("CorruptFile")
    expect(reason).to_contain_text("in fetch")
    expect(reason).to_contain_text("CHECKSUM")
    show(page, "why")


def _rescue(page: Page, place: str, show: Show) -> None:
    page.get_by_role("link", name="Rescue it").click()
    page.get_by_label("Fetch their inputs from").fill(place)
    page.locator("main").evaluate(_FORM_UP)
    show(page, "rescue")
    page.get_by_label("Fetch their inputs from").fill("ftp://elsewhere")
    page.get_by_role("button", name="Rescue 1 dataset").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    page.get_by_label("Fetch their inputs from").fill(place)
    page.get_by_role("button", name="Rescue 1 dataset").click()
    expect(page.locator("h1")).to_have_text("1 dataset rescued")
    show(page, "rescued")


def _see_the_end(page: Page, number: int, broken: str, show: Show) -> None:
    page.get_by_role("link", name=CAMPAIGN, exact=True).first.click()
    _load_until(page, page.locator(".lead", has_text="finished"))
    expect(page.locator(".tiles")).to_contain_text(f"{number} of {number}")
    show(page, "finished")
    page.get_by_role("link", name="Datasets").click()
    page.get_by_role("link", name=broken).first.click()
    page.get_by_text("History of states").click()
    history = page.get_by_role("region", name="History of states")
    expect(history).to_contain_text(f"rescued by {PERSON} in the dashboard")
    show(page, "history")


def draw(page: Page, path: Path) -> None:
    """Take a picture of what a window shows, small enough for the docs."""
    page.screenshot(path=path)
    with Image.open(path) as taken:
        few = taken.convert("RGB").quantize(COLOURS)
    few.save(path, optimize=True)


def main(pictures: Path) -> None:
    """Play the story and draw it."""
    from tests.deployments.dashboard.browser import SWITCHES, chromium

    with tempfile.TemporaryDirectory() as name, sync_playwright() as talk:
        environment = fresh(Path(name))
        browser = talk.chromium.launch(executable_path=chromium(), args=[*SWITCHES])
        window = {"width": WIDTH, "height": 760}
        page = browser.new_page(
            viewport=window,  # type: ignore[arg-type]
            color_scheme="light",
            http_credentials={"username": PERSON, "password": PASSWORD},
        )
        with is_up(environment):
            told = submit_demo(environment, Path(name, "demo"))
            play(page, told, lambda shown, step: draw(shown, pictures / f"story-{step}.png"))
        browser.close()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(Path(sys.argv[1]))
