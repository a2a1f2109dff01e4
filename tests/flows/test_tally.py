"""The words in which a flow run ends."""

from __future__ import annotations

import pytest

from calib.ledger.campaign_reports import Campaign, Failure
from calib.records import Outcome
from flows.campaign_results import result_of, state_of
from flows.tally import Tally


def test_chunk_says_which_errors_and_the_first_reason() -> None:
    """Classes are counted, the most frequent first; the first failure has its reason."""
    tally = Tally()
    for name in ("a", "b", "c"):
        tally.note(Outcome(name, "processed", "published"))
    tally.note(Outcome("d", "error", "more than\n8 GB", 32, "OutOfMemory"))
    for name in ("e", "f"):
        tally.note(Outcome(name, "error", "no such file", 21, "NotFound"))
    tally.note(None)

    assert str(tally) == (
        "4 of 7 failed: 2 NotFound, 1 OutOfMemory, 1 lost; first d: more than 8 GB; "
        "3 error, 1 lost, 3 processed"
    )


def test_nothing_left_and_nothing_failed() -> None:
    """A chunk without work and one without failures say so."""
    tally = Tally()
    assert str(tally) == "nothing was left"
    tally.note(Outcome("a", "skipped", "nothing to do"))
    assert str(tally) == "1 datasets: 1 skipped"


def campaign(**counts: int) -> Campaign:
    """Return a campaign with these counts."""
    return Campaign(1, "night", "hst_0001.pmap", 0, "run", "2026-01-01", {}, None, counts)


WHY = "12 OutOfMemory, 8 NotFound; first j8bt06niq: more than 8 GB"
FAILURES = [
    Failure("error", "OutOfMemory", 32, 12, "j8bt06niq", "more than 8 GB"),
    Failure("error", "NotFound", 21, 8, "iaaj01ivq", "no such file"),
]


@pytest.mark.parametrize(
    ("counts", "failures", "wanted", "expected"),
    [
        ({"processed": 3}, [], "run", ("completed", "all 3 datasets are finished: 3 processed")),
        (
            {"processed": 180, "error": 20},
            FAILURES,
            "run",
            (
                "failed",
                f"20 of 200 failed: {WHY}; 180 processed, 20 error",
            ),
        ),
        (
            {"submitted": 4, "processed": 1},
            [],
            "pause",
            ("paused", "4 of 5 datasets are not finished: 4 submitted, 1 processed"),
        ),
        (
            {"submitted": 4, "error": 20},
            FAILURES,
            "run",
            (
                "failed",
                f"20 of 24 failed: {WHY}; 4 submitted, 20 error; 4 more are not finished",
            ),
        ),
    ],
)
def test_session_says_why(
    counts: dict[str, int], failures: list[Failure], wanted: str, expected: tuple[str, str]
) -> None:
    """The message has the numbers that an operator needs first, and the state carries it."""
    result = result_of(campaign(**counts), failures, wanted, [])

    assert (result.outcome, result.message) == expected
    assert state_of(result).message == expected[1]
