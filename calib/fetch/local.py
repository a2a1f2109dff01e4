"""Bring the complete, verified input files of a dataset into a private folder."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
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
)
from calib.fetch.copying import Copied
from calib.fetch.hap import bring_poller, has_inputs, take_visit
from calib.fetch.holdings import Holdings, PlainFiles, UnpackedFiles, list_folder, only_one
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
from calib.fetch.tarball import TarLimits, unpack_inputs
from calib.ids import DatasetId
from calib.poller import Poller
from calib.records import InputFile, Member, RawInputs
from calib.stores.uri import EXPECTED_INPUTS, Source, parse_uri

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
    """Copy and verify the input files of an exposure, association, visit or skycell.

    A ``file:`` folder is searched for ``ID_*.fits`` with an input suffix (`calib.caldp`) in
    any case; if it has none but has ``ID.tar.gz``, that is unpacked, and if it has a folder
    ``ID``, that is searched. A ``file:`` path may also be an archive itself. ``astroquery:`` asks
    MAST for the files and keeps downloads in a cache. ``s3:`` looks for ``ID.tar.gz``, then for
    the folder ``ID``; see :mod:`calib.fetch.s3`. ``archive:`` takes what a registry knows. For an
    association the exposures that its table marks present come too; an exposure comes alone,
    whatever its ASN_ID says. Files are copied, never linked, under lower-case names; nothing
    appears in `destination` before everything is verified.

    Of a visit (``acs_8ph_01``) come its calibrated exposures, the FLC of each where there is one
    and else its FLT, and the poller ``ID_input.out``. A poller among the files says which are
    taken; without one it is made from their headers. A skycell needs a poller: beside its files,
    or in the place that ``astroquery:PATH`` names. ``archive:`` takes the exposures of a visit
    that were calibrated here, and for a skycell those that it was made of before. The poller
    that is handed over is written anew, with all its files beside it.

    Parameters
    ----------
    dataset
        Exposure, association, visit or skycell.
    uri
        ``file:FOLDER``, ``file:ARCHIVE``, ``astroquery:[POLLERS]``, ``s3://BUCKET/PREFIX`` or
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
        Files in name order with sha256 and size, and every row of the association table; of a
        visit or skycell a member for each exposure.

    Raises
    ------
    ConfigError
        The URI is of an unknown kind, or `destination` cannot be written or holds files
        of these names.
    NotFound
        No such folder or archive, or no file of this dataset in it; no poller of a skycell.
        From MAST, code 22 here and below.
    MissingMember
        Exposures of the association, visit or poller are missing; all of them are listed.
    CorruptFile
        A file or archive is damaged, hostile or not what its name says.
    Proprietary
        MAST does not give the file to this user.
    Unavailable
        Reading, writing or MAST failed for a reason that may pass (disk full, I/O error).
    """
    source = source_of(dataset, uri)
    with _staging(destination) as staging:
        poller = None if dataset.kind == "ipst" else bring_poller(dataset, source, staging)
        if source.scheme == "astroquery":
            holdings = _open_mast(dataset, staging, options or FetchOptions())
        elif source.scheme == "s3":
            holdings = find_objects(dataset, source.location, staging, limits)
        elif source.scheme == "archive":
            holdings = RegisteredFiles(uri, _looked_up(registered, dataset), staging)
        else:
            holdings = open_local(dataset, source.path, staging, limits)
        members, files = take_all(dataset, holdings, staging, poller)
        inputs = _publish(files, destination.absolute())
    log.info("%s: %d input files from %s", dataset, len(inputs), holdings.origin)
    for note in holdings.notes:
        log.warning("%s: %s", dataset, note)
    origin = _recorded(source, holdings.origin)
    return RawInputs(dataset.name, origin, inputs, members, tuple(holdings.notes))


def _recorded(source: Source, origin: Path | str) -> str:
    """Return the source as it is recorded: what gives the same again, pollers included."""
    if source.scheme == "astroquery" and source.location:
        is_bucket = source.location.startswith("s3://")
        return f"astroquery:{source.location if is_bucket else source.path}"
    return f"file:{origin}" if isinstance(origin, Path) else origin


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
    """
    source = parse_uri(uri)
    if source.scheme == "none":
        message = "none is no source of inputs"
        raise ConfigError(message, dataset=dataset.name, expected=EXPECTED_INPUTS)
    return source


