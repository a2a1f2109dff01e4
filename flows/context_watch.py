"""Looks at the operational context of CRDS, and starts what follows from it.

A change is told as the event ``hst.crds.context.changed``, whose automation starts the deployment
`reprocess`. Events can be lost, so each look makes sure as well: it compares what the ledger has
with what should be there. Ten looks, or an event and a look, start one reprocessing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed

from calib.errors import HstflowError
from calib.ledger.ledger import Ledger
from calib.references.context import pinned_context
from calib.references.profile import CrdsProfile, load_profile
from calib.reprocessing.arrivals import awaited_by_blocked
from calib.reprocessing.watching import (
    Change,
    Sight,
    Start,
    Verdict,
    judge_blocked,
    judge_change,
    judge_others,
    look,
)
from calib.stages.recording import ledger_of
from flows.form import Profile, asked
from flows.pins import context_variable
from flows.prefect_errors import PREFECT_ERRORS
from flows.reprocess_runs import DEAD_AFTER, ensure_run
from flows.run_page import label_run, tags_of
from flows.server import has_server
from tasks.settings import load_settings

EVENT = "hst.crds.context.changed"
RESOURCE = "hst.crds.context"

# Minutes that the event's automation has to start a reprocessing, and that a reprocessing may
# stand still while nobody is seen at work on it. An automation takes half a minute; a worker's
# beat in the ledger comes every few seconds.
PATIENCE = 10.0

# For how long a look brings files that blocked reprocessings wait for: the deployment drops the
# looks that come meanwhile, one every quarter of an hour.
BRINGING = timedelta(minutes=5)


@dataclass(frozen=True)
class Look:
    """What one look saw and did.

    Attributes
    ----------
    sight
        The operational context; None where the server did not say it.
    verdict
        What follows from it.
    says
        Lines for people.
    trouble
        Why the look is not complete; None: it is.
    """

    sight: Sight | None
    verdict: Verdict
    says: Sequence[str]
    trouble: str | None = None


@flow(
    name="context-watch",
    flow_run_name="context-watch",
    persist_result=False,
    description="See whether CRDS has a new operational context, and start what follows from it.",
)
def context_watch(
    profile: Profile = None,
    patience: Annotated[
        float,
        asked(
            "Patience",
            "Minutes that the event has to start a reprocessing, and that one may stand still, "
            "before this look starts it.",
            examples=[PATIENCE],
            ge=0,
            le=1440,
        ),
    ] = PATIENCE,
) -> State[Any]:
    """Look once, as a flow run: what the deployment does every quarter of an hour.

    Parameters
    ----------
    profile
        onsite, offsite, cloud or a file: which server; None: that of the settings.
    patience
        Minutes that the event has to start a reprocessing, and that one may stand still.

    Returns
    -------
    State
        Completed with what was seen; Failed where the server, or Prefect, did not answer. The
        next look asks again.
    """
    settings = load_settings()
    found = load_profile(profile or settings.profile, os.environ)
    seen = look_once(ledger_of(settings.ledger), found, patience=timedelta(minutes=patience))
    label_run(name=name_of(seen), tags=tags_of(context=seen.sight.context if seen.sight else None))
    text = "; ".join(seen.says)
    return Failed(message=f"{seen.trouble}; {text}") if seen.trouble else Completed(message=text)


def name_of(seen: Look) -> str:
    """Return the name of a look's flow run: what it saw.

    Returns
    -------
    str
        ``context-watch-hst_1234.pmap``, with ``-new`` where nobody had seen that, ``-starts``
        where something followed from it; ``context-watch-no-answer``.
    """
    if seen.sight is None:
        return "context-watch-no-answer"
    name = f"context-watch-{seen.sight.context}"
    if seen.sight.before is not None:
        return f"{name}-new"
    return f"{name}-starts" if seen.verdict.starts else name


def look_once(ledger: Ledger, profile: CrdsProfile, *, patience: timedelta) -> Look:
    """Ask the server, tell what is new, and see to it that what should run does.

    Without a Prefect server nothing is told or started: what should be is said.

    Parameters
    ----------
    ledger
        What there is.
    profile
        Which server to ask.
    patience
        As :func:`context_watch`.
    """
    trouble, sight, verdict = None, None, Verdict()
    try:
        sight = look(ledger, profile)
        verdict = _change_of(ledger, sight, _pinned(profile), patience)
    except HstflowError as error:
        trouble = f"{type(error).__name__}: {error}"
    hands = _Hands()
    hands.tell(sight, verdict)
    says = [*verdict.says, *hands.begin(verdict, DEAD_AFTER)]
    # What may take long comes last: a look that is cut off has told and started the rest.
    for found in _others(ledger, patience):
        says += [*found.says, *hands.begin(found, patience)]
    return Look(sight, verdict, says, trouble or hands.trouble)


def _others(ledger: Ledger, patience: timedelta) -> Iterator[Verdict]:
    """Judge what is under way, then one by one what waits for files, which are brought."""
    yield ledger.ask(partial(judge_others, patience=patience))
    for name, awaited in awaited_by_blocked(ledger, limit=BRINGING):
        yield ledger.ask(partial(judge_blocked, name=name, awaited=awaited))


class _Hands:
    """Tells and starts by the Prefect server; without one says what a person would type."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self._has_server = has_server()

    def tell(self, sight: Sight | None, verdict: Verdict) -> None:
        """Emit the event of a change that is new."""
        if sight is None or sight.before is None or not self._has_server:
            return
        try:
            _tell(sight, verdict)
        except PREFECT_ERRORS as error:
            self.trouble = f"the change cannot be told: {error}"

    def begin(self, verdict: Verdict, nobody_for: timedelta) -> list[str]:
        """See to it that what has to run does; return what was done."""
        if not self._has_server:
            return _by_hand(verdict.due, verdict.starts)
        try:
            return [ensure_run(each, nobody_for=nobody_for) for each in verdict.starts]
        except PREFECT_ERRORS as error:
            self.trouble = self.trouble or f"nothing can be started: {error}"
            return []


def _pinned(profile: CrdsProfile) -> str | None:
    """Return what the profile, its user or the installation has pinned."""
    return pinned_context(profile) or context_variable()


def _change_of(ledger: Ledger, sight: Sight, pinned: str | None, patience: timedelta) -> Verdict:
    def judge(rows: Any) -> Verdict:
        return judge_change(rows, sight, pinned=pinned, patience=patience)

    return ledger.ask(judge)


def _tell(sight: Sight, verdict: Verdict) -> None:
    """Emit the event of a change; the automation of `reprocess` takes those that are due."""
    old = verdict.change.old if verdict.change else str(sight.before)
    emit_event(
        event=EVENT,
        resource={
            "prefect.resource.id": RESOURCE,
            "prefect.resource.name": sight.context,
            "hst.crds.due": "yes" if verdict.due else "no",
        },
        payload={
            "old": old,
            "new": sight.context,
            "before": sight.before,
            "source": sight.source,
            "says": list(verdict.says),
        },
    )


def _by_hand(due: Change | None, starts: Sequence[Start]) -> list[str]:
    """Return the commands that do what a server would have started."""
    plan = f"hstflow campaign plan NAME --old {due.old} --new {due.new}" if due else None
    names = [each.parameters["name"] for each in starts if "name" in each.parameters]
    commands = [f"hstflow campaign reprocess {name}" for name in names]
    return [f"no Prefect server: `{each}`" for each in (plan, *commands) if each]
