"""`hstflow campaign`: many datasets on one frozen context, from submission to report."""

from __future__ import annotations

from cyclopts import App
from cyclopts.group import Group

from deployments.cli.commands import Command, build_group

RUN = Group("Run", sort_key=1)
AGAIN = Group("Reprocess on a new context", sort_key=2)
LOOK = Group("Look", sort_key=3)
KEEP = Group("Keep", sort_key=4)

COMMANDS = {
    "submit": Command(
        "deployments.cli.campaign.submit:submit",
        RUN,
        "Plan a campaign and run it; the same again goes on where it stopped.",
        "NAME DATASET...|@FILE [INPUT_URI] [OUTPUT_URI] [PROFILE] [OPTIONS]",
    ),
    "resume": Command(
        "deployments.cli.campaign.resume:resume",
        RUN,
        "Go on with a campaign that was paused, interrupted or lost.",
    ),
    "pause": Command(
        "deployments.cli.campaign.control:pause",
        RUN,
        "Let what runs finish, and start nothing new.",
    ),
    "cancel": Command(
        "deployments.cli.campaign.control:cancel",
        RUN,
        "Stop a campaign, or some of its datasets, at once.",
        "NAME [DATASET...] [OPTIONS]",
    ),
    "rescue": Command(
        "deployments.cli.campaign.rescue:rescue",
        RUN,
        "Submit failed, blocked or cancelled datasets again, with more memory or time.",
        "[NAME] [DATASET...] [OPTIONS]",
    ),
    "plan": Command(
        "deployments.cli.campaign.plan:plan",
        AGAIN,
        "Plan a reprocessing: what a new context, a list, a query or a reference marks.",
        "NAME [DATASET...|@FILE] [OPTIONS]",
    ),
    "canary": Command(
        "deployments.cli.campaign.canary:canary",
        AGAIN,
        "Run a few datasets of each changed type, and report what differs from before.",
    ),
    "approve": Command(
        "deployments.cli.campaign.approve:approve",
        AGAIN,
        "Approve or reject a reprocessing whose report was read.",
    ),
    "reprocess": Command(
        "deployments.cli.campaign.reprocess:reprocess",
        AGAIN,
        "Take a planned reprocessing through all that is left: canary, approval, run, report.",
    ),
    "status": Command(
        "deployments.cli.campaign.status:status",
        LOOK,
        "Show all campaigns, one with its failures, or its datasets by state or error.",
        "[NAME] [OPTIONS]",
    ),
    "watch": Command(
        "deployments.cli.campaign.watch:watch",
        LOOK,
        "Follow a campaign live.",
    ),
    "report": Command(
        "deployments.cli.campaign.report:report",
        LOOK,
        "Say how a campaign went: failures, memory, what each stage cost; also as a page.",
        "NAME [OPTIONS]",
    ),
    "export": Command(
        "deployments.cli.campaign.export:export",
        LOOK,
        "Write what each stage cost as Parquet, CSV or JSON lines, or CALCLOUD's blackboard.",
        "[NAME] TARGET [OPTIONS]",
    ),
    "train": Command(
        "deployments.cli.campaign.train:train",
        KEEP,
        "Learn from the ledger what memory and time datasets need, and report the error.",
    ),
    "clean": Command(
        "deployments.cli.campaign.clean:clean",
        KEEP,
        "Remove what campaigns left in the work folder; a dry run unless --yes.",
        "[NAME] [OPTIONS]",
    ),
}


TEXT = "Calibrate many datasets, or reprocess on a new context: plan, submit, watch, report."


def build_app(focus: str | None = None) -> App:
    """Return the group, for the command about to run."""
    return build_group("campaign", TEXT, COMMANDS, focus)
