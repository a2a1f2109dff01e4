"""A campaign has one answer of a calibration collection, from its plan to its last dataset."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from calib.campaigns.manifest import entries_of
from calib.ledger.ledger import open_ledger
from calib.ledger.validity import certify, decertify
from calib.repository.certification import Wanted, certification_of
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import enrol
from calib.stages.job import Options
from calib.stages.planning import Request, plan_jobs


def test_collection_is_frozen_with_the_plan(observatory: Observatory, tmp_path: Path) -> None:
    """What is decertified after the plan is still used by every job of the campaign."""
    ledger = f"sqlite:///{tmp_path / 'ledger.db'}"
    source = observatory.profile.references / "z0000001j_bia.fits"
    own = shutil.copy(source, tmp_path / "my_bia.fits")
    found = certification_of(str(own), Wanted())
    with open_ledger(ledger) as opened:
        opened.write(lambda c: certify(c, "lab", [found]))
    request = Request(
        source=f"file:{observatory.raws}",
        output=f"file:{tmp_path / 'out'}",
        profile=observatory.profile,
        work=str(tmp_path / "work"),
        ledger=ledger,
        context=observatory.contexts[0],
        options=Options(calibrations="lab"),
    )

    plan = CampaignPlan(replace(request, campaign="night"))
    planned = enrol(plan, entries_of(observatory.datasets)).plan.request
    with open_ledger(ledger) as opened:
        opened.write(lambda c: decertify(c, "lab", keyword="BIASFILE"))
    jobs = plan_jobs(planned, observatory.datasets)

    assert [job.options.certifications for job in jobs] == [(found,), (found,)]
    with open_ledger(ledger) as opened:
        runs = opened.ask(lambda rows: rows("SELECT DISTINCT run FROM jobs", {}))
    assert [row["run"] for row in runs] == [jobs[0].run]
