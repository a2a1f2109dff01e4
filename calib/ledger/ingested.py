"""Rows of what was made elsewhere: runs that are filled by ingests, and what they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, update

from calib.errors import ConfigError
from calib.ledger.jobs import insert_once
from calib.ledger.location import hide_credentials
from calib.ledger.names import check_run_name_free
from calib.ledger.publications import PublishedFile, record_data_ids
from calib.ledger.registry import run_row
from calib.ledger.reports import Rows
from calib.ledger.schema import current_run as current_runs
from calib.ledger.schema import data_id as data_ids
from calib.ledger.schema import member as members
from calib.ledger.schema import product as products
from calib.ledger.schema import run as runs
from calib.ledger.upsert import insert_absent, upsert
from calib.records import DataId, Member, utc_now

KIND = "ingested"

# What a run is said to have where its datasets differ; where none says anything it is empty.
MIXED = "mixed"

_ORIGINS = ("context", "engine", "engine_version")


@dataclass(frozen=True)
class Origin:
    """What made a dataset, as its headers say.

    Attributes
    ----------
    context
        CRDS context.
    engine, engine_version
        Calibration program: ``calacs``, ``10.4.0``.

    What the headers do not say is empty.
    """

    context: str = ""
    engine: str = ""
    engine_version: str = ""


@dataclass(frozen=True)
class KnownFile:
    """A file that a run has; `sha256` is None where nobody computed it."""

    sha256: str | None
    size: int


_KNOWN = """
SELECT publication.dataset AS dataset, product.name AS name, product.sha256 AS sha256,
  product.size AS size
FROM product JOIN publication ON publication.id = product.publication_id
  JOIN run ON run.id = publication.run_id
WHERE run.name = :run AND publication.removed_at IS NULL AND publication.dataset IN ({names})
"""


def known_files(rows: Rows, run: str, datasets: Sequence[str]) -> dict[str, dict[str, KnownFile]]:
    """Return the files that a run has, by dataset and name."""
    parameters = {f"d{number}": dataset for number, dataset in enumerate(datasets)}
    found: dict[str, dict[str, KnownFile]] = {}
    query = _KNOWN.format(names=", ".join(f":{name}" for name in parameters))
    for row in rows(query, {"run": run, **parameters}) if parameters else ():
        files = found.setdefault(row["dataset"], {})
        files[row["name"]] = KnownFile(row["sha256"], int(row["size"]))
    return found


def ensure_ingested_run(
    connection: Connection, name: str, output: str, *, is_in_place: bool = False
) -> int:
    """Return the number of a run for what was made elsewhere, made if it is new.

    Parameters
    ----------
    name
        Name of the run.
    output
        Where its files lie: the archive, or the source of files that stay in place.
    is_in_place
        The files stay where they are: those of a run may lie in many places.

    Raises
    ------
    ConfigError
        A run that we processed, or a collection, has this name; or the run lies in another
        output, where verify and prune look for its files.
    """
    check_run_name_free(connection, name)
    values: dict[str, Any] = dict.fromkeys(_ORIGINS, "")
    values |= {"kind": KIND, "parameters": "{}", "output": hide_credentials(output)}
    found = insert_once(connection, runs, {"name": name}, {**values, "created_at": utc_now()})
    if found.kind != KIND:
        message = "this run was processed here, nothing is ingested into it: use another name"
        raise ConfigError(message, expected=f"a run that was {KIND}", found=name)
    if found.output != values["output"] and not is_in_place:
        message = f"run {name} lies in another output: use another name"
        raise ConfigError(message, expected=found.output, found=values["output"])
    return int(found.id)


def add_origins(connection: Connection, run: str, origins: Collection[Origin]) -> None:
    """Say of a run what made its datasets, as far as they agree.

    Raises
    ------
    ConfigError
        There is no such run.
    """
    row = run_row(connection, run)
    values = {}
    for name in _ORIGINS:
        said = {getattr(row, name), *(getattr(each, name) for each in origins)} - {""}
        values[name] = MIXED if len(said) > 1 else next(iter(said), "")
    if any(getattr(row, name) != value for name, value in values.items()):
        connection.execute(update(runs).where(runs.c.id == row.id).values(values))


def rows_of_dataset(
    files: Iterable[PublishedFile],
    found: Iterable[DataId],
    of_table: Iterable[Member],
    origin: Origin,
) -> Iterator[tuple[Table, Mapping[str, Any]]]:
    """Yield what is going to be written of a dataset, for :mod:`calib.ledger.fitness`."""
    yield from ((products, vars(file)) for file in files)
    yield from ((data_ids, vars(each)) for each in found)
    yield from ((members, {"rootname": each.name, "type": each.type}) for each in of_table)
    yield runs, vars(origin)


def enter_data_ids(connection: Connection, found: Sequence[DataId]) -> None:
    """Write down what exposures show; names alone never take away what a header has said."""
    record_data_ids(connection, [each for each in found if _is_from_header(each)])
    add_data_ids(connection, [each for each in found if not _is_from_header(each)])


def _is_from_header(found: DataId) -> bool:
    """Tell whether it says what no name and no path does."""
    return any(value is not None for value in (found.target, found.observed_at, found.exptime))


def add_data_ids(connection: Connection, found: Iterable[DataId]) -> None:
    """Write down what exposures show where nobody has said anything yet."""
    rows = {each.rootname: vars(each) for each in found}
    insert_absent(connection, data_ids, list(rows.values()), ["rootname"])


def set_current_runs(
    connection: Connection, run: str, datasets: Iterable[str], *, replace: bool
) -> None:
    """Make a run the current one of many datasets.

    Parameters
    ----------
    replace
        Also where another run is current.

    Raises
    ------
    ConfigError
        There is no such run.
    """
    run_id, now = run_row(connection, run).id, utc_now()
    rows = [
        {"dataset": dataset, "run_id": run_id, "updated_at": now}
        for dataset in dict.fromkeys(datasets)
    ]
    write = upsert if replace else insert_absent
    write(connection, current_runs, rows, ["dataset"])
