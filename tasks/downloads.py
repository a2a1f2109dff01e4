"""A limit on downloads from MAST, over all campaigns and hosts: Prefect's `mast-download`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL

from calib.stages.job import Job

log = logging.getLogger(__name__)
LIMIT_NAME = "mast-download"

# Seconds to wait for a turn. A slot whose lease is lost (a server that was started again) is
# never given back: then the download goes on without a turn.
TURN = 300.0

# Seconds after which the slot of a worker that died is free again: the least that the server
# takes.
LEASE = 60.0

# The second is no PrefectException: the server was away while a turn was asked for.
_NO_TURN = (
    PrefectException,
    ConcurrencySlotAcquisitionError,
    httpx.HTTPError,
    RuntimeError,
    TimeoutError,
)


@contextmanager
def download_turn(job: Job) -> Iterator[None]:
    """Wait for a turn to download, where the inputs come from MAST.

    A server that is away, or that knows no such limit, stops no download, and hides nothing
    that went wrong with one.
    """
    turn = ExitStack()
    if job.source.startswith("astroquery:") and PREFECT_API_URL.value():
        try:
            slot = concurrency(LIMIT_NAME, timeout_seconds=TURN, lease_duration=LEASE)
            turn.enter_context(slot)
        except _NO_TURN as error:
            log.warning("downloading without a turn: %s", error)
    try:
        yield
    finally:
        _give_back(turn)


def _give_back(turn: ExitStack) -> None:
    try:
        turn.close()
    except _NO_TURN as error:  # its lease ends by itself
        log.warning("the turn to download is not given back: %s", error)
