"""What a campaign asks of Prefect's server; none of it is needed for the datasets."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping

from prefect.artifacts import create_markdown_artifact
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


def show_report(campaign: str, states: Mapping[str, int], failures: Mapping[str, int]) -> None:
    """Put a campaign's counts into its flow run's page, as the artifact `campaign-report`."""
    rows = [f"| {state} | {number} |" for state, number in states.items()]
    rows += [f"| error: {name} | {number} |" for name, number in failures.items()]
    table = "\n".join([f"# {campaign}", "", "| state | datasets |", "|---|---|", *rows])
    key = re.sub(r"[^a-z0-9]+", "-", f"campaign-report-{campaign}".lower()).strip("-")
    try:
        create_markdown_artifact(table, key=key, description=f"Campaign {campaign}")
    except PREFECT_ERRORS as error:
        log.warning("the campaign's report is not shown: %s", error)
