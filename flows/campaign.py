"""Many datasets on one frozen context, fanned out to workers, until nothing is left.

The ledger knows the campaign: what is left of it, who is at work on it, and what the operator
wants. So its name is enough to go on with it, in another process or on another host.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext

from calib.campaigns.manifest import read_entries
from calib.errors import HstflowError
from calib.ledger.campaign_reports import Campaign, campaigns, count_by_instrument, failures_of
from calib.ledger.campaigns import set_control
from calib.ledger.dispatch import runs_of
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.published_contexts import kept_back, kept_back_text
from calib.ledger.pulse import close_left_stages
from calib.ledger.sessions import Session, beat_session, close_session, note_flow_run, open_session
from calib.references.operational import later_operational
from calib.references.readiness import require_rules
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import enrol, refuse_other_version
from calib.stages.recording import ledger_of
from calib.stages.scratch import remove_leftovers
from flows.backlog import Backlog
from flows.campaign_results import Result, result_of, state_of
from flows.chunk import ChunkRuns
from flows.form import HOW, MANIFEST, OPTIONS, CampaignName, Context, InputUri, OutputUri
from flows.frames import ChunkFlows, Label, without_heartbeat
from flows.interrupts import interruptible
from flows.observer import Scene, observe
from flows.parameters import CampaignOptions, ProcessOptions, build_request
from flows.plans import campaign_of, plan_of
from flows.prefect_errors import PREFECT_ERRORS
from flows.run_page import label_run, tags_of
from flows.server import has_server, limit_downloads, wait_for_server
from flows.session import Loop
from flows.work import Work
from tasks.settings import limit_reference_memory, load_settings

if TYPE_CHECKING:
    from calib.campaigns.manifest import Entry

__all__ = ["Result", "campaign", "resume_campaign", "show_session", "submit_campaign"]

log = logging.getLogger(__name__)

STAGES = Work()


def submit_campaign(
    plan: CampaignPlan,
    entries: Iterable[Entry],
    *,
    work: Work = STAGES,
    reprocessing: str | None = None,
) -> Result:
    """Enter a campaign in the ledger and run it until nothing is left, or it is stopped.

    Parameters
    ----------
    plan
        How to run it. The same name again goes on where it stopped, with more datasets where
        there are more.
    entries
        The datasets, with what is said of each alone.
    work
        The stages.
    reprocessing
        The one whose campaign it is; None: it is of none.

    Returns
    -------
    Result
        How it ended: what the ledger says, not what this process happened to see.

    Raises
    ------
    ConfigError, ContextError
        Something cannot work: nothing was started.
    Unavailable
        A live process is at work on the campaign.
    KeyboardInterrupt, SystemExit
        A person or the system stopped us; the campaign can be resumed.
    """
    enrolled = enrol(plan, list(entries), reprocessing=reprocessing)
    return _run(enrolled.plan, work)


def resume_campaign(
    name: str,
    ledger: str,
    *,
    runner: str | None = None,
    workers: int | None = None,
    work: Work = STAGES,
    unless_stopped: bool = False,
) -> Result:
    """Go on with a campaign that the ledger knows.

    Parameters
    ----------
    name, ledger
        The campaign, and where it is known.
    runner, workers
        Others than those of its plan, for this time.
    work
        The stages.
    unless_stopped
        Not where it is paused or cancelled when the work would begin: nobody asked for it now.
        Else it is wanted again.

    Raises
    ------
    ConfigError
        There is no such campaign, or nobody planned it.
    InOtherHands
        A live process is at work on it, or it is to stay as it is.
    """
    plan = plan_of(ledger_of(ledger), name, ledger)
    plan = replace(plan, runner=runner or plan.runner, workers=workers or plan.workers)
    return _run(plan, work, unless_stopped=unless_stopped)


@flow(
    name="campaign",
    flow_run_name="campaign-{name}",
    persist_result=False,
    description="Calibrate many HST datasets on one context; finished ones are skipped.",
)
def campaign(
    name: CampaignName,
    manifest: Annotated[str, MANIFEST],
    input_uri: InputUri = "astroquery:",
    output_uri: OutputUri = "file:.",
    context: Context = None,
    options: Annotated[ProcessOptions | None, OPTIONS] = None,
    how: Annotated[CampaignOptions | None, HOW] = None,
) -> State[Any]:
    """Submit a campaign as a flow run: what a deployment calls.

    Parameters
    ----------
    name
        The campaign; the same again goes on where it stopped.
    manifest
        Path of its manifest.
    input_uri, output_uri, context, options
        As for ``process-dataset``.
    how
        Runner, workers, rungs and what else belongs to the campaign.

    Returns
    -------
    State
        Completed where every dataset is finished, else Failed with counts.
    """
    how = how or CampaignOptions()
    asked = how.model_dump(exclude={"profile", "run"})
    request = build_request(
        input_uri, output_uri, how.profile, context, how.run, options or ProcessOptions()
    )
    plan = CampaignPlan(request=replace(request, campaign=name), **asked)
    return state_of(submit_campaign(plan, read_entries(Path(manifest))))


@flow(
    name="campaign",
    flow_run_name="campaign-{name}",
    persist_result=False,
    validate_parameters=False,
    description="A session of a campaign: many HST datasets on one context.",
)
def show_session(name: str) -> State[Any]:
    """Be the flow run in which a session of a campaign works."""
    return state_of(_sessions[name].run())


_sessions: dict[str, _Session] = {}


class _Session:
    """One process at work on one campaign; it runs once, with or without a flow run."""

    def __init__(self, plan: CampaignPlan, work: Work, held: Session) -> None:
        self.plan, self.work, self.held = plan, work, held
        self.ledger = ledger_of(plan.request.ledger)
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.begun = False

    def shown(self) -> Result:
        """Run inside a flow run of the campaign where there is a server, and without else."""
        if FlowRunContext.get() is not None or not has_server():
            return self.run()
        _sessions[self.plan.name] = self
        try:
            wait_for_server()
            with without_heartbeat():
                show_session(self.plan.name, return_state=True)
        except (*PREFECT_ERRORS, OSError, ValueError, LookupError) as error:
            # Of Prefect or of the campaign: `_ended` knows.
            log.warning("the campaign's flow run is not shown to its end: %s", error)
        finally:
            del _sessions[self.plan.name]
        return self._ended()

    def _ended(self) -> Result:
        """Return what came of it, whatever Prefect made of that."""
        if not self.begun:
            return self.run()
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise HstflowError("the campaign's flow run ended before the campaign")
        return self.result

    def run(self) -> Result:
        """Run the campaign in this process."""
        self.begun = True
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error
            raise
        return self.result

    def _work(self) -> Result:
        self._note_flow_run()
        observer = observe(self._scene())
        try:
            wanted = self._loop() if self._has_work() else "run"
            result, remarks = self._result(wanted)
            if observer is not None:
                observer.end(result, remarks)
            return result
        finally:
            if observer is not None:
                observer.close()

    def _scene(self) -> Scene:
        """Return what there is to watch, and label the flow run in which it is shown."""
        plan, settings = self.plan, load_settings()
        label_run(tags=self._tags())
        count = f", {plan.workers} workers" if plan.runs_here else ""
        return Scene(
            self.ledger,
            plan.name,
            f"runner {plan.runner}{count}",
            settings.alerts,
            settings.dashboard_url,
        )

    def _tags(self) -> list[str]:
        number = self.held.campaign_id
        instruments = self.ledger.ask(lambda rows: count_by_instrument(rows, number))
        return tags_of(self.plan.name, str(self.plan.request.context), instruments)

    def _result(self, wanted: str) -> tuple[Result, list[str]]:
        found = campaign_of(self.ledger, self.plan.name)
        failures = self.ledger.ask(lambda rows: failures_of(rows, found.id))
        remarks = self._remarks(found)
        return result_of(found, failures, wanted, remarks), remarks

    def _remarks(self, found: Campaign) -> list[str]:
        """Return what else has to be known of its products: what is shown, what has come since."""
        back = self.ledger.ask(lambda rows: kept_back(rows, found.id))
        context, profile = str(self.plan.request.context), self.plan.request.profile
        later = later_operational(profile, context)
        news = f"{later} is operational now, these are on {context}" if later else None
        return [text for text in (kept_back_text(back), news) if text]

    def _has_work(self) -> bool:
        found = campaign_of(self.ledger, self.plan.name)
        return any(found.counts.get(state) for state in ("planned", "submitted", "processing"))

    def _loop(self) -> str:
        from flows.runners import open_pool  # Dask: half a second of those that run nothing

        plan = self.plan
        limit_reference_memory(load_settings())  # of this process; local workers set their own
        if plan.runner == "local":
            from calib.compiled import warm_up  # NumPy

            warm_up()  # once, instead of in each worker
        total = campaign_of(self.ledger, plan.name).total
        backlog = Backlog(self.ledger, self.held.campaign_id)
        if plan.chunks == "deployment":
            with interruptible() as ended:
                return ChunkRuns(plan.name, self.held.id, backlog, self, ended).run()
        with open_pool(plan) as pool, interruptible() as ended:
            frames = self._frames(plan.style(total) == "tasks", lambda: ended.put(None))
            loop = Loop(plan, self.work, self.ledger, backlog, pool, frames, self, ended)
            try:
                return loop.run()
            finally:
                frames.close_all()

    def _frames(self, with_tasks: bool, wake: Callable[[], None]) -> ChunkFlows:
        if FlowRunContext.get() is not None:
            others = [each for each in self._live_campaigns() if each != self.plan.name]
            limit_downloads(self.plan.downloads, is_alone=not others)
        travels = not self.plan.runs_here
        label = Label(self.plan.name, tuple(self._tags()))
        return ChunkFlows(label, wake, with_tasks=with_tasks, sends_settings=travels)

    def _live_campaigns(self) -> list[str]:
        found = self.ledger.ask(campaigns)
        return [each.name for each in found if each.session and each.session.is_live]

    def beat(self) -> str:
        """Say that the process lives, and return what the operator wants."""
        return self.ledger.write(lambda c: beat_session(c, self.held))

    def _note_flow_run(self) -> None:
        here = FlowRunContext.get()
        if here is not None and here.flow_run is not None:
            number = str(here.flow_run.id)
            self.ledger.write(lambda c: note_flow_run(c, self.held, number))


def _run(plan: CampaignPlan, work: Work, *, unless_stopped: bool = False) -> Result:
    """Run a session of a campaign that the ledger knows, and close it however it ends."""
    ledger, owner = ledger_of(plan.request.ledger), current_owner()
    require_rules(plan.request.profile, str(plan.request.context))  # once, not in each worker
    ledger.ask(lambda rows: refuse_other_version(rows, plan.name))
    begin = partial(open_session, campaign=plan.name, owner=owner, unless_stopped=unless_stopped)
    held = ledger.write(begin)
    session = _Session(plan, work, held)
    outcome, message = "interrupted", "the process was stopped"
    try:
        if not unless_stopped:  # who pauses it from here on is heard
            ledger.write(lambda c: set_control(c, plan.name, "run"))
        ledger.mark_dead_owners()
        result = session.shown()
        outcome, message = result.outcome, result.message
    except HstflowError as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        if isinstance(session.error, Exception):
            message = f"{type(session.error).__name__}: {session.error}"
        _try_last(ledger.mark_dead_owners)
        _try_last(lambda: _tidy(plan, ledger))
        _try_last(lambda: ledger.write(lambda c: close_session(c, held, outcome, message)))
    return result


def _try_last(step: Callable[[], object]) -> None:
    """Do a step of the end; a ledger that is away hides neither the reason nor other steps."""
    try:
        step()
    except (HstflowError, OSError) as error:
        log.warning("the session is not closed as it should be: %s", error)


def _tidy(plan: CampaignPlan, ledger: Ledger) -> None:
    """Close and remove what dead workers left in the ledger and in the work folder."""
    ledger.write(lambda c: close_left_stages(c, plan.name))
    request = plan.request
    for run in ledger.ask(lambda rows: runs_of(rows, plan.name)):
        remove_leftovers(
            request.work,
            run,
            ledger=request.ledger,
            campaign=plan.name,
            keep_scratch=request.options.keep_scratch,
        )
