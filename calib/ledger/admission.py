"""What the ledger refuses before any work: another content of a run, a dataset at work.

No SQLAlchemy: those who only look ask the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calib.environment import is_secret
from calib.errors import GENERIC, ConfigError, Unavailable
from calib.ledger.location import hide_credentials
from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows

_RUN = """
SELECT name, context, engine, engine_version, parameters, output FROM run WHERE name = :name
"""

_FROZEN = """
SELECT 'campaign ' || name AS what, context FROM campaign WHERE name = :campaign
UNION ALL SELECT 'run ' || name AS what, context FROM run WHERE name = :run
"""

_AT_WORK = """
SELECT attempt.host AS host, attempt.pid AS pid, attempt.process_started AS started,
  attempt.token AS token, attempt.heartbeat_at AS heartbeat, attempt.started_at AS since
FROM attempt JOIN job ON job.id = attempt.job_id JOIN campaign ON campaign.id = job.campaign_id
WHERE attempt.outcome IS NULL AND job.state = 'processing'
  AND campaign.name = :campaign AND job.dataset = :dataset AND job.run = :run
"""


def run_values(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a run.

    Parameters
    ----------
    content
        As for :func:`calib.ledger.registry.ensure_run`.

    Raises
    ------
    ConfigError
        A parameter looks like a secret.
    """
    parameters = content["parameters"]
    _refuse_secrets(parameters)
    return {
        **content,
        "parameters": json.dumps(parameters, sort_keys=True),
        "output": hide_credentials(content["output"]),
    }


def refuse_other_content(name: str, found: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Compare a run with what is asked of it.

    Raises
    ------
    ConfigError
        The run exists with other content (a run is write-once).
    """
    for field, asked in values.items():
        if found[field] != asked:
            message = f"run {name} exists with another {field}: a run is write-once"
            raise ConfigError(message, expected=found[field], found=asked)


def check_run(rows: Rows, name: str, content: Mapping[str, Any]) -> None:
    """Refuse what :func:`calib.ledger.registry.ensure_run` would refuse; nothing is written.

    Raises
    ------
    ConfigError
        As there.
    """
    values = run_values(content)
    for found in rows(_RUN, {"name": name}):
        refuse_other_content(name, found, values)


def check_admission(rows: Rows, campaign: str, dataset: str, run: str, context: str) -> None:
    """Refuse what submitting a job would refuse; nothing is written.

    Raises
    ------
    ConfigError
        The campaign or the run is frozen on another context.
    Unavailable
        A live owner is processing the dataset.
    """
    for row in rows(_FROZEN, {"campaign": campaign, "run": run}):
        refuse_other_context(row["what"], row["context"], context)
    for row in rows(_AT_WORK, {"campaign": campaign, "dataset": dataset, "run": run}):
        owner = Owner(row["host"], row["pid"], row["started"], row["token"])
        if why_dead(owner, row["heartbeat"]) is None:
            raise at_work(owner, row["since"], dataset)


def refuse_other_context(what: str, frozen: str | None, asked: str) -> None:
    """Compare the context of a campaign or run with what is asked of it.

    Raises
    ------
    ConfigError
        It is frozen on another.
    """
    if frozen not in {None, asked}:
        message = f"{what} is frozen on another context"
        raise ConfigError(message, expected=frozen, found=asked)


def at_work(owner: Owner, since: str, dataset: str, *, campaign: str | None = None) -> Unavailable:
    """Return the error for a dataset that a live owner is processing, here or elsewhere."""
    where = "" if campaign is None else f"in campaign {campaign} "
    message = f"being processed {where}by {owner} since {since}"
    return Unavailable(message, dataset=dataset, code=GENERIC)


def _refuse_secrets(parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if is_secret(name):
            message = "a parameter that looks like a secret is not stored in the ledger"
            raise ConfigError(message, found=name)
        if isinstance(value, Mapping):
            _refuse_secrets(value)
