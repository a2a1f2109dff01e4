"""What the files of one dataset are: their bytes, what they show, and what made them."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calib.archive.layout import Role, relative_name
from calib.caldp import EXPOSURE_SUFFIXES, IMAGE_SUFFIXES, SPECTRUM_SUFFIXES
from calib.errors import CorruptFile
from calib.fetch.local import read_association
from calib.fetch.tarball import unpack
from calib.fitsfile import primary_header
from calib.fitsfile.identity import data_id_of, shared_data_id
from calib.ids import parse_dataset
from calib.ledger.fitness import refuse_unfit
from calib.ledger.ingested import Origin, rows_of_dataset
from calib.ledger.publications import PublishedFile, dataset_type
from calib.records import DataId, Member
from calib.repository.sources import FoundFile, Source
from calib.repository.templates import Placed, open_layout, place

# Programs that make CAL_VER, by instrument (HST Data Handbook, section 3.2).
_PROGRAMS = {"acs": "calacs", "wfc3": "calwf3", "cos": "calcos", "stis": "calstis"}

# Fields of a path that say what a header may not.
_SHOWN = ("detector", "filter", "proposal")

NOTHING_SAID = Origin()

# Reading a header changes Python's warning filters for a moment, which all threads share.
_one_header = threading.Lock()


@dataclass(frozen=True)
class Candidate:
    """A file that was found, and what its path says."""

    placed: Placed
    found: FoundFile


@dataclass(frozen=True)
class Part:
    """One file of a dataset, within reach.

    Attributes
    ----------
    role, name
        What it is, and its file name.
    type, rootname
        Dataset type, and the exposure or association that it shows.
    size, sha256
        Bytes, and their checksum (hexadecimal); None where nobody computed it.
    uri
        Where it came from.
    path
        Where it can be read now; None where nobody brought it.
    fields
        What its path says.
    """

    role: Role
    name: str
    type: str
    rootname: str
    size: int
    sha256: str | None
    uri: str
    path: Path | None
    fields: Mapping[str, str]

    @property
    def archived_name(self) -> str:
        """Where it lies below the folder of its dataset."""
        return relative_name(self.role, self.name)

    @property
    def entry(self) -> PublishedFile:
        """What the registry keeps of it where it stays in its place."""
        return PublishedFile(
            self.archived_name, self.type, self.rootname, self.sha256, self.size, self.uri
        )


@dataclass(frozen=True)
class Examined:
    """What a dataset is.

    Attributes
    ----------
    parts
        Its files, in the order of their names in the archive.
    data_ids
        What its exposures show.
    members
        Rows of its association table.
    origin
        What made it.
    """

    parts: tuple[Part, ...]
    data_ids: tuple[DataId, ...] = ()
    members: tuple[Member, ...] = ()
    origin: Origin = NOTHING_SAID


def bring_parts(
    source: Source, candidates: Sequence[Candidate], folder: Path, *, checksums: bool, headers: bool
) -> tuple[Part, ...]:
    """Bring the files of a dataset within reach, those of its tarball too.

    Parameters
    ----------
    source, candidates
        Where they are.
    folder
        A private folder for what has to be copied or unpacked.
    checksums
        Read all files, and compute their sha256.
    headers
        Bring at least the files whose headers are going to be read.

    Raises
    ------
    CorruptFile
        Two files have one name, or a tarball is damaged or hostile.
    HstflowError
        A file is gone, or cannot be read.
    """
    parts: list[Part] = []
    for each in candidates:
        if each.placed.is_tarball:
            parts += _unpacked(source, each, folder)
        else:
            parts.append(_bring(source, each, folder, checksums=checksums))
    if headers and not (checksums or source.is_local):
        parts = [*_bring_heads(source, candidates, parts, folder)]
    parts.sort(key=lambda part: part.archived_name)
    for one, other in itertools.pairwise(parts):
        if one.archived_name == other.archived_name:
            message = "two files of one name"
            raise CorruptFile(message, path=one.uri, found=f"{one.uri} and {other.uri}")
    return tuple(parts)


def examine(dataset: str, parts: Sequence[Part], *, headers: bool) -> Examined:
    """Say what a dataset is.

    Parameters
    ----------
    dataset
        Its name.
    parts
        Its files, within reach.
    headers
        Read a primary header of every exposure, and the association table; otherwise names
        and paths say what they can.

    Raises
    ------
    CorruptFile
        A file is not FITS, is not what its name says, or the table has no meaning.
    MissingMember
        The association table marks no exposure as present.
    ArchiveError
        A name or a value of a header does not fit the ledger.
    """
    found = _examined(dataset, parts, headers=headers)
    files = [part.entry for part in parts]
    rows = rows_of_dataset(files, found.data_ids, found.members, found.origin)
    refuse_unfit(dataset, rows)
    return found


def _examined(dataset: str, parts: Sequence[Part], *, headers: bool) -> Examined:
    if not headers:
        return Examined(tuple(parts), tuple(_named_data_ids(parts)))
    heads = {part.rootname: part for part in _heads(parts)}
    texts = {root: _header(part) for root, part in heads.items()}
    found = {root: _data_id(heads[root], text) for root, text in texts.items()}
    members = _members(dataset, parts)
    inputs = [m.name for m in members if m.present and not m.type.startswith("PROD")]
    shared = [found[name] for name in inputs if name in found and name != dataset]
    if shared:
        found[dataset] = shared_data_id(dataset, shared)
    return Examined(tuple(parts), tuple(found.values()), members, _origin(texts.values()))


def _bring(source: Source, each: Candidate, folder: Path, *, checksums: bool) -> Part:
    placed = each.placed
    is_read = checksums or source.is_local
    local = source.bring(placed.key, folder, checksum=checksums) if is_read else None
    return Part(
        role=placed.role,
        name=placed.name,
        type=dataset_type(placed.name, placed.role),
        rootname=placed.rootname,
        size=each.found.size,
        sha256=local.sha256 if local else None,
        uri=source.uri_of(placed.key),
        path=local.path if local else None,
        fields=placed.fields,
    )


def _bring_heads(
    source: Source, candidates: Sequence[Candidate], parts: Sequence[Part], folder: Path
) -> Iterable[Part]:
    keys = {source.uri_of(each.placed.key): each.placed.key for each in candidates}
    wanted = {part.uri for part in _heads(parts)} | {p.uri for p in parts if p.type == "asn"}
    for part in parts:
        if part.path is None and part.uri in wanted:
            local = source.bring(keys[part.uri], folder, checksum=False)
            yield replace(part, path=local.path)
        else:
            yield part


def _unpacked(source: Source, each: Candidate, folder: Path) -> list[Part]:
    """Unpack CALDP's archive of a dataset; what is in it is told by its name alone."""
    dataset, layout = each.placed.dataset, open_layout("caldp")
    local = source.bring(each.placed.key, folder, checksum=False)
    target = Path(tempfile.mkdtemp(dir=folder))  # a dataset may have two tarballs

    def named(name: str) -> Placed | None:
        return place(layout, f"{dataset}/{name}")

    copied = unpack(
        local.path,
        target,
        parse_dataset(dataset).instrument,
        is_wanted=lambda name: named(name) is not None,
    )
    uri = source.uri_of(each.placed.key)
    return [
        Part(
            role=placed.role,
            name=name,
            type=dataset_type(name, placed.role),
            rootname=placed.rootname,
            size=found.size,
            sha256=found.sha256,
            uri=f"{uri}#{name}",
            path=found.path,
            fields=each.placed.fields,
        )
        for name, found in copied.items()
        if (placed := named(name))
    ]