def _looked_up(
    registered: Mapping[str, RegisteredFile] | None, dataset: DatasetId
) -> Mapping[str, RegisteredFile]:
    if registered is None:
        message = "archive: needs the files that a registry has for this dataset"
        raise ConfigError(message, dataset=dataset.name, expected="registered=...")
    return registered


def _open_mast(dataset: DatasetId, staging: Path, options: FetchOptions) -> Holdings:
    # Here, since they bring in astroquery's requests.
    from calib.fetch.hap_mast import find_visit_holdings
    from calib.fetch.mast import find_holdings

    find = find_holdings if dataset.kind == "ipst" else find_visit_holdings
    return find(dataset, options, staging)


def open_local(
    dataset: DatasetId,
    path: Path,
    staging: Path,
    limits: TarLimits | None = None,
    *,
    files: type[PlainFiles] = PlainFiles,
) -> Holdings:
    """Open a folder or an archive; plain files win over an archive: they can be seen and mended.

    Where a folder has neither it may have a folder ``ID``, as ``hstflow fetch`` makes them.

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
        return UnpackedFiles(path, unpack_inputs(dataset, path, staging, limits))
    paths = _list_files(dataset, path)
    archives = paths.get(tarball_name(dataset.name))
    if archives is None or _has_own(dataset, paths):
        own = path / dataset.name
        if archives is None and not _has_own(dataset, paths) and own.is_dir():
            return files(own, _list_files(dataset, own), staging)
        return files(path, paths, staging)
    archive = only_one(archives)
    return UnpackedFiles(archive, unpack_inputs(dataset, archive, staging, limits))


def _has_own(dataset: DatasetId, names: Iterable[str]) -> bool:
    if dataset.kind != "ipst":
        return has_inputs(dataset, names)
    return bool(inputs_of(dataset.name, dataset.instrument, names))


def _list_files(dataset: DatasetId, folder: Path) -> dict[str, list[Path]]:
    try:
        return list_folder(folder)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise NotFound(
            "no such folder or archive, or it may not be read", dataset=dataset.name, path=folder
        ) from error


def take_all(
    dataset: DatasetId, holdings: Holdings, staging: Path, poller: Poller | None = None
) -> tuple[tuple[Member, ...], list[InputFile]]:
    """Take and verify the files of a dataset, what says which they are first.

    Parameters
    ----------
    staging
        Where files are put.
    poller
        Of a visit or skycell, where it came from another place than its files.

    Returns
    -------
    tuple
        Rows of the association table or poller, and the files, in the staging folder.

    Raises
    ------
    NotFound, MissingMember, CorruptFile
        As :func:`fetch_inputs`.
    """
    try:
        if dataset.kind != "ipst":
            return take_visit(dataset, holdings, staging, poller)
        association, files = _take_raws(dataset, holdings)
    except HstflowError as error:
        error.dataset = error.dataset or dataset.name
        if isinstance(error, NotFound | MissingMember):
            error.code = holdings.code
        _name_the_source(error, holdings.origin)
        raise
    return (association.members if association else ()), [describe(c.path, c) for c in files]


def _take_raws(
    dataset: DatasetId, holdings: Holdings
) -> tuple[Association | None, Iterable[Copied]]:
    taken: dict[str, Copied] = {}
    association = None
    if table := table_name(dataset, holdings.names):
        taken[table] = holdings.take(table)
        association = read_association(taken[table].path)
        holdings.look_for(association.required)
        names = association_files(association, dataset.instrument, holdings.names)
    else:
        names = exposure_files(dataset, holdings.names)
    taken |= {name: holdings.take(name) for name in names if name not in taken}
    return association, taken.values()


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


def _publish(files: Iterable[InputFile], folder: Path) -> tuple[InputFile, ...]:
    """Rename verified files into the destination: all of them, or none."""
    targets = {folder / file.name: file for file in files}
    if there := sorted(target.name for target in targets if target.exists()):
        raise ConfigError(
            "destination holds files of these names already",
            path=folder,
            expected="a fresh folder",
            found=" ".join(there),
        )
    for target, file in targets.items():
        Path(file.path).rename(target)
    return tuple(replace(file, path=str(target)) for target, file in sorted(targets.items()))


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
