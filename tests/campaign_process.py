"""A campaign process to be killed: `submit PLAN MANIFEST [STAGES]` or `resume NAME LEDGER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ladder_needs import LIMIT

from flows.private_server import set_defaults

set_defaults()


def main(action: str, *arguments: str) -> None:
    """Do what is asked and say how it ended."""
    from calib.campaigns.manifest import read_entries
    from calib.records import from_json
    from calib.stages.campaign_plan import CampaignPlan
    from calib.stages.enrolment import job_of
    from flows import session
    from flows.campaign import resume_campaign, submit_campaign
    from flows.work import Work

    if LIMIT in os.environ:  # of the tests of the ladder
        from ladder_stages import limited

        vars(session)["job_of"] = limited(job_of)
    if action == "submit":
        plan, manifest, *stages = arguments
        work = Work(tasks=stages[0], plain=stages[0]) if stages else Work()
        asked = from_json(CampaignPlan, Path(plan).read_text())
        result = submit_campaign(asked, read_entries(Path(manifest)), work=work)
    else:
        result = resume_campaign(*arguments)
    sys.stdout.write(f"RESULT {result.outcome} {result.message}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
