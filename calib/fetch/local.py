"""Bring the complete, verified input files of a dataset into a private folder."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from calib import fitsfile
from calib.association import Association, read_rows
from calib.caldp import suffix_of, tarball_name
from calib.errors import (
    ConfigError,
    CorruptFile,
    HstflowError,
    MissingMember,
    NotFound,
    Unavailable,
    UnsupportedMode,
)
from calib.fetch.copying import Copied
from calib.fetch.holdings import Holdings, PlainFiles, UnpackedFiles
from calib.fetch.options import FetchOptions
from calib.fetch.registered import RegisteredFile, RegisteredFiles
from calib.fetch.s3 import find_holdings as find_objects
from calib.fetch.selection import (
    association_files,
    exposure_files,
    inputs_of,
    root_of,
    table_name,
)
from calib.fetch.tarball import TarLimits, unpack
from calib.ids import DatasetId
from calib.records import InputFile, RawInputs
from calib.stores.uri import EXPECTED, Source, parse_uri

log = logging.getLogger(__name__)

_TABLE_COLUMNS = ("MEMNAME", "MEMTYPE", "MEMPRSNT")


def fetch_inputs(
    dataset: DatasetId,
    uri: str,
    destination: Path,
    *,
    limits: TarLimits | None = None,
    options: FetchOptions | None = None,
    registered: Mapping[str, RegisteredFile] | None = None,
) -> RawInputs:
    """Copy and verify the input files of an exposure or association.

    A ``file:`` folder is searched for ``ID_*.fits`` with an input suffix (`calib.caldp`) in
    any case; if it has none but has ``ID.tar.gz``, that is unpacked. A ``file:`` path may
    also be an archive itself. ``astroquery:`` asks MAST for the files and keeps downloads in
    a cache. ``s3:`` looks for ``ID.tar.gz``, then for the folder ``ID``; see
    :mod:`calib.fetch.s3`. ``archive:`` takes what a registry knows. For an association the
    exposures that its table marks present come too; an exposure comes alone, whatever its
    ASN_ID says. Files are copied, never linked, under lower-case names; nothing appears in
    `destination` before everything is verified.

    Parameters
    ----------
    dataset
        Exposure or association.
    uri
        ``file:FOLDER``, ``file:ARCHIVE``, ``astroquery:``, ``s3://BUCKET/PREFIX`` or
        ``archive:[COLLECTION]``.
    destination
        A folder that belongs to the caller alone; made where absent. Files in it are never
        overwritten.
    limits
        What an archive may unpack to.
    options
        How to fetch over a network.
    registered
        For ``archive:`` the files that the registry has, by name
        (:func:`calib.repository.inputs.registered_inputs`).

    Returns
    -------
    RawInputs
        Files in name order with sha256 and size, and every row of the association table.

    Raises
    ------
    ConfigError
        The URI is of an unknown kind, or `destination` cannot be written or holds files
        of these names.
    NotFound
        No such folder or archive, or no file of this dataset in it. From MAST, code 22
        here and below.
    MissingMember
        Exposures of the association are missing; all of them are listed.
    CorruptFile
        A file or archive is damaged, hostile or not what its name says.
    Proprietary
        MAST does not give the file to this user.
    Unavailable
        Reading, writing or MAST failed for a reason that may pass (disk full, I/O error).
    UnsupportedMode
        The dataset is a visit or skycell.
    """
    source = source_of(dataset, uri)
    with _staging(destination) as staging:
        if source.scheme == "astroquery":
            holdings = _open_mast(dataset, staging, options or FetchOptions())
        elif source.scheme == "s3":
            holdings = find_objects(dataset, source.location, staging, limits)
        elif source.scheme == "archive":
            holdings = RegisteredFiles(uri, _looked_up(registered, dataset), staging)
        else:
            holdings = open_local(dataset, source.path, staging, limits)
        association, files = take_all(dataset, holdings)
        inputs = _publish(files, destination.absolute())
    members = association.members if association else ()
    log.info("%s: %d input files from %s", dataset, len(inputs), holdings.origin)
    origin = f"file:{holdings.origin}" if isinstance(holdings.origin, Path) else holdings.origin
    return RawInputs(dataset.name, origin, inputs, members)


def read_association(path: Path) -> Association:
    """Read the association table in a file ``ID_asn.fits``.

    Raises
    ------
    NotFound
        No such file.
    CorruptFile
        The file holds no table with the columns MEMNAME, MEMTYPE and MEMPRSNT, or its rows
        have no meaning.
    MissingMember
        No exposure is marked present.
    """
    with fitsfile.opened(path) as hdus:
        columns = getattr(hdus[1], "columns", None) if len(hdus) > 1 else None
        names = [] if columns is None else [n.upper() for n in columns.names]
        if not set(_TABLE_COLUMNS) <= set(names):
            raise CorruptFile(
                "no association table", path=path, expected=" ".join(_TABLE_COLUMNS), found=names
            )
        rows = [tuple(row[name] for name in _TABLE_COLUMNS) for row in hdus[1].data]
    return read_rows(root_of(path.name), rows)


def source_of(dataset: DatasetId, uri: str) -> Source:
    """Read the URI of the inputs of a dataset.

    Raises
    ------
    ConfigError
        It is none that inputs come from.
    UnsupportedMode
        The dataset is a visit or skycell.
    """
    source = parse_uri(uri)
    if source.scheme == "none":
        raise ConfigError("none is no source of inputs", dataset=dataset.name, expected=EXPECTED)
    if dataset.kind != "ipst":
        raise UnsupportedMode(
            "inputs of visits and skycells come with a later version",
            dataset=dataset.name,
            expected="ipppssoot such as j8bt05njq",
        )
    return source


def _looked_up(
    registered: Mapping[str, RegisteredFile] | None, dataset: DatasetId
) -> Mapping[str, RegisteredFile]:
    if registered is None:
        message = "archive: needs the files that a registry has for this dataset"
        raise ConfigError(message, dataset=dataset.name, expected="registered=...")
    return registered


def _open_mast(dataset: DatasetId, staging: Path, options: FetchOptions) -> Holdings:
    from calib.fetch.mast import find_holdings  # brings in astroquery's requests

    return find_holdings(dataset, options, staging)


def open_local(
    dataset: DatasetId,
    path: Path,
    staging: Path,
    limits: TarLimits | None = None,
    *,
    files: type[PlainFiles] = PlainFiles,
) -> Holdings:
    """Open a folder or an archive; plain files win over an archive: they can be seen and mended.

    Parameters
    ----------
    files
        How plain files are taken: copied, or looked at in place.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`fetch_inputs`.
    """
    if path.is_file():
        return UnpackedFiles(path, unpack(path, staging, dataset.instrument, limits))
    paths = _list_files(dataset, path)
    archive = paths.get(tarball_name(dataset.name))
    if archive is None or inputs_of(dataset.name, dataset.instrument, paths):
        return files(path, paths, staging)
    return UnpackedFiles(archive, unpack(archive, staging, dataset.instrument, limits))


def _list_files(dataset: DatasetId, folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    try:
        entries = sorted(p for p in folder.iterdir() if p.is_file())
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise NotFound(
            "no such folder or archive, or it may not be read", dataset=dataset.name, path=folder
        ) from error
    for entry in entries:
        name = entry.name.lower()
        if name in paths and root_of(name) == dataset.name:
            raise CorruptFile(
                "two files whose names differ in case only",
                dataset=dataset.name,
                path=folder,
                found=f"{paths[name].name} {entry.name}",
            )
        paths[name] = entry
    return paths


def take_all(dataset: DatasetId, holdings: Holdings) -> tuple[Association | None, list[Copied]]:
    """Take and verify the files of a dataset, the association table first.

    Raises
    ------
    NotFound, MissingMember, CorruptFile
        As :func:`fetch_inputs`.
    """
    taken: dict[str, Copied] = {}
    association = None
    try:
        if table := table_name(dataset, holdings.names):
            taken[table] = holdings.take(table)
            association = read_association(taken[table].path)
            holdings.look_for(association.required)
            names = association_files(association, dataset.instrument, holdings.names)
        else:
            names = exposure_files(dataset, holdings.names)
        taken |= {name: holdings.take(name) for name in names if name not in taken}
    except HstflowError as error:
        error.dataset = error.dataset or dataset.name
        if isinstance(error, NotFound | MissingMember):
            error.code = holdings.code
        _name_the_source(error, holdings.origin)
        raise
    return association, list(taken.values())


def _name_the_source(error: HstflowError, source: Path | str) -> None:
    """Say where the file came from: the staging folder is gone when the message is read."""
    if error.path is None:
        error.path = str(source)
    elif "://" not in error.path and Path(error.path).parent != source:
        error.path = f"{source}/{Path(error.path).name}"


@contextmanager
def _staging(destination: Path) -> Iterator[Path]:
    """Lend a hidden folder inside the destination, so that publishing is a rename."""
    made = not destination.exists()
    try:
        destination.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".fetch-", dir=destination))
    except OSError as error:
        raise ConfigError(
            f"cannot write to the destination: {error.strerror}", path=destination
        ) from error
    try:
        yield staging
    except OSError as error:
        raise Unavailable(f"reading or writing failed: {error}", path=error.filename) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and not any(destination.iterdir()):
            destination.rmdir()


def _publish(files: Iterable[Copied], folder: Path) -> tuple[InputFile, ...]:
    """Rename verified files into the destination: all of them, or none."""
    targets = {folder / copied.path.name: copied for copied in files}
    if there := sorted(target.name for target in targets if target.exists()):
        raise ConfigError(
            "destination holds files of these names already",
            path=folder,
            expected="a fresh folder",
            found=" ".join(there),
        )
    for target, copied in targets.items():
        copied.path.rename(target)
    return tuple(describe(target, copied) for target, copied in sorted(targets.items()))


def describe(path: Path, copied: Copied) -> InputFile:
    """Return the record of an input file."""
    return InputFile(
        name=path.name,
        path=str(path),
        sha256=copied.sha256,
        size=copied.size,
        suffix=suffix_of(path.name),
        rootname=root_of(path.name),
    )
