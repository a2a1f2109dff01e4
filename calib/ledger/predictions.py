"""Features of inputs by attempt, what attempts did cost, and models learned from both."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from calib.cost_model import FORESEEN, Example, Features, Law, Measured, Model
from calib.ledger.reports import Rows
from calib.records import first_fault, from_json, to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from calib.ledger.attempts import Attempt

log = logging.getLogger(__name__)

FIELDS = tuple(each.name for each in dataclasses.fields(Features))

# Names in one IN (...): SQLite takes 32766 parameters, PostgreSQL 65535; long statements are
# slow to parse.
AT_ONCE = 500

_LAWS = """
SELECT prediction.content AS content FROM prediction
WHERE prediction.id IN (SELECT MAX(id) FROM prediction GROUP BY target)
"""

_LAST_FEATURES = """
SELECT job.dataset AS dataset, {fields}
FROM feature JOIN attempt ON attempt.id = feature.attempt_id JOIN job ON job.id = attempt.job_id
WHERE job.dataset IN ({names}) ORDER BY feature.id
"""

_LAST_COSTS = """
SELECT job.dataset AS dataset, stage_run.attempt_id AS attempt, stage_run.stage AS stage,
  stage_run.wall AS wall, stage_run.peak_rss AS memory, stage_run.disk AS disk
FROM stage_run JOIN attempt ON attempt.id = stage_run.attempt_id
  JOIN job ON job.id = attempt.job_id
WHERE job.dataset IN ({names}) AND stage_run.state = 'done' AND attempt.outcome = 'processed'
ORDER BY stage_run.id
"""

# What is older than so many attempts says little about the engines of today, and a model of a
# dozen coefficients learns no more from it.
LATEST = 20_000

# An attempt that ended well, or one that is known to have had too little memory; known, not
# foreseen by a model, which would learn from itself.
_TELLS = """
(attempt.outcome = 'processed'
  OR (attempt.error_class = 'OutOfMemory' AND attempt.memory IS NOT NULL
    AND COALESCE(attempt.message, '') NOT LIKE :foreseen))
AND (CAST(:instrument AS VARCHAR) IS NULL OR job.instrument = CAST(:instrument AS VARCHAR))
"""

_EXAMPLES = """
SELECT feature.id AS id, feature.attempt_id AS attempt, job.dataset AS dataset, job.kind AS kind,
  job.instrument AS instrument, attempt.outcome AS outcome, attempt.memory AS granted, {fields}
FROM feature JOIN attempt ON attempt.id = feature.attempt_id JOIN job ON job.id = attempt.job_id
WHERE {tells} ORDER BY feature.id DESC LIMIT :latest
"""

_COSTS = """
SELECT stage_run.attempt_id AS attempt, stage_run.stage AS stage, stage_run.wall AS wall,
  stage_run.peak_rss AS memory, stage_run.disk AS disk
FROM feature JOIN stage_run ON stage_run.attempt_id = feature.attempt_id
  JOIN attempt ON attempt.id = feature.attempt_id JOIN job ON job.id = attempt.job_id
WHERE {tells} AND feature.id >= :oldest AND attempt.outcome = 'processed'
  AND stage_run.state = 'done'
ORDER BY stage_run.id
"""


def record_features(connection: Connection, attempt: Attempt, features: Features) -> None:
    """Write down what the inputs of an attempt look like, in place of an earlier try.

    Raises
    ------
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    from calib.ledger.attempts import check_held
    from calib.ledger.schema import feature
    from calib.ledger.upsert import upsert

    check_held(connection, attempt)
    row = dataclasses.asdict(features) | {"attempt_id": attempt.id}
    upsert(connection, feature, [row], ["attempt_id"])


def save_model(connection: Connection, model: Model) -> None:
    """Enter the laws of a model; the last of a target counts, the others are kept."""
    from sqlalchemy import insert

    from calib.ledger.schema import prediction

    rows = [
        {
            "target": law.target,
            "trained_at": law.trained_at,
            "examples": law.examples,
            "content": to_json(law, indent=None),
        }
        for law in model.laws.values()
    ]
    if rows:
        connection.execute(insert(prediction), rows)


