"""The images of a file that a preview shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calib import fitsfile
from calib.errors import CorruptFile
from calib.preview.limits import Mask, Pixels, voters, without_overscan

# Detectors of two chips. SCI,1 is the lower one on the sky of the detector: WFC2 and UVIS2
# (ACS and WFC3 Data Handbooks, section 2.2). Everywhere else SCI,1 is shown: the only image,
# the last read of an infrared exposure, or the first of repeated ones. Where it is empty or
# constant, as an exposure of STIS without light is, the first one that is not stands for it.
_TWO_CHIPS = {"WFC", "UVIS"}

_IMAGE_AXES = 2


@dataclass(frozen=True)
class Chip:
    """One image to show.

    Attributes
    ----------
    data
        Shape (ny, nx), row 0 at the bottom; NaN where nothing was observed.
    mask
        Pixels that limits are taken from; shape (ny, nx).
    """

    data: Pixels
    mask: Mask


def read_chips(path: Path) -> list[Chip]:
    """Read the images that a preview of a file shows, the lowest first.

    Raises
    ------
    NotFound
        No such file.
    CorruptFile
        Not FITS, cut short, or without an image in SCI,1.
    """
    with fitsfile.opened(path) as hdus:
        detector = str(hdus[0].header.get("DETECTOR", "")).strip()
        if detector in _TWO_CHIPS and ("SCI", 2) in hdus:
            return [_read_chip(path, hdus, version) for version in (1, 2)]
        return [_read_chip(path, hdus, _choose_version(hdus))]


def _choose_version(hdus: Any) -> int:
    """Return the first image that shows anything, 1 where none does."""
    versions = [hdu.ver for hdu in hdus[1:] if hdu.name == "SCI" and hdu.is_image]
    if len(versions) <= 1:
        return 1
    return next((version for version in versions if _shows_anything(hdus, version)), 1)


def _shows_anything(hdus: Any, version: int) -> bool:
    data = _read_image(hdus, "SCI", version)
    if data is None or data.ndim != _IMAGE_AXES or not data.size:
        return False
    seen = data[np.isfinite(data)]
    return bool(seen.size) and bool(seen.min() < seen.max())


def _read_chip(path: Path, hdus: Any, version: int) -> Chip:
    data = _read_image(hdus, "SCI", version)
    if data is None or data.ndim != _IMAGE_AXES or not data.size:
        raise CorruptFile(
            "no image to show",
            path=path,
            expected=f"two-dimensional image in SCI,{version}",
            found=[f"{hdu.name},{hdu.ver}" for hdu in hdus[1:]],
        )
    header = hdus["SCI", version].header
    image = data.astype(np.float32, copy=False)
    dq = _of_shape(_read_image(hdus, "DQ", version), image)
    if dq is not None and not np.issubdtype(dq.dtype, np.integer):
        dq = None
    weight = _of_shape(_read_image(hdus, "WHT", version), image)
    if weight is not None:
        # A drizzled image is zero where no input pixel fell.
        image = np.where(weight > 0, image, np.float32(np.nan))
    offset = tuple(float(header.get(k, 0.0)) for k in ("LTV1", "LTV2"))
    return Chip(image, without_overscan(voters(image, dq), (offset[0], offset[1])))


def _read_image(hdus: Any, name: str, version: int) -> Any:
    if (name, version) not in hdus or not hdus[name, version].is_image:
        return None
    hdu = hdus[name, version]
    image = fitsfile.pixels(hdu)
    if hdu.data is not None:
        del hdu.data  # the copy in file byte order, a third of the peak memory otherwise
    return image


def _of_shape(array: Any, image: Pixels) -> Any:
    """Ignore a companion image of another shape: a preview needs no perfect file."""
    return array if array is not None and array.shape == image.shape else None
