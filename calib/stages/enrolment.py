"""Taking datasets into a campaign, and making the job of one that the campaign still has to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection

from calib.campaigns.job_overrides import JobOverrides, of_record
from calib.campaigns.manifest import Entry
from calib.campaigns.model import Prediction
from calib.campaigns.retries import limit_all
from calib.campaigns.rungs import check_rung, rung_for
from calib.errors import ConfigError
from calib.grants import Grant
from calib.ids import CAMPAIGN_NAMES, is_campaign_name, parse_dataset
from calib.ledger.campaign_reports import LeftJob
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.duplicates import refuse_duplicates
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import refuse_campaign_of_other
from calib.ledger.reprocessings import lock_names
from calib.ledger.rows import rows_of
from calib.records import from_json, to_json
from calib.references.readiness import require_rules
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.job import Job, Options, key_of
from calib.stages.needs import need_of, read_needs
from calib.stages.planning import fixed_key, plan_jobs, work_key
from calib.stages.recording import ledger_of
from calib.switches import Overrides

_KNOWN = """
SELECT campaign.context AS context,
  (SELECT MIN(job.run) FROM job WHERE job.campaign_id = campaign.id) AS run
FROM campaign WHERE campaign.name = :name
"""


_PLAIN = ("id", "dataset", "run", "state", "priority", "memory", "disk", "attempts")

_ANY_LEFT = """
SELECT job.id AS id, job.dataset AS dataset, job.run AS run, job.state AS state,
  job.priority AS priority, job.memory AS memory, job.disk AS disk, job.attempts AS attempts,
  job.work_key AS work_key, campaign.plan AS plan
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE campaign.name = :name AND campaign.plan IS NOT NULL
  AND job.work_key IS NOT NULL AND job.overrides IS NULL
  AND job.state IN ('planned', 'submitted', 'processing')
LIMIT 1
"""


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
        How many of the datasets asked for begin with how much memory, bytes; None: not limited.
    """

    plan: CampaignPlan
    run: str
    new: int
    known: int
    rungs: dict[int | None, int] = field(default_factory=dict)


def enrol(
    plan: CampaignPlan, entries: Sequence[Entry], *, reprocessing: str | None = None
) -> Enrolled:
    """Enter a campaign and its datasets in the ledger, all or nothing.

    What the campaign has already stays as it is. A campaign that exists keeps its context; one
    that is not named is resolved now, and frozen with the campaign.

    Parameters
    ----------
    plan
        How to run it. How a campaign that exists is run may change: runner, rungs, chunks.
    entries
        Its datasets, or more of them.
    reprocessing
        The one whose campaign it is; None: it is of none.

    Raises
    ------
    ConfigError
        Nothing is named, something cannot work, the campaign exists with another context or
        other settings or is one of a reprocessing, or another campaign is at work on some of
        the datasets. Nothing was written.
    ContextError
        The context does not exist here, or its rules are not all there and cannot be had.
    Unavailable
        The server that has the rules does not answer.
    """
    frozen, first = _freeze(plan, entries)
    require_rules(first.profile, first.context)
    wanted = _new_jobs(frozen, first, entries)
    keys = frozenset(str(each.work_key) for each in wanted)
    text = stored_text(frozen)

    def enter(c: Connection) -> int:
        lock_names(c, shared=True)
        refuse_campaign_of_other(rows_of(c), plan.name, reprocessing)
        refuse_duplicates(rows_of(c), plan.name, keys)
        set_plan(c, plan.name, context=first.context, plan=text, priority=plan.priority)
        size = plan.chunk_size
        return enter_jobs(
            c, plan.name, wanted, run=first.run, context=first.context, chunk_size=size
        )

    new = ledger_of(first.ledger).write(enter)
    rungs = Counter(each.memory for each in wanted)
    return Enrolled(frozen, first.run, new, len(wanted) - new, dict(rungs))


