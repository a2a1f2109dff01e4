"""Runs, what attempts read, and which run of a dataset is current."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.ledger.admission import refuse_other_content, run_values
from calib.ledger.attempts import Attempt, check_held
from calib.ledger.jobs import insert_once
from calib.ledger.location import hide_credentials
from calib.ledger.names import check_run_name_free
from calib.ledger.schema import current_run as current_runs
from calib.ledger.schema import exposure_header as exposure_headers
from calib.ledger.schema import input_used as inputs_used
from calib.ledger.schema import reference_used as references_used
from calib.ledger.schema import run as runs
from calib.records import ExposureReferences, InputFile, RawInputs, References, utc_now

# What makes the header of an exposure unique.
HEADER_KEY = ("dataset", "exposure", "context")


def ensure_run(connection: Connection, name: str, content: Mapping[str, Any]) -> int:
    """Return the number of a run, made if it is new.

    Parameters
    ----------
    name
        Name of the run.
    content
        Its ``context``, ``engine``, ``engine_version``, ``parameters`` (a mapping that JSON can
        hold) and ``output``; its ``kind``, where it is not ``processed``.

    Raises
    ------
    ConfigError
        The run exists with other content (a run is write-once), a collection has its name, or
        a parameter looks like a secret.
    """
    check_run_name_free(connection, name)
    values = run_values(content)
    found = insert_once(connection, runs, {"name": name}, {**values, "created_at": utc_now()})
    refuse_other_content(name, found._asdict(), values)
    return int(found.id)


def record_inputs(connection: Connection, attempt: Attempt, inputs: RawInputs) -> None:
    """Write down the input files of an attempt, in place of those of an earlier try.

    Raises
    ------
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    rows = input_rows(attempt.id, inputs.files, inputs.source)
    check_held(connection, attempt)
    connection.execute(delete(inputs_used).where(inputs_used.c.attempt_id == attempt.id))
    if rows:
        connection.execute(insert(inputs_used), rows)


def record_references(connection: Connection, attempt: Attempt, references: References) -> None:
    """Write down the references of an attempt, and the headers that selected them.

    An exposure has one header per context: the latest counts.

    Raises
    ------
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    rows = reference_rows(attempt.id, references)
    check_held(connection, attempt)
    connection.execute(delete(references_used).where(references_used.c.attempt_id == attempt.id))
    if rows:
        connection.execute(insert(references_used), rows)
    for exposure in references.exposures:
        _record_header(connection, attempt.dataset, exposure, references.context)


def set_current(connection: Connection, dataset: DatasetId, run: str) -> None:
    """Point a dataset at the run whose products are current.

    Raises
    ------
    ConfigError
        There is no such run.
    """
    run_id = run_row(connection, run).id
    values = {"run_id": run_id, "updated_at": utc_now()}
    found = insert_once(connection, current_runs, {"dataset": dataset.name}, values)
    if found.run_id != run_id:
        row = update(current_runs).where(current_runs.c.id == found.id)
        connection.execute(row.values(values))


def input_rows(attempt_id: int, files: Iterable[InputFile], source: str) -> list[dict[str, Any]]:
    """Return the rows of the input files of an attempt, one for each name."""
    shown = hide_credentials(source)
    found = {
        file.name: {
            "attempt_id": attempt_id,
            "name": file.name,
            "suffix": file.suffix,
            "rootname": file.rootname,
            "sha256": file.sha256,
            "size": file.size,
            "source": shown,
        }
        for file in files
    }
    return [*found.values()]


def reference_rows(attempt_id: int, references: References) -> list[dict[str, Any]]:
    """Return the rows of the references of an attempt, one for each exposure and keyword."""
    found = {
        (exposure.file, use.keyword): {
            "attempt_id": attempt_id,
            "exposure": exposure.file,
            "keyword": use.keyword,
            "name": use.name,
            "sha1": use.sha1,
            "required": use.required,
            "present": use.present,
        }
        for exposure in references.exposures
        for use in exposure.references
    }
    return [*found.values()]


def header_row(
    dataset: str, exposure: ExposureReferences, context: str, recorded_at: str
) -> dict[str, Any]:
    """Return the row of the header that selected the references of an exposure."""
    return {
        "dataset": dataset,
        "exposure": exposure.file,
        "context": context,
        "header": json.dumps(exposure.matching_header, sort_keys=True),
        "recorded_at": recorded_at,
    }


def _record_header(
    connection: Connection, dataset: str, exposure: ExposureReferences, context: str
) -> None:
    values = header_row(dataset, exposure, context, utc_now())
    key = {name: values.pop(name) for name in HEADER_KEY}
    found = insert_once(connection, exposure_headers, key, values)
    if found.header != values["header"]:
        row = update(exposure_headers).where(exposure_headers.c.id == found.id)
        connection.execute(row.values(values))


def run_row(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a run.

    Raises
    ------
    ConfigError
        There is no such run.
    """
    found = connection.execute(select(runs).where(runs.c.name == name)).one_or_none()
    if found is None:
        message = "the ledger has no such run"
        raise ConfigError(message, found=name)
    return found
