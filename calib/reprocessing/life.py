"""The life of a reprocessing: its campaigns, where it stands, and what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from calib.errors import ConfigError
from calib.ids import is_later_context
from calib.ledger.campaign_reports import UNFINISHED, campaigns
from calib.ledger.published_contexts import elsewhere, elsewhere_text, kept_back, kept_back_text
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import SUFFIXES
from calib.ledger.reprocessing_reports import Mark, Reprocessing, Step, history, mark_counts, marks
from calib.ledger.states import FINISHED
from calib.records import from_json

if TYPE_CHECKING:
    from calib.stages.campaign_plan import CampaignPlan

# What becomes of a question: stop at the review, go on without asking where every canary ended
# well, or wait until the ledger has an answer.
Approval = Literal["ask", "yes", "wait"]

WAVES = (1, 2, 3)

_ARCHIVE = "archive:"  # what the registry knows, what is current first

# States in which canaries may still be chosen.
BEFORE_APPROVAL = ("planned", "canary", "review")


@dataclass(frozen=True)
class Result:
    """How far a reprocessing came.

    Attributes
    ----------
    outcome
        ``finished``, ``failed`` (finished, but some datasets are not), ``blocked``,
        ``review``, ``rejected``, ``cancelled`` or ``paused`` (one of its campaigns is).
    message
        One line for people.
    counts
        Datasets of its waves by state, and ``left out``.
    report
        Where the difference report lies, once there is one.
    """

    outcome: str
    message: str
    counts: Mapping[str, int] = field(default_factory=dict)
    report: str | None = None


@dataclass(frozen=True)
class Canaries:
    """What a person wants to see before anything else: these datasets; None: the planned ones."""

    names: tuple[str, ...] | None = None


def campaign_of_canary(name: str) -> str:
    """Return the name of the campaign of a reprocessing's canaries."""
    return campaign_of_wave(name, 0)


def campaign_of_wave(name: str, wave: int) -> str:
    """Return the name of the campaign of a wave: 1 NAME, 2 NAME-visits, 3 NAME-skycells."""
    return name + SUFFIXES[wave]


def plan_for(found: Reprocessing, campaign: str, ledger: str) -> CampaignPlan:
    """Return the plan of one of its campaigns, frozen on the new context.

    Parameters
    ----------
    found
        The reprocessing; its plan is kept without the ledger, whose URL may have a password.
        One from a context to an earlier one is a way back that somebody asked for: its
        products become current.
    campaign
        Name of the campaign.
    ledger
        URL of the ledger.
    """
    from calib.stages.campaign_plan import CampaignPlan  # heavy: those who only look need none

    plan = from_json(CampaignPlan, found.plan)
    request = replace(plan.request, ledger=ledger, campaign=campaign, context=found.new_context)
    if is_later_context(found.old_context, found.new_context):
        request = replace(request, options=replace(request.options, goes_back=True))
    return replace(plan, request=request)


def wave_plan(found: Reprocessing, number: int, ledger: str) -> CampaignPlan:
    """Return the plan of one of its waves.

    Visits and skycells are made of what the waves before have published, wherever the raw files
    of those came from: collections that a source of wave 1 named have the old products.

    Parameters
    ----------
    found, ledger
        As for :func:`plan_for`.
    number
        From 1.
    """
    plan = plan_for(found, campaign_of_wave(found.name, number), ledger)
    if number == 1:
        return plan
    return replace(plan, request=replace(plan.request, source=_ARCHIVE))


def canary_plan(found: Reprocessing, ledger: str) -> CampaignPlan:
    """Return the plan of the canaries: what they make is not shown to readers.

    It lies in the run of the waves, which find it there: nothing is calibrated twice. No
    messages either, nor tars: they tell of what is current.
    """
    plan = plan_for(found, campaign_of_canary(found.name), ledger)
    options = replace(plan.request.options, becomes_current=False, messages="none", tar=False)
    return replace(plan, request=replace(plan.request, options=options))


def stood_at(steps: Sequence[Step]) -> str:
    """Return the state that a blocked reprocessing came from."""
    before = [step.from_state for step in steps if step.to_state == "blocked"]
    return (before[-1] if before else None) or "planned"


