"""What a future says, and what is a worker that was lost."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from calib.errors import Unavailable
from flows import fanout
from flows.fanout import Cancelled, ending_of, is_lost


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KilledWorker("dataset", None, 1), True),
        (Cancelled(), True),
        (CommClosedError("in the middle of a word"), True),
        (TimeoutError(), True),
        (PermissionError(13, "a log that cannot be written"), False),
        (OSError(28, "no space left on device"), False),
        (Unavailable("the ledger"), False),
        (ValueError("a bug"), False),
    ],
)
def test_only_what_dask_says_of_workers_is_a_lost_worker(
    error: Exception, *, expected: bool
) -> None:
    """Trouble with files is no lack of memory: the job would climb for nothing."""
    assert is_lost(error) is expected


def test_result_that_does_not_come_over_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker died after its end was reported: nobody would ever answer."""
    monkeypatch.setattr(fanout, "FETCH_LIMIT", 0.01)
    future: Future[Any] = Future()

    assert isinstance(ending_of(future), TimeoutError)


def test_future_that_is_cancelled_meanwhile_is_cancelled() -> None:
    """Dask says so by an error of its own."""
    future: Future[Any] = Future()
    future.set_exception(FutureCancelledError("dataset", "scheduler lost"))

    assert isinstance(ending_of(future), Cancelled)
