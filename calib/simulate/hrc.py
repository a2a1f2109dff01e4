"""Raw exposures of the synthetic HRC, as the archive would deliver them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.association import Association
from calib.fitsfile import write_atomically
from calib.simulate.constant import constant_image
from calib.simulate.detector import (
    ADC_LIMIT,
    BIAS_LEVEL,
    FULL_WELL,
    GAIN,
    READ_NOISE,
    Detector,
    Geometry,
)
from calib.simulate.pointing import LATER_DARK_FROM, Pointing
from calib.simulate.raw_header import association_cards, image_cards, primary_cards
from calib.simulate.scene import bleed, cosmic_rays, render_sky
from calib.simulate.targets import render_target

# Pixels around the chip that a dithered exposure may see.
MARGIN = 32


def write_raw(folder: Path, pointing: Pointing, detector: Detector) -> Path:
    """Write the raw file of an exposure: u16 SCI, constant ERR and DQ without pixels.

    The same pointing and detector give the same bytes.
    """
    path = folder / f"{pointing.rootname}_raw.fits"
    pixels = expose(pointing, detector)
    geometry = detector.geometry
    primary = fits.PrimaryHDU(header=fits.Header(primary_cards(pointing)))
    hdus = [primary, _science(pixels, pointing, geometry)]
    hdus += [_constant(name, pointing, geometry) for name in ("ERR", "DQ")]
    write_atomically(fits.HDUList(hdus), path)
    return path


def write_association(folder: Path, association: Association) -> Path:
    """Write ``ID_asn.fits``; products are marked as not present, since nothing made them yet."""
    path = folder / f"{association.name}_asn.fits"
    rows = [(m.name.upper(), m.type, m.present) for m in association.members]
    table = fits.BinTableHDU.from_columns(_columns(rows), name="ASN")
    primary = fits.PrimaryHDU(header=fits.Header(association_cards(association.name)))
    write_atomically(fits.HDUList([primary, table]), path)
    return path


def expose(pointing: Pointing, detector: Detector) -> npt.NDArray[np.uint16]:
    """Return the raw image in DN: sky, dark, cosmic rays, full well, bias and read noise.

    Charge is counted in electrons with photon noise; the bias level has a slope along y, a
    drift along x and the fixed pattern; what exceeds the converter is 65535.
    """
    rng = np.random.default_rng([pointing.seed, 2])
    geometry = detector.geometry
    electrons = rng.poisson(expected_electrons(pointing, detector)).astype(np.float64)
    electrons += cosmic_rays(geometry.shape, pointing.seconds, rng)
    ny, nx = geometry.raw_shape
    image = rng.normal(0, READ_NOISE, (ny, nx))
    image[geometry.window] += bleed(electrons, FULL_WELL)
    level = BIAS_LEVEL + np.linspace(0, 1.5, ny)[:, None] + np.linspace(0, 1.0, nx)[None, :]
    counts = np.rint(image / GAIN + level + detector.bias)
    return np.clip(counts, 0, ADC_LIMIT).astype(np.uint16)


def expected_electrons(pointing: Pointing, detector: Detector) -> npt.NDArray[np.float64]:
    """Return the mean charge of each pixel that sees the sky, before noise and defects."""
    light = render_pointing(pointing, detector.geometry.shape) * detector.flat(pointing.filter)
    for column, first, length in detector.dead_columns:
        light[first : first + length, column] = 0
    dark = detector.later_dark if pointing.start >= LATER_DARK_FROM else detector.dark
    charge: npt.NDArray[np.float64] = light * pointing.seconds + dark * pointing.dark_seconds
    return charge


def render_pointing(pointing: Pointing, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the light (electrons/s) that falls on the pixels, before flat and dead columns.

    Members of an association see cut-outs of one larger sky, moved by their offsets.
    """
    if pointing.membership is None:
        return _render(pointing, shape)
    ny, nx = shape
    sky = _render(pointing, (ny + 2 * MARGIN, nx + 2 * MARGIN))
    x, y = MARGIN + pointing.offset[0], MARGIN + pointing.offset[1]
    return sky[y : y + ny, x : x + nx]


def _render(pointing: Pointing, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    what = {"seed": pointing.field, "blueness": pointing.blueness}
    if pointing.target is None:
        return render_sky(shape, **what)
    return render_target(pointing.target, shape, **what)


def _columns(rows: Sequence[tuple[str, str, bool]]) -> list[Any]:
    names, kinds, present = zip(*rows, strict=True)
    return [
        fits.Column("MEMNAME", "14A", array=list(names)),
        fits.Column("MEMTYPE", "14A", array=list(kinds)),
        fits.Column("MEMPRSNT", "L", array=np.array(present)),
    ]


def _science(
    pixels: npt.NDArray[np.uint16], pointing: Pointing, geometry: Geometry
) -> fits.ImageHDU:
    hdu = fits.ImageHDU(pixels, name="SCI")
    hdu.header.extend(image_cards("SCI", pointing, geometry), update=True)
    hdu.header["DATAMIN"] = float(pixels.min())
    hdu.header["DATAMAX"] = float(pixels.max())
    return hdu


def _constant(name: str, pointing: Pointing, geometry: Geometry) -> fits.ImageHDU:
    """Return an extension whose pixels are all zero."""
    hdu = constant_image(name, 0.0, geometry.raw_shape)
    hdu.header.extend(image_cards(name, pointing, geometry), update=True)
    return hdu
