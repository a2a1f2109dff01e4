"""References that a process keeps decoded, because the next exposure wants the same ones.

Headers and tables are small and always kept. Pixels are kept from the second time on that
they are wanted, so that a single exposure pays for no copy, up to a number of bytes; those
that were used longest ago go first. A file that changes is read again.
"""

from __future__ import annotations

import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from calib.errors import NotFound
from calib.fitsfile import HeldPlane, ReferenceImage, StoredPlane, Table, open_reference, read_table
from calib.fitsfile.plane import Array, read_whole

# Not more than this, nor than an eighth of the machine's memory: bias, dark, flat, flash,
# saturation and sink images of a full WFC frame are 0.8 GB.
MOST_BYTES = 1 << 30
SHARE_OF_MACHINE = 8
HEADERS = 128  # image sets and tables whose headers are remembered


class FileVersion(NamedTuple):
    """A file as it was: another size or time of change is another version."""

    path: Path
    changed: int
    size: int


def version_of(path: Path) -> FileVersion:
    """Return the present version of a file.

    Raises
    ------
    NotFound
        There is no such file.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise NotFound("no such file", path=path) from error
    return FileVersion(path, found.st_mtime_ns, found.st_size)


def default_limit() -> int:
    """Return how many bytes of pixels a process keeps where nothing else is said."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(MOST_BYTES, machine // SHARE_OF_MACHINE))


class ReferenceMemory:
    """Decoded planes of reference images, bounded in bytes.

    Parameters
    ----------
    limit
        Bytes to keep; 0: none.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = default_limit() if limit is None else limit
        self._planes: OrderedDict[Hashable, Array] = OrderedDict()
        self._images: OrderedDict[Hashable, ReferenceImage] = OrderedDict()
        self._wanted: set[Hashable] = set()
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Bytes to keep at most."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        with self._lock:
            self._limit = limit
            self._make_room(0)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(array.nbytes for array in self._planes.values())

    def image(self, path: Path, chip: int) -> ReferenceImage:
        """Open the image set of a chip; its planes come from memory where they are kept.

        Raises
        ------
        MissingReference, NotFound, CorruptFile
            As :func:`calib.fitsfile.open_reference`.
        """
        key = (version_of(path), chip)
        found = self._images.get(key) or self._open(key, path, chip)
        planes = {
            name: RememberedPlane(plane, (*key, name), self)
            if isinstance(plane, StoredPlane)
            else plane
            for name, plane in found.planes.items()
        }
        return replace(found, planes=planes)

    def recall(self, key: Hashable, plane: StoredPlane) -> Array | None:
        """Return a whole plane if it is kept, or is to be kept from now on."""
        if plane.nbytes > self.limit:
            return None
        with self._lock:
            if key in self._planes:
                self._planes.move_to_end(key)
                return self._planes[key]
            if key not in self._wanted:
                self._wanted.add(key)
                return None
        array = read_whole(plane, plane.kind)
        array.flags.writeable = False
        with self._lock:
            self._make_room(array.nbytes)
            self._planes[key] = array
        return array

    def forget(self) -> None:
        """Drop everything."""
        with self._lock:
            for kept in (self._planes, self._images, self._wanted):
                kept.clear()

    def _open(self, key: Hashable, path: Path, chip: int) -> ReferenceImage:
        """Open an image set; remembered unless its pixels had to be decoded for that."""
        found = open_reference(path, chip)
        if all(not isinstance(plane, HeldPlane) for plane in found.planes.values()):
            with self._lock:
                self._images[key] = found
                while len(self._images) > HEADERS:
                    self._images.popitem(last=False)
        return found

    def _make_room(self, wanted: int) -> None:
        while self._planes and self.size + wanted > self._limit:
            self._planes.popitem(last=False)


@dataclass
class RememberedPlane:
    """A plane that asks the memory once, when its first rows are read."""

    plane: StoredPlane
    key: Hashable
    memory: ReferenceMemory
    _asked: bool = field(default=False, init=False)
    _held: Array | None = field(default=None, init=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.plane.shape

    def read(self, first: int, end: int) -> Array:
        """Return rows, from memory or from the file."""
        if not self._asked:
            self._asked = True
            if self.memory.limit:
                self._held = self.memory.recall(self.key, self.plane)
        return self.plane.read(first, end) if self._held is None else self._held[first:end]


def read_remembered_table(path: Path, extension: int | str) -> Table:
    """Read a table, or remember it.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.read_table`.
    """
    return _read_table(version_of(path), extension)


@functools.lru_cache(maxsize=HEADERS)
def _read_table(version: FileVersion, extension: int | str) -> Table:
    return read_table(version.path, extension)


MEMORY = ReferenceMemory()
