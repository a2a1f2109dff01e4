"""A quick look at dithered exposures: one image on a plain grid, where nothing was drizzled.

For looking, not for measuring: the world coordinates are the linear ones of the headers, without
distortion (up to 7 per cent in ACS, ACS Data Handbook 5.3), images are not aligned, cosmic rays
are rejected only where calibration has flagged them, and the sky stays in. It is therefore a
preview, and never has the name of a drizzled product.

Needs the package ``drizzle`` (the extra ``quicklook``), which takes no reference files.
"""

from __future__ import annotations

import importlib.metadata
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile
from calib.fitsfile import primary_header
from calib.fitsfile.image_data import ImageSet, image_versions, read_image_sets, write_image_sets
from calib.preview.limits import SERIOUS_BITS

log = logging.getLogger(__name__)

PACKAGE = "drizzle"
QUICKLOOK = "{root}_quicklook.fits"

# Pixels on a side of the picture at most: the two chips of one camera and its dithers fit in,
# mosaics get larger pixels.
_LARGEST = 5000

# Decimals of a pixel at which an edge is taken for one that it was computed beside.
_ROUNDING = 6

# The linear part of a header's world coordinates.
_LINEAR = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Tile:
    """One chip of one exposure: electrons/s (or counts/s), weights in s, linear coordinates."""

    rate: Image
    weight: Image
    wcs: Any


def package_version() -> str:
    """Return the version of the package; empty where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return ""


def drizzle_lightly(exposures: Sequence[Path], root: str, destination: Path) -> Path:
    """Write ``ROOT_quicklook.fits``: the mean of calibrated exposures on one plain grid.

    Pixels that are flagged with a serious bit or are not finite have no weight; where nothing
    is left the image is NaN and the weight 0. Exposures of no exposure time are left out.

    Parameters
    ----------
    exposures
        Calibrated exposures (flt, flc), at least one.
    root
        Of the name.
    destination
        Folder.

    Returns
    -------
    Path
        Extensions SCI (counts or electrons per second, float32) and WHT (s).

    Raises
    ------
    CorruptFile
        No exposure has pixels and linear world coordinates.
    NotFound, ArchiveError
        An exposure is not there; the image cannot be written.
    """
    tiles = [tile for path in exposures for tile in _tiles(path)]
    if not tiles:
        raise CorruptFile(
            "no image with world coordinates and an exposure time",
            path=exposures[0].parent,
            expected=" ".join(_LINEAR),
        )
    grid, shape = _grid(tiles)
    image, weight = _combined(tiles, grid, shape)
    path = destination / QUICKLOOK.format(root=root)
    planes = {"SCI": image, "WHT": weight}
    write_image_sets(path, _primary(exposures, path), [ImageSet(planes, grid.to_header())])
    return path


def _primary(exposures: Sequence[Path], path: Path) -> Any:
    from astropy.io.fits import Header

    first = primary_header(exposures[0])
    cards = {key: first[key] for key in ("TELESCOP", "INSTRUME", "TARGNAME") if key in first}
    said = {"FILENAME": path.name, "FILETYPE": "QUICKLOOK", "NIMAGES": len(exposures)}
    return Header({**cards, **said})


def _tiles(path: Path) -> list[_Tile]:
    found = []
    for primary, chip in read_image_sets(path, ("DQ",), image_versions(path), wcs=False):
        exptime = float(primary.get("EXPTIME") or 0.0)
        if exptime <= 0 or not all(key in chip.header for key in _LINEAR):
            log.info("%s: not in the quick look: no exposure time or coordinates", path.name)
            continue
        data = np.asarray(chip.planes["SCI"], np.float32)
        good = np.isfinite(data)
        if "DQ" in chip.planes:
            good &= (chip.planes["DQ"] & SERIOUS_BITS) == 0
        per_second = str(chip.header.get("BUNIT", "")).strip().upper().endswith("/S")
        rate = np.where(good, data, 0) / np.float32(1.0 if per_second else exptime)
        weight = good * np.float32(exptime)
        found.append(_Tile(rate.astype(np.float32), weight, _linear(chip.header, data.shape)))
    return found


def _linear(header: Any, shape: tuple[int, ...]) -> Any:
    """Return the linear coordinates of a header; without SIP and look-up tables."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crpix = [header["CRPIX1"], header["CRPIX2"]]
    wcs.wcs.crval = [header["CRVAL1"], header["CRVAL2"]]
    wcs.wcs.cd = [[header["CD1_1"], header["CD1_2"]], [header["CD2_1"], header["CD2_2"]]]
    wcs.array_shape = shape
    return wcs


def _grid(tiles: Sequence[_Tile]) -> tuple[Any, tuple[int, int]]:
    """Return coordinates and shape that take in all tiles; square pixels, north up."""
    from astropy.wcs import WCS

    first = tiles[0].wcs
    scale = math.sqrt(abs(np.linalg.det(first.wcs.cd)))
    grid = WCS(naxis=2)
    grid.wcs.ctype, grid.wcs.crval = ["RA---TAN", "DEC--TAN"], first.wcs.crval
    grid.wcs.cd, grid.wcs.crpix = np.diag([-scale, scale]), [1.0, 1.0]
    corners = np.concatenate([grid.wcs_world2pix(_corners(tile), 0) for tile in tiles])
    factor = max(1.0, float(np.ptp(corners, axis=0).max()) / _LARGEST)
    grid.wcs.cd = grid.wcs.cd * factor
    # Edges of pixels lie at halves; what rounding makes of a half is no pixel more.
    edges = np.round(corners / factor + 0.5, _ROUNDING)
    lowest = np.floor(edges.min(axis=0))
    grid.wcs.crpix = 1 - lowest
    nx, ny = (max(1, int(each)) for each in np.ceil(edges.max(axis=0) - lowest))
    grid.array_shape = (ny, nx)
    return grid, (ny, nx)


def _corners(tile: _Tile) -> npt.NDArray[np.float64]:
    ny, nx = tile.rate.shape
    ends = [(-0.5, -0.5), (nx - 0.5, -0.5), (-0.5, ny - 0.5), (nx - 0.5, ny - 0.5)]
    return np.asarray(tile.wcs.wcs_pix2world(ends, 0), float)


def _combined(tiles: Sequence[_Tile], grid: Any, shape: tuple[int, int]) -> tuple[Image, Image]:
    from drizzle.resample import Drizzle

    drizzle = Drizzle(kernel="square", fillval="NaN", out_shape=shape, disable_ctx=True)
    for tile in tiles:
        ny, nx = tile.rate.shape
        columns, rows = np.meshgrid(np.arange(nx, dtype=float), np.arange(ny, dtype=float))
        sky = tile.wcs.wcs_pix2world(columns.ravel(), rows.ravel(), 0)
        x, y = grid.wcs_world2pix(*sky, 0)
        pixmap = np.stack([x.reshape(ny, nx), y.reshape(ny, nx)], axis=-1)
        drizzle.add_image(
            tile.rate,
            exptime=float(tile.weight.max()) or 1.0,
            pixmap=pixmap,
            weight_map=tile.weight,
            in_units="cps",
        )
    return np.asarray(drizzle.out_img, np.float32), np.asarray(drizzle.out_wht, np.float32)
