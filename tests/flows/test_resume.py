"""A large campaign that is almost done: what is left is started soon, and nothing else."""

from __future__ import annotations

import itertools
import json
import os
import string
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from calib.campaigns.manifest import entries_of
from calib.ledger.ledger import open_ledger
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import enrol
from calib.stages.planning import Request

pytestmark = pytest.mark.prefect

ROOT = Path(__file__).parents[2]
ALL, LEFT = 10_000, 10
SOON = 10.0  # seconds, of the issue

SCRIPT = """
import sys
from flows.private_server import set_defaults
set_defaults()

def main():
    from flows.campaign import resume_campaign
    from flows.work import Work
    result = resume_campaign("large", sys.argv[1], work=Work(plain="tests.noop_stages:PLAIN"))
    print("RESULT", result.outcome, result.message)

if __name__ == "__main__":
    main()
"""


def names(number: int) -> list[str]:
    """Return names of exposures."""
    letters = itertools.product(string.ascii_lowercase + string.digits, repeat=4)
    return [f"j8b1{''.join(each)}q" for each in itertools.islice(letters, number)]


def plan_for(observatory: Observatory, folder: Path) -> CampaignPlan:
    """Return a campaign of plain stages in threads."""
    request = Request(
        source=f"file:{observatory.raws}",
        output="none",
        profile=observatory.profile,
        work=str(folder / "work"),
        ledger=f"sqlite:///{folder / 'ledger.db'}",
        context=observatory.contexts[0],
        campaign="large",
    )
    return CampaignPlan(request, runner="threads", stages="plain")


def test_what_is_left_of_ten_thousand_is_started_within_ten_seconds(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """9,990 are done: exactly the ten others are run, the first within ten seconds."""
    plan = plan_for(observatory, tmp_path)
    enrol(replace(plan), entries_of(names(ALL)))
    done = text("UPDATE job SET state = 'processed' WHERE position % 1000 <> 7")
    with open_ledger(plan.request.ledger) as ledger:
        ledger.write(lambda c: c.execute(done))
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
    script = tmp_path / "resume_script.py"
    script.write_text(SCRIPT)

    began = time.time()
    child = subprocess.run(
        [sys.executable, str(script), plan.request.ledger],
        env={**ours, **server, "PYTHONPATH": str(ROOT), "HSTFLOW_WORK": plan.request.work},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "RESULT completed all 10000" in child.stdout, child.stdout + child.stderr
    with open_ledger(plan.request.ledger) as ledger:
        found = ledger.ask(lambda rows: rows("SELECT started_at FROM attempt", {}))
    assert len(found) == LEFT
    first = min(datetime.fromisoformat(row["started_at"]).timestamp() for row in found)
    assert first - began < SOON, json.dumps({"seconds": first - began})
