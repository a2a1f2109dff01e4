"""Many jobs are changed in the ledger, some at a time, with a bar on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from calib.ledger.location import ledger_url
from deployments.cli.progress import following

if TYPE_CHECKING:
    from calib.ledger.campaign_reports import FoundJob

# Jobs of one transaction: others get in between, and an interrupt loses little.
_AT_ONCE = 2_000


def change_jobs(jobs: Sequence[FoundJob], done: str, change: Callable[..., int]) -> int:
    """Change jobs in the ledger, and return how many were.

    Parameters
    ----------
    jobs
        Which.
    done
        What the bar says of those that are changed.
    change
        Changes, on a connection, the jobs of some `numbers` in one transaction, and tells how
        many it changed: one that another process has changed meanwhile may stay as it is.
    """
    from calib.ledger.ledger import open_ledger

    changed = 0
    with open_ledger(ledger_url(os.environ)) as ledger, following(done) as show:
        for first in range(0, len(jobs), _AT_ONCE):
            some = [job.id for job in jobs[first : first + _AT_ONCE]]
            changed += ledger.write(partial(change, numbers=some))
            show(changed, len(jobs))
    return changed
