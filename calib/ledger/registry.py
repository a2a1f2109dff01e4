"""What exists: runs, products, what they were made from, and which run is current."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from calib.errors import ArchiveError, ConfigError
from calib.ids import DatasetId
from calib.ledger.attempts import Attempt, check_held
from calib.ledger.clock import utc_now
from calib.ledger.jobs import insert_once
from calib.ledger.location import hide_credentials
from calib.ledger.schema import current_run as current_runs
from calib.ledger.schema import exposure_header as exposure_headers
from calib.ledger.schema import input_used as inputs_used
from calib.ledger.schema import product as products
from calib.ledger.schema import reference_used as references_used
from calib.ledger.schema import run as runs
from calib.records import ExposureReferences, ProductFile, RawInputs, References

# Words in the names of parameters whose values have no place in a database.
_SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "apikey", "api_key")


def ensure_run(connection: Connection, name: str, content: Mapping[str, Any]) -> int:
    """Return the number of a run, made if it is new.

    Parameters
    ----------
    name
        Name of the run.
    content
        Its ``context``, ``engine``, ``engine_version``, ``parameters`` (a mapping that JSON can
        hold) and ``output``.

    Raises
    ------
    ConfigError
        The run exists with other content (a run is write-once), or a parameter looks like a
        secret.
    """
    parameters = content["parameters"]
    _refuse_secrets(parameters)
    values = {
        **content,
        "parameters": json.dumps(parameters, sort_keys=True),
        "output": hide_credentials(content["output"]),
    }
    found = insert_once(connection, runs, {"name": name}, {**values, "created_at": utc_now()})
    for field, asked in values.items():
        if getattr(found, field) != asked:
            message = f"run {name} exists with another {field}: a run is write-once"
            raise ConfigError(message, expected=getattr(found, field), found=asked)
    return int(found.id)


def record_inputs(connection: Connection, attempt: Attempt, inputs: RawInputs) -> None:
    """Write down the input files of an attempt, in place of those of an earlier try.

    Raises
    ------
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    source = hide_credentials(inputs.source)
    rows = [
        {
            "attempt_id": attempt.id,
            "name": file.name,
            "suffix": file.suffix,
            "rootname": file.rootname,
            "sha256": file.sha256,
            "size": file.size,
            "source": source,
        }
        for file in inputs.files
    ]
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
    rows = [row for each in references.exposures for row in _reference_rows(attempt, each)]
    check_held(connection, attempt)
    connection.execute(delete(references_used).where(references_used.c.attempt_id == attempt.id))
    if rows:
        connection.execute(insert(references_used), rows)
    for exposure in references.exposures:
        _record_header(connection, attempt.dataset, exposure, references.context)


def record_products(
    connection: Connection,
    attempt: Attempt | None,
    dataset: DatasetId,
    place: tuple[str, str],
    files: Sequence[ProductFile],
) -> None:
    """Write down the files of a published dataset; the same again changes nothing.

    Parameters
    ----------
    attempt
        The attempt that published them; None where a ledger is rebuilt from manifests.
    dataset
        Whose products they are.
    place
        Name of the run, and URI of the dataset's folder in it.
    files
        The products; names are relative to the folder.

    Raises
    ------
    ArchiveError
        The run has a file of this name with another checksum: a run is write-once.
    ConfigError
        There is no such run.
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    run, uri = place
    if attempt is not None:
        check_held(connection, attempt)
    found = _run_row(connection, run)
    key = {"run_id": found.id, "dataset": dataset.name}
    known = {row.name: row.sha256 for row in connection.execute(select(products).filter_by(**key))}
    _refuse_changed(known, dataset, run, files)
    common = {**key, "attempt_id": attempt.id if attempt else None, "created_at": utc_now()}
    rows = [{**common, **_product_row(uri, file)} for file in files if file.name not in known]
    if rows:
        connection.execute(insert(products), rows)


def set_current(connection: Connection, dataset: DatasetId, run: str) -> None:
    """Point a dataset at the run whose products are current.

    Raises
    ------
    ConfigError
        There is no such run.
    """
    run_id = _run_row(connection, run).id
    values = {"run_id": run_id, "updated_at": utc_now()}
    found = insert_once(connection, current_runs, {"dataset": dataset.name}, values)
    if found.run_id != run_id:
        row = update(current_runs).where(current_runs.c.id == found.id)
        connection.execute(row.values(values))


def suffix_of(name: str) -> str:
    """Return the dataset type of a product: ``j8bt05njq_flt.fits`` is a ``flt``.

    A name without an underscore gives its extension: ``j8bt05njq.tra`` is a ``tra``.
    """
    stem, _, extension = name.rpartition("/")[2].partition(".")
    return stem.rpartition("_")[2] if "_" in stem else extension


def _reference_rows(attempt: Attempt, exposure: ExposureReferences) -> list[dict[str, Any]]:
    return [
        {
            "attempt_id": attempt.id,
            "exposure": exposure.file,
            "keyword": use.keyword,
            "name": use.name,
            "sha1": use.sha1,
            "required": use.required,
            "present": use.present,
        }
        for use in exposure.references
    ]


def _record_header(
    connection: Connection, dataset: str, exposure: ExposureReferences, context: str
) -> None:
    key = {"dataset": dataset, "exposure": exposure.file, "context": context}
    header = json.dumps(exposure.matching_header, sort_keys=True)
    values = {"header": header, "recorded_at": utc_now()}
    found = insert_once(connection, exposure_headers, key, values)
    if found.header != header:
        row = update(exposure_headers).where(exposure_headers.c.id == found.id)
        connection.execute(row.values(values))


def _product_row(uri: str, file: ProductFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "suffix": suffix_of(file.name),
        "sha256": file.sha256,
        "size": file.size,
        "uri": f"{hide_credentials(uri).rstrip('/')}/{file.name}",
    }


def _run_row(connection: Connection, name: str) -> Row[Any]:
    found = connection.execute(select(runs).where(runs.c.name == name)).one_or_none()
    if found is None:
        message = "the ledger has no such run"
        raise ConfigError(message, found=name)
    return found


def _refuse_changed(
    known: Mapping[str, str], dataset: DatasetId, run: str, files: Sequence[ProductFile]
) -> None:
    for file in files:
        before = known.get(file.name, file.sha256)
        if before != file.sha256:
            message = f"run {run} has this product with other content: a run is write-once"
            raise ArchiveError(
                message, dataset=dataset.name, path=file.name, expected=before, found=file.sha256
            )


def _refuse_secrets(parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if any(word in name.lower() for word in _SECRET_WORDS):
            message = "a parameter that looks like a secret is not stored in the ledger"
            raise ConfigError(message, found=name)
        if isinstance(value, Mapping):
            _refuse_secrets(value)
