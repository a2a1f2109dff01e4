"""Rows of the STIS reference tables that belong to an exposure: CCDTAB, BPIXTAB, ATODTAB.

Sources: STIS Data Handbook 3.4; calstis getccdtab, dodqi, doatod. A row with ANY or -1 (or
N/A, -999: not relevant) in a column fits every exposure (calstis stiswild.h).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calib.errors import MissingReference
from calib.fitsfile import Table
from calib.image import Float
from calib.steps.bad_pixels import BadRun
from calib.switches import read_keyword, read_number

ANY_TEXT = ("ANY", "N/A", "NOT APPLICABLE")
ANY_NUMBER = (-1, -999)

# Sigma of the clip in the virtual overscan where CCDTAB has no BLEV_CLIP (calstis getccdtab).
DEFAULT_CLIP = 50.0


@dataclass(frozen=True)
class StisCcd:
    """What the CCD table says of an exposure.

    Attributes
    ----------
    gain, read_noise
        Electrons per DN, and electrons (ATODGAIN, READNSE); 32-bit.
    bias
        Bias level where there is no overscan [DN] (CCDBIAS).
    saturation
        Largest sample that is not saturated [DN] (SATURATE).
    clip
        Sigma of the clip in the virtual overscan (BLEV_CLIP).
    description
        DESCRIP of the row.
    """

    gain: float
    read_noise: float
    bias: float
    saturation: float
    clip: float
    description: str = ""


def select_ccd(table: Table, header: Mapping[str, Any]) -> StisCcd:
    """Return the first row for CCDAMP, CCDGAIN, CCDOFFST, BINAXIS1 and BINAXIS2.

    Parameters
    ----------
    header
        Primary header. CCDOFFST is 1 where it is absent (calstis getkeyinfo1).

    Raises
    ------
    MissingReference
        No row fits, a column is absent, or a number of the row is not usable.
    DataError
        A keyword is no number.
    """
    wanted = {
        "CCDAMP": amplifier(header),
        "CCDGAIN": int(read_number(header, "CCDGAIN")),
        "CCDOFFST": int(read_number({"CCDOFFST": 1, **dict(header)}, "CCDOFFST")),
        "BINAXIS1": int(read_number(header, "BINAXIS1")),
        "BINAXIS2": int(read_number(header, "BINAXIS2")),
    }
    row = _first(table, wanted)
    has_clip, has_text = "BLEV_CLIP" in table.columns, "DESCRIP" in table.columns
    return StisCcd(
        gain=_number(table, "ATODGAIN", row, positive=True),
        read_noise=_number(table, "READNSE", row, positive=True),
        bias=_number(table, "CCDBIAS", row),
        saturation=_number(table, "SATURATE", row),
        clip=_number(table, "BLEV_CLIP", row) if has_clip else DEFAULT_CLIP,
        description=str(table.columns["DESCRIP"][row]) if has_text else "",
    )


def amplifier(header: Mapping[str, Any]) -> str:
    """Return the letter of the amplifier, in capitals."""
    return str(read_keyword(header, "CCDAMP")).upper()


def select_bad_runs(table: Table, header: Mapping[str, Any]) -> tuple[BadRun, ...]:
    """Return the bad pixel rows for OPT_ELEM; those that begin off the detector do not count.

    Raises
    ------
    MissingReference
        A column, or SIZAXIS1 or SIZAXIS2 of the table's header, is absent.
    """
    ny, nx = detector_shape(table)
    names = ("PIX1", "PIX2", "LENGTH", "AXIS", "VALUE")
    x, y = (table.column(name) for name in names[:2])
    fit = (x >= 1) & (x <= nx) & (y >= 1) & (y <= ny)
    if "OPT_ELEM" in table.columns:
        fit &= _matches(table.column("OPT_ELEM"), str(header.get("OPT_ELEM", "")).strip().upper())
    return tuple(
        BadRun(int(x) - 1, int(y) - 1, int(length), int(axis), int(flag))
        for x, y, length, axis, flag in zip(*(table.column(n)[fit] for n in names), strict=True)
    )


def detector_shape(table: Table) -> tuple[int, int]:
    """Return rows and columns that the bad pixel table speaks of (SIZAXIS2, SIZAXIS1).

    Raises
    ------
    MissingReference
        Its header lacks one.
    """
    found = [
        table.header.get(keyword, table.primary.get(keyword))
        for keyword in ("SIZAXIS2", "SIZAXIS1")
    ]
    if not all(isinstance(value, int) and value > 0 for value in found):
        raise MissingReference(
            "the bad pixel table lacks the size of the detector",
            path=table.path,
            expected="SIZAXIS1, SIZAXIS2 in its header",
            found=found[::-1],
        )
    ny, nx = (int(value) for value in found if value is not None)
    return ny, nx


def select_samples(table: Table, primary: Mapping[str, Any], science: Mapping[str, Any]) -> Float:
    """Return the corrected value of each sample of the converter (ATODTAB).

    Of the rows for amplifier and gain, the one whose REF_KEY_VALUE is nearest to the keyword
    that REF_KEY names counts; the first of equals.

    Parameters
    ----------
    primary, science
        Headers; the keyword is looked for in the latter.

    Raises
    ------
    MissingReference
        No row fits, a column is absent, or the row has fewer values than NELEM says.
    DataError
        The keyword is absent, or no number.
    """
    wanted = {"CCDAMP": amplifier(primary), "CCDGAIN": int(read_number(primary, "CCDGAIN"))}
    rows = _rows(table, wanted)
    keys = [str(table.column("REF_KEY")[row]).strip() for row in rows]
    values = [float(table.column("REF_KEY_VALUE")[row]) for row in rows]
    away = [abs(read_number(science, key) - value) for key, value in zip(keys, values, strict=True)]
    row = rows[int(np.argmin(away))]
    count, samples = int(table.column("NELEM")[row]), np.atleast_1d(table.column("ATOD")[row])
    if not 0 < count <= samples.size:
        raise MissingReference(
            "the table of the converter is too short",
            path=table.path,
            expected=f"NELEM {count} values in ATOD, at least 1",
            found=samples.size,
        )
    return samples[:count].astype(np.float32)


def _first(table: Table, wanted: Mapping[str, Any]) -> int:
    return _rows(table, wanted)[0]


def _rows(table: Table, wanted: Mapping[str, Any]) -> list[int]:
    fit = np.ones(len(table), np.bool_)
    for name, value in wanted.items():
        fit &= _matches(table.column(name), value)
    rows: list[int] = np.flatnonzero(fit).tolist()
    if not rows:
        raise MissingReference(
            "a reference table has no row for this exposure",
            path=table.path,
            expected=" ".join(f"{key}={value}" for key, value in wanted.items()),
            found=f"{len(table)} other rows",
        )
    return rows


def _matches(column: Any, value: str | int) -> Any:
    """Return where a column has a value, or a word that fits all."""
    if isinstance(value, str):
        words = np.char.upper(np.char.strip(column.astype(str)))
        return np.isin(words, (value, *ANY_TEXT))
    return np.isin(column, (value, *ANY_NUMBER))


def _number(table: Table, name: str, row: int, *, positive: bool = False) -> float:
    value = float(np.float32(table.column(name)[row]))
    if not math.isfinite(value) or (positive and value <= 0):
        raise MissingReference(
            f"{name} of a reference table is not usable",
            path=table.path,
            expected="a number > 0" if positive else "a number",
            found=value,
        )
    return value