def load_model(rows: Rows) -> Model | None:
    """Return what was learned last about each target; None: nothing yet.

    A law that cannot be read, such as one of another version, is passed over with a warning:
    the formula holds until the next training.
    """
    laws = [law for row in rows(_LAWS, {}) if (law := _law(row["content"])) is not None]
    return Model({law.target: law for law in laws}) if laws else None


def _law(content: str) -> Law | None:
    from pydantic import ValidationError

    try:
        return from_json(Law, content)
    except ValidationError as error:
        message = "a prediction model cannot be read (%s): run `hstflow campaign train` again"
        log.warning(message, first_fault(error))
        return None


def last_features(rows: Rows, datasets: Iterable[str]) -> dict[str, Features]:
    """Return what datasets looked like when they were last processed; the others are left out."""
    return {
        row["dataset"]: Features(**{name: row[name] for name in FIELDS})
        for row in _of_each(rows, _LAST_FEATURES, datasets)
    }


def last_costs(rows: Rows, datasets: Iterable[str]) -> dict[str, Measured]:
    """Return what datasets did cost when they were last calibrated; the others are left out.

    Stages that an attempt took over from an earlier one cost nothing and do not count, so only
    attempts that calibrated themselves do.
    """
    attempts: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in _of_each(rows, _LAST_COSTS, datasets):
        attempts.setdefault((row["dataset"], row["attempt"]), []).append(row)
    return {
        dataset: _measured(stages)
        for (dataset, _), stages in attempts.items()
        if any(stage["stage"] == "calibrate" for stage in stages)
    }


def examples(rows: Rows, instrument: str | None = None, *, latest: int = LATEST) -> list[Example]:
    """Return what attempts tell about costs, the latest first.

    Parameters
    ----------
    instrument
        Only attempts on datasets of this instrument.
    latest
        How many attempts at most.
    """
    asked = {"instrument": instrument, "foreseen": f"%{FORESEEN}%"}
    query = _EXAMPLES.format(tells=_TELLS, fields=", ".join(FIELDS))
    found = rows(query, asked | {"latest": latest})
    if not found:
        return []
    costs: dict[int, list[dict[str, Any]]] = {}
    for row in rows(_COSTS.format(tells=_TELLS), asked | {"oldest": found[-1]["id"]}):
        costs.setdefault(row["attempt"], []).append(row)
    return [_example(row, costs.get(row["attempt"], [])) for row in found]


def _example(row: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> Example:
    return Example(
        dataset=row["dataset"],
        kind=row["instrument"] if row["kind"] == "ipst" else row["kind"],
        features=Features(**{name: row[name] for name in FIELDS}),
        costs=_costs(stages),
        at_least=None if row["outcome"] == "processed" else row["granted"],
    )


def _costs(stages: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return costs by target; memory and disk only where the attempt calibrated itself."""
    measured = _measured(stages)
    found = dict(measured.walls)
    if "calibrate" in found:
        found |= {
            target: float(value)
            for target, value in (("memory", measured.memory), ("disk", measured.disk))
            if value
        }
    return found


def _measured(stages: Sequence[Mapping[str, Any]]) -> Measured:
    return Measured(
        memory=max((s["memory"] for s in stages if s["memory"] is not None), default=None),
        disk=max((s["disk"] for s in stages if s["disk"] is not None), default=None),
        walls={s["stage"]: s["wall"] for s in stages if s["wall"] is not None},
    )


def _of_each(rows: Rows, query: str, datasets: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Ask about names, some at a time."""
    left = iter(dict.fromkeys(datasets))
    while some := list(islice(left, AT_ONCE)):
        parameters = {f"d{number}": name for number, name in enumerate(some)}
        names = ", ".join(f":{name}" for name in parameters)
        yield from rows(query.format(names=names, fields=", ".join(FIELDS)), parameters)
