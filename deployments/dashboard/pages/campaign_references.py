"""The reference files that a campaign used: a page of the static report."""

from __future__ import annotations

from dataclasses import dataclass

from calib.ledger.reports import Rows
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import trail_of

_USED = """
SELECT reference_used.name AS name, reference_used.keyword AS keyword,
  COUNT(DISTINCT job.dataset) AS datasets, COUNT(DISTINCT reference_used.sha1) AS files
FROM job JOIN attempt ON attempt.job_id = job.id
  JOIN reference_used ON reference_used.attempt_id = attempt.id
WHERE job.campaign_id = :id AND reference_used.sha1 IS NOT NULL
GROUP BY reference_used.name, reference_used.keyword
ORDER BY reference_used.keyword, reference_used.name
"""


@dataclass(frozen=True)
class Used:
    """How many datasets of a campaign read a reference for a keyword.

    ``files`` counts the checksums under which it was read: two are two files of one name.
    """

    name: str
    keyword: str
    datasets: int
    files: int


def used_in(rows: Rows, campaign_id: int) -> list[Used]:
    """Return the references that attempts of a campaign opened, by keyword and name."""
    return [Used(**row) for row in rows(_USED, {"id": campaign_id})]


def campaign_references_page(rows: Rows, links: Links, campaign: tuple[int, str]) -> Page:
    """Return the references of a campaign, given by its number and name."""
    number, name = campaign
    content = {"used": used_in(rows, number)}
    return Page("campaign_references.html", "Reference files", content, trail_of(links, name))
