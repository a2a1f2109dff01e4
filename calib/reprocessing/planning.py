"""A reprocessing before it begins: what it marks, what that needs, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from calib.errors import ConfigError
from calib.ids import CAMPAIGN_NAMES, is_campaign_name
from calib.ledger.reading import open_reader
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import SUFFIXES, refuse_foreign_campaigns
from calib.ledger.reprocessing_reports import Mark
from calib.ledger.reprocessings import NewMark, NewReprocessing, enter_reprocessing
from calib.records import to_json
from calib.references.changes import AffectedExposure
from calib.references.readiness import readiness
from calib.reprocessing.awaited import awaited_references
from calib.reprocessing.canaries import canaries_of
from calib.reprocessing.costs import costs_of
from calib.reprocessing.coverage import with_coverage
from calib.reprocessing.foresight import (
    Foresight,
    count_kinds,
    count_left_out,
    count_stage2_only,
    count_types,
)
from calib.reprocessing.graph import graph_of
from calib.reprocessing.selection import Selection, select_datasets
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import output_uri
from calib.stages.recording import ledger_of
from calib.stores.uri import source_uri

Trigger = Literal["context", "list", "query", "reference"]

# Of the campaigns of a reprocessing, the one with the longest name; a campaign's has 100 at most.
_LONGEST_ENDING = max(SUFFIXES, key=len)
LONGEST_CAMPAIGN = 100


@dataclass(frozen=True)
class Asked:
    """What a person or a watcher asked for.

    Attributes
    ----------
    name
        Of the reprocessing, and of its campaign.
    old, new
        From which context to which; no old one where a list or a query asked.
    trigger
        ``context``: there may be one from old to new only. ``list``, ``query``, ``reference``.
    plan
        How its campaigns run; its request knows the ledger, too.
    origin
        With which words it was asked for, as JSON can have them.
    per_type
        How many datasets of each changed type run first; 0: none.
    again
        A person says that one of this change that has ended does not count.
    """

    name: str
    old: str | None
    new: str
    trigger: Trigger
    plan: CampaignPlan
    origin: Mapping[str, Any] = field(default_factory=dict)
    per_type: int = 2
    again: bool = False


@dataclass(frozen=True)
class Planned:
    """A reprocessing that can be entered.

    Attributes
    ----------
    asked
        With all that is open resolved: context, places.
    marks
        Its datasets, with what is left out and why.
    foresight
        What it will take, and what is missing.
    """

    asked: Asked
    marks: tuple[NewMark, ...]
    foresight: Foresight


def plan_reprocessing(
    asked: Asked, found: Selection | Iterable[AffectedExposure | NewMark]
) -> Planned:
    """Plan a reprocessing; nothing is written.

    Parameters
    ----------
    asked
        What was asked for.
    found
        The exposures that are affected, datasets that are marked already, or both as
        :mod:`calib.reprocessing.selection` returns them.

    Raises
    ------
    ConfigError
        The name cannot be a campaign's, or a campaign has it or another one that it needs; a
        place cannot be used, or there is no such engine.
    ContextError
        The cache cannot be read.
    """
    check_reprocessing_name(asked.name)
    asked = replace(asked, plan=_resolved(asked))
    with open_reader(asked.plan.request.ledger) as rows:
        if rows is not None:
            refuse_foreign_campaigns(rows, asked.name)
        selected = found if isinstance(found, Selection) else _select(found, rows)
        engine = asked.plan.request.options.engine
        marks = _with_canaries(with_coverage(selected.marks, engine), asked.per_type)
        return Planned(asked, marks, _foresee(asked, replace(selected, marks=marks), rows))


def enter(planned: Planned, who: str) -> str:
    """Write a planned reprocessing in the ledger.

    Parameters
    ----------
    planned
        What to enter.
    who
        A person (``USER@HOST``), or the part of the program.

    Returns
    -------
    str
        Its name; that of the one that is there already for this change of context: nothing is
        written then.

    Raises
    ------
    ConfigError
        Another reprocessing, or a campaign, has the name or that of one of its campaigns.
    """
    asked = planned.asked
    new = NewReprocessing(
        asked.name,
        asked.old,
        asked.new,
        asked.trigger,
        stored_text(asked.plan),
        asked.origin,
        to_json(planned.foresight, indent=None),
        once=asked.trigger == "context",
        again=asked.again,
    )
    ledger = ledger_of(asked.plan.request.ledger)
    return ledger.write(lambda c: enter_reprocessing(c, new, planned.marks, who=who))


def check_reprocessing_name(name: str) -> None:
    """Refuse a name that its campaigns, NAME-canary to NAME-skycells, could not have.

    Raises
    ------
    ConfigError
        As said.
    """
    if not is_campaign_name(f"{name}{_LONGEST_ENDING}") or not is_campaign_name(name):
        longest = LONGEST_CAMPAIGN - len(_LONGEST_ENDING)
        raise ConfigError(
            "not a name for a reprocessing",
            expected=f"{CAMPAIGN_NAMES}, and here up to {longest}",
            found=repr(name),
        )


def _resolved(asked: Asked) -> CampaignPlan:
    """Return the plan frozen on the new context, with places that mean the same everywhere."""
    request = asked.plan.request
    resolved = replace(
        request,
        campaign=asked.name,
        context=asked.new,
        source=source_uri(request.source),
        output=output_uri(request.output) or "none",
        work=str(Path(request.work).absolute()),
    )
    return replace(asked.plan, request=resolved)


def _select(found: Iterable[AffectedExposure | NewMark], rows: Rows | None) -> Selection:
    every = list(found)
    selected = select_datasets((e for e in every if isinstance(e, AffectedExposure)), rows)
    known = {each.dataset for each in selected.marks}
    more = {e.dataset: e for e in every if isinstance(e, NewMark) and e.dataset not in known}
    marks = sorted((*selected.marks, *more.values()), key=lambda each: (each.wave, each.dataset))
    return replace(selected, marks=tuple(marks))


def _with_canaries(marks: Sequence[NewMark], per_type: int) -> tuple[NewMark, ...]:
    chosen = set(canaries_of([_as_mark(each) for each in marks], per_type))
    return tuple(replace(each, is_canary=each.dataset.name in chosen) for each in marks)


def _as_mark(each: NewMark) -> Mark:
    dataset = each.dataset
    return Mark(
        dataset.name,
        dataset.kind,
        dataset.instrument,
        each.wave,
        each.is_canary,
        each.changes,
        each.left_out,
    )


def _foresee(asked: Asked, selected: Selection, rows: Rows | None) -> Foresight:
    plan, marks = asked.plan, selected.marks
    to_run = [(each.dataset, each.wave) for each in marks if each.left_out is None]
    costs = costs_of(to_run, rows, workers=plan.workers, rungs=plan.rungs)
    profile, own = plan.request.profile, plan.request.options.references
    needed = awaited_references(profile, asked.new, marks, rows, own)
    ready = readiness(profile, asked.new, needed)
    return Foresight(
        datasets=len(marks),
        to_run=len(to_run),
        stage2_only=count_stage2_only(marks),
        kinds=count_kinds(marks),
        types=count_types(marks),
        left_out=count_left_out(marks),
        cpu_seconds=costs.cpu_seconds,
        wall_seconds=costs.wall_seconds,
        rungs={str(rung): number for rung, number in sorted(costs.rungs.items()) if rung},
        missing_rules=ready.missing_rules,
        missing_references=tuple(sorted((*ready.missing_references, *ready.damaged))),
        strange=dict(selected.strange),
        graph=graph_of((each.dataset.name for each in marks), selected.links),
    )
