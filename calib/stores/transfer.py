"""One file, wherever its URI says that it lies: a path, or a copy with its checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from calib.errors import ConfigError, NotFound, Unavailable
from calib.stores.s3_store import open_store
from calib.stores.store import CHUNK
from calib.stores.uri import parse_uri


class Brought(NamedTuple):
    """Checksum (hexadecimal) and size of the bytes that came."""

    sha256: str
    size: int


def local_path(uri: str) -> Path | None:
    """Return the path that a URI names; None where the file is not on a file system.

    ``file:///PATH`` is encoded (``%20`` is a blank), as :meth:`pathlib.Path.as_uri` writes it;
    ``file:/PATH`` is the path as it is.

    Raises
    ------
    ConfigError
        The URI is of no kind that names a file.
    """
    if uri.startswith("file:///"):
        return Path(unquote(uri.removeprefix("file://")))
    target = parse_uri(uri)
    if target.scheme not in {"file", "s3"}:
        expected = "file:/PATH or s3://BUCKET/KEY"
        raise ConfigError("a file cannot lie there", expected=expected, found=uri)
    return Path(target.location) if target.scheme == "file" else None


def bring(uri: str, target: Path) -> Brought:
    """Copy a file into a new one; what is left of a failure is for the caller to remove.

    Parameters
    ----------
    uri
        ``file:`` or ``s3:``.
    target
        A new file in a folder that is there.

    Raises
    ------
    NotFound
        There is no such file, or it may not be read.
    CorruptFile
        The bytes of an object are not those that were put.
    ConfigError, Proprietary, Unavailable
        As :class:`calib.stores.store.Store`.
    FileExistsError
        The target is there already.
    """
    path = local_path(uri)
    if path is not None:
        return _copy(path, target)
    folder, _, name = parse_uri(uri).location.rpartition("/")
    stored = open_store(folder, "input").get(name, target)
    return Brought(str(stored.sha256), stored.size)


def _copy(path: Path, target: Path) -> Brought:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream, target.open("xb") as out:
            while block := stream.read(CHUNK):
                digest.update(block)
                size += out.write(block)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise NotFound(f"the file cannot be read: {error.strerror}", path=path) from error
    except FileExistsError:
        raise
    except OSError as error:
        raise Unavailable(f"reading or writing failed: {error.strerror}", path=path) from error
    return Brought(digest.hexdigest(), size)
