"""What failed, by class and campaign, with a sample of the reasons: questions to the ledger.

No SQLAlchemy.
"""

from __future__ import annotations

from dataclasses import dataclass

from calib.ledger.reports import Rows

# Reasons that are read of each class: enough to see which are frequent.
SAMPLE = 500

_CLASSES = """
SELECT campaign.name AS campaign, failed.state AS state, failed.error_class AS error_class,
  failed.code AS code, failed.number AS number
FROM (
  SELECT campaign_id, state, error_class, code, COUNT(*) AS number, MIN(id) AS first
  FROM job WHERE state IN ('error', 'blocked', 'cancelled') {also}
  GROUP BY campaign_id, state, error_class, code
) AS failed JOIN campaign ON campaign.id = failed.campaign_id
ORDER BY failed.number DESC, failed.first
"""

_REASONS = """
SELECT state, error_class, code, dataset, reason FROM (
  SELECT id, state, error_class, code, dataset, reason,
    ROW_NUMBER() OVER (PARTITION BY state, error_class, code ORDER BY id) AS place
  FROM job WHERE state IN ('error', 'blocked', 'cancelled') {also}
) AS ranked
WHERE place <= :most ORDER BY id
"""

_OF_CAMPAIGN = "AND campaign_id = :campaign_id"

SUMS = (_CLASSES.format(also=""), _CLASSES.format(also=_OF_CAMPAIGN))


@dataclass(frozen=True)
class FailedClass:
    """How many jobs of a campaign rest in one state with one error."""

    campaign: str
    state: str
    error_class: str | None
    code: int | None
    number: int


@dataclass(frozen=True)
class FailedJob:
    """A job that failed, and what it says of that."""

    state: str
    error_class: str | None
    code: int | None
    dataset: str
    reason: str | None


def failed_classes(rows: Rows, campaign_id: int | None = None) -> list[FailedClass]:
    """Return what failed by campaign and error, the most frequent first; None: of all."""
    also, given = _narrowed(campaign_id)
    found = rows(_CLASSES.format(also=also), given)
    return [FailedClass(**{**row, "number": int(row["number"])}) for row in found]


def sample_failures(rows: Rows, campaign_id: int | None = None) -> list[FailedJob]:
    """Return the first jobs of each class, :data:`SAMPLE` at most of each; None: of all."""
    also, given = _narrowed(campaign_id)
    return [FailedJob(**row) for row in rows(_REASONS.format(also=also), given | {"most": SAMPLE})]


def _narrowed(campaign_id: int | None) -> tuple[str, dict[str, int]]:
    return ("", {}) if campaign_id is None else (_OF_CAMPAIGN, {"campaign_id": campaign_id})
