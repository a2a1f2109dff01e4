"""What the canaries of a reprocessing made, and what was current before: asked of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calib.ledger.campaign_reports import FoundJob, JobSelection, find_jobs
from calib.ledger.products import Product, ProductQuery, find_products
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Mark, Reprocessing, marks
from calib.ledger.states import FINISHED
from calib.reprocessing.life import campaign_of_canary

# Made for people, or of the moment: the products are what is compared.
_BESIDE = frozenset({"preview", "log", "env"})

# Whether a publication is of this reprocessing: its attempt was one of these campaigns'.
_PUBLICATIONS = """
SELECT run.name AS run, run.context AS context, publication.published_at AS published_at,
  CASE WHEN current_run.run_id = run.id THEN 1 ELSE 0 END AS is_current,
  campaign.name AS campaign
FROM publication
  JOIN run ON run.id = publication.run_id
  LEFT JOIN current_run ON current_run.dataset = publication.dataset
  LEFT JOIN attempt ON attempt.id = publication.attempt_id
  LEFT JOIN job ON job.id = attempt.job_id
  LEFT JOIN campaign ON campaign.id = job.campaign_id
WHERE publication.dataset = :dataset AND publication.removed_at IS NULL
ORDER BY publication.published_at, publication.id
"""


@dataclass(frozen=True)
class Publication:
    """One version of a dataset; `campaign` is None for what no campaign of ours made."""

    run: str
    context: str
    published_at: str
    is_current: bool
    campaign: str | None


@dataclass(frozen=True)
class CanaryRun:
    """What became of a canary.

    Attributes
    ----------
    mark
        Why it is one.
    state, reason
        Of its job, and why it is in it; ``not run`` where it has none.
    old, new
        The version that was current before, and the one made on the new context; None where
        there is none.
    pairs
        Products of the two, by name; None where one of them does not have it.
    """

    mark: Mark
    state: str
    reason: str | None
    old: Publication | None
    new: Publication | None
    pairs: tuple[tuple[Product | None, Product | None], ...]


def canary_runs(rows: Rows, reprocessing: Reprocessing) -> list[CanaryRun]:
    """Return what the canaries of a reprocessing made, by dataset."""
    campaign = campaign_of_canary(reprocessing.name)
    jobs = {job.dataset: job for job in find_jobs(rows, JobSelection(campaign=campaign))}
    chosen = [mark for mark in marks(rows, reprocessing.id) if mark.is_canary]
    return [_canary_run(rows, reprocessing, mark, jobs.get(mark.dataset)) for mark in chosen]


def _canary_run(
    rows: Rows, reprocessing: Reprocessing, mark: Mark, job: FoundJob | None
) -> CanaryRun:
    found = [
        Publication(**{**row, "is_current": bool(row["is_current"])})
        for row in rows(_PUBLICATIONS, {"dataset": mark.dataset})
    ]
    new = _made(found, reprocessing, job)
    old = _before(found, new, campaign_of_canary(reprocessing.name))
    pairs = _pairs(rows, mark.dataset, old, new) if new else ()
    state, reason = ("not run", None) if job is None else (job.state, job.reason)
    return CanaryRun(mark, state, reason, old, new, pairs)


def _made(
    found: Sequence[Publication], reprocessing: Reprocessing, job: FoundJob | None
) -> Publication | None:
    """Return what the canary made; with nothing to do, what was there on that context."""
    if job is None or job.state not in FINISHED:
        return None
    mine = [each for each in found if each.campaign == job.campaign]
    there = [each for each in found if each.context == reprocessing.new_context]
    return next(iter([*mine[-1:], *there[-1:]]), None)


def _before(
    found: Sequence[Publication], new: Publication | None, campaign: str
) -> Publication | None:
    """Return the version that was current before.

    Which one that was is not written down: the one that is current still, or else the last
    that was published before.
    """
    others = [each for each in found if each is not new and each.campaign != campaign]
    if new is not None:
        others = [each for each in others if each.published_at <= new.published_at]
    current = [each for each in others if each.is_current]
    return next(iter([*current, *others[-1:]]), None)


def _pairs(
    rows: Rows, dataset: str, old: Publication | None, new: Publication
) -> tuple[tuple[Product | None, Product | None], ...]:
    before = _products(rows, dataset, old.run) if old else {}
    after = _products(rows, dataset, new.run)
    return tuple((before.get(name), after.get(name)) for name in sorted({*before, *after}))


def _products(rows: Rows, dataset: str, run: str) -> dict[str, Product]:
    found = find_products(rows, ProductQuery(datasets=(dataset,), runs=(run,)))
    return {product.name: product for product in found if product.type not in _BESIDE}
