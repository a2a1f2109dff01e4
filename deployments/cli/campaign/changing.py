"""Many jobs are changed in the ledger, some at a time, with a bar on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from calib.ledger.location import ledger_url
from deployments.cli.progress import following

if TYPE_CHECKING:
    from calib.ledger.ledger import Ledger


@contextmanager
def changing(done: str) -> Iterator[tuple[Ledger, Callable[[int, int], None]]]:
    """Give the ledger to write to, and what shows on a terminal how far it is.

    Parameters
    ----------
    done
        What the bar says of those that are changed.
    """
    from calib.ledger.ledger import open_ledger

    with open_ledger(ledger_url(os.environ)) as ledger, following(done) as show:
        yield ledger, show
