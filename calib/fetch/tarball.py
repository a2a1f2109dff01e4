"""Unpack an archive of input files without trusting it.

An archive is read once, front to back. Nothing in it chooses a path: a regular file whose base
name is that of an input file is written under that base name into a folder of ours. Whatever
an honest archive does not contain (links, devices, absolute or parent paths, sparse files,
two files of one name, more bytes than the limits allow) refuses the whole archive.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tarfile import EOFHeaderError  # type: ignore[attr-defined] # typeshed lacks it
from typing import BinaryIO, Self, cast

from calib.caldp import INPUT_SUFFIXES, suffix_of
from calib.errors import CorruptFile, NotFound
from calib.fetch.copying import Copied, copy_stream
from calib.hap_names import is_listed
from calib.ids import DatasetId

_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_INPUT_NAME = re.compile(r"[ijlo][a-z0-9]{8}_([a-z0-9_]+\.fits|cal_env\.txt)")

# Bytes that the headers between two members may take: tar blocks, long names, pax records,
# and what tarfile reads ahead. Without a limit, a record that claims gigabytes is read whole
# into memory before its member is seen.
_HEADER_BYTES = 1 << 17

# Zeros after the end mark: tar fills the last record, 10 kB by default and 1 MB with `-b 2048`.
_PADDING_BYTES = 4 << 20


@dataclass(frozen=True)
class TarLimits:
    """What an archive may unpack to.

    The largest known input sets are below a gigabyte (caldp's tests: 278 MB for a WFC3/IR
    association), so the defaults leave room and still stop a bomb early.

    Attributes
    ----------
    members
        Entries of any kind.
    file_bytes, total_bytes
        Size of one member and of all members together, unpacked.
    """

    members: int = 2_000
    file_bytes: int = 4 << 30
    total_bytes: int = 16 << 30


# A visit holds hundreds of exposures of 168 MB at most, a skycell those of many visits.
HAP_LIMITS = TarLimits(members=20_000, total_bytes=256 << 30)


class _Metered:
    """A stream that counts what really comes out, against an allowance set before each step."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = 0

    def allow(self, count: int) -> None:
        self._left = count

    def read(self, size: int) -> bytes:
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise CorruptFile("archive unpacks to more than its headers say", path=self._path)
        return block


def unpack_inputs(
    dataset: DatasetId, archive: Path, folder: Path, limits: TarLimits | None = None
) -> dict[str, Copied]:
    """Unpack the files of a dataset: which they are, and how many, hangs on its kind.

    Of a visit the raw files come, too: they show which exposures are not calibrated.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`unpack`.
    """
    if dataset.kind == "ipst":
        return unpack(archive, folder, dataset.instrument, limits)
    wanted = partial(is_listed, dataset)
    return unpack(archive, folder, dataset.instrument, limits or HAP_LIMITS, is_wanted=wanted)


def unpack(
    archive: Path,
    folder: Path,
    instrument: str,
    limits: TarLimits | None = None,
    *,
    is_wanted: Callable[[str], bool] | None = None,
) -> dict[str, Copied]:
    """Unpack the input files of an instrument.

    Parameters
    ----------
    archive
        A tar file, gzipped or not (told by its first bytes, not by its name).
    folder
        An empty folder of ours. After an error it may hold some files.
    instrument
        Whose files to take; others are skipped, though counted and checked.
    limits
        See :class:`TarLimits`.
    is_wanted
        Tells, by their names in lower case, which files to take instead; true only of names
        without a separator.

    Returns
    -------
    dict
        What was written, by file name in lower case.

    Raises
    ------
    NotFound
        No such archive.
    CorruptFile
        Not an archive, cut short, hostile, or over a limit.
    """
    limits = limits or TarLimits()
    files: dict[str, Copied] = {}
    total = 0
    with _opened(archive) as (tar, meter):
        for count, member in enumerate(_members(tar, meter), start=1):
            total += member.size
            _check_limits(archive, member, (count, total), limits)
            _check_honest(archive, member)
            name = PurePosixPath(member.name).name.lower()
            chosen = is_wanted(name) if is_wanted else _is_input(name, instrument)
            if not member.isreg() or not chosen:
                continue
            if name in files:
                raise CorruptFile("archive holds two files of one name", path=archive, found=name)
            files[name] = _extract(tar, member, folder / name)
    return files


class _StrictHeader(tarfile.TarInfo):
    """A header that is read or refused.

    tarfile takes a header that it cannot read, and a missing end mark, for the end of the
    archive: members after a damaged spot would be lost without a word.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged or cut short: {error}") from error


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[tarfile.TarFile, _Metered]]:
    try:
        with archive.open("rb") as raw, _decompressed(raw) as stream:
            meter = _Metered(stream, archive)
            meter.allow(_HEADER_BYTES)
            # Stream mode: nothing is sought, so each byte is decompressed and counted once.
            with tarfile.open(
                fileobj=cast("BinaryIO", meter), mode="r|", tarinfo=_StrictHeader
            ) as tar:
                yield tar, meter
            _read_to_end(meter)
    except (FileNotFoundError, PermissionError) as error:
        raise NotFound("no such archive, or it may not be read", path=archive) from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptFile(f"not a readable tar archive: {error}", path=archive) from error


def _decompressed(raw: BinaryIO) -> BinaryIO:
    magic = raw.read(len(_GZIP_MAGIC))
    raw.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if magic == _GZIP_MAGIC else raw


def _read_to_end(meter: _Metered) -> None:
    """Read what follows the end mark: gzip checks its CRC at the very end only."""
    meter.allow(_PADDING_BYTES)
    while meter.read(_HEADER_BYTES):
        pass


def _members(tar: tarfile.TarFile, meter: _Metered) -> Iterator[tarfile.TarInfo]:
    """Yield members; each allows the bytes it claims and the headers up to the next."""
    while (member := tar.next()) is not None:
        meter.allow(max(member.size, 0) + _HEADER_BYTES)
        yield member


def _check_limits(
    archive: Path, member: tarfile.TarInfo, sums: tuple[int, int], limits: TarLimits
) -> None:
    count, total = sums
    for what, found, limit in (
        ("members", count, limits.members),
        (f"bytes in {member.name!r}", member.size, limits.file_bytes),
        ("bytes in all members", total, limits.total_bytes),
    ):
        if found > limit:
            raise CorruptFile(
                f"archive is over the limit of {what}", path=archive, expected=limit, found=found
            )


def _check_honest(archive: Path, member: tarfile.TarInfo) -> None:
    """Refuse what no archive of input files contains.

    Stricter than Python's `data` filter, which takes links within the folder and mends
    absolute paths.
    """
    path = PurePosixPath(member.name)
    if member.issparse() or not (member.isreg() or member.isdir()):
        raise _hostile(archive, member, "something other than a plain file or folder")
    if path.is_absolute() or ".." in path.parts or not member.name.isprintable():
        raise _hostile(archive, member, "a path outside its folder")
    if member.size < 0:  # base-256 numbers have a sign
        raise _hostile(archive, member, "a negative size")


def _hostile(archive: Path, member: tarfile.TarInfo, what: str) -> CorruptFile:
    return CorruptFile(f"archive refused: it holds {what}", path=archive, found=repr(member.name))


def _is_input(name: str, instrument: str) -> bool:
    return bool(_INPUT_NAME.fullmatch(name)) and suffix_of(name) in INPUT_SUFFIXES[instrument]


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> Copied:
    """Write a regular member; tarfile raises where the archive ends before it does."""
    return copy_stream(cast("BinaryIO", tar.extractfile(member)), target)
