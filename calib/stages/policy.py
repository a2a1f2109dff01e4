"""How often each stage is tried, stated once for plain runs and for Prefect tasks."""

from __future__ import annotations

import logging
import random
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from calib.errors import Interrupted, TransientError

log = logging.getLogger(__name__)
R = TypeVar("R")

# A retry is told in one line; the last error is told whole.
REASON_WIDTH = 160

# For how long, and how often, the last word of an attempt is tried, seconds: a database that is
# started again, or fails over to another host, is back within minutes; work of hours is lost
# with the word.
PATIENCE = 600.0
PATIENCE_STEP = 15.0


@dataclass(frozen=True)
class RetryPolicy:
    """Tries of one stage.

    Attributes
    ----------
    delays
        Seconds to wait before the second, third... try; their number is the number of
        retries.
    jitter
        Each delay is multiplied by a random factor between 1 and 1 + jitter, so that a
        thousand workers do not knock at the same moment.
    timeout
        Seconds after which an orchestrator gives a stage up; None for no limit.
    """

    delays: tuple[float, ...] = (1.0, 4.0, 16.0)
    jitter: float = 0.5
    timeout: float | None = None


# Every stage retries what may pass by itself. Waiting longer pays where the other side is a
# service (fetch, archive). bestrefs waits shortly: the crds client has its own retries for
# downloads, and a reference that nobody delivers blocks the job in seconds, not minutes.
POLICIES: dict[str, RetryPolicy] = {
    "fetch": RetryPolicy(),
    "bestrefs": RetryPolicy(delays=(1.0, 2.0)),
    "calibrate": RetryPolicy(delays=(1.0, 4.0)),
    "preview": RetryPolicy(delays=(1.0, 4.0)),
    "archive": RetryPolicy(),
    "state-message": RetryPolicy(),
}
STAGES = tuple(POLICIES)


def is_retryable(error: BaseException) -> bool:
    """Tell whether trying again may help: a transient error, unless a person stopped us."""
    return isinstance(error, TransientError) and not isinstance(error, Interrupted)


def with_patience(call: Callable[[], R], *, until: Callable[[], bool] = lambda: False) -> R:
    """Call what must be said, such as the last word of an attempt, as long as nobody listens.

    Parameters
    ----------
    call
        May be called more than once; it has failed before, or is called the first time.
    until
        Tells that it need not be said any more.

    Raises
    ------
    HstflowError
        The error of the last try, after ten minutes; or the first one that does not pass.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except TransientError as error:
            if not is_retryable(error) or time.monotonic() > end or until():
                raise
            reason = textwrap.shorten(str(error), REASON_WIDTH, placeholder=" ...")
            log.warning("the ledger is away: %s; again in %.0f s", reason, PATIENCE_STEP)
        time.sleep(PATIENCE_STEP)


def with_retries(
    stage: str, call: Callable[[], R], *, sleep: Callable[[float], None] = time.sleep
) -> R:
    """Call a stage under its policy, without an orchestrator.

    Raises
    ------
    HstflowError
        The error of the last try, or the first one that is not worth a retry.
    """
    policy = POLICIES[stage]
    for number, delay in enumerate(policy.delays, start=1):
        try:
            return call()
        except TransientError as error:
            if not is_retryable(error):
                raise
            wait = delay * (1 + policy.jitter * random.random())  # noqa: S311 - not a secret
            reason = textwrap.shorten(str(error), REASON_WIDTH, placeholder=" ...")
            log.warning("%s: try %d failed: %s; again in %.0f s", stage, number, reason, wait)
            sleep(wait)
    return call()
