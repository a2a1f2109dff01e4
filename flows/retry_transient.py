"""Every few hours: datasets whose error may have passed are submitted again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from calib.campaigns.second_tries import (
    Bounds,
    Choice,
    choose,
    left_behind,
    open_campaigns,
    submit_again,
)
from calib.errors import ConfigError
from calib.ledger.ledger import Ledger
from calib.references.profile import CrdsProfile
from calib.stages.recording import ledger_of
from flows.form import asked
from flows.plans import plan_of
from flows.prefect_errors import PREFECT_ERRORS
from flows.resume_runs import ensure_resumed
from flows.server import has_server, show_page
from tasks.settings import load_settings

_SHOWN = 200  # datasets in the report


@flow(
    name="retry-transient",
    flow_run_name="retry-transient",
    persist_result=False,
    description="Submit datasets again whose error may have passed, and resume their campaigns.",
)
def retry_transient(
    tries: Annotated[
        int,
        asked(
            "Tries",
            "How often a dataset is submitted again, since a person last did it.",
            examples=[4],
            ge=1,
            le=100,
        ),
    ] = 4,
    settle_minutes: Annotated[
        float,
        asked(
            "Minutes of rest",
            "How long an error must be old: a service that went down is given time to come back.",
            examples=[60],
            ge=0,
            le=10080,
        ),
    ] = 60.0,
    days: Annotated[
        float,
        asked(
            "Days",
            "Datasets whose first error is older are left to a person.",
            examples=[14],
            gt=0,
            le=3650,
        ),
    ] = 14.0,
    resume: Annotated[
        bool,
        asked(
            "Resume",
            "Start the deployment `campaign-resume` for campaigns that nobody is at work on.",
        ),
    ] = True,
) -> State[Any]:
    """Submit again what may go well now; what a person paused or cancelled stays.

    Parameters
    ----------
    tries, settle_minutes, days
        How often, how soon and for how long.
    resume
        Whether campaigns are resumed; else only sessions that are at work take them up.

    Returns
    -------
    State
        Completed with counts; Failed where campaigns cannot be resumed.
    """
    ledger = ledger_of(load_settings().ledger)
    ledger.mark_dead_owners()
    known = ledger.ask(open_campaigns)
    bounds = Bounds(tries, timedelta(minutes=settle_minutes), timedelta(days=days))
    profiles = _profiles(ledger, known)
    choice = ledger.ask(partial(choose, bounds=bounds, profiles=profiles))
    done = submit_again(ledger, choice.jobs)
    readable = {name for name, found in profiles.items() if not isinstance(found, str)}
    said, trouble = _resumed(ledger, readable) if resume else ([], [])
    if has_server():
        show_page("retry-transient", "campaigns", page_of(choice, said + trouble), "Second tries")
    text = "; ".join([f"submitted again: {_datasets(done)}, left alone: {len(choice.left)}", *said])
    return Failed(message="; ".join([*trouble, text])) if trouble else Completed(message=text)


def page_of(choice: Choice, said: Iterable[str]) -> str:
    """Return what was done, in Markdown."""
    by_campaign = Counter(job.campaign for job in choice.jobs)
    rows = [f"| {name} | {number} |" for name, number in by_campaign.most_common()]
    left = [f"| {e.job.dataset} | {e.job.campaign} | {e.why} |" for e in choice.left[:_SHOWN]]
    parts = [
        f"# Submitted again: {_datasets(len(choice.jobs))}",
        "\n".join(["| campaign | datasets |", "|---|---|", *rows]) if rows else "",
        "\n".join(f"- {text}" for text in said),
        f"## Left alone: {_datasets(len(choice.left))}" if left else "",
        "\n".join(["| dataset | campaign | why |", "|---|---|---|", *left]) if left else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _datasets(number: int) -> str:
    return f"{number} dataset{'' if number == 1 else 's'}"


def _profiles(ledger: Ledger, known: Iterable[str]) -> dict[str, CrdsProfile | str]:
    """Return how each campaign reaches CRDS, or why that is not known."""
    found: dict[str, CrdsProfile | str] = {}
    for name in known:
        try:
            found[name] = plan_of(ledger, name, "").request.profile
        except ConfigError as error:  # of another version: it stops no other campaign
            found[name] = str(error)
    return found


def _resumed(ledger: Ledger, readable: AbstractSet[str]) -> tuple[list[str], list[str]]:
    """See to it that each campaign with datasets of ours has somebody at work, or will have."""
    said: list[str] = []
    trouble: list[str] = []
    known = ledger.ask(open_campaigns)  # as they are now: somebody may have paused one
    for name in sorted(ledger.ask(left_behind) & readable & known.keys()):
        found = known[name]
        if found.session is not None and found.session.is_live:
            said.append(f"{name} is at work, and takes them up")
        elif not has_server():
            said.append(f"no Prefect server: `hstflow campaign resume {name}`")
        else:
            try:
                said.append(ensure_resumed(found))
            except PREFECT_ERRORS as error:
                trouble.append(f"{name} cannot be resumed: {error}")
    return said, trouble
