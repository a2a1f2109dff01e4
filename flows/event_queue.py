"""What this process has told Prefect and Prefect has not yet sent.

Every state of a task is an event, which waits in a queue of the process with all that it hangs
on, some 6 kB. Where stages take no time, they are made faster than a server takes them, and a
campaign would grow by what waits.
"""

from __future__ import annotations

import time

from prefect.events.worker import EventsWorker

# Events that may wait before the next dataset is begun: those of some ten datasets. Where stages
# take seconds, the queue is empty.
MOST_WAITING = 200

# Seconds that a dataset waits at most: a server that is away is not waited for. What is more
# than PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE then is dropped: the ledger has it.
PATIENCE = 10.0

LOOK = 0.05  # seconds between two looks


def let_events_go(most: int = MOST_WAITING, patience: float = PATIENCE) -> bool:
    """Wait until few events are left to send.

    Returns
    -------
    bool
        Whether few are left; False where the patience is at its end.
    """
    deadline = time.monotonic() + patience
    while _waiting() > most:
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK)
    return True


def _waiting() -> int:
    return int(EventsWorker.instance()._queue.qsize())  # noqa: SLF001 - there is no other way
