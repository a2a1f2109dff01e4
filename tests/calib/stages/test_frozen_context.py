"""A campaign's context: whole before it starts, frozen, and written into every product."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from calib.archive.outputs import open_output
from calib.campaigns.manifest import entries_of
from calib.errors import ContextError
from calib.fitsfile import primary_header
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import campaigns
from calib.references.pins import pin
from calib.simulate.context import set_operational_context
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import enrol
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import close_ledgers, ledger_of
from calib.stages.sequence import process_dataset

OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"


@pytest.fixture
def own(request_of: Request, observatory: Observatory, tmp_path: Path) -> Request:
    """Return a request that names no context, on a cache that may change."""
    cache = Path(shutil.copytree(observatory.crds_path, tmp_path / "crds"))
    profile = dataclasses.replace(request_of.profile, cache=cache)
    return dataclasses.replace(request_of, profile=profile, context=None, campaign="nightly")


def test_rules_that_are_not_whole_stop_a_campaign_first(
    own: Request, observatory: Observatory
) -> None:
    """Nothing is written; when they are there it goes on."""
    path = own.profile.mappings / "hst_acs_darkfile_9001.rmap"
    moved = path.rename(path.with_suffix(".away"))
    entries = entries_of(list(observatory.datasets))
    with pytest.raises(ContextError, match=r"hst_acs_darkfile_9001\.rmap"):
        enrol(CampaignPlan(own), entries)
    assert ledger_of(own.ledger).ask(campaigns) == []
    moved.rename(path)
    assert enrol(CampaignPlan(own), entries).new == len(entries)
    close_ledgers()


def test_context_of_a_campaign_outlives_pin_and_server(
    own: Request, observatory: Observatory
) -> None:
    """It was the pinned one when it was submitted; both say another one later."""
    entries = entries_of(list(observatory.datasets))
    pin(own.profile, NEW)
    assert enrol(CampaignPlan(own), entries[:1]).plan.request.context == NEW
    pin(own.profile, OLD)
    set_operational_context(own.profile.cache, OLD)
    assert enrol(CampaignPlan(own), entries).plan.request.context == NEW
    close_ledgers()


def test_context_is_in_every_product(own: Request, observatory: Observatory) -> None:
    """In the header of each product, the manifest, the run's name and the outcome."""
    pin(own.profile, NEW)
    (job,) = plan_jobs(own, observatory.datasets[:1])
    outcome = process_dataset(job)
    assert (outcome.state, outcome.context) == ("processed", NEW)
    dataset = parse_dataset(job.dataset)
    folder = Path(str(own.output).removeprefix("file:")) / "runs" / job.run
    products = list(folder.rglob("*_flt.fits"))
    assert products
    assert all(primary_header(path)["CRDS_CTX"] == NEW for path in folder.rglob("*_flt.fits"))
    manifest = open_output(str(own.output)).manifest(job.run, dataset)
    assert NEW in str(dataclasses.asdict(manifest))
    assert job.run.startswith("hst_9002-")
    close_ledgers()
