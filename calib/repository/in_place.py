"""Files that the registry knows and the archive does not own, compared with their rows."""

from __future__ import annotations

from typing import Any

from calib.archive.disk import digest_file
from calib.archive.verification import Problem
from calib.errors import HstflowError
from calib.stores.s3_store import open_store
from calib.stores.transfer import local_path
from calib.stores.uri import parse_uri


def check_file(file: dict[str, Any], *, deep: bool) -> Problem | None:
    """Compare a file with what the registry says of it.

    Parameters
    ----------
    file
        Its ``uri``, ``size`` and ``sha256`` (None where nobody computed it).
    deep
        Read it and compare the checksum; otherwise presence and size only.

    Returns
    -------
    Problem or None
        Also where it cannot be read.
    """
    uri = file["uri"]
    try:
        found = _look(uri, deep=deep and file["sha256"] is not None)
    except (HstflowError, OSError) as error:
        return Problem("unreadable", uri, str(error))
    if found is None:
        return Problem("missing", uri, "not there; the archive does not own it")
    size, sha256 = found
    if size != file["size"]:
        return Problem("changed", uri, f"{size} bytes, not {file['size']}")
    if sha256 not in {None, file["sha256"]}:
        return Problem("changed", uri, f"sha256 {sha256}, not {file['sha256']}")
    return None


def _look(uri: str, *, deep: bool) -> tuple[int, str | None] | None:
    """Return size and checksum of a file; None where it is not there."""
    path = local_path(uri)
    if path is None:
        folder, _, name = parse_uri(uri).location.rpartition("/")
        store = open_store(folder, "input")
        found = store.head(name)
        if found is None:
            return None
        return found.size, store.compute_digest(name) if deep else None
    if not path.is_file():
        return None
    return path.stat().st_size, digest_file(path) if deep else None
