"""What a campaign asks of Prefect's server; none of it is needed for the datasets."""

from __future__ import annotations

import logging
import time

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.settings import PREFECT_API_URL

from flows.artifacts import key_of
from flows.prefect_errors import PREFECT_ERRORS
from flows.private_server import answers
from tasks.downloads import LIMIT_NAME

log = logging.getLogger(__name__)

# Seconds that a campaign waits at its start for a server that is being started.
PATIENCE = 30.0


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


def show_page(kind: str, name: str, markdown: str, title: str) -> None:
    """Put a text into the page of the flow run, as the artifact `KIND-NAME`."""
    try:
        create_markdown_artifact(markdown, key=key_of(kind, name), description=title)
    except PREFECT_ERRORS as error:
        log.warning("%s is not shown: %s", title, error)