def stored_text(plan: CampaignPlan) -> str:
    """Return a plan as the ledger keeps it: without the ledger, whose URL has a password."""
    request = replace(plan.request, ledger="")
    return to_json(replace(plan, request=request), indent=None)


def preview_enrolment(plan: CampaignPlan, entries: Sequence[Entry]) -> Enrolled:
    """Say what :func:`enrol` would do; nothing is written.

    Raises
    ------
    ConfigError, ContextError
        As there.
    """
    frozen, first = _freeze(plan, entries)
    wanted = _new_jobs(frozen, first, entries)
    keys = frozenset(str(each.work_key) for each in wanted)
    ledger = ledger_of(first.ledger)
    ledger.ask(lambda rows: refuse_campaign_of_other(rows, plan.name, None))
    ledger.ask(lambda rows: refuse_duplicates(rows, plan.name, keys))
    known = ledger.ask(lambda rows: _datasets_of(rows, plan.name))
    old = sum(each.dataset.name in known for each in wanted)
    rungs = Counter(each.memory for each in wanted)
    return Enrolled(frozen, first.run, len(wanted) - old, old, dict(rungs))


def job_of(plan: CampaignPlan, left: LeftJob) -> Job:
    """Return the job of a row, with what the manifest says of it and what it is granted.

    Parameters
    ----------
    plan
        As :func:`enrol` has frozen it: read from the ledger.
    left
        The row.
    """
    own = of_record(left.overrides)
    return replace(_ungranted(plan, left, own), grant=_grant(plan, left, own))


def _ungranted(plan: CampaignPlan, left: LeftJob, own: JobOverrides) -> Job:
    request = plan.request
    options = with_own(request.options, own)
    return Job(
        dataset=left.dataset,
        campaign=plan.name,
        run=left.run,
        run_is_named=request.run is not None,
        context=str(request.context),
        profile=request.profile,
        source=own.input or request.source,
        output=None if request.output == "none" else request.output,
        work=request.work,
        ledger=request.ledger,
        options=options,
        run_options=None if options is request.options else request.options,
        attempts=left.attempts,
    )


def refuse_other_version(rows: Rows, name: str) -> None:
    """Refuse to go on with a campaign in another version of hstflow than it was begun with.

    Its plan is frozen, so what names the work on a dataset can only change with the version.

    Raises
    ------
    ConfigError
        As said: its run would hold products of two versions.
    """
    for row in rows(_ANY_LEFT, {"name": name}):
        plan = from_json(CampaignPlan, row["plan"])
        left = LeftJob(**{key: row[key] for key in _PLAIN}, time_scale=1.0)
        job = _ungranted(plan, left, of_record({}))
        fixed = fixed_key(job.options, job.output)
        if row["work_key"] != work_key(job, job.dataset, fixed):
            raise ConfigError(
                f"campaign {name} was submitted with another version of hstflow: "
                "its run would hold products of two",
                expected="that version, or a new campaign with the datasets that are left",
                found=f"hstflow {version('hstflow')}",
            )


def with_own(options: Options, own: JobOverrides) -> Options:
    """Return the options of a dataset: those of the campaign, and its own on top."""
    drizzling = {"stage2": own.stage2, "astrometry": own.astrometry}
    said: dict[str, Any] = {name: word for name, word in drizzling.items() if word is not None}
    if not own.switches and not own.env and not said:
        return options
    ours = options.overrides
    merged = Overrides(
        {**ours.switches, **own.switches.switches}, {**ours.parameters, **own.switches.parameters}
    )
    return replace(options, overrides=merged, env={**options.env, **own.env}, **said)


def _grant(plan: CampaignPlan, left: LeftJob, own: JobOverrides) -> Grant:
    return Grant(
        memory=left.memory,
        disk=left.disk,
        limits=need_of(plan.request.ledger, parse_dataset(left.dataset)).limits,
        time_scale=left.time_scale,
        rungs=plan.rungs,
        retries=dict(left.retries),
        most={} if own.retries is None else limit_all(own.retries),
        is_supervised=True,
        delay_scale=plan.delay_scale,
    )


