"""Reference images, of which rows are read when they are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.errors import CorruptFile, MissingReference
from calib.fitsfile.opening import named, opened, pixels_as
from calib.fitsfile.plane import ConstantPlane, HeldPlane, Plane, StoredBytes, StoredPlane
from calib.image import Image

_KINDS: dict[str, np.dtype[Any]] = {
    "SCI": np.dtype(np.float32),
    "ERR": np.dtype(np.float32),
    "DQ": np.dtype(np.int16),
}

# Number types of BITPIX (FITS standard 4.0, table 8) that are read straight from the file.
_STORED: dict[int, np.dtype[Any]] = {
    16: np.dtype(">i2"),
    -32: np.dtype(">f4"),
    -64: np.dtype(">f8"),
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
            name: _plane(file, hdus[name, version], kind)
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


def _plane(file: StoredBytes, hdu: Any, kind: np.dtype[Any]) -> Plane:
    """Return the plane of an extension: from the file where it is plain, else decoded now."""
    header = hdu.header
    if header.get("NAXIS") == 0 and "NPIX1" in header:
        shape = (int(header["NPIX2"]), int(header["NPIX1"]))
        return ConstantPlane(kind.type(header.get("PIXVALUE", 0)), shape)
    stored = _STORED.get(int(header.get("BITPIX", 0)))
    scaled = header.get("BSCALE", 1) != 1 or header.get("BZERO", 0) != 0
    two_axes = header.get("NAXIS") == 2  # noqa: PLR2004 - an image
    if stored is None or scaled or not two_axes or type(hdu) is not fits.ImageHDU:
        return HeldPlane(np.ascontiguousarray(pixels_as(hdu, kind.type)))
    shape = (int(header["NAXIS2"]), int(header["NAXIS1"]))
    offset = int(hdu.fileinfo()["datLoc"])
    if file.path.stat().st_size < offset + shape[0] * shape[1] * stored.itemsize:
        raise CorruptFile("the file ends inside its pixels", path=file.path, found=hdu.name)
    return StoredPlane(file, offset, shape, stored, kind)
