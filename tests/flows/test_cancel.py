"""A cancelled campaign leaves no process, a whole ledger, and can be taken up again."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from campaign_audit import ask, scratch_left, wrong_ends, wrong_history
from chaos import SCRIPT, Machine, wait_for
from ladder_needs import NEEDS

from calib.ledger.campaigns import Changes, rescue_jobs, set_control
from calib.ledger.ledger import open_ledger
from calib.records import to_json
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

NAME = "night"

# Seconds between the operator's word and the end of everything, on a busy machine.
AT_MOST = 30.0


def programs(machine: Machine) -> list[psutil.Process]:
    """Return the external programs that run."""
    return [each for each in machine.strays() if each.name() == "sleep"]


def test_cancel_ends_programs_and_the_campaign_can_be_taken_up_again(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """Programs are dead within seconds, jobs are cancelled; rescued, they are published."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    request = Request(
        source=f"file:{observatory.raws}",
        output=f"file:{tmp_path / 'out'}",
        profile=observatory.profile,
        work=str(tmp_path / "work"),
        ledger=url,
        context=observatory.contexts[0],
        campaign=NAME,
    )
    plan, manifest = tmp_path / "plan.json", tmp_path / "names.txt"
    plan.write_text(to_json(CampaignPlan(request, runner="threads", workers=2, stages="plain")))
    manifest.write_text("\n".join(observatory.datasets))
    with Machine(tmp_path) as machine:
        server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
        needs = json.dumps(dict.fromkeys(observatory.datasets, "program"))
        machine.environment.update(server)
        machine.environment.update({NEEDS: needs, "PYTHONPATH": str(SCRIPT.parents[1])})
        submit = ("submit", str(plan), str(manifest), "ladder_stages:STAGES")
        first = machine.start("first", str(SCRIPT), *submit)
        wait_for(lambda: len(programs(machine)) == 2 or first.poll() is not None, "two programs")
        assert first.poll() is None, machine.said("first")

        with open_ledger(url) as ledger:
            ledger.write(lambda c: set_control(c, NAME, "cancel"))
        wait_for(lambda: first.poll() is not None, "the campaign to be cancelled", limit=AT_MOST)

        assert machine.strays() == []
        assert "RESULT cancelled" in machine.said("first"), machine.said("first")
        cancelled = dict.fromkeys(observatory.datasets, "cancelled")
        assert wrong_ends(url, NAME, cancelled) == []
        assert wrong_history(url) == []

        with open_ledger(url) as ledger:
            numbers = [row["id"] for row in ask(url, "SELECT id FROM job")]
            ledger.write(lambda c: rescue_jobs(c, numbers, "after all", Changes()))
            ledger.write(lambda c: set_control(c, NAME, "run"))
        del machine.environment[NEEDS]
        second = machine.start("second", str(SCRIPT), "resume", NAME, url)
        second.wait(120)

    assert "RESULT completed" in machine.said("second"), machine.said("second")
    assert wrong_ends(url, NAME, dict.fromkeys(observatory.datasets, "processed")) == []
    assert scratch_left(tmp_path / "work", observatory.datasets) == []
