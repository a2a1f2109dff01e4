"""The flow `campaign-resume`: go on with a campaign by its name, without a terminal.

What the dashboard starts after a rescue. The ledger has the campaign and its plan, so that the
name is enough.
"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from calib.errors import InOtherHands
from calib.ledger.campaign_overview import jobs_in
from calib.ledger.campaign_reports import LEFT
from calib.stages.recording import ledger_of
from flows.campaign import resume_campaign
from flows.campaign_results import state_of
from flows.form import CampaignName, asked
from flows.plans import campaign_of
from tasks.settings import load_settings


@flow(
    name="campaign-resume",
    flow_run_name="resume-{name}",
    persist_result=False,
    description="Go on with a campaign that was submitted before: after a rescue or a pause.",
)
def campaign_resume(
    name: CampaignName,
    runner: Annotated[
        str | None,
        asked(
            "Runner",
            "`local`, `threads`, `tcp://` or `tls://HOST:PORT` or a cluster file, for this time. "
            "Nothing: "
            "that of the campaign.",
            examples=["local", "tcp://scheduler:8786"],
        ),
    ] = None,
    workers: Annotated[
        int | None,
        asked(
            "Workers",
            "Processes or threads of `local` and `threads`, for this time. Nothing: the "
            "campaign's own number.",
            examples=[4],
            ge=1,
            le=1024,
        ),
    ] = None,
    unless_paused: Annotated[
        bool,
        asked(
            "Not a paused one",
            "Leave a campaign alone that was paused or cancelled, also while this run waited.",
        ),
    ] = False,
) -> State[Any]:
    """Go on with a campaign until nothing is left of it.

    Parameters
    ----------
    name
        The campaign, as it was submitted.
    runner
        ``local``, ``threads``, ``tcp://`` or ``tls://HOST:PORT`` or a cluster file, instead of the
        one that it was submitted with.
    workers
        Processes or threads of ``local`` and ``threads``, instead of its own number.
    unless_paused
        Leave it alone where it is paused or cancelled when this run begins; else it is wanted
        again.

    Returns
    -------
    State
        Completed where every dataset is finished, or where there is nothing to do here: another
        process is at work on the campaign, or it is to stay paused. Else Failed with counts.
    """
    ledger = load_settings().ledger
    found = campaign_of(ledger_of(ledger), name)
    if found.session is not None and found.session.is_live:
        who = f"pid {found.session.pid} on {found.session.host}"
        return Completed(message=f"nothing to do here: {name} is run by {who}")
    if not jobs_in(found, LEFT):
        return Completed(message=f"nothing is left of {name}: what failed has to be rescued first")
    try:
        return state_of(
            resume_campaign(
                name, ledger, runner=runner, workers=workers, unless_stopped=unless_paused
            )
        )
    except InOtherHands as error:  # somebody was faster, or paused it
        return Completed(message=f"nothing to do here: {error}")
