"""The inputs of visits (SVM) and skycells (MVM): calibrated exposures, and the list of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from calib.caldp import ENVIRONMENT
from calib.errors import CorruptFile, MissingMember, NotFound
from calib.fetch.copying import Copied
from calib.fetch.holdings import Holdings
from calib.fetch.selection import nearby
from calib.fitsfile import primary_header
from calib.hap_names import (
    POLLER,
    SHORT_LENGTH,
    ImageName,
    check_all_calibrated,
    choose_images,
    environment_name,
    is_image_of,
    poller_name,
    read_image_name,
)
from calib.ids import DatasetId
from calib.poller import (
    MOST_BYTES,
    Poller,
    PollerRow,
    poller_text,
    read_poller,
    row_of,
)
from calib.records import InputFile, Member
from calib.stores.s3_store import open_store
from calib.stores.uri import Source

_SHOWN = 12  # names in a message

# Elements of the filter wheels through which all light passes (ACS Instrument Handbook, table
# 3.3), and what stands where there is none.
_NO_FILTER = ("CLEAR", "N/A", "NONE")


def take_visit(
    dataset: DatasetId, holdings: Holdings, staging: Path, poller: Poller | None = None
) -> tuple[tuple[Member, ...], list[InputFile]]:
    """Take and verify the exposures of a visit or skycell, and write their poller.

    Parameters
    ----------
    dataset
        Visit or skycell.
    holdings
        The files at hand; their poller counts where there is one.
    staging
        Where files are put.
    poller
        One that was read elsewhere, which counts before that one.

    Returns
    -------
    tuple
        A member for each exposure, and the files: exposures and the poller, whose files lie
        beside it.

    Raises
    ------
    NotFound
        There is no exposure of the visit, or no poller of the skycell.
    MissingMember
        Files that the poller lists are not there, or exposures of the visit have only raw
        files; all of them are listed.
    CorruptFile
        The poller or a file is damaged, or the poller says something else of an exposure
        than its header.
    """
    listed = poller or _listed(dataset, holdings, staging)
    names = wanted_images(dataset, holdings, listed)
    copied = [holdings.take(name) for name in sorted(names)]
    rows = _rows(copied, listed)
    files = [_describe(each) for each in copied]
    members = tuple(Member(f.rootname, f.suffix.upper(), present=True) for f in files)
    files += _environment(dataset, holdings)
    return members, [_write_poller(dataset, rows, staging), *files]


def wanted_images(dataset: DatasetId, holdings: Holdings, poller: Poller | None) -> Sequence[str]:
    """Return the names of the exposures to take: those of the poller, else all of the visit.

    Raises
    ------
    NotFound, MissingMember
        As :func:`take_visit`.
    """
    if poller is not None:
        holdings.look_for(sorted({_read(name).visit for name in poller.names}))
        _check_there(dataset, poller.names, holdings.names)
        return poller.names
    # A registry answers with what a skycell was made of, and with nothing else.
    is_known = dataset.kind == "svm" or holdings.is_chosen
    names = choose_images(dataset, holdings.names) if is_known else ()
    if not names and dataset.kind == "mvm":
        raise _no_poller(dataset, holdings.names)
    if not names:
        raise NotFound(
            "no exposures of this visit",
            dataset=dataset.name,
            expected=f"{dataset.visit_root}..._flc.fits or {dataset.visit_root}..._flt.fits",
            found=nearby(dataset.visit_root, holdings.names),
        )
    if dataset.kind == "svm":
        check_all_calibrated(dataset, holdings.names)
    return names


def own_names(dataset: DatasetId, names: Iterable[str]) -> list[str]:
    """Return the names that concern a visit or skycell: an FLT beside its FLC is left out."""
    taken = {*choose_images(dataset, names), poller_name(dataset), environment_name(dataset)}
    return sorted(name for name in names if name in taken)


def has_inputs(dataset: DatasetId, names: Iterable[str]) -> bool:
    """Tell whether files of a folder are those of a visit or skycell, rather than an archive."""
    if dataset.kind == "mvm":  # exposures of any visit may lie there for another reason
        return poller_name(dataset) in set(names)
    return any(name == poller_name(dataset) or is_image_of(dataset, name) for name in names)


def bring_poller(dataset: DatasetId, source: Source, staging: Path) -> Poller | None:
    """Read the poller of ``astroquery:FOLDER`` or ``astroquery:s3://BUCKET/PREFIX``.

    Returns
    -------
    Poller
        None where the URI names no place.

    Raises
    ------
    NotFound
        There is no poller of this dataset: code 21, or 26 from a bucket.
    CorruptFile
        As :func:`calib.poller.read_poller`.
    """
    if source.scheme != "astroquery" or not source.location:
        return None
    if source.location.startswith("s3://"):
        return _from_bucket(dataset, source.location.removeprefix("s3://"), staging)
    path = source.path / poller_name(dataset)
    if not os.access(path, os.R_OK) or not path.is_file():
        message = "there is no poller, or it may not be read"
        raise NotFound(message, dataset=dataset.name, path=path)
    return read_poller(path, dataset)


def _from_bucket(dataset: DatasetId, location: str, staging: Path) -> Poller:
    store, name = open_store(location, "input"), poller_name(dataset)
    path = staging / f".{name}"
    stored = store.head(name)
    if stored is not None and stored.size > MOST_BYTES:
        expected = f"at most {MOST_BYTES} bytes"
        place = store.uri_of(name)
        raise CorruptFile("not a poller", path=place, expected=expected, found=stored.size)
    store.get(name, path)
    try:
        return read_poller(path, dataset)
    except CorruptFile as error:
        error.path = store.uri_of(name)
        raise


def _listed(dataset: DatasetId, holdings: Holdings, staging: Path) -> Poller | None:
    """Read the poller among the files; it makes room for the one that is written."""
    name = poller_name(dataset)
    if name not in holdings.names:
        return None
    place = staging / f".{name}"
    holdings.take(name).path.rename(place)
    try:
        return read_poller(place, dataset)
    except CorruptFile as error:
        error.path = name
        raise


def _check_there(dataset: DatasetId, wanted: Sequence[str], names: Collection[str]) -> None:
    there = set(names)
    if missing := [name for name in wanted if name not in there]:
        raise MissingMember(
            f"{len(missing)} of {len(wanted)} files of the poller are missing: "
            + " ".join(missing),
            dataset=dataset.name,
            expected=" ".join(wanted[:_SHOWN]) + (" ..." if len(wanted) > _SHOWN else ""),
            found=nearby(_read(missing[0]).visit, names),
        )


def _no_poller(dataset: DatasetId, names: Collection[str]) -> NotFound:
    return NotFound(
        "which exposures overlap a skycell is said by its poller, and there is none",
        dataset=dataset.name,
        expected=f"{poller_name(dataset)} beside the exposures (file:, s3:), in astroquery:FOLDER, "
        "or a skycell that was published here before (archive:)",
        found=nearby("hst_", names),
    )


def _rows(copied: Sequence[Copied], poller: Poller | None) -> list[PollerRow]:
    """Return the rows of the poller: those of the headers, with the flags of a supplied one."""
    found = {each.path.name: row_of(each.path.name, _header(each)) for each in copied}
    for row in poller.rows if poller else ():
        _check_agrees(row, found[row.name])
        found[row.name] = replace(found[row.name], flag=row.flag)
    return list(found.values())


def _header(copied: Copied) -> dict[str, object]:
    return dict(primary_header(copied.path))


def _check_agrees(said: PollerRow, found: PollerRow) -> None:
    """Compare what names products: a wrong detector or filter would mix what is not alike."""
    if _names_of(said) != _names_of(found):
        raise CorruptFile(
            "the poller contradicts the header of an exposure",
            path=said.name,
            expected=_shown(found),
            found=_shown(said),
        )


def _names_of(row: PollerRow) -> tuple[int, str, set[str]]:
    """Return what products are named after; empty places of filter wheels are not."""
    beam = row.filters.upper().split(";")
    return row.proposal, row.detector, {n for n in beam if not n.startswith(_NO_FILTER)}


def _shown(row: PollerRow) -> str:
    return f"proposal {row.proposal}, detector {row.detector}, filters {row.filters}"


def _describe(copied: Copied) -> InputFile:
    name = copied.path.name
    image, header = _read(name), _header(copied)
    root = str(header.get("ROOTNAME", "")).strip().lower()
    known = root if root[:SHORT_LENGTH] == image.short else image.exposure
    return InputFile(name, str(copied.path), copied.sha256, copied.size, image.suffix, known)


def _environment(dataset: DatasetId, holdings: Holdings) -> list[InputFile]:
    name = environment_name(dataset)
    if name not in holdings.names:
        return []
    taken = holdings.take(name)
    place = str(taken.path)
    return [InputFile(name, place, taken.sha256, taken.size, ENVIRONMENT, dataset.name)]


def _write_poller(dataset: DatasetId, rows: Iterable[PollerRow], staging: Path) -> InputFile:
    path = staging / poller_name(dataset)
    content = poller_text(dataset, rows).encode("ascii")
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return InputFile(path.name, str(path), digest, len(content), POLLER, dataset.name)


def _read(name: str) -> ImageName:
    image = read_image_name(name)
    if image is None:
        raise CorruptFile("not the name of a calibrated exposure", path=name)
    return image
