"""An archive on one context and a reprocessing of it, for real on the simulated observatory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from calib.archive.outputs import open_output
from calib.campaigns.manifest import entries_of
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reports import states_in
from calib.ledger.reprocessing_reports import (
    Mark,
    Reprocessing,
    history,
    marks,
    reprocessings,
)
from calib.ledger.reprocessings import NewMark, NewReprocessing, advance, enter_reprocessing
from calib.references.profile import CrdsProfile
from calib.reprocessing.life import Canaries
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import Request
from flows.campaign import submit_campaign
from flows.reprocessing_session import Parts, run_reprocessing

NAME = "darks"
CHANGES = {"DARKFILE": ("z0000002j_drk.fits", "z0000009j_drk.fits")}
OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return three exposures, all of which the later dark changes."""
    return build_observatory(tmp_path_factory.mktemp("sky"), exposures=3, small=True)


def plain_plan(sky: Observatory, folder: Path, name: str, context: str) -> CampaignPlan:
    """Return how campaigns run: threads, plain functions, no Prefect server."""
    request = Request(
        source=f"file:{sky.raws}",
        output=f"file:{folder / 'out'}",
        profile=sky.profile,
        work=str(folder / "work"),
        ledger=f"sqlite:///{folder / 'ledger.db'}",
        context=context,
        campaign=name,
    )
    return CampaignPlan(request, runner="threads", workers=2, stages="plain", delay_scale=0)


class World:
    """An archive of three exposures on the older context, and a reprocessing of two of them."""

    def __init__(self, sky: Observatory, folder: Path) -> None:
        self.sky, self.folder = sky, folder
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.ledger: Ledger = open_ledger(self.url)
        self.lacking: list[str] = []
        self.asked: list[set[str]] = []
        self.reported: list[str] = []
        self.operational: str | None = NEW
        self.affected = sky.datasets[:2]

    def plan(self, name: str, context: str) -> CampaignPlan:
        """Return how campaigns run."""
        return plain_plan(self.sky, self.folder, name, context)

    def calibrate(self) -> None:
        """Fill the archive on the older context."""
        submit_campaign(self.plan("before", OLD), entries_of(self.sky.datasets))

    def enter(self, *more: NewMark, datasets: Iterable[str] | None = None) -> None:
        """Plan the reprocessing."""
        names = self.affected if datasets is None else datasets
        found = [NewMark(parse_dataset(name), 1, CHANGES) for name in names]
        plan = stored_text(self.plan(NAME, NEW))
        new = NewReprocessing(NAME, OLD, NEW, "context", plan, once=True)
        self.ledger.write(lambda c: enter_reprocessing(c, new, [*found, *more], who="test"))

    @property
    def parts(self) -> Parts:
        """The real parts, but for the report, and a cache that lacks what a test says."""

        def choose(found: Any) -> list[str]:
            return [each.dataset for each in found][:1]

        def report(_url: str, found: Reprocessing, folder: Path) -> Path:
            self.reported.append(found.name)
            folder.mkdir(exist_ok=True)
            return folder / "index.html"

        def missing(_profile: CrdsProfile, context: str, names: Iterable[str]) -> str | None:
            self.asked.append(set(names))
            gone = set(names) & set(self.lacking)
            return f"{context}: 1 references missing ({', '.join(gone)})" if gone else None

        return Parts(
            choose=choose, report=report, missing=missing, operational=lambda _: self.operational
        )

    def run(
        self, approval: Any = "ask", *, canaries: Canaries | None = None, **changes: Any
    ) -> Any:
        """Take the reprocessing on."""
        parts = dataclasses.replace(self.parts, **changes)
        return run_reprocessing(NAME, self.url, approval=approval, canaries=canaries, parts=parts)

    def say(self, state: str) -> None:
        """Decide."""
        self.ledger.write(lambda c: advance(c, NAME, state, who="me@here", note="read it"))

    @property
    def now(self) -> Reprocessing:
        """The reprocessing as it is."""
        return self.ledger.ask(lambda rows: reprocessings(rows, NAME))[0]

    @property
    def marks(self) -> list[Mark]:
        """What it marks."""
        return self.ledger.ask(lambda rows: marks(rows, self.now.id))

    @property
    def states(self) -> list[str]:
        """The states that it went through."""
        return [s.to_state for s in self.ledger.ask(lambda rows: history(rows, self.now.id))]

    def context_of(self, dataset: str) -> str:
        """Return the context of what readers are shown."""
        output = open_output(f"file:{self.folder / 'out'}")
        manifest = output.current_manifest(parse_dataset(dataset))
        assert manifest is not None
        run = self.ledger.ask(
            lambda rows: rows("SELECT context FROM run WHERE name = :name", {"name": manifest.run})
        )
        return str(run[0]["context"])

    @property
    def contexts(self) -> list[str]:
        """The contexts of what readers are shown, by dataset; the ledger must say the same."""
        query = """SELECT run.context AS context FROM current_run
          JOIN run ON run.id = current_run.run_id ORDER BY current_run.dataset"""
        said = [row["context"] for row in self.ledger.ask(lambda rows: rows(query, {}))]
        shown = [self.context_of(dataset) for dataset in sorted(self.sky.datasets)]
        assert shown == said
        return shown

    def calibrated(self, dataset: str) -> int:
        """Return how often a dataset was calibrated on the new context."""
        query = """SELECT COUNT(*) AS number FROM stage_run
          JOIN attempt ON attempt.id = stage_run.attempt_id JOIN job ON job.id = attempt.job_id
          WHERE job.dataset = :dataset AND job.run LIKE 'hst_9002%'
            AND stage_run.stage = 'calibrate' AND stage_run.state = 'done'"""
        return int(self.ledger.ask(lambda rows: rows(query, {"dataset": dataset}))[0]["number"])


@pytest.fixture
def world(sky: Observatory, tmp_path: Path) -> Iterator[World]:
    """Return a world in which nothing is calibrated yet."""
    found = World(sky, tmp_path)
    yield found
    found.ledger.close()


def states_in_of(world: World, campaign: str) -> dict[str, str]:
    """Return the states of a campaign's datasets."""
    return world.ledger.ask(lambda rows: states_in(rows, campaign))
