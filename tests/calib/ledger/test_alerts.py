"""When a campaign is failing, stalled or lost: one rule, tried at its edges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from campaign_ledger import begin_session, campaign_template, enter, ledger
from hypothesis import given
from hypothesis import strategies as st

from calib.ledger.alerts import AlertLimits, End, alerts_of, expected, failing, stalled
from calib.ledger.campaign_reports import Campaign, campaigns
from calib.ledger.campaigns import set_control
from calib.ledger.ledger import Ledger
from calib.records import Outcome

__all__ = ["campaign_template", "ledger"]

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = AlertLimits(last=20, failing=0.25, recovered=0.10)


def ends(pattern: str, minutes: float = 1.0) -> list[End]:
    """Return ends, one a minute: `x` failed, `.` did not; each took so many minutes."""
    times = [BEGAN + timedelta(minutes=number) for number in range(1, len(pattern) + 1)]
    took = timedelta(minutes=minutes)
    return [
        End(f"d{number}", *_how(letter), at.isoformat(), (at - took).isoformat())
        for number, (letter, at) in enumerate(zip(pattern, times, strict=True))
    ]


def _how(letter: str) -> tuple[str, str | None]:
    return ("error", "NotFound") if letter == "x" else ("processed", None)


@pytest.mark.parametrize(
    ("pattern", "began"),
    [
        ("x" * 9, None),  # too few to judge
        ("x" * 10, 10),
        ("." * 15 + "x" * 4, None),  # 4 of 19: 21 %
        ("." * 15 + "x" * 5, 20),  # 5 of 20: 25 %
        ("." * 15 + "x" * 5 + "." * 15, 20),  # the window has 5 bad ones until 15 good ones came
        ("." * 15 + "x" * 5 + "." * 17, 20),  # 3 of 20: less, but not yet 10 %
        ("." * 15 + "x" * 5 + "." * 18, None),  # 2 of 20
        ("." * 15 + "x" * 5 + "." * 18 + "x" * 3 + ".xx", 44),  # a second episode, at 5 of 20
    ],
)
def test_failing_from_one_share_to_a_smaller_one(pattern: str, began: int | None) -> None:
    """An episode begins at the first share and lasts until the second one."""
    found = failing(ends(pattern), LIMITS)

    assert (found and found[0]) == (began and ends(pattern)[began - 1].ended_at)


def test_failing_says_how_many_and_which() -> None:
    """The reason has the numbers of the window, and its classes of errors."""
    found = failing(ends("." * 30 + "x" * 5), LIMITS)

    assert found is not None
    assert found[1] == "5 of the last 20 datasets failed (25%): 5 NotFound"


@given(st.text(".x", max_size=80))
def test_an_episode_is_known_whatever_came_before(pattern: str) -> None:
    """Whoever sees one more end never sees an episode begin twice, or begin in the future."""
    starts = [failing(ends(pattern[:length]), LIMITS) for length in range(len(pattern) + 1)]

    for before, after in itertools.pairwise(starts):
        if before is not None and after is not None:
            assert before[0] == after[0]
    for length, found in enumerate(starts):
        assert found is None or found[0] <= ends(pattern)[length - 1].ended_at


@pytest.mark.parametrize(("took", "most"), [(1.0, 30.0), (10.0, 30.0), (20.0, 60.0), (None, 120.0)])
def test_expectation_follows_what_datasets_take(took: float | None, most: float) -> None:
    """Three times the long ones, half an hour at least, two hours where nothing is known."""
    known = [] if took is None else ends("." * 20, took)

    assert expected(known) == timedelta(minutes=most)


@pytest.mark.parametrize(("minutes", "is_stalled"), [(29, False), (31, True)])
@pytest.mark.parametrize("known", [[], ends("....")], ids=["nothing ended", "some ended"])
def test_stalled_after_the_setting(known: Sequence[End], minutes: int, is_stalled: bool) -> None:
    """What is set counts, from the last end or the beginning of the session."""
    since = known[-1].ended_at if known else BEGAN.isoformat()
    now = datetime.fromisoformat(since) + timedelta(minutes=minutes)
    limits = AlertLimits(stalled=timedelta(minutes=30))

    found = stalled(known, BEGAN.isoformat(), limits, now)

    assert (found is not None) == is_stalled
    assert found is None or found[0] == since


def spring(opened: Ledger) -> Campaign:
    """Return the campaign of the ledger."""
    return opened.ask(lambda rows: campaigns(rows, "spring"))[0]


def test_nobody_is_told_of_a_campaign_that_nobody_runs(ledger: Ledger) -> None:
    """Without a session, and with one that is to pause, silence is what was asked for."""
    late = datetime.now(UTC) + timedelta(days=1)

    assert ledger.ask(lambda rows: alerts_of(rows, spring(ledger), now=late)) == []
    begin_session(ledger)
    ledger.write(lambda c: set_control(c, "spring", "pause"))
    assert ledger.ask(lambda rows: alerts_of(rows, spring(ledger), now=late)) == []


def test_process_that_is_gone_is_told(ledger: Ledger) -> None:
    """A session whose process does not exist is lost since its last sign."""
    begin_session(ledger, pid=2**22 + 1)
    found = spring(ledger)

    (alert,) = ledger.ask(lambda rows: alerts_of(rows, found))

    assert found.session is not None
    assert (alert.kind, alert.session, alert.since) == (
        "lost",
        found.session.id,
        found.session.heartbeat_at,
    )
    assert "has ended" in alert.reason


def test_silent_process_is_told(ledger: Ledger) -> None:
    """A process that lives and says nothing for too long is lost, too."""
    begin_session(ledger)
    now = datetime.now(UTC)
    found = spring(ledger)

    def kinds(minutes: float) -> list[str]:
        at = now + timedelta(minutes=minutes)
        return [each.kind for each in ledger.ask(lambda rows: alerts_of(rows, found, now=at))]

    assert kinds(4) == []
    assert kinds(6) == ["lost"]


def test_ends_of_the_session_alone_count(ledger: Ledger) -> None:
    """Failures of before are not those of a new session; those that it makes are."""
    from campaign_ledger import end

    names = [f"j8bt{number:02d}njq" for number in range(10, 22)]
    enter(ledger, "spring", tuple(names))
    begin_session(ledger)
    before = ledger.ask(lambda rows: alerts_of(rows, spring(ledger), LIMITS))
    for name in names[:10]:
        end(ledger, "spring", Outcome(name, "error", "gone", 21, "NotFound"))
    after = ledger.ask(lambda rows: alerts_of(rows, spring(ledger), LIMITS))

    assert before == []
    assert [(each.kind, each.reason) for each in after] == [
        ("failing", "10 of the last 10 datasets failed (100%): 10 NotFound")
    ]
