"""Rows of the ACS reference tables that belong to an exposure: CCDTAB, OSCNTAB, BPIXTAB, IMPHTTAB.

Sources: ACS Data Handbook 3.4; calacs getccdtab, findover, dodqi, getphttab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calib.errors import DataError, MissingReference, UnsupportedMode
from calib.fitsfile import Table
from calib.steps.bad_pixels import BadRun, BadRuns, place_runs
from calib.steps.bias_level import Overscan
from calib.steps.dark_time import Overheads
from calib.steps.photometry import PhotometryRow
from calib.steps.readout import Amplifier, Readout, find_boundary
from calib.steps.section import Region
from calib.switches import read_keyword, read_number

AMPLIFIERS = "ABCD"
WFC_SIDES = {1: "AB", 2: "CD"}  # chip: left and right amplifier (ACS Data Handbook figure 1.3)
LEFT = "AC"
ANY = -999  # a BPIXTAB row with this CCDGAIN or CCDCHIP fits every exposure


@dataclass(frozen=True)
class CcdParameters:
    """What the CCD table says of one chip of an exposure.

    Attributes
    ----------
    ccdamp
        CCDAMP: letters of all amplifiers of the exposure.
    chip
        CCDCHIP.
    amplifiers
        Those of CCDAMP. The default bias level is CCDBIAS times gain, in 32 bits.
    sides
        Letters of the amplifiers that can read this chip, left to right.
    saturation
        ATODSAT [DN].
    amp_x, amp_y
        First column and row of the second amplifier, in science pixels; 0 where there is none.
    overheads
        To be added to DARKTIME [s].
    description
        DESCRIP of the row.
    """

    ccdamp: str
    chip: int
    amplifiers: tuple[Amplifier, ...]
    sides: str
    saturation: int
    amp_x: int
    amp_y: int
    overheads: Overheads
    description: str = ""

    def keywords(self) -> dict[str, float]:
        """Return ATODGNx and READNSEx: those of unused amplifiers are 0."""
        used = {amplifier.name: amplifier for amplifier in self.amplifiers}
        return {
            keyword + letter: getattr(used[letter], attribute) if letter in used else 0.0
            for keyword, attribute in (("ATODGN", "gain"), ("READNSE", "read_noise"))
            for letter in AMPLIFIERS
        }

    def readout(self, nx: int, ltv1: float) -> Readout:
        """Return which amplifier reads which columns of an image of this chip.

        Parameters
        ----------
        nx
            Columns of the image.
        ltv1
            Its LTV1: columns of leading overscan, below 0 in most subarrays.
        """
        readers = tuple(a for a in self.amplifiers if a.name in self.sides)
        if len(readers) == 1:
            return Readout(readers, nx if readers[0].name in LEFT else 0)
        boundary = find_boundary(self.amp_x, ltv1, nx)
        if boundary == nx:
            return Readout(readers[:1], nx)
        return Readout(readers[1:] if boundary == 0 else readers, boundary)


@dataclass(frozen=True)
class OverscanRow:
    """Overscan of an image: a row of OSCNTAB.

    Attributes
    ----------
    trim_x, trim_y
        Columns and rows to cut off at both sides.
    amplifiers
        For each amplifier of the chip, left to right.
    """

    trim_x: tuple[int, int]
    trim_y: tuple[int, int]
    amplifiers: tuple[Overscan, ...]

    def science_region(self, shape: tuple[int, int]) -> Region:
        """Return what is left of an image of this shape when it is trimmed."""
        ny, nx = shape
        return Region(self.trim_y[0], ny - self.trim_y[1], self.trim_x[0], nx - self.trim_x[1])


def select_ccd(table: Table, header: Mapping[str, Any], chip: int) -> CcdParameters:
    """Return the row for amplifiers, gain, offsets and chip of an exposure; binning is ignored.

    Parameters
    ----------
    header
        Primary header: DETECTOR, CCDAMP, CCDGAIN, CCDOFSTA..D.
    chip
        CCDCHIP.

    Raises
    ------
    MissingReference
        No row fits, or a column is absent.
    DataError
        CCDAMP names no amplifier of this chip, or something else than A to D; gain or read
        noise of the row are not usable.
    UnsupportedMode
        Two or four amplifiers read an HRC image.
    """
    ccdamp = str(read_keyword(header, "CCDAMP")).upper()
    sides = _sides(str(read_keyword(header, "DETECTOR")).upper(), ccdamp, chip)
    wanted = {
        "CCDAMP": ccdamp,
        "CCDGAIN": np.float32(read_number(header, "CCDGAIN")),
        "CCDCHIP": chip,
        **{f"CCDOFST{a}": int(read_number(header, f"CCDOFST{a}")) for a in AMPLIFIERS},
    }
    row = _first(table, wanted)
    return CcdParameters(
        ccdamp=ccdamp,
        chip=chip,
        amplifiers=tuple(_amplifier(table, row, letter) for letter in ccdamp),
        sides=sides,
        saturation=int(table.column("ATODSAT")[row]),
        amp_x=int(table.column("AMPX")[row]),
        amp_y=int(table.column("AMPY")[row]),
        overheads=Overheads(*(float(table.column(c)[row]) for c in ("OVRHFLS", "OVRHUFLS"))),
        description=str(table.columns["DESCRIP"][row]) if "DESCRIP" in table.columns else "",
    )


def _sides(detector: str, ccdamp: str, chip: int) -> str:
    """Return the letters of the amplifiers that can read a chip, left to right."""
    if not ccdamp or "".join(a for a in AMPLIFIERS if a in ccdamp) != ccdamp:
        raise DataError(
            "CCDAMP is not a set of amplifiers", expected="letters of ABCD in order", found=ccdamp
        )
    if detector == "HRC":
        if len(ccdamp) > 1:
            raise UnsupportedMode("an HRC image of several amplifiers", found=f"CCDAMP {ccdamp}")
        return ccdamp
    sides = WFC_SIDES.get(chip, "")
    if not set(sides) & set(ccdamp):
        raise DataError(
            f"no amplifier of CCDAMP {ccdamp} reads chip {chip}",
            expected=sides or "chip 1 or 2",
            found=ccdamp,
        )
    return sides


def _amplifier(table: Table, row: int, letter: str) -> Amplifier:
    gain, noise, level = (
        np.float32(table.column(name + letter)[row]) for name in ("ATODGN", "READNSE", "CCDBIAS")
    )
    try:
        return Amplifier(letter, float(gain), float(noise), float(level * gain))
    except DataError as problem:
        raise DataError(
            f"{problem.message}, says CCDTAB",
            path=table.path,
            expected=problem.expected,
            found=problem.found,
        ) from problem


def select_overscan(
    table: Table, ccd: CcdParameters, readout: Readout, shape: tuple[int, int]
) -> OverscanRow | None:
    """Return the overscan of an image of this chip and raw size; None without a row.

    Parameters
    ----------
    readout
        The amplifiers of the image (:meth:`CcdParameters.readout`).
    shape
        Raw rows and columns (ny, nx). Binned images are refused before.

    Raises
    ------
    MissingReference
        A column is absent, or the row trims more than there is.
    """
    ny, nx = shape
    wanted = {"CCDAMP": ccd.ccdamp, "CCDCHIP": ccd.chip, "BINX": 1, "BINY": 1, "NX": nx, "NY": ny}
    rows = np.flatnonzero(_fits(table, wanted))
    if rows.size == 0:
        return None
    row = int(rows[0])

    def pair(name: str) -> tuple[int, int]:
        return int(table.column(name + "1")[row]), int(table.column(name + "2")[row])

    trim_x, trim_y = pair("TRIMX"), pair("TRIMY")
    if min(*trim_x, *trim_y) < 0 or sum(trim_x) >= nx or sum(trim_y) >= ny:
        raise MissingReference(
            "OSCNTAB has an impossible row",
            path=table.path,
            expected=f"TRIMX and TRIMY of 0 and more that leave something of {nx} x {ny} pixels",
            found=f"TRIMX {trim_x}, TRIMY {trim_y}",
        )
    regions = _amplifier_regions(trim_x, trim_y, ccd, readout, shape)
    sections = _bias_sections(pair("BIASSECTA"), pair("BIASSECTB"), len(regions))
    virtual = _from_zero(pair("VX")), _from_zero(pair("VY"))
    return OverscanRow(
        trim_x=trim_x,
        trim_y=trim_y,
        amplifiers=tuple(
            Overscan(region, section, *virtual)
            for region, section in zip(regions, sections, strict=True)
        ),
    )


def select_bad_runs(table: Table, header: Mapping[str, Any], chip: int) -> tuple[BadRun, ...]:
    """Return the bad pixel rows for amplifier, gain and chip; N/A and -999 fit every exposure.

    Raises
    ------
    MissingReference
        A column is absent. CCDAMP and CCDGAIN may be.
    """
    fit = np.isin(table.column("CCDCHIP"), (chip, ANY))
    if "CCDAMP" in table.columns:
        fit &= np.isin(table.column("CCDAMP"), ("N/A", str(read_keyword(header, "CCDAMP"))))
    if "CCDGAIN" in table.columns:
        gain = table.column("CCDGAIN")
        commanded = np.float32(read_number(header, "CCDGAIN"))
        fit &= (gain == ANY) | (gain == (int(commanded) if gain.dtype.kind == "i" else commanded))
    columns = [table.column(name)[fit] for name in ("PIX1", "PIX2", "LENGTH", "AXIS", "VALUE")]
    return tuple(
        BadRun(int(x) - 1, int(y) - 1, int(length), int(axis), int(flag))
        for x, y, length, axis, flag in zip(*columns, strict=True)
    )


def place_bad_runs(
    table: Table, header: Mapping[str, Any], chip: int, offset: tuple[float, float]
) -> BadRuns:
    """Return the bad pixel rows that fit, in image coordinates; empty where none does.

    Parameters
    ----------
    offset
        As for :func:`calib.steps.bad_pixels.place_runs`.

    Raises
    ------
    MissingReference
        A column is absent.
    DataError
        A row is impossible.
    """
    try:
        return place_runs(select_bad_runs(table, header, chip), offset)
    except DataError as error:
        error.path = table.path
        raise


def photometry_rows(table: Table, keyword: str) -> Iterator[PhotometryRow]:
    """Read one extension of an IMPHTTAB (PHOTFLAM, PHOTPLAM or PHOTBW).

    DATACOL names the column of the result: ``PHOTFLAM`` holds one number, ``PHOTFLAM2`` the
    results over a grid of two parameters (PAR1VALUES, PAR2VALUES, NELEM1, NELEM2).

    Raises
    ------
    MissingReference
        A column is absent.
    """
    for row, (mode, column) in enumerate(
        zip(table.column("OBSMODE"), table.column("DATACOL"), strict=True)
    ):
        suffix = str(column)[len(keyword) :]
        parameters = range(1, int(suffix or 0) + 1)
        names = tuple(str(table.column(f"PAR{n}NAMES")[row]) for n in parameters)
        grids = tuple(_grid(table, n, row) for n in parameters)
        size = int(np.prod([len(grid) for grid in grids], initial=1))
        results = np.atleast_1d(table.column(str(column).upper())[row])[:size]
        yield PhotometryRow(str(mode), names, grids, tuple(map(float, results)))


def _grid(table: Table, parameter: int, row: int) -> tuple[float, ...]:
    count = int(table.column(f"NELEM{parameter}")[row])
    values = np.atleast_1d(table.column(f"PAR{parameter}VALUES")[row])
    return tuple(map(float, values[:count]))


def _amplifier_regions(
    trim_x: tuple[int, int],
    trim_y: tuple[int, int],
    ccd: CcdParameters,
    readout: Readout,
    shape: tuple[int, int],
) -> tuple[Region, ...]:
    """Return the science pixels of each amplifier, left to right, as calacs doblev bounds them."""
    ny, nx = shape
    amp_x = min(ccd.amp_x, nx)
    middle = min(amp_x + trim_x[0], nx)
    y0, y1 = trim_y[0], min(ccd.amp_y + trim_y[0], ny) if ccd.amp_y else ny - trim_y[1]
    if len(readout.amplifiers) == 1:
        return (Region(y0, y1, trim_x[0], middle if amp_x else nx - trim_x[1]),)
    return Region(y0, y1, trim_x[0], middle), Region(y0, y1, middle, nx - trim_x[1])


def _bias_sections(
    left: tuple[int, int], right: tuple[int, int], amplifiers: int
) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return the bias sections of each amplifier: one uses all that are given, left one first.

    A section that is not given is (-1, -1), which has no columns.
    """
    if amplifiers == 1:
        given = tuple(_from_zero(section) for section in (left, right) if section[1] > 0)
        return (given or (_from_zero(left),),)
    return (_from_zero(left),), (_from_zero(right),)


def _from_zero(pair: tuple[int, int]) -> tuple[int, int]:
    return pair[0] - 1, pair[1] - 1


def _first(table: Table, wanted: Mapping[str, Any]) -> int:
    rows = np.flatnonzero(_fits(table, wanted))
    if rows.size == 0:
        raise MissingReference(
            "a reference table has no row for this exposure",
            path=table.path,
            expected=" ".join(f"{key}={value}" for key, value in wanted.items()),
            found=f"{len(table)} other rows",
        )
    return int(rows[0])


def _fits(table: Table, wanted: Mapping[str, Any]) -> Any:
    """Return which rows have the wanted values; an integer column compares whole numbers."""
    fit = np.ones(len(table), np.bool_)
    for name, value in wanted.items():
        column = table.column(name)
        whole = column.dtype.kind == "i" and not isinstance(value, int)
        fit &= column == (int(value) if whole else value)
    return fit
