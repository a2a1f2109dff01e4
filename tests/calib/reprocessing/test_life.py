"""What a reprocessing needs, where it stood, and what is said of its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from databases import ledger, template, url

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Reprocessing, Step
from calib.ledger.reprocessing_states import STATES
from calib.ledger.reprocessings import NewMark, NewReprocessing, enter_reprocessing
from calib.references.profile import CrdsProfile
from calib.reprocessing.life import (
    campaign_of_canary,
    campaign_of_wave,
    counts_of,
    ended_text,
    next_steps,
    stood_at,
    wave_plan,
)
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import Request

__all__ = ["ledger", "template", "url"]

ONE = Reprocessing(
    id=1,
    name="july",
    old_context="hst_0632.pmap",
    new_context="hst_0633.pmap",
    trigger="context",
    origin={},
    state="running",
    reason=None,
    plan="{}",
    foresight={},
    report=None,
    created_at="2026-01-01T00:00:00+00:00",
    updated_at="2026-01-01T00:00:00+00:00",
)


def step(before: str | None, after: str) -> Step:
    """Return a change of state."""
    return Step("2026-01-01T00:00:00+00:00", before, after, "me", None)


def test_what_is_left_out_is_counted_by_the_database(ledger: Ledger) -> None:
    """Marks of 60,000 datasets are not read for one number."""
    gone = NewMark(parse_dataset("acs_8bt_05"), 2, left_out="no engine")
    new = NewReprocessing("july", None, "hst_0633.pmap", "list", "{}")
    ledger.write(lambda c: enter_reprocessing(c, new, [gone], who="test"))
    asked: list[str] = []

    def counts(rows: Rows) -> dict[str, int]:
        def spied(query: str, words: Mapping[str, Any]) -> list[dict[str, Any]]:
            asked.append(query)
            return rows(query, words)

        return counts_of(spied, ONE)

    assert ledger.ask(counts) == {"left out": 1}
    assert not any("changes" in query for query in asked)


def test_blocked_goes_on_where_it_stood() -> None:
    """The last change to blocked counts."""
    steps = [step(None, "planned"), step("planned", "blocked"), step("blocked", "planned")]
    assert stood_at([*steps, step("approved", "blocked")]) == "approved"
    assert stood_at(steps[:1]) == "planned"


@pytest.mark.parametrize(
    ("counts", "operational", "said"),
    [
        ({"processed": 3}, "hst_0633.pmap", "3 of 3 datasets are on hst_0633.pmap"),
        ({"processed": 3}, "hst_0632.pmap", "3 of 3 datasets are on hst_0633.pmap"),
        ({"processed": 3}, None, "3 of 3 datasets are on hst_0633.pmap"),
        ({}, None, "nothing to run"),
        ({"left out": 2}, None, "nothing to run; 2 left out"),
        (
            {"processed": 2, "error": 1},
            None,
            "2 of 3 datasets are on hst_0633.pmap; 1 of 3 failed: 2 processed, 1 error",
        ),
        (
            {"processed": 1},
            "hst_10000.pmap",
            (
                "1 of 1 datasets are on hst_0633.pmap; meanwhile hst_10000.pmap is operational: "
                "it needs a reprocessing of its own"
            ),
        ),
    ],
)
def test_end_is_told_with_counts_and_what_came_meanwhile(
    counts: dict[str, int], operational: str | None, said: str
) -> None:
    """Only a newer context is told: one may be reprocessed on before it is operational."""
    assert ended_text(ONE, counts, operational) == said


@pytest.mark.parametrize("state", STATES)
def test_every_state_but_rejected_has_a_next_step(state: str) -> None:
    """A person is never left without a command, unless there is nothing to do."""
    steps = next_steps(replace(ONE, state=state))
    assert bool(steps) == (state != "rejected")
    assert all("july" in each for each in steps)
    assert "at work" in next_steps(replace(ONE, state=state), is_held=True)[0]


def test_campaigns_have_the_name_of_their_reprocessing() -> None:
    """The names that people find them by."""
    names = [campaign_of_canary("july"), *(campaign_of_wave("july", wave) for wave in (1, 2, 3))]
    assert names == ["july-canary", "july", "july-visits", "july-skycells"]


@pytest.mark.parametrize("source", ["astroquery:", "file:/raws", "archive:night1"])
def test_later_waves_are_made_of_what_the_earlier_published(source: str) -> None:
    """A collection that was named for the raw files has the old images: they are not taken."""
    profile = CrdsProfile("p", "none", "/c")
    request = Request(source=source, output="file:/o", profile=profile, work="/w", ledger="")
    found = replace(ONE, plan=stored_text(CampaignPlan(request)))

    sources = [wave_plan(found, wave, "sqlite://").request.source for wave in (1, 2, 3)]

    assert sources == [source, "archive:", "archive:"]
