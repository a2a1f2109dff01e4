"""What a campaign still has to do: nothing is started twice, nothing is forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import template

from calib.campaigns.retries import decide
from calib.grants import Grant
from calib.ids import parse_dataset
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.dispatch import Loss, end_lost
from calib.ledger.ledger import Ledger, open_ledger
from flows.backlog import POLL, Backlog

__all__ = ["template"]

NAMES = ("j8bt05njq", "j8bt06niq", "j8bt07oyq")
CONTEXT = "hst_0001.pmap"


@pytest.fixture
def ledger(template: Path, tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a campaign of three, in chunks of two; the last is the most urgent."""
    shutil.copy(template, tmp_path / "ledger.db")
    jobs = [NewJob(parse_dataset(name), priority=number) for number, name in enumerate(NAMES)]
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        opened.write(lambda c: set_plan(c, "night", context=CONTEXT, plan="{}"))
        opened.write(
            lambda c: enter_jobs(c, "night", jobs, run="r1", context=CONTEXT, chunk_size=2)
        )
        yield opened


def taken(backlog: Backlog, now: float) -> list[str]:
    """Take all that can be started."""
    found = []
    while ticket := backlog.next(now):
        found.append(ticket.left.dataset)
    return found


def test_each_job_is_handed_out_once_the_most_urgent_first(ledger: Ledger) -> None:
    """Also where the ledger is looked at again while they run."""
    backlog = Backlog(ledger, 1)

    assert taken(backlog, 0.0) == [NAMES[2], NAMES[1], NAMES[0]]
    assert taken(backlog, 2 * POLL) == []
    assert (backlog.open_in(0), backlog.open_in(1)) == (2, 1)
    assert not backlog.is_empty


def test_one_chunk_alone_is_read(ledger: Ledger) -> None:
    """A chunk that runs elsewhere is none of ours."""
    assert taken(Backlog(ledger, 1, only=1), 0.0) == [NAMES[2]]


def test_job_that_is_put_back_is_the_next(ledger: Ledger) -> None:
    """And is counted as one of its chunk all the time."""
    backlog = Backlog(ledger, 1)
    ticket = backlog.next(0.0)
    assert ticket is not None
    backlog.put_back(ticket)

    assert backlog.next(0.0) is ticket


def test_delayed_job_comes_when_it_is_due_with_its_new_grant(ledger: Ledger) -> None:
    """What it may use then is read from the ledger."""
    backlog = Backlog(ledger, 1, only=1)
    ticket = backlog.next(0.0)
    assert ticket is not None
    retry = decide("WorkerLost", 33, Grant(memory=1, rungs=(1, 5)))
    lost = Loss("the worker was lost", "WorkerLost", 33, retry)
    ledger.write(lambda c: end_lost(c, ticket.left.id, lost))
    backlog.delay(ticket, 10.0, 0.0)

    assert backlog.next(9.0) is None
    assert not backlog.is_empty
    again = backlog.next(9.0 + POLL)
    assert again is not None
    assert (again.left.memory, again.left.retries) == (5, {"memory": 1})


def test_what_was_not_started_is_forgotten_with_a_pause(ledger: Ledger) -> None:
    """What runs is not; resumed, the rest is read again."""
    backlog = Backlog(ledger, 1)
    first = backlog.next(0.0)
    second = backlog.next(0.0)
    assert first is not None
    assert second is not None
    backlog.put_back(second)
    backlog.drop()

    assert taken(backlog, 0.0) == [NAMES[1], NAMES[0]]
