"""Reference images, of which rows are read when they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile, MissingReference
from calib.fitsfile.opening import named, opened
from calib.fitsfile.plane import Plane, StoredBytes, find_plane
from calib.image import Image

_KINDS: dict[str, np.dtype[Any]] = {
    "SCI": np.dtype(np.float32),
    "ERR": np.dtype(np.float32),
    "DQ": np.dtype(np.int16),
}


@dataclass(frozen=True)
class ReferenceImage:
    """One image set of a reference file; rows are read when they are wanted.

    Attributes
    ----------
    path
        File.
    planes
        By name: SCI, and where the file has them ERR and DQ.
    header, primary
        Header of the SCI extension, and of the file.
    version
        EXTVER.
    """

    path: Path
    planes: Mapping[str, Plane]
    header: Mapping[str, Any]
    primary: Mapping[str, Any]
    version: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (ny, nx)."""
        return self.planes["SCI"].shape

    def signal(self, first: int, end: int) -> npt.NDArray[np.float32]:
        """Return rows of SCI alone, first to end - 1."""
        rows: npt.NDArray[np.float32] = self.planes["SCI"].read(first, end)
        return rows

    def rows(self, first: int, end: int) -> Image:
        """Return rows of SCI, ERR and DQ, first to end - 1.

        Raises
        ------
        CorruptFile
            The file lacks ERR or DQ, or is cut short.
        """
        if lacking := sorted(_KINDS.keys() - self.planes.keys()):
            raise CorruptFile(
                "an extension is absent",
                path=self.path,
                expected=" ".join(f"{name},{self.version}" for name in lacking),
            )
        sci, err, dq = (self.planes[name].read(first, end) for name in _KINDS)
        return Image(sci, err, dq)


def open_reference(path: Path, chip: int) -> ReferenceImage:
    """Find the image set of a chip in a reference file.

    Parameters
    ----------
    chip
        CCDCHIP; an extension without the keyword counts as chip 1, as in calacs.

    Raises
    ------
    MissingReference
        No image set is of this chip.
    NotFound, CorruptFile
        As :func:`calib.fitsfile.opened`; also where the extensions differ in size.
    """
    with opened(path) as hdus, named(path):
        chips = {hdu.header.get("CCDCHIP", 1): hdu.ver for hdu in hdus[1:] if hdu.name == "SCI"}
        if chip not in chips:
            raise MissingReference(
                "the reference has no image of this chip",
                path=path,
                expected=f"CCDCHIP {chip}",
                found=f"CCDCHIP {sorted(chips)}",
            )
        version = chips[chip]
        file = StoredBytes(path)
        planes = {
            name: find_plane(file, hdus[name, version], kind)
            for name, kind in _KINDS.items()
            if (name, version) in hdus
        }
        _check_shapes(path, planes)
        header = hdus["SCI", version].header.copy()
        return ReferenceImage(path, planes, header, hdus[0].header.copy(), version)


def _check_shapes(path: Path, planes: Mapping[str, Plane]) -> None:
    shapes = {name: plane.shape for name, plane in planes.items()}
    if len(set(shapes.values())) > 1:
        raise CorruptFile("extensions of one image set differ in shape", path=path, found=shapes)
