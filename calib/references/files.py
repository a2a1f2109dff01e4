"""Reference files on disk: where they lie and their checksums."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from calib.records import ReferenceUse
from calib.references.library import reference_layout
from calib.references.profile import CrdsProfile

# Value of a reference keyword that asks for no file.
NOT_APPLICABLE = "N/A"

# Recorded where the rules should name a file but match none, and no switch asks for it.
NOT_FOUND = "NOT FOUND"


def locate_reference(profile: CrdsProfile, instrument: str, name: str) -> Path | None:
    """Return the path of a reference in the cache, None where it is not there.

    Both layouts are looked at, first the one that the cache declares: caches copied
    together by hand have files in the other.
    """
    folders = [profile.references / instrument, profile.references]
    if reference_layout(profile) == "flat":
        folders.reverse()
    return find_file(folders, name)


def find_file(folders: list[Path], name: str) -> Path | None:
    """Return the first of ``folder / name`` that is a file."""
    return next((path for folder in folders if (path := folder / name).is_file()), None)


def sha1_of(path: Path) -> str:
    """Return the sha1 of a file; computed once per path, size and modification time."""
    status = path.stat()
    return _sha1(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha1(path: Path, size: int, modified: int) -> str:  # noqa: ARG001 - part of the cache's key
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha1").hexdigest()


def use_of(
    keyword: str, path: Path, *, required: bool, entry: dict[str, str] | None = None
) -> ReferenceUse:
    """Return the record of a file in use.

    Parameters
    ----------
    entry
        Its row of the CRDS catalogue: the sha1 is taken from there if the size agrees.
    """
    known = entry is not None and str(entry.get("size")) == str(path.stat().st_size)
    sha1 = entry["sha1sum"] if known and entry is not None else sha1_of(path)
    return ReferenceUse(keyword, path.name, str(path), sha1, required)
