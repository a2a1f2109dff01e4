"""How a campaign goes, shown while it does: a bar on a terminal, lines in a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.live import Live
from rich.markup import escape
from rich.text import Text

from calib.errors import HstflowError
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import campaigns
from calib.ledger.reading import open_reader
from deployments.cli.campaign.show import bar_of, line_of
from deployments.cli.console import err

# Seconds between two looks at the ledger. A look at 100,000 jobs costs 30 ms.
INTERVAL = 1.0

# Seconds between two lines in a file.
LINES = 60.0


def overview_in(ledger: str, name: str) -> Overview | None:
    """Return how a campaign stands; None where there is none, or nobody can say just now."""
    try:
        with open_reader(ledger) as rows:
            found = None if rows is None else next(iter(campaigns(rows, name)), None)
            return None if rows is None or found is None else overview_of(rows, found)
    except HstflowError:  # what shows must not stop what works
        return None


@contextmanager
def showing(ledger: str, *names: str, quiet: bool = False) -> Iterator[None]:
    """Show on stderr how a campaign goes while the block runs; of several, the one at work.

    Parameters
    ----------
    ledger
        URL of the ledger.
    names
        The campaigns; they need not be there yet.
    quiet
        Show nothing.
    """
    if quiet:
        yield
        return
    with _screen() as (show, interval):
        done = threading.Event()
        arguments = (ledger, names, show, interval, done)
        thread = threading.Thread(target=_follow, args=arguments, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def _screen() -> Iterator[tuple[Callable[[Overview], None], float]]:
    """Give a function that shows an overview, and the time between two of them."""
    if not err.is_terminal:
        yield (lambda overview: err.print(escape(dated_line(overview)), soft_wrap=True)), LINES
        return
    with Live(Text(""), console=err, transient=True, auto_refresh=False) as live:
        yield (lambda overview: live.update(bar_of(overview), refresh=True)), INTERVAL


def dated_line(overview: Overview) -> str:
    """Return the time, and how a campaign goes, in one line."""
    return f"{time.strftime('%H:%M:%S', time.gmtime())}Z {line_of(overview)}"


def _follow(
    ledger: str,
    names: Sequence[str],
    show: Callable[[Overview], None],
    interval: float,
    done: threading.Event,
) -> None:
    while not done.wait(interval):
        found = [each for name in names if (each := overview_in(ledger, name)) is not None]
        if found:
            show(next((each for each in found if each.is_live), found[-1]))
