"""Objects into the archive: written, published in a run of their own, registered."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from calib.archive.fingerprint import fingerprint
from calib.archive.layout import check_run_name, relative_name
from calib.archive.outputs import Output, open_output
from calib.archive.provenance import environment_versions
from calib.archive.publish import File, Publication
from calib.errors import ArchiveError, ConfigError, CorruptFile
from calib.fitsfile import primary_header
from calib.fitsfile.identity import data_id_of
from calib.formats import write_file
from calib.ids import DatasetId, parse_dataset, rootname_of
from calib.ledger.fitness import refuse_unfit
from calib.ledger.ingested import KIND, Origin, add_data_ids, rows_of_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.publications import record_publications
from calib.ledger.registry import ensure_run, set_current
from calib.records import Archived, DataId
from calib.repository.registration import registration_of
from calib.stores.store import hash_file

# What the run and the manifest say of products that hstflow did not make.
ORIGIN = "put"


def put(
    objects: Mapping[str, Any],
    dataset: str,
    run: str,
    *,
    output: str,
    ledger: Ledger,
    parameters: Mapping[str, Any] | None = None,
) -> Archived:
    """Publish objects as products of a dataset, in one publication: all of them, or none.

    What was the current version of the dataset stays so; a dataset that had none gets this
    one. The same again changes nothing.

    Parameters
    ----------
    objects
        By file name: CCDData or a list of them, Table, Ramp, str, or anything else that the
        format of this name writes (:mod:`calib.formats`). A path is taken as it is.
    dataset
        Exposure or association that the products show.
    run
        Write-once collection, of kind ``ingested``; made if it is new. A run that hstflow
        processed into is refused.
    output
        ``file:PATH`` or ``s3://BUCKET/PREFIX``.
    ledger
        Where the products are registered.
    parameters
        How they were made, as JSON, for the manifest.

    Returns
    -------
    Archived
        Where they are; ``already_there`` if the run had the same products before.

    Raises
    ------
    ConfigError
        The name of the dataset, run or a type of object cannot be used, or the run is another
        one. Nothing was written.
    ArchiveError
        The run holds other products for this dataset, a file name is not allowed, a header has
        a value that the ledger cannot hold, or the output cannot be written. Nothing is
        half-published.

    Examples
    --------
    >>> image.data[image.mask] = 0  # doctest: +SKIP
    >>> put(
    ...     {"j8bt05njq_flt.fits": image},
    ...     "j8bt05njq",
    ...     "patched",
    ...     output="file:out",
    ...     ledger=ledger,
    ... )  # doctest: +SKIP
    """
    identity, place = parse_dataset(dataset), open_output(output)
    names = [relative_name("product", name) for name in objects]
    with tempfile.TemporaryDirectory(prefix="hstflow-put-") as scratch:
        files = [_write(Path(scratch) / name, objects[name]) for name in names]
        ledger.write(lambda c: ensure_run(c, check_run_name(run), _content(place)))
        publication = _publication(identity, run, files, dict(parameters or {}))
        is_first = place.current_manifest(identity) is None
        archived = place.publish(replace(publication, becomes_current=is_first, follows=is_first))
    _register(ledger, place, identity, archived)
    return archived


def _content(place: Output) -> dict[str, Any]:
    """Return what all publications of the run share: nothing but where they are."""
    return {
        "kind": KIND,
        "context": "",
        "engine": ORIGIN,
        "engine_version": "",
        "parameters": {},
        "output": place.uri,
    }


def _write(path: Path, thing: Any) -> Path:
    if not isinstance(thing, Path):
        write_file(path, thing)
        return path
    try:
        return Path(shutil.copyfile(thing, path))
    except OSError as error:
        message = f"a file to publish cannot be read: {error.strerror}"
        raise ArchiveError(message, path=thing) from error


def _publication(
    dataset: DatasetId, run: str, files: list[Path], parameters: dict[str, Any]
) -> Publication:
    sums = {path.name: hash_file(path) for path in files}
    shown = [*_data_ids(dataset, files)]
    refuse_unfit(dataset.name, rows_of_dataset((), shown, (), Origin()))
    mark = fingerprint(
        dataset,
        inputs=[f"{name} {checksum}" for name, checksum in sums.items()],
        context="",
        references=[],
        engine=ORIGIN,
        parameters=parameters,
    )
    provenance = {
        "origin": ORIGIN,
        "parameters": parameters,
        "data_ids": [asdict(each) for each in shown],
        "environment": environment_versions(),
    }
    published = tuple(File("product", path, sums[path.name]) for path in files)
    return Publication(dataset, run, mark, published, provenance)


def _data_ids(dataset: DatasetId, files: list[Path]) -> Iterator[DataId]:
    """Yield what the headers of the files say that they show, one per exposure."""
    seen: set[str] = set()
    for path in files:
        rootname = rootname_of(path.name, dataset.name)
        if rootname in seen or not path.name.endswith(".fits"):
            continue
        try:
            yield data_id_of(rootname, primary_header(path))
        except (ConfigError, CorruptFile):  # named .fits by somebody else's format
            continue
        seen.add(rootname)


def _register(ledger: Ledger, place: Output, dataset: DatasetId, archived: Archived) -> None:
    manifest = place.manifest(archived.run, dataset)
    found = registration_of(manifest, archived.uri, archived.manifest_sha256)
    is_current = place.pointed_run(dataset) == archived.run

    def record(connection: Connection) -> None:
        record_publications(connection, [found.published])
        # A table of ours says less than the raw did.
        add_data_ids(connection, found.data_ids)
        if is_current:
            set_current(connection, dataset, archived.run)

    ledger.write(record)
