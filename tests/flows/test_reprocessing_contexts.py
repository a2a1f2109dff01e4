"""Campaigns and reprocessings beside each other on two contexts: what readers see, and are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from reprocessing_world import plain_plan

from calib.archive.outputs import open_output
from calib.campaigns.manifest import entries_of
from calib.campaigns.report import report_of
from calib.campaigns.report_words import summary_words
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import campaigns
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessings import NewMark, NewReprocessing, enter_reprocessing
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from flows.campaign import Result, submit_campaign
from flows.reprocessing_session import Parts, run_reprocessing

pytestmark = pytest.mark.slow  # whole campaigns, four of them, one after the other

NAME = "darks"
CHANGES = {"DARKFILE": ("z0000002j_drk.fits", "z0000012j_drk.fits")}
OLD, NEW, NEXT = "hst_9001.pmap", "hst_9002.pmap", "hst_9003.pmap"


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return one exposure, which the later dark changes."""
    return build_observatory(tmp_path_factory.mktemp("sky"), exposures=1, small=True)


class World:
    """An empty archive and ledger."""

    def __init__(self, sky: Observatory, folder: Path) -> None:
        self.sky, self.folder, self.name = sky, folder, sky.datasets[0]
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.ledger: Ledger = open_ledger(self.url)

    def plan(self, name: str, context: str) -> CampaignPlan:
        """Return how campaigns run."""
        return plain_plan(self.sky, self.folder, name, context)

    def campaign(self, name: str, context: str) -> Result:
        """Run a campaign."""
        return submit_campaign(self.plan(name, context), entries_of([self.name]))

    def reprocess(self, old: str | None, new: str, *, now: str | None = None) -> str:
        """Run a reprocessing to its end while `now` is operational; return its message."""
        trigger = "context" if old else "list"
        wanted = NewReprocessing(NAME, old, new, trigger, stored_text(self.plan(NAME, new)))
        marks = [NewMark(parse_dataset(self.name), 1, CHANGES)]
        self.ledger.write(lambda c: enter_reprocessing(c, wanted, marks, who="test"))
        parts = Parts(choose=lambda _: [], missing=lambda *_: None, operational=lambda _: now)
        result = run_reprocessing(NAME, self.url, approval="yes", parts=parts)
        assert result.outcome == "finished"
        return result.message

    @property
    def shown(self) -> str | None:
        """The context of what readers are shown."""
        output = open_output(f"file:{self.folder / 'out'}")
        manifest = output.current_manifest(parse_dataset(self.name))
        return None if manifest is None else manifest.own_context


@pytest.fixture
def world(sky: Observatory, tmp_path: Path) -> Iterator[World]:
    """Return an archive, closed afterwards."""
    found = World(sky, tmp_path)
    yield found
    found.ledger.close()


def test_campaign_on_the_older_context_undoes_no_reprocessing_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign on A that ends after B has arrived: its message names both, B stays shown."""
    world.reprocess(OLD, NEW)
    asked: list[str] = []
    monkeypatch.setattr(
        "flows.campaign.later_operational", lambda _, context: asked.append(context) or NEW
    )

    end = world.campaign("late", OLD)

    back = f"not current, as others are: 1 of the later {NEW}"
    assert (end.outcome, asked, world.shown) == ("completed", [OLD], NEW)
    assert end.message.endswith(f"{back}; {NEW} is operational now, these are on {OLD}")
    campaign = world.ledger.ask(lambda rows: campaigns(rows, "late"))[0]
    report = world.ledger.ask(lambda rows: report_of(rows, campaign))
    assert report.sessions[-1].message == end.message
    assert back in list(summary_words(report))


def test_reprocessing_of_a_list_says_what_came_meanwhile_and_is_not_shown(world: World) -> None:
    """It has no older context, and the archive has moved on all the same."""
    world.campaign("ahead", NEW)

    message = world.reprocess(None, OLD, now=NEXT)

    assert f"meanwhile {NEXT} is operational" in message
    assert f"not current, as others are: 1 of the later {NEW}" in message
    assert world.shown == NEW


def test_way_back_that_was_asked_for_is_shown(world: World) -> None:
    """A reprocessing from a context to an earlier one takes readers back, as a person decided."""
    world.campaign("ahead", NEW)

    assert "not current" not in world.reprocess(NEW, OLD)
    assert world.shown == OLD