def _freeze(plan: CampaignPlan, entries: Sequence[Entry]) -> tuple[CampaignPlan, Job]:
    """Return the plan with all that is open resolved, and the job of the first dataset."""
    _check_name(plan.name)
    if not entries:
        raise ConfigError("no dataset was named", expected="one or more names, or a manifest")
    _check_rungs(plan, entries)
    request = plan.request
    known = ledger_of(request.ledger).ask(lambda rows: rows(_KNOWN, {"name": plan.name}))
    if known and request.context is None:  # the operational one may have moved on meanwhile
        request = replace(request, context=known[0]["context"])
    first = plan_jobs(request, [entries[0].dataset.name])[0]
    if known:
        _refuse_other_run(plan.name, known[0]["run"], first.run)
    request = replace(
        request,
        source=first.source,
        output=first.output or "none",
        context=first.context,
        work=first.work,
        options=first.options,
    )
    return replace(plan, request=request), first


def _check_rungs(plan: CampaignPlan, entries: Sequence[Entry]) -> None:
    """Refuse datasets that are to begin with memory that no rung has; all are listed."""
    bad = []
    for each in entries:
        try:
            if each.overrides.rung is not None:
                check_rung(each.overrides.rung, plan.rungs)
        except ConfigError as error:
            bad.append(f"{each.dataset.name}: {error}")
    if bad:
        raise ConfigError(f"{len(bad)} wrong in the list of datasets:\n  " + "\n  ".join(bad))


def _check_name(name: str) -> None:
    """Refuse a name that no flow run or file can have, or that the ledger uses by itself."""
    if not is_campaign_name(name):
        raise ConfigError("not a name for a campaign", expected=CAMPAIGN_NAMES, found=repr(name))


def _refuse_other_run(campaign: str, known: str | None, asked: str) -> None:
    if known not in {None, asked}:
        raise ConfigError(
            f"campaign {campaign} exists with other settings: another context, output, engine, "
            "switch, reference, run or version of hstflow",
            expected=f"the same settings (run {known}), or another name",
            found=f"run {asked}",
        )


def _new_jobs(plan: CampaignPlan, first: Job, entries: Sequence[Entry]) -> list[NewJob]:
    ledger, fixed = ledger_of(first.ledger), _fixed_keys(first)
    datasets = [each.dataset for each in entries]
    needs = ledger.ask(lambda rows: list(read_needs(rows).of(rows, datasets)))
    return [
        _new_job(plan, each, need, work_key(first, each.dataset.name, fixed(each.overrides)))
        for each, need in zip(entries, needs, strict=True)
    ]


def _fixed_keys(first: Job) -> Callable[[JobOverrides], str]:
    """Return a function for the key of a dataset's own options: few differ, many share one."""
    common = fixed_key(first.options, first.output)
    found: dict[str, str] = {}

    def of(own: JobOverrides) -> str:
        options = with_own(first.options, own)
        if options is first.options:
            return common
        said = key_of(own.record())
        if said not in found:
            found[said] = fixed_key(options, first.output)
        return found[said]

    return of


def _new_job(plan: CampaignPlan, entry: Entry, need: Prediction, key: str) -> NewJob:
    own = entry.overrides
    return NewJob(
        dataset=entry.dataset,
        work_key=key,
        memory=own.rung or _rung(need.memory, plan.rungs),
        disk=own.disk or need.disk,
        priority=plan.priority if own.priority is None else own.priority,
        time_scale=own.timeout_scale or 1.0,
        overrides=own.record() if own else {},
    )


@cache
def _rung(need: int, rungs: tuple[int, ...]) -> int | None:
    """Return the rung that is enough; the largest where none is, since a prediction may err."""
    return rung_for(need, rungs) or (rungs[-1] if rungs else None)


def _datasets_of(rows: Rows, campaign: str) -> set[str]:
    text = """
SELECT job.dataset AS dataset FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE campaign.name = :campaign
"""
    return {row["dataset"] for row in rows(text, {"campaign": campaign})}
