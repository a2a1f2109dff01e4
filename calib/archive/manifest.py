"""The manifest: what a publication holds, with checksums, and how it was made.

It is written last, so a folder with a manifest is complete. It is the truth about products;
from manifests alone the ledger can be rebuilt.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

from calib.archive.layout import FOLDER_BY_ROLE, MANIFEST, Role, relative_name
from calib.errors import ArchiveError, ConfigError
from calib.ids import DatasetId, is_run_name, parse_dataset
from calib.records import first_fault, from_json, to_json

# Raised when a field changes its meaning; readers pass over fields that they do not know.
SCHEMA = 1

# A file takes some 200 bytes of a manifest, and the largest datasets have some thousand files:
# what is larger is no manifest of ours, and would be gigabytes once parsed. Bytes.
LARGEST = 32 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """One archived file.

    Attributes
    ----------
    name
        Path below the folder of the dataset: ``j8bt05njq_flt.fits``, ``logs/process.txt``.
    role
        ``product``, ``preview``, ``log`` or ``env``.
    sha256, size
        Checksum of the bytes (hexadecimal), and their number.
    """

    name: str
    role: Role
    sha256: str
    size: int


@dataclass(frozen=True)
class Tombstone:
    """A product that an earlier version of the dataset had and this one does not.

    Attributes
    ----------
    name
        Its name below the folder of the dataset.
    last_run
        The last run that made it; it still lies there unless it was pruned.
    sha256
        Checksum of it there, so that a copy elsewhere can be told from another file.
    """

    name: str
    last_run: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What was published.

    Attributes
    ----------
    dataset, kind, instrument
        Name, kind (``ipst``, ``svm``, ``mvm``) and instrument of the dataset.
    run
        The write-once output collection.
    fingerprint
        Identity of the result: see :mod:`calib.archive.fingerprint`.
    created
        When it was published: ISO 8601, UTC.
    files
        All files but the manifest, sorted by name.
    provenance
        How it was made, as JSON; the archive does not look inside.
    schema
        Version of this record.
    tombstones
        Products that the dataset had when this was published and has no more, sorted by name.
    """

    dataset: str
    kind: str
    instrument: str
    run: str
    fingerprint: str
    created: str
    files: tuple[FileEntry, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    tombstones: tuple[Tombstone, ...] = ()

    @property
    def id(self) -> DatasetId:
        """The dataset's parsed name."""
        return parse_dataset(self.dataset)

    @property
    def own_context(self) -> str | None:
        """The CRDS context that chose the references, of what was calibrated here; else None.

        What was ingested or put says what its headers say, and its origin.
        """
        context = self.provenance.get("context")
        is_ours = "origin" not in self.provenance and isinstance(context, str)
        return context if is_ours else None

    @property
    def published(self) -> datetime:
        """When it was published, to compare with others."""
        return datetime.fromisoformat(self.created)


def to_bytes(manifest: Manifest) -> bytes:
    """Write a manifest as JSON: equal manifests give equal bytes."""
    return f"{to_json(manifest)}\n".encode()


def digest(content: bytes) -> str:
    """Return the sha256 of a written manifest (hexadecimal)."""
    return hashlib.sha256(content).hexdigest()


def plain_json(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep copy in JSON's own types (tuples become lists).

    Raises
    ------
    ArchiveError
        A value has no JSON form: NaN, infinity, half a surrogate pair, another type.
    """
    try:
        text = json.dumps(dict(provenance), allow_nan=False, ensure_ascii=False)
        plain: dict[str, Any] = json.loads(text.encode())
    except (TypeError, ValueError) as error:
        raise ArchiveError(f"the provenance cannot be written as JSON: {error}") from error
    return plain


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest in the folder of a publication.

    Raises
    ------
    ArchiveError
        It is missing or unreadable, does not parse, is of a newer schema, contradicts
        itself or the folder it lies in, or names a file outside that folder.
    """
    return parse_manifest(read_bytes(folder), folder / MANIFEST)


def read_bytes(folder: Path) -> bytes:
    """Read the manifest's bytes.

    Raises
    ------
    ArchiveError
        It is missing, unreadable, or too large for one.
    """
    path = folder / MANIFEST
    try:
        _refuse_size(path.stat().st_size, path)
        return path.read_bytes()
    except OSError as error:
        raise ArchiveError(f"no readable manifest: {error.strerror}", path=folder) from error


def _refuse_size(size: int, path: PurePath) -> None:
    if size > LARGEST:
        raise ArchiveError(
            "too large for a manifest",
            path=path,
            expected=f"{LARGEST} bytes at most",
            found=f"{size} bytes",
        )


def parse_manifest(content: bytes, path: PurePath) -> Manifest:
    """Read a manifest from its bytes.

    Parameters
    ----------
    content
        What :func:`to_bytes` wrote.
    path
        Where it lies: ``.../RUN/INSTRUMENT/ID/manifest.json``; it must agree with that.

    Raises
    ------
    ArchiveError
        As for :func:`read_manifest`.
    """
    from pydantic import ValidationError

    _refuse_size(len(content), path)
    try:
        manifest = from_json(Manifest, content)
    except ValidationError as error:
        raise ArchiveError(
            "the manifest does not parse", path=path, found=first_fault(error)
        ) from error
    claims = (*_claims(manifest, path.parent), *_entries(manifest), *_graves(manifest))
    for holds, what, expected, found in claims:
        if not holds:
            raise ArchiveError(
                f"the manifest cannot be right: {what}",
                dataset=manifest.dataset,
                path=path,
                expected=expected,
                found=found,
            )
    return manifest


_Claim = tuple[bool, str, object, object]  # whether it holds, what, expected, found


def _claims(manifest: Manifest, folder: PurePath) -> list[_Claim]:
    here = "/".join(folder.parts[-3:])
    said = f"{manifest.run}/{manifest.instrument}/{manifest.dataset}"
    kind = (manifest.kind, manifest.instrument)
    return [
        (manifest.schema == SCHEMA, "schema version", SCHEMA, manifest.schema),
        (here == said, "it lies in the folder of something else", said, here),
        (is_run_name(manifest.run), "name of the run", "a run name", manifest.run),
        (kind == _identity(manifest), "kind and instrument", _identity(manifest), kind),
        (bool(manifest.fingerprint), "fingerprint", "a sha256", "nothing"),
        (_is_time(manifest.created), "time", "ISO 8601 with its zone", manifest.created),
    ]


def _entries(manifest: Manifest) -> list[_Claim]:
    disorder = _disorder([file.name for file in manifest.files])
    return [
        (not disorder, "files", "sorted, each once", disorder),
        *((_is_entry(f), "a file", "name of its role, sha256, size", f) for f in manifest.files),
    ]


def _graves(manifest: Manifest) -> list[_Claim]:
    graves = manifest.tombstones
    disorder = _disorder([each.name for each in graves])
    made = sorted({file.name for file in manifest.files} & {each.name for each in graves})
    return [
        (not disorder, "tombstones", "sorted, each once", disorder),
        (not made, "tombstones", "products that are not made", ", ".join(made[:3])),
        *((_is_tombstone(each), "a tombstone", "name, run, sha256", each) for each in graves),
    ]


def _is_tombstone(each: Tombstone) -> bool:
    as_file = FileEntry(each.name, "product", each.sha256, 0)
    return is_run_name(each.last_run) and _is_entry(as_file)


def _disorder(names: list[str]) -> str:
    """Name the first that is out of order or there twice: a list may be long."""
    pairs = ((late, early) for early, late in pairwise(names) if late <= early)
    return next((f"{late!r} after {early!r}" for late, early in pairs), "")


def _identity(manifest: Manifest) -> tuple[str, str] | None:
    try:
        return manifest.id.kind, manifest.id.instrument
    except ConfigError:
        return None


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_entry(file: FileEntry) -> bool:
    base = file.name.removeprefix(f"{FOLDER_BY_ROLE[file.role]}/")
    try:
        named = relative_name(file.role, base) == file.name
    except ArchiveError:
        return False
    return named and bool(_SHA256.fullmatch(file.sha256)) and file.size >= 0
