"""Reference files of the golden ACS cases: every type that calacs opens, drawn in one order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calib.simulate.golden_files import (
    REFERENCE_CARDS,
    Imset,
    Row,
    imset_hdus,
    mapping_cards,
    primary,
    table,
    write_hdus,
)
from calib.simulate.golden_pixels import (
    Random,
    bad_pixel_rows,
    flat_field,
    hot_pixels,
    positive_noise,
    sink_pixels,
    sparse_flags,
)
from calib.simulate.golden_tables import (
    BAD_PIXEL_COLUMNS,
    CCD_COLUMNS,
    LINEARITY_COLUMNS,
    OVERSCAN_COLUMNS,
    REJECTION_COLUMNS,
    charge_transfer_hdus,
    photometry_hdus,
)

Shape = tuple[int, int]
Draw = Callable[[Random, Shape, int], Imset]


@dataclass(frozen=True)
class Chips:
    """Geometry of a detector in a golden case, raw pixels.

    Attributes
    ----------
    nx, ny
        Columns and rows of a raw chip.
    trim_x, trim_y
        Columns of overscan on each side; rows of it at the far end.
    numbers
        CCDCHIP of the chips, from 1.
    """

    nx: int
    ny: int
    trim_x: int
    trim_y: int
    numbers: tuple[int, ...]

    @property
    def raw_shape(self) -> Shape:
        """Rows and columns as read out."""
        return self.ny, self.nx

    @property
    def shape(self) -> Shape:
        """Rows and columns that see the sky."""
        return self.ny - self.trim_y, self.nx - 2 * self.trim_x

    def low_rows(self, chip: int) -> int:
        """Return the rows of overscan below the sky: chip 1 of two has them there."""
        return self.trim_y if chip == 1 and len(self.numbers) > 1 else 0


@dataclass(frozen=True)
class ReferenceSet:
    """What the references of one folder are made from.

    Attributes
    ----------
    detector
        ``WFC``, ``HRC`` or ``SBC``.
    chips
        Geometry.
    seed
        Decides all pixels and bad columns.
    amplifiers
        Readout modes of CCDTAB, as CCDAMP says them; none for the SBC.
    filter
        FILTER1 of the images.
    overscans
        Rows of OSCNTAB beside those of the full frame.
    trailed_charge
        Whether there is a PCTETAB.
    """

    detector: str
    chips: Chips
    seed: int
    amplifiers: tuple[str, ...]
    filter: str
    overscans: tuple[Row, ...] = ()
    trailed_charge: bool = False


def write_references(folder: Path, wanted: ReferenceSet, *, seed_offset: int = 0) -> None:
    """Write the references of a set; the same set and offset give the same bytes."""
    rng = np.random.default_rng(wanted.seed + seed_offset)
    write_tables(folder, wanted, rng)
    for name, filetype, draw, is_raw in _IMAGES:
        if name == "bia" and wanted.detector == "SBC":
            continue
        cards = {
            **_cards(wanted.detector, filetype),
            "NEXTEND": 3 * len(wanted.chips.numbers),
            "CCDGAIN": 2.0,
            "CCDAMP": "ABCD",
            "FILTER1": wanted.filter,
        }
        hdus = [primary(cards), *_image_hdus(wanted, rng, draw, is_raw=is_raw)]
        write_hdus(folder / f"{name}.fits", hdus)
    if wanted.detector == "SBC":
        linearity = table([{}], LINEARITY_COLUMNS)
        cards = _cards(wanted.detector, "MAMA LINEARITY")
        write_hdus(folder / "lin.fits", [primary(cards), linearity])
    if wanted.trailed_charge:
        write_hdus(folder / "cte.fits", charge_transfer_hdus(wanted.detector))


def _cards(detector: str, filetype: str) -> dict[str, Any]:
    return {**REFERENCE_CARDS, "INSTRUME": "ACS", "DETECTOR": detector, "FILETYPE": filetype}


def write_tables(folder: Path, wanted: ReferenceSet, rng: Random) -> None:
    """Write the tables of a set, which come before its images."""
    ny, nx = wanted.chips.shape
    overscans = [*(_overscan(wanted, c) for c in wanted.chips.numbers), *wanted.overscans]
    bad = table(bad_pixel_rows(rng, (ny, nx), wanted.chips.numbers), BAD_PIXEL_COLUMNS)
    bad.header["SIZAXIS1"], bad.header["SIZAXIS2"] = nx, ny
    rejection: list[Row] = [
        {"CRSPLIT": exposures, "MEANEXP": seconds}
        for exposures in (2, 3, 4)
        for seconds in (100.0, 1000.0, 1e6)
    ]
    made: Sequence[tuple[str, str, Any]] = (
        ("ccd", "CCD PARAMETERS", table(_ccd_rows(wanted), CCD_COLUMNS)),
        ("osc", "OVERSCAN", table(overscans, OVERSCAN_COLUMNS)),
        ("bpx", "BAD PIXELS", bad),
        ("crr", "COSMIC RAY REJECTION", table(rejection, REJECTION_COLUMNS)),
    )
    for name, filetype, hdu in made:
        write_hdus(folder / f"{name}.fits", [primary(_cards(wanted.detector, filetype)), hdu])
    write_hdus(folder / "imp.fits", photometry_hdus(_cards(wanted.detector, "IMPHT")))


def _ccd_rows(wanted: ReferenceSet) -> list[Row]:
    """Return one row per readout mode and chip; AMPX says where the second amplifier begins."""
    is_wfc = wanted.detector == "WFC"
    ny, nx = wanted.chips.shape
    rows: list[Row] = []
    for amplifiers in wanted.amplifiers:
        for chip in wanted.chips.numbers:
            if is_wfc and len(amplifiers) == 1 and chip != (1 if amplifiers in "AB" else 2):
                continue
            border = 0
            if is_wfc and len(amplifiers) > 1:
                border = nx // 2
            elif is_wfc and amplifiers in "AC":
                border = wanted.chips.nx
            rows.append(
                {
                    "CCDAMP": amplifiers,
                    "CCDCHIP": chip,
                    "AMPX": border,
                    "AMPY": ny if is_wfc else 0,
                }
            )
    return rows


def _overscan(wanted: ReferenceSet, chip: int) -> Row:
    """Return the overscan row of a full frame; columns and rows count from one."""
    chips = wanted.chips
    nx, ny, side, far = chips.nx, chips.ny, chips.trim_x, chips.trim_y
    row = {
        "CCDAMP": wanted.amplifiers[0] if wanted.amplifiers else "N/A",
        "CCDCHIP": chip,
        "NX": nx,
        "NY": ny,
        "TRIMX1": side,
        "TRIMX2": side,
        "BIASSECTA1": max(1, side - 6),
        "BIASSECTA2": side,
        "BIASSECTB1": nx - side + 1,
        "BIASSECTB2": nx - side + 6,
        "VX1": side + 6,
        "VX2": nx - side - 5,
    }
    if chips.low_rows(chip):
        return row | {"TRIMY1": far, "TRIMY2": 0, "VY1": 2, "VY2": far - 1}
    return row | {"TRIMY1": 0, "TRIMY2": far, "VY1": ny - far + 2, "VY2": ny - 1}


def _image_hdus(wanted: ReferenceSet, rng: Random, draw: Draw, *, is_raw: bool) -> list[Any]:
    """Return the image sets in order of EXTVER: chip 2 before chip 1."""
    chips, hdus = wanted.chips, []
    for version, chip in enumerate(sorted(chips.numbers, reverse=True), 1):
        imset = draw(rng, chips.raw_shape if is_raw else chips.shape, chip)
        offsets = (chips.trim_x, chips.low_rows(chip)) if is_raw else (0, 0)
        cards = {"CCDCHIP": chip, "BUNIT": "ELECTRONS", **mapping_cards(*offsets)}
        hdus += imset_hdus(version, imset, cards)
    return hdus


def _bias(rng: Random, shape: Shape, _chip: int) -> Imset:
    sci = rng.normal(0, 0.4, shape) + 2 * np.sin(np.arange(shape[1]) / 90.0)
    err = positive_noise(rng, shape, 0.15, 0.02)
    return Imset(sci, err, sparse_flags(rng, shape, 30, [128, 16]))


def _dark(rng: Random, shape: Shape, _chip: int, *, rate: float = 0.004) -> Imset:
    sci = rng.normal(rate, 0.0006, shape) + hot_pixels(rng, shape)
    err = positive_noise(rng, shape, 0.0006, 0.0001)
    return Imset(sci, err, sparse_flags(rng, shape, 60, [16, 64]))


def _dark_after_trails(rng: Random, shape: Shape, chip: int) -> Imset:
    return _dark(rng, shape, chip, rate=0.0038)


def _flat(rng: Random, shape: Shape, _chip: int) -> Imset:
    sci = flat_field(rng, shape)
    err = positive_noise(rng, shape, 0.002, 0.0002)
    return Imset(sci, err, sparse_flags(rng, shape, 20, [512]))


def _delta_flat(_rng: Random, shape: Shape, _chip: int) -> Imset:
    rows = 0.01 * np.cos(np.arange(shape[0])[:, None] / 50.0)
    return Imset(1 + rows * np.ones((1, shape[1])))


def _flash(rng: Random, shape: Shape, _chip: int) -> Imset:
    columns = 10.0 + 2 * np.sin(np.arange(shape[1]) / shape[1] * 3)
    return Imset(columns + rng.normal(0, 0.02, shape), np.full(shape, 0.02))


def _saturation(_rng: Random, shape: Shape, _chip: int) -> Imset:
    columns = 3000 * np.cos(np.arange(shape[1]) / shape[1] * 5.0)
    return Imset(np.full(shape, 80000.0) + columns)


def _sinks(rng: Random, shape: Shape, chip: int) -> Imset:
    return Imset(sink_pixels(rng, shape, chip))


# Name, FILETYPE, how to draw, whether it has overscan; in the order of drawing.
_IMAGES: tuple[tuple[str, str, Draw, bool], ...] = (
    ("bia", "BIAS", _bias, True),
    ("drk", "DARK", _dark, False),
    ("drc", "DARK", _dark_after_trails, False),
    ("pfl", "PIXEL-TO-PIXEL FLAT", _flat, False),
    ("dfl", "DELTA FLAT", _delta_flat, False),
    ("fls", "POST FLASH", _flash, False),
    ("sat", "SATURATION", _saturation, True),
    ("snk", "SINK PIXELS", _sinks, True),
)
