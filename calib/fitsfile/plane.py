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

Array = npt.NDArray[Any]


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
            The file is gone, or ends before.
        """
        done = 0
        while done < len(buffer):
            count = os.preadv(self._descriptor, [buffer[done:]], offset + done)
            if count == 0:
                raise CorruptFile("the file ends inside its pixels", path=self.path)
            done += count

    @functools.cached_property
    def _descriptor(self) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound("no such file", path=self.path) from error
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
    """

    file: StoredBytes
    offset: int
    shape: tuple[int, int]
    stored: np.dtype[Any]
    kind: np.dtype[Any]

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
        rows.byteswap(inplace=True)
        native = rows.view(self.stored.newbyteorder("="))
        return native.astype(self.kind, copy=False)
