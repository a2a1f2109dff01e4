"""Looks at campaigns from outside: one whose process is gone cannot say so itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from calib.ledger.alerts import Alert, AlertLimits, alerts_of
from calib.ledger.campaign_reports import campaigns
from calib.ledger.campaigns import set_control
from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.stages.recording import ledger_of
from flows.alarms import tell_alert, was_told
from flows.form import CampaignName, asked
from flows.plans import campaign_of
from flows.prefect_errors import PREFECT_ERRORS
from flows.run_page import label_run, tags_of, tell
from tasks.settings import load_settings

log = logging.getLogger(__name__)

# A session tells its own failures, as one who looks now and then cannot: these may outlive it.
FROM_OUTSIDE = frozenset({"stalled", "lost"})


@dataclass(frozen=True)
class Watched:
    """What a look at the campaigns found: how many are at work, alerts, and which were new."""

    at_work: int
    alerts: Sequence[Alert]
    told: Sequence[Alert]


@flow(
    name="watch-campaigns",
    flow_run_name="watch-campaigns",
    persist_result=False,
    description="See whether campaigns stand still or have lost their process, and tell.",
)
def watch_campaigns() -> State[Any]:
    """Look at all campaigns once: what the deployment does every ten minutes.

    An alert is told once, as the event ``hst.campaign.stalled``; automations notify, or act.

    Returns
    -------
    State
        Completed with what was seen; Failed where an alert could not be told: the next look
        tells it.
    """
    settings = load_settings()
    ledger = ledger_of(settings.ledger)
    try:
        seen = look_at_campaigns(ledger, settings.alerts, settings.dashboard_url)
    except PREFECT_ERRORS as error:
        return Failed(message=f"alerts cannot be told: {error}")
    for alert in seen.alerts:
        tell("%s is %s: %s", alert.campaign, alert.kind, alert.reason, level=logging.WARNING)
    label_run(name=_name_of(seen), tags=_tags_of(seen))
    return Completed(message=_words_of(seen))


def look_at_campaigns(ledger: Ledger, limits: AlertLimits, dashboard: str | None) -> Watched:
    """Look at all campaigns, and tell what their sessions did not.

    Raises
    ------
    PrefectException, HTTPError
        The server does not say what it was told.
    """
    at_work, alerts = ledger.ask(lambda rows: _alerts(rows, limits))
    outside = [each for each in alerts if each.kind in FROM_OUTSIDE]
    new = [each for each in outside if not was_told(each)]
    for each in new:
        tell_alert(each, {"dashboard": dashboard})
    return Watched(at_work, alerts, new)


@flow(
    name="pause-campaign",
    flow_run_name="pause-{name}",
    persist_result=False,
    description="Start no more datasets of a campaign; what is at work comes to its end.",
)
def pause_campaign(
    name: CampaignName,
    reason: Annotated[str, asked("Reason", "What is said of it.")] = "asked for",
) -> State[Any]:
    """Pause a campaign, as `hstflow campaign pause` does: what an automation can do about one.

    Parameters
    ----------
    name
        A campaign. One that is paused or cancelled stays so.
    reason
        Why, for whoever reads the run's message.

    Returns
    -------
    State
        Completed; `hstflow campaign resume NAME` goes on.

    Raises
    ------
    ConfigError
        There is no such campaign.
    """
    ledger = ledger_of(load_settings().ledger)
    found = campaign_of(ledger, name)
    label_run(tags=tags_of(name, found.context))
    if found.control != "run":
        return Completed(message=f"{name} is to {found.control} already")
    ledger.write(lambda c: set_control(c, name, "pause"))
    return Completed(message=f"{name} is paused: {reason}; hstflow campaign resume {name} goes on")


def _alerts(rows: Rows, limits: AlertLimits) -> tuple[int, list[Alert]]:
    open_ones = [each for each in campaigns(rows) if each.session and not each.session.ended_at]
    found = [alert for each in open_ones for alert in alerts_of(rows, each, limits)]
    return len(open_ones), found


def _name_of(seen: Watched) -> str:
    kinds = sorted({f"{each.campaign}-{each.kind}" for each in seen.alerts})
    if len(kinds) > 1:
        return f"watch-campaigns-{len(kinds)}-alerts"
    return f"watch-campaigns-{kinds[0] if kinds else 'quiet'}"


def _tags_of(seen: Watched) -> list[str]:
    return sorted({f"campaign:{each.campaign}" for each in seen.alerts})


def _words_of(seen: Watched) -> str:
    words = [f"{each.campaign} is {each.kind}: {each.reason}" for each in seen.alerts]
    return "; ".join([f"{seen.at_work} campaigns are at work", *words])
