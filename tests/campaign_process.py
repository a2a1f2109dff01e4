"""A campaign process to be killed: `submit PLAN.json NAMES...` or `resume NAME LEDGER`."""

from __future__ import annotations

import sys
from pathlib import Path

from flows.private_server import set_defaults

set_defaults()


def main(action: str, *arguments: str) -> None:
    """Do what is asked and say how it ended."""
    from calib.campaigns.manifest import read_entries
    from calib.records import from_json
    from calib.stages.campaign_plan import CampaignPlan
    from flows.campaign import resume_campaign, submit_campaign

    if action == "submit":
        plan, manifest = (Path(each) for each in arguments)
        result = submit_campaign(
            from_json(CampaignPlan, plan.read_text()), list(read_entries(manifest))
        )
    else:
        result = resume_campaign(*arguments)
    print("RESULT", result.outcome, result.message, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