def refuse_late_canaries(rows: Rows, found: Reprocessing) -> None:
    """Refuse canaries of a reprocessing that has gone on: it would run all its waves.

    Raises
    ------
    ConfigError
        As said.
    """
    is_blocked = found.state == "blocked"
    state = stood_at(history(rows, found.id)) if is_blocked else found.state
    if state not in BEFORE_APPROVAL:
        stood = f"blocked where it was {state}" if is_blocked else state
        message = f"reprocessing {found.name} is {stood}: canaries come before"
        raise ConfigError(message, expected=" or ".join(BEFORE_APPROVAL), found=state)


def to_run(rows: Rows, number: int, *, wave: int = 0) -> list[Mark]:
    """Return the datasets of a reprocessing that are not left out."""
    return [mark for mark in marks(rows, number, wave=wave) if mark.left_out is None]


def counts_of(rows: Rows, found: Reprocessing) -> dict[str, int]:
    """Return how many datasets of its waves are in which state, and how many are left out."""
    counts: Counter[str] = Counter()
    for wave in WAVES:
        for campaign in campaigns(rows, campaign_of_wave(found.name, wave)):
            counts.update(campaign.counts)
    left = sum(each.left_out for each in mark_counts(rows, found.id))
    return dict(counts) | ({"left out": left} if left else {})


def what_stays(rows: Rows, found: Reprocessing) -> list[str]:
    """Say what is current on another context than the new one at the end, and why."""
    counts: Counter[str] = Counter()
    for wave in WAVES:
        for campaign in campaigns(rows, campaign_of_wave(found.name, wave)):
            counts.update(kept_back(rows, campaign.id))
    others = elsewhere(rows, found.new_context) if found.old_context else {}
    said = elsewhere_text(others, found.new_context) if others else None
    return [text for text in (kept_back_text(counts), said) if text]


def said_of(counts: Mapping[str, int]) -> str:
    """Return counts in words: ``7 processed, 1 error, 2 left out``."""
    return ", ".join(f"{number} {state}" for state, number in counts.items()) or "no dataset"


def unfinished(counts: Mapping[str, int]) -> int:
    """Return how many datasets ended badly: in error, blocked or cancelled."""
    return sum(counts.get(state, 0) for state in UNFINISHED)


def ended_text(found: Reprocessing, counts: Mapping[str, int], operational: str | None) -> str:
    """Return how a reprocessing ended, in one line.

    Parameters
    ----------
    found, counts
        The reprocessing, and its datasets by state.
    operational
        The operational context at the end; None where nobody can say.
    """
    total = sum(n for state, n in counts.items() if state != "left out")
    done = sum(counts.get(state, 0) for state in FINISHED)
    bad = unfinished(counts)
    text = f"{done} of {total} datasets are on {found.new_context}" if total else "nothing to run"
    text += f"; {bad} of {total} failed: {said_of(counts)}" if bad else ""
    left = counts.get("left out", 0)
    text += f"; {left} left out" if left and not bad else ""
    if is_later_context(operational, found.new_context):
        text += f"; meanwhile {operational} is operational: it needs a reprocessing of its own"
    return text


def next_steps(found: Reprocessing, *, is_held: bool = False) -> list[str]:
    """Return the commands that may come next, each with its reason."""
    if is_held:
        return [f"hstflow campaign status {found.name}   (a process is at work on it)"]
    again = f"hstflow campaign reprocess {found.name}"
    approve = f"hstflow campaign approve {found.name}"
    return {
        "planned": [
            f"hstflow campaign canary {found.name}   (a few datasets, and what differs)",
            f"{again} --yes   (all of it)",
        ],
        "canary": [f"{again}   (goes on with the canaries)"],
        "review": [f"{approve}   (it goes on)", f"{approve} --reject --note WHY   (it does not)"],
        "blocked": [f"{again}   (once what is missing is there)"],
        "approved": [f"{again}   (runs it)"],
        "running": [f"{again}   (goes on)"],
        "finished": [f"hstflow campaign report {found.name}   (what came of it)"],
        "cancelled": [f"{again} --again   (takes it up again)"],
    }.get(found.state, [])
