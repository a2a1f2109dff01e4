"""Whoever closes an attempt locks its job first: nobody is stopped as the victim of a deadlock."""

from __future__ import annotations

import threading
import time
from functools import partial

from sqlalchemy import Connection, select

from calib.cost_model import Features
from calib.errors import HstflowError, Interrupted
from calib.ids import parse_dataset
from calib.ledger.attempts import change_state, finish
from calib.ledger.jobs import lock_job
from calib.ledger.ledger import Attempt, Ledger, Start, current_owner
from calib.ledger.predictions import record_features
from calib.ledger.schema import attempt as attempts
from calib.ledger.stage_runs import open_last_stage
from calib.records import Outcome
from calib.stages.recording import Book

DATASET = parse_dataset("j8pq010a1")
FEATURES = Features(1, 3.0, 0, 0, 1, 0, 1, 0, 0)


def say_last(ledger: Ledger, attempt: Attempt, ends: list[HstflowError]) -> None:
    """Close an attempt with all that waits, as its process does."""
    outcome = Outcome(attempt.dataset, "processed", "done")
    book = Book(ledger)
    book.later(lambda c: record_features(c, attempt, FEATURES))
    book.later(lambda c: open_last_stage(c, attempt, "state-message", outcome))
    try:
        book.last(attempt, lambda c: finish(c, attempt, outcome))
    except HstflowError as error:
        ends.append(error)


def test_last_word_beside_a_cancellation(ledger: Ledger) -> None:
    """The operator has the job when its process closes it: that one waits, and is told so."""
    attempt = ledger.start(Start("nightly", DATASET, "r1", "hst_1.pmap"), current_owner())
    ends: list[HstflowError] = []
    closing = threading.Thread(target=partial(say_last, ledger, attempt, ends))
    tries: list[int] = []

    def cancel(connection: Connection) -> None:
        lock_job(connection, attempt.job_id)
        tries.append(1)
        if len(tries) == 1:
            closing.start()
            time.sleep(0.3)
        of_attempt = select(attempts.c.id).where(attempts.c.id == attempt.id)
        connection.execute(of_attempt.with_for_update(nowait=True))
        change_state(connection, attempt.job_id, "cancelled", "the operator")

    ledger.write(cancel)
    closing.join()

    assert [type(end) for end in ends] == [Interrupted]
    assert len(tries) == 1, "nobody held what the operator needs next"
    assert ledger.jobs_of(DATASET)[-1].state == "cancelled"
