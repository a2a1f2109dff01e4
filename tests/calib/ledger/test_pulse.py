"""A process tells once for all its attempts that they live, and asks once whether to go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calib.ids import parse_dataset
from calib.ledger.attempts import finish
from calib.ledger.ledger import Attempt, Ledger, current_owner
from calib.ledger.pulse import beat_all, close_left_stages, close_open_stages, closed_of
from calib.ledger.reports import stages_of
from calib.records import Outcome

NAMES = ("j8pq010a1", "j8pq010a2", "j8pq010a3")


def begun(ledger: Ledger, name: str) -> Attempt:
    """Begin an attempt."""
    number = ledger.submit("c", parse_dataset(name), "r", context="hst_1.pmap")
    return ledger.begin_attempt(number, current_owner())


def test_closed_attempts_are_told_with_their_reason(ledger: Ledger) -> None:
    """One that was cancelled, one that another owner holds, one that goes on."""
    first, second, third = (begun(ledger, name) for name in NAMES)
    ledger.change_state(first.job_id, "cancelled", "by hand")
    stolen = Attempt(second.id, second.job_id, second.dataset, 1, "another token")

    closed = ledger.ask(lambda rows: closed_of(rows, [first, stolen, third]))

    assert closed == {first.id: ("cancelled", "by hand"), second.id: ("interrupted", "taken over")}


def test_beat_moves_open_attempts_alone(ledger: Ledger) -> None:
    """The heartbeat of one that is closed stays as it was."""
    first, second, _ = held = [begun(ledger, name) for name in NAMES]
    ledger.change_state(first.job_id, "cancelled", "by hand")
    before = _beats(ledger)

    ledger.write(lambda c: beat_all(c, held))

    after = _beats(ledger)
    assert after[first.id] == before[first.id]
    assert after[second.id] > before[second.id]


def test_stage_that_hangs_is_closed_from_outside(ledger: Ledger) -> None:
    """What is open ends as an error; what had ended stays."""
    attempt = begun(ledger, NAMES[0])
    ledger.close_stage(ledger.open_stage(attempt, "fetch"), "done")
    ledger.open_stage(attempt, "calibrate")

    ledger.write(lambda c: close_open_stages(c, attempt, "it hung"))

    job = ledger.jobs_of(parse_dataset(NAMES[0]))[-1]
    runs = ledger.ask(lambda rows: stages_of(rows, job))
    assert [(run.stage, run.state, run.error) for run in runs] == [
        ("fetch", "done", None),
        ("calibrate", "error", "it hung"),
    ]


@pytest.mark.parametrize(("is_dead", "is_ended", "closed"), [(1, 1, 1), (0, 1, 0), (1, 0, 0)])
def test_stage_after_the_last_word_is_closed_for_a_process_that_died(
    ledger: Ledger, is_dead: bool, is_ended: bool, closed: int
) -> None:
    """Not while the process lives, and not of an attempt that is open: that one is taken over."""
    owner = replace(current_owner(), started=1.0) if is_dead else current_owner()
    number = ledger.submit("c", parse_dataset(NAMES[0]), "r", context="hst_1.pmap")
    attempt = ledger.begin_attempt(number, owner)
    ledger.open_stage(attempt, "state-message")
    if is_ended:
        ledger.write(
            lambda c: finish(c, attempt, Outcome(NAMES[0], "error", "it failed", 1, "DataError"))
        )

    assert ledger.write(lambda c: close_left_stages(c, "c")) == closed

    (run,) = ledger.ask(lambda rows: stages_of(rows, ledger.jobs_of(parse_dataset(NAMES[0]))[-1]))
    assert run.state == ("interrupted" if closed else "running")


def _beats(ledger: Ledger) -> dict[int, str]:
    query = "SELECT id, heartbeat_at FROM attempt"
    return {row["id"]: row["heartbeat_at"] for row in ledger.ask(lambda rows: rows(query, {}))}
