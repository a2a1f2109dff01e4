"""A publication as CALDP's tar file, with the same bytes wherever it is made.

::

    ID/NAME.fits, ID/NAME.tra    products and trailers
    ID/previews/NAME             previews

These are the members of CALDP's ``outputs/ID/ID.tar.gz``. It leaves products out that are
neither ``.fits`` nor ``.tra``; here every product is in. Members are sorted and have no owner,
one mode and one time, the gzip header has neither name nor time: equal files give equal
bytes, with the same version of zlib.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from calib.archive.disk import size_of
from calib.archive.manifest import FileEntry, Manifest
from calib.errors import ArchiveError
from calib.stores.store import CHUNK

# 1980-01-01, the first moment that every archiver takes: ZIP's times begin there, and some
# versions of GNU tar warn of an "implausibly old time stamp" for 0.
_TIME = 315532800

# zlib's own default: level 9 makes a noisy frame 0.2 % smaller, and takes a sixth more time.
_LEVEL = 6

_MODE = 0o644
_TRAILER = ".tra"

# Gives a local file with the bytes of an archived one while it is needed.
Local = Callable[[FileEntry], AbstractContextManager[Path]]


def tar_members(manifest: Manifest) -> dict[str, FileEntry]:
    """Return what goes into the tar, by the names of the members, sorted."""
    trailers = [file for file in manifest.files if _is_trailer(file)]
    inside = [file for file in manifest.files if file.role in {"product", "preview"}]
    members = {f"{manifest.dataset}/{_inner_name(file)}": file for file in (*trailers, *inside)}
    return dict(sorted(members.items()))


def files_beside(manifest: Manifest) -> dict[str, FileEntry]:
    """Return what lies beside the tar, by name: logs, and the environment in ``env/``."""
    logs = {f.name.rpartition("/")[2]: f for f in manifest.files if f.role == "log"}
    environment = {file.name: file for file in manifest.files if file.role == "env"}
    return {n: f for n, f in {**logs, **environment}.items() if not _is_trailer(f)}


def write_tar(manifest: Manifest, local: Local, target: Path) -> None:
    """Write the tar of a publication into a new file, flush it and read it back.

    Parameters
    ----------
    manifest
        What was published.
    local
        Gives its files one after another.
    target
        A name that must not exist yet. After an error it may hold something.

    Raises
    ------
    ArchiveError
        A file is not what the manifest says.
    OSError
        A file cannot be read, or the target not written.
    """
    with target.open("xb") as raw:
        with _packed(raw) as tar:
            for name, file in tar_members(manifest).items():
                with local(file) as path:
                    _refuse_other_size(file, path, size_of(path))  # also what is no file
                    with path.open("rb") as stream:
                        tar.addfile(_header(name, file.size), stream)
        raw.flush()
        os.fsync(raw.fileno())
    check_tar(target, manifest)


def check_tar(path: Path, manifest: Manifest) -> None:
    """Hold the members of a tar against a manifest: names, sizes, checksums.

    Raises
    ------
    ArchiveError
        It differs, or cannot be read to its end.
    """
    expected = {name: file.sha256 for name, file in tar_members(manifest).items()}
    try:
        with gzip.open(path) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as tar:
                found = {member.name: _digest(tar.extractfile(member)) for member in tar}
            while unpacked.read(CHUNK):  # gzip compares its checksum at the very end only
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(f"the tar cannot be read back: {error}", path=path) from error
    wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if wrong:
        raise ArchiveError(
            "the tar does not hold what was published",
            dataset=manifest.dataset,
            path=path,
            expected=f"{wrong[0]} with sha256 {expected.get(wrong[0])}",
            found=found.get(wrong[0]),
        )


def _is_trailer(file: FileEntry) -> bool:
    return file.role == "log" and file.name.endswith(_TRAILER)


def _inner_name(file: FileEntry) -> str:
    return file.name.rpartition("/")[2] if _is_trailer(file) else file.name


@contextmanager
def _packed(raw: IO[bytes]) -> Iterator[tarfile.TarFile]:
    with (
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        yield tar


def _header(name: str, size: int) -> tarfile.TarInfo:
    """Return a header without owner, group or time of its own."""
    header = tarfile.TarInfo(name)
    header.size, header.mode, header.mtime = size, _MODE, _TIME
    return header


def _refuse_other_size(file: FileEntry, path: Path, size: int) -> None:
    if size != file.size:
        raise ArchiveError(
            "the published file has changed",
            path=path,
            expected=f"{file.size} bytes",
            found=f"{size} bytes",
        )


def _digest(stream: IO[bytes] | None) -> str:
    """Return the sha256 of a member (hexadecimal); that of nothing for a folder."""
    digest = hashlib.sha256()
    while stream is not None and (block := stream.read(CHUNK)):
        digest.update(block)
    return digest.hexdigest()
