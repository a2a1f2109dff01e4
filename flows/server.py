"""What a campaign asks of Prefect's server; none of it is needed for the datasets."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.settings import PREFECT_API_URL

from calib.errors import HstflowError
from flows.prefect_errors import PREFECT_ERRORS
from flows.private_server import answers
from tasks.downloads import LIMIT_NAME

log = logging.getLogger(__name__)

# Seconds that a campaign waits at its start for a server that is being started.
PATIENCE = 30.0

# Seconds between two values of a campaign's progress, and for the last one at its end.
PROGRESS_PERIOD = 5.0
LAST_WORDS = 3.0


def has_server() -> bool:
    """Tell whether this process has been pointed at a server."""
    return bool(PREFECT_API_URL.value())


def wait_for_server() -> bool:
    """Wait for a moment until the server answers; tell whether it does."""
    url, deadline = str(PREFECT_API_URL.value()), time.monotonic() + PATIENCE
    while not answers(url):
        if time.monotonic() > deadline:
            log.warning("Prefect's server at %s does not answer", url)
            return False
        time.sleep(1.0)
    return True


def limit_downloads(number: int, *, is_alone: bool) -> None:
    """Say how many downloads from MAST there may be at the same time, over all hosts.

    Parameters
    ----------
    number
        So many.
    is_alone
        Whether no other campaign is at work: then slots that are taken are left over from an
        earlier server, and are given back.
    """
    try:
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(LIMIT_NAME, number)
            if is_alone:
                free = GlobalConcurrencyLimitUpdate(active_slots=0)
                client.update_global_concurrency_limit(LIMIT_NAME, free)
    except PREFECT_ERRORS as error:
        log.warning("the limit on downloads is not set: %s", error)


def show_report(campaign: str, states: Mapping[str, int], failures: Mapping[str, int]) -> None:
    """Put a campaign's counts into its flow run's page, as the artifact `campaign-report`."""
    rows = [f"| {state} | {number} |" for state, number in states.items()]
    rows += [f"| error: {name} | {number} |" for name, number in failures.items()]
    table = "\n".join([f"# {campaign}", "", "| state | datasets |", "|---|---|", *rows])
    show_page("campaign-report", campaign, table, f"Campaign {campaign}")


def show_page(kind: str, name: str, markdown: str, title: str) -> None:
    """Put a text into the page of the flow run, as the artifact `KIND-NAME`."""
    try:
        create_markdown_artifact(markdown, key=_key(kind, name), description=title)
    except PREFECT_ERRORS as error:
        log.warning("%s is not shown: %s", title, error)


class Progress:
    """How far a campaign is, in its flow run's page: the artifact `campaign-progress`.

    It is shown by a thread of its own: a server that does not answer holds up nothing.

    Parameters
    ----------
    campaign
        Its name.
    share
        Returns how much of it is finished, 0 to 1; may raise what the ledger raises.
    """

    def __init__(self, campaign: str, share: Callable[[], float]) -> None:
        self._campaign, self._share = campaign, share
        self._number: UUID | None = None
        self._shown: float | None = None
        self._ended = threading.Event()
        context = copy_context()  # so that it belongs to the campaign's flow run
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="progress", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Show the last value; wait a moment for that."""
        self._ended.set()
        self._thread.join(LAST_WORDS)

    def _run(self) -> None:
        while not self._ended.wait(PROGRESS_PERIOD):
            self._show()
        self._show()

    def _show(self) -> None:
        try:
            now = round(100 * self._share(), 1)
            if now != self._shown:
                self._tell(now)
                self._shown = now
        except (HstflowError, *PREFECT_ERRORS) as error:
            log.info("the campaign's progress is not shown: %s", error)

    def _tell(self, percent: float) -> None:
        if self._number is not None:
            update_progress_artifact(self._number, percent)
            return
        made: Any = create_progress_artifact(  # a coroutine only where it is awaited
            percent,
            key=_key("campaign-progress", self._campaign),
            description=f"Campaign {self._campaign}",
        )
        self._number = made


def _key(kind: str, campaign: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{campaign}".lower()).strip("-")
