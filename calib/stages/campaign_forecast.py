"""What submitting a campaign would do; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from calib.campaigns.manifest import Entry
from calib.campaigns.model import predict
from calib.campaigns.rungs import rung_for
from calib.errors import ConfigError
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.predictions import last_costs, last_features, load_model
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED, STATES
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import plan_jobs


@dataclass(frozen=True)
class CampaignForecast:
    """What submitting a campaign would do.

    Attributes
    ----------
    name, context, run
        The campaign, with what it would be frozen on.
    total
        Datasets that were named.
    states
        How many of them it has already, by state.
    instruments
        How many would run, by instrument.
    rungs
        How many of the new ones would begin with how much memory, bytes, ascending.
    to_run
        The names of those that would run, in order: new ones and those that are left.
    """

    name: str
    context: str
    run: str
    total: int
    states: Mapping[str, int]
    instruments: Mapping[str, int]
    rungs: Mapping[int, int]
    to_run: Sequence[str] = field(default=())

    @property
    def finished(self) -> int:
        """How many are finished already."""
        return sum(number for state, number in self.states.items() if state in FINISHED)


def forecast_campaign(
    rows: Rows | None, plan: CampaignPlan, entries: Sequence[Entry]
) -> CampaignForecast:
    """Say what submitting a campaign would do.

    Parameters
    ----------
    rows
        The ledger; None where there is none yet.
    plan, entries
        What would be submitted.

    Raises
    ------
    ConfigError
        What is asked for cannot work, or the campaign is frozen on another context.
    """
    first = plan_jobs(plan.request, [entries[0].dataset.name])[0]
    known = _states(rows, plan, entries, first.context)
    new = [each for each in entries if each.dataset.name not in known]
    going = [each for each in entries if known.get(each.dataset.name, "planned") in _GOES_ON]
    counts = Counter(known.values())
    return CampaignForecast(
        name=plan.name,
        context=first.context,
        run=first.run,
        total=len(entries),
        states={state: counts[state] for state in STATES if state in counts},
        instruments=dict(sorted(Counter(each.dataset.instrument for each in going).items())),
        rungs=dict(sorted(Counter(_rungs(rows, plan, new)).items())),
        to_run=[each.dataset.name for each in going],
    )


# States of a job that a session takes up; what failed or was cancelled waits for a rescue.
_GOES_ON = frozenset({"planned", "submitted", "processing"})


def _states(
    rows: Rows | None, plan: CampaignPlan, entries: Sequence[Entry], context: str
) -> dict[str, str]:
    if rows is None:
        return {}
    frozen = rows("SELECT context FROM campaign WHERE name = :name", {"name": plan.name})
    if frozen and frozen[0]["context"] not in {None, context}:
        message = f"campaign {plan.name} is on another context"
        raise ConfigError(message, expected=frozen[0]["context"], found=context)
    names = {each.dataset.name for each in entries}
    jobs = find_jobs(rows, JobSelection(plan.name)) if frozen else []
    return {job.dataset: job.state for job in jobs if job.dataset in names}


def _rungs(rows: Rows | None, plan: CampaignPlan, entries: Sequence[Entry]) -> list[int]:
    """Return the memory that each would begin with; what fits no rung begins on the largest."""
    names = [each.dataset.name for each in entries]
    model = None if rows is None else load_model(rows)
    features = {} if rows is None else last_features(rows, names)
    costs = {} if rows is None else last_costs(rows, names)
    found = []
    for each in entries:
        name = each.dataset.name
        need = predict(features.get(name), model, each.dataset, costs.get(name)).memory
        found.append(each.overrides.rung or rung_for(need, plan.rungs) or plan.rungs[-1])
    return found
