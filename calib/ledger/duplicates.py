"""The same work asked for twice: which datasets another campaign is about to process.

Plain SQL, as :mod:`calib.ledger.reports`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from calib.errors import ConfigError
from calib.ledger.campaign_reports import sessions_of
from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows

# Names in the message: the rest is counted.
_SHOWN = 10

_OTHERS = """
SELECT campaign.id AS id, campaign.name AS name FROM campaign
WHERE campaign.name <> :campaign AND campaign.id IN (
  SELECT job.campaign_id FROM job
  WHERE job.state IN ('planned', 'submitted', 'processing') AND job.work_key IS NOT NULL
)
ORDER BY campaign.id
"""

_LEFT = """
SELECT job.dataset AS dataset, job.work_key AS work_key FROM job
WHERE job.campaign_id = :campaign_id AND job.state IN ('planned', 'submitted', 'processing')
ORDER BY job.id
"""

_AT_WORK = """
SELECT job.dataset AS dataset, job.work_key AS work_key, attempt.host AS host,
  attempt.pid AS pid, attempt.process_started AS started, attempt.token AS token,
  attempt.heartbeat_at AS heartbeat
FROM job JOIN attempt ON attempt.job_id = job.id AND attempt.outcome IS NULL
WHERE job.campaign_id = :campaign_id AND job.state = 'processing' ORDER BY job.id
"""


def refuse_duplicates(rows: Rows, campaign: str, keys: Collection[str]) -> None:
    """Refuse work that another campaign, of a live process, has not finished.

    A campaign that is paused or lost does not hold its datasets: whoever comes first does them.

    Parameters
    ----------
    campaign
        Name of the campaign that asks; its own jobs do not count.
    keys
        The work keys that it asks for.

    Raises
    ------
    ConfigError
        There is such work; the message names the campaign and the first datasets.
    """
    for other in rows(_OTHERS, {"campaign": campaign}):
        found = [name for name, key in _held(rows, other["id"]) if key in keys]
        if found:
            shown = ", ".join(found[:_SHOWN])
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise ConfigError(
                f"campaign {other['name']} is processing the same: {shown}{more}",
                expected="datasets that nobody is at work on, another context, or a run of its own",
                found=f"{len(found)} that are not finished there",
            )


def _held(rows: Rows, campaign_id: int) -> Iterator[tuple[str, str | None]]:
    """Yield the datasets that a campaign holds, with their work keys."""
    if any(session.is_live for session in sessions_of(rows, campaign_id)):
        for row in rows(_LEFT, {"campaign_id": campaign_id}):
            yield row["dataset"], row["work_key"]
        return
    for row in rows(_AT_WORK, {"campaign_id": campaign_id}):
        owner = Owner(row["host"], row["pid"], row["started"], row["token"])
        if why_dead(owner, row["heartbeat"]) is None:
            yield row["dataset"], row["work_key"]
