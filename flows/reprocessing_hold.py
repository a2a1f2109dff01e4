"""A reprocessing in the hands of one process, which says every now and then that it lives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from calib.errors import HstflowError, Interrupted
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.reprocessing_holders import Hold, beat_hold, hold, let_go
from calib.stages.recording import ledger_of

log = logging.getLogger(__name__)

BEAT = 30.0  # seconds between two signs of life: ten may be lost (calib.ledger.owners)


class Heart:
    """Says every now and then that the process lives that has a reprocessing in its hands.

    Attributes
    ----------
    held
        What proves that it has it.
    """

    def __init__(self, ledger: Ledger, held: Hold) -> None:
        self._ledger, self.held = ledger, held
        self._ended = threading.Event()
        self._lost: Interrupted | None = None
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise Interrupted where another process has taken the reprocessing over."""
        if self._lost is not None:
            raise self._lost

    def stop(self) -> None:
        """Beat no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                self._ledger.write(lambda c: beat_hold(c, self.held))
            except Interrupted as error:
                self._lost = error
                return
            except Exception as error:  # the boundary: without a heart it is taken for dead
                expected = isinstance(error, HstflowError)
                log.warning("no sign of life in the ledger: %s", error, exc_info=not expected)


@contextmanager
def holding(name: str, ledger: str) -> Iterator[Heart]:
    """Have a reprocessing in our hands while the block runs.

    Raises
    ------
    InOtherHands
        A live process has it.
    Unavailable
        The ledger does not answer.
    ConfigError
        There is no such reprocessing.
    """
    books, owner = ledger_of(ledger), current_owner()
    held = books.write(lambda c: hold(c, name, owner))
    heart = Heart(books, held)
    try:
        yield heart
    finally:
        heart.stop()
        try:
            books.write(lambda c: let_go(c, held))
        except HstflowError as error:  # found dead later
            log.warning("reprocessing %s was not given back: %s", name, error)
