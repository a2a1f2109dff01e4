"""Datasets of a campaign beside the six stages: filters, orders, pages. Portable SQL.

A page takes the same time at the beginning and at the end of 100,000 datasets: it is found from
the last dataset of the page before (keyset paging), through an index that has the rows in order.
Where a filter leaves few datasets, those are found by an index of the filter and sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from calib.ledger.matrix_question import COUNTED, Place, Question, Wanted
from calib.ledger.matrix_standing import Standing
from calib.ledger.reports import Rows

# Up to so many are found by their filter and sorted; more are walked through in order, where
# at least one of twenty is wanted.
_FEW = 5_000


@dataclass(frozen=True)
class Cell:
    """A stage of a dataset: its last run in the last attempt; seconds, None where not known."""

    stage: str
    state: str
    wall: float | None
    started_at: str
    error: str | None


@dataclass(frozen=True)
class Line:
    """A dataset of the matrix; `cells` by stage, without those that it has not come to."""

    id: int
    dataset: str
    instrument: str
    run: str
    state: str
    attempts: int
    error_class: str | None
    code: int | None
    reason: str | None
    failed_stage: str | None
    seconds: float | None
    updated_at: str
    cells: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A page of a list.

    Attributes
    ----------
    lines
        What is on it.
    number
        How many there are in all, counted up to :data:`COUNTED`; None: more than that.
    before, after
        Where the page before and the next one begin; None where there is none.
    """

    lines: tuple[Line, ...]
    number: int | None
    before: Place | None = None
    after: Place | None = None


_LINES = """
SELECT id, dataset, instrument, run, state, attempts, error_class, code, reason, failed_stage,
  seconds, updated_at
FROM job WHERE id IN ({places})
"""

_CELLS = """
SELECT attempt.job_id AS job_id, stage_run.stage AS stage, stage_run.state AS state,
  stage_run.wall AS wall, stage_run.started_at AS started_at, stage_run.error AS error
FROM job JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
  JOIN stage_run ON stage_run.attempt_id = attempt.id
WHERE job.id IN ({places})
ORDER BY stage_run.id
"""


def count_of(rows: Rows, campaign_id: int, wanted: Wanted, standing: Standing) -> int | None:
    """Return how many datasets are wanted; None for more than :data:`COUNTED`."""
    question = Question(campaign_id, wanted, standing)
    known = question.known()
    if known is None:
        query, parameters = question.count()
        known = int(rows(query, parameters)[0]["number"]) if query else 0
        return None if known > COUNTED else known
    return known


def part_of(
    rows: Rows,
    campaign_id: int,
    wanted: Wanted,
    standing: Standing,
    *,
    place: Place | None = None,
    size: int = 100,
) -> Part:
    """Return a page of the datasets that are wanted.

    Parameters
    ----------
    campaign_id
        Number of the campaign.
    wanted
        Which ones, in which order.
    standing
        How the campaign stands: may be some seconds old.
    place
        Where the page begins; None: the first page.
    size
        Datasets on a page.
    """
    number = count_of(rows, campaign_id, wanted, standing)
    question = Question(campaign_id, wanted, standing)
    walks = number is None or number > _FEW
    query, parameters = question.page(place, size + 1, walks=walks)
    found = rows(query, parameters) if query else []
    is_back = place is not None and place.is_back
    has_more = len(found) > size
    keys = found[:size][::-1] if is_back else found[:size]
    before = keys and (has_more if is_back else place is not None)
    after = keys and (has_more or is_back)
    return Part(
        lines=lines_of(rows, [int(key["id"]) for key in keys]),
        number=number,
        before=Place(keys[0]["value"], keys[0]["id"], is_back=True) if before else None,
        after=Place(keys[-1]["value"], keys[-1]["id"]) if after else None,
    )


def lines_of(rows: Rows, numbers: Sequence[int]) -> tuple[Line, ...]:
    """Return jobs by their numbers, in that order, with the stages of their last attempts."""
    if not numbers:
        return ()
    parameters = {f"id{place}": number for place, number in enumerate(numbers)}
    places = ", ".join(f":{name}" for name in parameters)
    cells: dict[int, dict[str, Cell]] = {}
    for row in rows(_CELLS.format(places=places), parameters):
        job = cells.setdefault(row.pop("job_id"), {})
        job[row["stage"]] = Cell(**row)
    found = {row["id"]: row for row in rows(_LINES.format(places=places), parameters)}
    return tuple(
        Line(**found[number], cells=cells.get(number, {})) for number in numbers if number in found
    )
