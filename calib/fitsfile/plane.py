"""Planes: one array of an image (SCI, ERR or DQ) of which rows are read when they are wanted."""

from __future__ import annotations

import functools
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile, NotFound
from calib.fitsfile.opening import pixels_as

Array = npt.NDArray[Any]

_AT_ONCE = 1 << 18  # pixels: what is converted together stays in the cache


class Plane(Protocol):
    """One array of an image.

    Attributes
    ----------
    shape
        Rows and columns (ny, nx).
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    def read(self, first: int, end: int) -> Array:
        """Return the rows from `first` up to, not including, `end`: native, C-contiguous."""
        ...


@dataclass(frozen=True)
class HeldPlane:
    """A plane in memory."""

    array: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ny, nx = self.array.shape
        return ny, nx

    def read(self, first: int, end: int) -> Array:
        """Return rows; they share memory with the plane."""
        return self.array[first:end]


@dataclass(frozen=True)
class ConstantPlane:
    """A plane that the file stores as one number (NAXIS=0, NPIX1, NPIX2, PIXVALUE)."""

    value: Any
    shape: tuple[int, int]

    def read(self, first: int, end: int) -> Array:
        """Return rows full of the number."""
        return np.full((end - first, self.shape[1]), self.value)


class StoredBytes:
    """A file whose bytes are read anywhere; opened when first read, closed when forgotten."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Read bytes from an offset until the buffer is full.

        Raises
        ------
        NotFound, CorruptFile
            The file is gone, cannot be read, or ends before.
        """
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._descriptor, [buffer[done:]], offset + done)
            except OSError as error:
                raise CorruptFile(f"not readable: {error.strerror}", path=self.path) from error
            if count == 0:
                raise CorruptFile("the file ends inside its pixels", path=self.path)
            done += count

    @functools.cached_property
    def _descriptor(self) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound("no such file", path=self.path) from error
        except OSError as error:
            raise CorruptFile(f"not readable: {error.strerror}", path=self.path) from error
        weakref.finalize(self, os.close, descriptor)
        return descriptor


@dataclass(frozen=True)
class StoredPlane:
    """A plane that lies in a file as plain big-endian numbers.

    Attributes
    ----------
    file, offset
        The file, and the byte at which the first row begins.
    shape
        Rows and columns.
    stored, kind
        Number types in the file and in memory.
    zero
        BZERO: what a stored 0 means. 32768 in raws, whose samples have no sign.
    """

    file: StoredBytes
    offset: int
    shape: tuple[int, int]
    stored: np.dtype[Any]
    kind: np.dtype[Any]
    zero: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the whole plane in memory."""
        return self.shape[0] * self.shape[1] * self.kind.itemsize

    def read(self, first: int, end: int) -> Array:
        """Read rows.

        Raises
        ------
        NotFound, CorruptFile
            The file is gone, or ends before these rows.
        """
        rows: Array = np.empty((end - first, self.shape[1]), self.stored)
        self.file.fill(rows.data.cast("B"), self.offset + first * rows.strides[0])
        native = rows.astype(self.kind)  # six times as fast as swapping bytes in place
        if self.zero:
            native += self.kind.type(self.zero)
        return native


# Number types of BITPIX (FITS standard 4.0, table 8) that are read straight from the file.
_STORED: dict[int, np.dtype[Any]] = {
    16: np.dtype(">i2"),
    -32: np.dtype(">f4"),
    -64: np.dtype(">f8"),
}
_UNSIGNED = 32768  # BZERO of 16-bit numbers without sign (FITS standard 4.0, table 11)


def find_plane(file: StoredBytes, hdu: Any, kind: np.dtype[Any]) -> Plane:
    """Return the plane of an extension: from the file where it is plain, else decoded now.

    Parameters
    ----------
    file
        The file of the extension.
    hdu
        An image extension, open.
    kind
        float32, or int16 for flags.

    Raises
    ------
    CorruptFile
        The extension has no pixels, or the file ends inside them.
    """
    from astropy.io import fits

    header = hdu.header
    if header.get("NAXIS") == 0 and "NPIX1" in header:
        shape = (int(header["NPIX2"]), int(header["NPIX1"]))
        return ConstantPlane(kind.type(header.get("PIXVALUE", 0)), shape)
    stored = _STORED.get(int(header.get("BITPIX", 0)))
    zero = header.get("BZERO", 0)
    plain = zero == 0 or (zero == _UNSIGNED and kind.kind == "f" and header["BITPIX"] > 0)
    two_axes = header.get("NAXIS") == 2  # noqa: PLR2004 - an image
    scaled = header.get("BSCALE", 1) != 1 or "BLANK" in header or not plain
    if stored is None or scaled or not two_axes or type(hdu) is not fits.ImageHDU:
        return HeldPlane(np.ascontiguousarray(pixels_as(hdu, kind.type)))
    shape = (int(header["NAXIS2"]), int(header["NAXIS1"]))
    offset = int(hdu.fileinfo()["datLoc"])
    if file.path.stat().st_size < offset + shape[0] * shape[1] * stored.itemsize:
        raise CorruptFile("the file ends inside its pixels", path=file.path, found=hdu.name)
    return StoredPlane(file, offset, shape, stored, kind, int(zero))


def read_whole(plane: Plane, kind: np.dtype[Any]) -> Array:
    """Return all rows; a constant plane is one number in memory, shown as an array."""
    if isinstance(plane, ConstantPlane):
        return np.broadcast_to(plane.value, plane.shape)
    ny, nx = plane.shape
    whole: Array = np.empty(plane.shape, kind)
    count = max(1, _AT_ONCE // max(nx, 1))
    for first in range(0, ny, count):
        end = min(first + count, ny)
        whole[first:end] = plane.read(first, end)
    return whole
