"""Runs of the deployment `campaign-resume`: one for a campaign, however often one is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from calib.ledger.campaign_reports import Campaign
from flows.open_runs import bury, open_runs

NAME = "campaign-resume"
DEPLOYMENT = f"{NAME}/{NAME}"

# Whose runs work on a campaign: both take its name as the parameter `name`.
_AT_WORK = (NAME, "campaign")

# A run opens its session within a minute or two of its begin, and ends within minutes of the
# session's end. One that runs for this time without a session has no process: its worker's host
# went down, and Prefect says Running for ever.
DEAD_AFTER = timedelta(hours=1)


def ensure_resumed(campaign: Campaign, *, dead_after: timedelta = DEAD_AFTER) -> str:
    """See to it that somebody will go on with a campaign; return what was done, for people.

    Parameters
    ----------
    campaign
        One that nobody is at work on, says the ledger.
    dead_after
        How long a run may run without a sign in the ledger: longer, and its process is dead.

    Raises
    ------
    PrefectException, HTTPError, RuntimeError
        The server does not answer, or there is no such deployment.
    """
    for name in _AT_WORK:
        for run in open_runs(name):
            if run.parameters.get("name") != campaign.name:
                continue
            if not _is_dead(run, campaign, dead_after):
                return f"{campaign.name} has flow run {run.name} already ({run.state_name})"
            bury(run)
    run_deployment(
        DEPLOYMENT,
        parameters={"name": campaign.name, "unless_paused": True},
        timeout=0,
        as_subflow=False,
    )
    return f"{campaign.name} is resumed"


def _is_dead(run: FlowRun, campaign: Campaign, dead_after: timedelta) -> bool:
    """Tell a run whose process is gone; one that waits for a worker has none yet."""
    if run.state is None or run.state.is_scheduled():
        return False
    signs: list[datetime] = [run.state.timestamp]
    if campaign.session is not None:
        signs.append(datetime.fromisoformat(campaign.session.heartbeat_at))
    return datetime.now(UTC) - max(signs) > dead_after
