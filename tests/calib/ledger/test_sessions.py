"""One process at a time works on a campaign; a dead one is taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from calib.errors import ConfigError, InOtherHands, Interrupted, Unavailable
from calib.ledger.campaign_reports import CampaignSession, sessions_of
from calib.ledger.campaigns import set_control, set_plan
from calib.ledger.ledger import Ledger, Owner, current_owner
from calib.ledger.sessions import (
    Session,
    beat_session,
    close_session,
    note_flow_run,
    open_session,
)

LONG_AGO = 1.0  # start of a process that cannot be ours, seconds since 1970


@pytest.fixture(autouse=True)
def campaign(ledger: Ledger) -> None:
    """Enter a campaign."""
    ledger.write(lambda c: set_plan(c, "nightly", context="hst_1.pmap", plan="{}"))


def begin(ledger: Ledger, owner: Owner | None = None) -> Session:
    """Open a session, ours by default."""
    return ledger.write(lambda c: open_session(c, "nightly", owner or current_owner()))


def sessions(ledger: Ledger) -> list[CampaignSession]:
    """Return all sessions, the first first."""
    return ledger.ask(lambda rows: sessions_of(rows, 1))


def test_two_at_once_are_refused(ledger: Ledger) -> None:
    """While a live process works on a campaign, another one learns who and since when."""
    first = begin(ledger)
    with pytest.raises(Unavailable, match=r"nightly is run by pid \d+ on .* since 2"):
        begin(ledger)
    ledger.write(lambda c: close_session(c, first, "completed", "all is done"))
    assert begin(ledger).id != first.id
    (old, new) = sessions(ledger)
    assert (old.outcome, old.message, old.is_live) == ("completed", "all is done", False)
    assert (new.outcome, new.is_live) == (None, True)


@pytest.mark.parametrize("wish", ["pause", "cancel"])
def test_what_a_person_stopped_is_left(ledger: Ledger, wish: str) -> None:
    """Who begins unasked is refused and opens nothing; a person may go on."""
    ledger.write(lambda c: set_control(c, "nightly", wish))
    with pytest.raises(InOtherHands, match=f"somebody asked for {wish} of campaign nightly"):
        ledger.write(lambda c: open_session(c, "nightly", current_owner(), unless_stopped=True))
    assert sessions(ledger) == []
    assert begin(ledger).id


def test_dead_session_is_taken_over(ledger: Ledger) -> None:
    """The next process closes it as lost; should its owner live after all, it stops."""
    lost = begin(ledger, replace(current_owner(), started=LONG_AGO))
    assert sessions(ledger)[0].death is not None
    begin(ledger)
    assert [each.outcome for each in sessions(ledger)] == ["lost", None]
    with pytest.raises(Interrupted, match="taken this campaign over"):
        ledger.write(lambda c: beat_session(c, lost))
    ledger.write(lambda c: close_session(c, lost, "completed", "too late"))
    assert sessions(ledger)[0].outcome == "lost"


def test_session_elsewhere_is_judged_by_its_silence(ledger: Ledger) -> None:
    """A process on another host keeps a campaign while it is heard of."""
    begin(ledger, replace(current_owner(), host="elsewhere"))
    with pytest.raises(Unavailable, match="on elsewhere"):
        begin(ledger)
    impatient = {"stale_after": timedelta(0)}
    ledger.write(lambda c: open_session(c, "nightly", current_owner(), **impatient))
    assert [each.outcome for each in sessions(ledger)] == ["lost", None]


def test_beat_tells_what_is_wanted(ledger: Ledger) -> None:
    """An operator's wish reaches the process with its next heartbeat."""
    session = begin(ledger)
    before = sessions(ledger)[0].heartbeat_at
    for word in ("run", "pause", "cancel"):
        ledger.write(lambda c, word=word: set_control(c, "nightly", word))  # type: ignore[misc]
        assert ledger.write(lambda c: beat_session(c, session)) == word
    assert sessions(ledger)[0].heartbeat_at > before


def test_flow_run_and_messages_are_kept_without_credentials(ledger: Ledger) -> None:
    """The number of the flow run is a link; a password in a message is not stored."""
    session = begin(ledger)
    ledger.write(lambda c: note_flow_run(c, session, "f" * 36))
    said = "cannot reach https://me:hunter2@host/x"
    ledger.write(lambda c: close_session(c, session, "failed", said))
    (found,) = sessions(ledger)
    assert (found.flow_run, found.message) == ("f" * 36, "cannot reach https://host/x")


def test_campaign_must_be_known(ledger: Ledger) -> None:
    """Nobody works on a campaign that was never planned."""
    with pytest.raises(ConfigError, match="no such campaign"):
        ledger.write(lambda c: open_session(c, "nigthly", current_owner()))
