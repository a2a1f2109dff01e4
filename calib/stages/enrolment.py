"""Taking datasets into a campaign, and making the job of one that the campaign still has to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from calib.campaigns.job_overrides import JobOverrides, of_record
from calib.campaigns.manifest import Entry
from calib.campaigns.retries import limit_all
from calib.errors import ConfigError
from calib.ledger.campaign_reports import LeftJob
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.records import Grant, to_json
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.job import Job, Options
from calib.stages.planning import fixed_key, plan_jobs, work_key
from calib.stages.recording import ledger_of
from calib.switches import Overrides


@dataclass(frozen=True)
class Enrolled:
    """What became of a request for a campaign.

    Attributes
    ----------
    plan
        As the ledger has it: context, places and references are fixed.
    run
        The run that its products go to.
    new, known
        Datasets that are new in the campaign, and that it had before.
    rungs
        How many of the new ones begin with how much memory, bytes; None: not limited.
    """

    plan: CampaignPlan
    run: str
    new: int
    known: int
    rungs: dict[int | None, int] = field(default_factory=dict)


def enrol(plan: CampaignPlan, entries: Sequence[Entry]) -> Enrolled:
    """Enter a campaign and its datasets in the ledger; what it has already stays as it is."""
    if not entries:
        raise ConfigError("no dataset was named")
    first = plan_jobs(plan.request, [entries[0].dataset.name])[0]
    frozen = _frozen(plan, first)
    wanted = list(_new_jobs(frozen, first, entries))
    ledger = ledger_of(first.ledger)
    text = to_json(frozen, indent=None)

    def enter(c: Connection) -> int:
        set_plan(c, plan.name, context=first.context, plan=text, priority=plan.priority)
        size = plan.chunk_size
        return enter_jobs(
            c, plan.name, wanted, run=first.run, context=first.context, chunk_size=size
        )

    new = ledger.write(enter)
    rungs = Counter(each.memory for each in wanted)
    return Enrolled(frozen, first.run, new, len(wanted) - new, dict(rungs))


def job_of(plan: CampaignPlan, left: LeftJob) -> Job:
    """Return the job of a row, with what the manifest says of it and what it is granted."""
    own = of_record(left.overrides)
    request = plan.request
    options = with_own(request.options, own)
    return Job(
        dataset=left.dataset,
        campaign=plan.name,
        run=left.run,
        run_is_named=request.run is not None,
        context=str(request.context),
        profile=request.profile,
        source=request.source,
        output=None if request.output == "none" else request.output,
        work=request.work,
        ledger=request.ledger,
        options=options,
        run_options=None if options is request.options else request.options,
        grant=_grant(plan, left, own),
    )


def with_own(options: Options, own: JobOverrides) -> Options:
    """Return the options of a dataset: those of the campaign, and its own on top."""
    if not own.switches and not own.env:
        return options
    ours = options.overrides
    merged = Overrides(
        {**ours.switches, **own.switches.switches}, {**ours.parameters, **own.switches.parameters}
    )
    return replace(options, overrides=merged, env={**options.env, **own.env})


def _grant(plan: CampaignPlan, left: LeftJob, own: JobOverrides) -> Grant:
    return Grant(
        memory=left.memory,
        disk=left.disk,
        time_scale=left.time_scale,
        rungs=plan.rungs,
        retries=dict(left.retries),
        most={} if own.retries is None else limit_all(own.retries),
        is_supervised=True,
        delay_scale=plan.delay_scale,
    )


def _frozen(plan: CampaignPlan, first: Job) -> CampaignPlan:
    request = replace(
        plan.request,
        source=first.source,
        output=first.output or "none",
        context=first.context,
        work=first.work,
        options=first.options,
    )
    return replace(plan, request=request)


def _new_jobs(plan: CampaignPlan, first: Job, entries: Sequence[Entry]) -> Iterable[NewJob]:
    fixed = fixed_key(first.options, first.output)
    for each in entries:
        own, name = each.overrides, each.dataset.name
        options = with_own(first.options, own)
        key = fixed if options is first.options else fixed_key(options, first.output)
        yield NewJob(
            dataset=each.dataset,
            work_key=work_key(first, name, key),
            memory=own.rung,
            priority=plan.priority if own.priority is None else own.priority,
            time_scale=own.timeout_scale or 1.0,
            overrides=own.record(),
        )
