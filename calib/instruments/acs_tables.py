"""Rows of the ACS reference tables that belong to an exposure: CCDTAB, OSCNTAB, BPIXTAB, IMPHTTAB.

Sources: ACS Data Handbook 3.4; calacs getccdtab, findover, dodqi, getphttab.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calib.errors import MissingReference
from calib.fitsfile import Table
from calib.steps.bad_pixels import BadRun
from calib.steps.bias_level import Overscan
from calib.steps.dark_time import Overheads
from calib.steps.photometry import PhotometryRow
from calib.steps.section import Region
from calib.switches import read_keyword

AMPLIFIERS = "ABCD"
ANY = -999  # a BPIXTAB row with this CCDGAIN or CCDCHIP fits every exposure


@dataclass(frozen=True)
class CcdParameters:
    """What the CCD table says of an exposure read out through one amplifier.

    Attributes
    ----------
    amplifier
        A, B, C or D.
    gain, read_noise
        Electrons per DN; electrons.
    default_level
        Bias level [electrons] where there is no overscan: CCDBIAS times gain, in 32 bits.
    saturation
        ATODSAT [DN].
    amp_x, amp_y
        First column and row of the second amplifier; 0 where there is none.
    overheads
        To be added to DARKTIME [s].
    description
        DESCRIP of the row.
    """

    amplifier: str
    gain: float
    read_noise: float
    default_level: float
    saturation: int
    amp_x: int
    amp_y: int
    overheads: Overheads
    description: str = ""

    def keywords(self) -> dict[str, float]:
        """Return ATODGNx and READNSEx: those of unused amplifiers are 0."""
        values = {}
        for keyword, value in (("ATODGN", self.gain), ("READNSE", self.read_noise)):
            for amplifier in AMPLIFIERS:
                values[keyword + amplifier] = value if amplifier == self.amplifier else 0.0
        return values


@dataclass(frozen=True)
class OverscanRow:
    """Overscan of an image and its science pixels."""

    overscan: Overscan
    region: Region


def select_ccd(table: Table, header: Mapping[str, Any], chip: int) -> CcdParameters:
    """Return the row for amplifier, gain, offsets and chip of an exposure; binning is ignored.

    Parameters
    ----------
    header
        Primary header: CCDAMP, CCDGAIN, CCDOFSTA..D.
    chip
        CCDCHIP.

    Raises
    ------
    MissingReference
        No row fits, or a column is absent.
    """
    wanted = {
        "CCDAMP": str(read_keyword(header, "CCDAMP")).upper(),
        "CCDGAIN": np.float32(read_keyword(header, "CCDGAIN")),
        "CCDCHIP": chip,
        **{f"CCDOFST{a}": int(read_keyword(header, f"CCDOFST{a}")) for a in AMPLIFIERS},
    }
    row = _first(table, wanted)
    amplifier = str(wanted["CCDAMP"])
    gain = np.float32(table.column("ATODGN" + amplifier)[row])
    level = np.float32(table.column("CCDBIAS" + amplifier)[row])
    return CcdParameters(
        amplifier=amplifier,
        gain=float(gain),
        read_noise=float(np.float32(table.column("READNSE" + amplifier)[row])),
        default_level=float(level * gain),
        saturation=int(table.column("ATODSAT")[row]),
        amp_x=int(table.column("AMPX")[row]),
        amp_y=int(table.column("AMPY")[row]),
        overheads=Overheads(*(float(table.column(c)[row]) for c in ("OVRHFLS", "OVRHUFLS"))),
        description=str(table.columns["DESCRIP"][row]) if "DESCRIP" in table.columns else "",
    )


def select_overscan(
    table: Table, ccd: CcdParameters, chip: int, shape: tuple[int, int]
) -> OverscanRow | None:
    """Return the overscan of an image of this amplifier, chip and raw size; None without a row.

    Parameters
    ----------
    shape
        Raw rows and columns (ny, nx). Binned images are refused before.

    Raises
    ------
    MissingReference
        A column is absent.
    """
    ny, nx = shape
    wanted = {"CCDAMP": ccd.amplifier, "CCDCHIP": chip, "BINX": 1, "BINY": 1, "NX": nx, "NY": ny}
    rows = np.flatnonzero(_fits(table, wanted))
    if rows.size == 0:
        return None
    row = int(rows[0])

    def pair(name: str) -> tuple[int, int]:
        return int(table.column(name + "1")[row]), int(table.column(name + "2")[row])

    overscan = Overscan(
        trim_x=pair("TRIMX"),
        trim_y=pair("TRIMY"),
        bias_sections=_bias_sections(pair("BIASSECTA"), pair("BIASSECTB")),
        virtual_x=_from_zero(pair("VX")),
        virtual_y=_from_zero(pair("VY")),
    )
    return OverscanRow(overscan, _science_region(overscan, ccd, shape))


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
        commanded = np.float32(read_keyword(header, "CCDGAIN"))
        fit &= (gain == ANY) | (gain == (int(commanded) if gain.dtype.kind == "i" else commanded))
    columns = [table.column(name)[fit] for name in ("PIX1", "PIX2", "LENGTH", "AXIS", "VALUE")]
    return tuple(
        BadRun(int(x) - 1, int(y) - 1, int(length), int(axis), int(flag))
        for x, y, length, axis, flag in zip(*columns, strict=True)
    )


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


def _science_region(overscan: Overscan, ccd: CcdParameters, shape: tuple[int, int]) -> Region:
    """Return the pixels of the amplifier, as calacs doblev bounds them."""
    (x0, x_end), (y0, y_end) = overscan.trim_x, overscan.trim_y
    ny, nx = shape
    amp_x = min(ccd.amp_x, nx)
    x1 = min(amp_x + x0, nx) if amp_x else nx - x_end
    y1 = min(ccd.amp_y + y0, ny) if ccd.amp_y else ny - y_end
    return Region(y0, y1, x0, x1)


def _bias_sections(left: tuple[int, int], right: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return the sections that are given, left one first: for one amplifier both are used."""
    return tuple(_from_zero(section) for section in (left, right) if section[1] > 0)


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
