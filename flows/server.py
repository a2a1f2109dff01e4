"""What a campaign asks of Prefect's server; none of it is needed for the datasets."""

from __future__ import annotations

import logging
import time

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL

from flows.private_server import answers
from flows.work import PREFECT_ERRORS
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


def limit_downloads(number: int) -> None:
    """Say how many downloads from MAST there may be at the same time, over all hosts."""
    try:
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(LIMIT_NAME, number)
    except PREFECT_ERRORS as error:
        log.warning("the limit on downloads is not set: %s", error)
