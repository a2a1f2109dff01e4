"""How a campaign stands, in one word and in numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.ids import parse_dataset
from calib.ledger.campaign_overview import (
    LIVE_STATES,
    Overview,
    failed_in,
    overview_of,
    state_of,
)
from calib.ledger.campaign_reports import LEFT, UNFINISHED, Campaign, CampaignSession, campaigns
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.sessions import open_session
from calib.ledger.states import FINISHED, STATES
from calib.records import Outcome

CONTEXT = "hst_0001.pmap"
NOW = datetime.now(UTC).isoformat(timespec="microseconds")
OWNER = current_owner()
ALIVE = CampaignSession(
    1, OWNER.host, OWNER.pid, OWNER.started, OWNER.token, None, NOW, NOW, None, None, None
)


def campaign(**changes: object) -> Campaign:
    """Return a campaign that nobody has begun."""
    new = Campaign(1, "spring", CONTEXT, 0, "run", NOW, {"runner": "local"}, None, {"planned": 1})
    return replace(new, **changes)  # type: ignore[arg-type]


@given(
    counts=st.dictionaries(st.sampled_from(STATES), st.integers(1, 9), max_size=4),
    control=st.sampled_from(["run", "pause", "cancel"]),
    is_live=st.booleans(),
)
def test_states_agree_with_the_counts(counts: dict[str, int], control: str, is_live: bool) -> None:
    """A process at work, everything finished, and nothing left are told from all else."""
    found = campaign(counts=counts, control=control, session=ALIVE if is_live else None)
    state = state_of(found)
    assert (state in LIVE_STATES) == is_live
    if not is_live:
        assert (state == "finished") == (bool(counts) and set(counts) <= FINISHED)
        assert (state != "failed") or not any(each in counts for each in LEFT)
    assert failed_in(found) == sum(counts.get(each, 0) for each in UNFINISHED)


@pytest.mark.parametrize("seconds", [0, 30])
def test_a_rate_needs_an_end(ledger: Ledger, seconds: float) -> None:
    """There is no rate without a live session, nor before anything has ended in it."""
    names = [parse_dataset("j8bt05njq"), parse_dataset("j8bt06niq")]
    ledger.write(lambda c: set_plan(c, "spring", context=CONTEXT, plan='{"runner": "local"}'))
    wanted = [NewJob(name) for name in names]
    ledger.write(lambda c: enter_jobs(c, "spring", wanted, run="r", context=CONTEXT, chunk_size=9))

    def look(shift: float = 0) -> Overview:
        found = ledger.ask(lambda rows: campaigns(rows, "spring"))[0]
        if found.session is not None:
            began = datetime.now(UTC) - timedelta(seconds=shift)
            session = replace(found.session, started_at=began.isoformat())
            found = replace(found, session=session)
        return ledger.ask(lambda rows: overview_of(rows, found))

    assert (look().state, look().rate) == ("planned", None)
    ledger.write(lambda c: open_session(c, "spring", current_owner()))
    assert (look(60).state, look(60).rate) == ("running", None)
    job = ledger.submit("spring", names[0], "r", context=CONTEXT)
    ledger.finish_attempt(
        ledger.begin_attempt(job, current_owner()), Outcome(names[0].name, "processed", "")
    )
    seen = look(60 + seconds)
    assert seen.rate == pytest.approx(60 / (60 + seconds), rel=0.05)
    assert seen.seconds_left == pytest.approx(60 + seconds, rel=0.05)
    assert look(-60).rate is None  # a clock that was set back
