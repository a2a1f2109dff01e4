"""What submitting a campaign would do; nothing is written."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from calib.campaigns.manifest import Entry
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED, STATES
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import preview_enrolment
from calib.stages.recording import close_ledgers


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
        How many would begin with how much memory, bytes, ascending.
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


# States of a job that a session takes up; what failed or was cancelled waits for a rescue.
_GOES_ON = frozenset({"planned", "submitted", "processing"})


def forecast_campaign(
    rows: Rows | None, plan: CampaignPlan, entries: Sequence[Entry]
) -> CampaignForecast:
    """Say what submitting a campaign would do.

    Parameters
    ----------
    rows
        The ledger; None where there is none yet: it is not made.
    plan, entries
        What would be submitted.

    Raises
    ------
    ConfigError, ContextError
        As :func:`calib.stages.enrolment.enrol`.
    """
    known = _states(rows, plan.name, entries)
    going = [each for each in entries if known.get(each.dataset.name, "planned") in _GOES_ON]
    with _asked(plan, has_ledger=rows is not None) as asked:
        enrolled = preview_enrolment(asked, going or entries)
    rungs = {rung: number for rung, number in enrolled.rungs.items() if rung and going}
    counts = Counter(known.values())
    return CampaignForecast(
        name=plan.name,
        context=str(enrolled.plan.request.context),
        run=enrolled.run,
        total=len(entries),
        states={state: counts[state] for state in STATES if state in counts},
        instruments=dict(sorted(Counter(each.dataset.instrument for each in going).items())),
        rungs=dict(sorted(rungs.items())),
        to_run=[each.dataset.name for each in going],
    )


@contextmanager
def _asked(plan: CampaignPlan, *, has_ledger: bool) -> Iterator[CampaignPlan]:
    """Give the plan; where there is no ledger, with an empty one that is thrown away."""
    if has_ledger:
        yield plan
        return
    with tempfile.TemporaryDirectory(prefix="hstflow-") as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        try:
            yield replace(plan, request=replace(plan.request, ledger=url))
        finally:
            close_ledgers()


def _states(rows: Rows | None, campaign: str, entries: Sequence[Entry]) -> dict[str, str]:
    if rows is None:
        return {}
    names = {each.dataset.name for each in entries}
    jobs = find_jobs(rows, JobSelection(campaign))
    return {job.dataset: job.state for job in jobs if job.dataset in names}