def _heads(parts: Sequence[Part]) -> list[Part]:
    """Choose one file for every exposure whose header says what it is.

    A calibrated product also says what made it; then a raw file, then any other.
    """
    best: dict[str, tuple[int, Part]] = {}
    for part in parts:
        if part.role == "product" and part.name.lower().endswith((".fits", ".fits.gz")):
            rank = _rank(part)
            if rank < best.get(part.rootname, (9, part))[0]:
                best[part.rootname] = (rank, part)
    return [part for _, part in best.values()]


def _rank(part: Part) -> int:
    instrument = parse_dataset(part.rootname).instrument
    if part.type in EXPOSURE_SUFFIXES.get(instrument, ()) or part.type.startswith("raw"):
        return 1
    made = IMAGE_SUFFIXES.get(instrument, frozenset()) | SPECTRUM_SUFFIXES.get(
        instrument, frozenset()
    )
    return 0 if part.type in made else 2 if part.type == "asn" else 3


def _header(part: Part) -> Mapping[str, Any]:
    if part.path is None:
        raise CorruptFile("a header that was not brought", path=part.uri)
    with _one_header:
        header: Mapping[str, Any] = primary_header(part.path)
    named = str(header.get("ROOTNAME", part.rootname)).strip().lower()
    if part.type.startswith("raw") and named != part.rootname:
        raise CorruptFile(
            "the header is that of another exposure",
            path=part.uri,
            expected=f"ROOTNAME {part.rootname}",
            found=named,
        )
    return header


def _data_id(part: Part, header: Mapping[str, Any]) -> DataId:
    return _with_fields(data_id_of(part.rootname, header), part.fields)


def _named_data_ids(parts: Iterable[Part]) -> Iterable[DataId]:
    firsts = {part.rootname: part for part in parts if part.role == "product"}
    for part in firsts.values():
        yield _data_id(part, {})


def _with_fields(found: DataId, fields: Mapping[str, str]) -> DataId:
    """Let the path say what the header does not."""
    values = {n: fields[n] for n in _SHOWN if n in fields and getattr(found, n) is None}
    changes: dict[str, Any] = {n: int(v) if n == "proposal" else v for n, v in values.items()}
    return replace(found, **changes)


def _members(dataset: str, parts: Iterable[Part]) -> tuple[Member, ...]:
    tables = [p for p in parts if p.type == "asn" and p.rootname == dataset and p.path]
    if not tables or tables[0].path is None:
        return ()
    with _one_header:
        return read_association(tables[0].path).members


def _origin(headers: Iterable[Mapping[str, Any]]) -> Origin:
    """Return what made a dataset; empty where its files do not say, or not the same."""
    said = {_origin_of(header) for header in headers} - {NOTHING_SAID}
    return said.pop() if len(said) == 1 else NOTHING_SAID


def _origin_of(header: Mapping[str, Any]) -> Origin:
    version = str(header.get("CAL_VER", "")).strip()
    if not version:
        return NOTHING_SAID
    instrument = str(header.get("INSTRUME", "")).strip().lower()
    context = str(header.get("CRDS_CTX", "")).strip().lower()
    return Origin(context, _PROGRAMS.get(instrument, "external"), version)
