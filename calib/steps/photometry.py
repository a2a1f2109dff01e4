"""Photometry: PHOTMODE, and the keywords interpolated in the IMPHTTAB (PHOTCORR).

Sources: ACS Data Handbook 3.4.13; TIR ACS 2011 on IMPHTTAB; calacs photmode, getphttab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calib.errors import MissingReference

TIME_PARAMETER = "mjd#"  # the only parameter that may be extrapolated (getphttab)


@dataclass(frozen=True)
class PhotometryRow:
    """One row of an IMPHTTAB extension.

    Attributes
    ----------
    mode
        OBSMODE, such as ``acs,hrc,f555w,mjd#``.
    names, grids
        Parameters of the mode and the values for which results are given, ascending.
    results
        One value, or one per grid point, the first parameter running fastest.
    """

    mode: str
    names: tuple[str, ...]
    grids: tuple[tuple[float, ...], ...]
    results: tuple[float, ...]


def name_photmode(
    detector: str, obstype: str, filters: Sequence[str], ramp: float, mjd: float
) -> str:
    """Return PHOTMODE, such as ``ACS HRC F555W MJD#52377.7615``.

    Parameters
    ----------
    detector
        ``HRC``, ``SBC``, or ``WFC1`` for both WFC chips.
    obstype
        ``CORONAGRAPHIC`` adds CORON.
    filters
        FILTER1 and FILTER2; CLEAR and N/A say nothing, polarisers are named by their kind.
    ramp
        LRFWAVE, the wavelength of a ramp filter [Angstrom].
    mjd
        EXPSTART.
    """
    words = ["ACS", detector]
    if obstype.startswith("CORON"):
        words.append("CORON")
    words += [_filter_word(name, ramp) for name in filters if not name.startswith(("N/A", "CLEAR"))]
    words.append(f"MJD#{mjd:.4f}")
    return " ".join(word for word in words if word)


def _filter_word(name: str, ramp: float) -> str:
    if name.startswith("POL"):
        return "POL_UV" if "UV" in name else "POL_V"
    return f"{name}#{ramp:.4g}" if name.startswith("FR") else name


def parse_photmode(photmode: str) -> tuple[str, dict[str, float]]:
    """Return the mode as IMPHTTAB writes it, and the values of its parameters.

    ``ACS HRC F555W MJD#52377.8`` gives ``acs,hrc,f555w,mjd#`` and ``{"mjd#": 52377.8}``.
    """
    tokens = photmode.lower().split()
    values = {}
    for token in tokens:
        name, mark, value = token.partition("#")
        if mark:
            values[name + "#"] = float(value)
    return ",".join(_without_value(token) for token in tokens), values


def _without_value(token: str) -> str:
    name, mark, _ = token.partition("#")
    return name + mark


def same_mode(row: str, mode: str) -> bool:
    """Whether a row fits: equal length, and every word of the row occurs in the mode.

    This is how calacs compares (CompareObsModes): words are looked for as substrings, in any
    order and case.
    """
    return len(row) == len(mode) and all(word in mode.lower() for word in row.lower().split(","))


def find_row(rows: Sequence[PhotometryRow], mode: str, source: str | None = None) -> PhotometryRow:
    """Return the first row that fits a mode.

    Parameters
    ----------
    source
        File of the rows, for the message.

    Raises
    ------
    MissingReference
        There is none.
    """
    for row in rows:
        if same_mode(row.mode, mode):
            return row
    raise MissingReference(
        "the IMPHTTAB has no row for this mode",
        path=source,
        expected=mode,
        found=f"{len(rows)} other modes",
    )


def interpolate(row: PhotometryRow, values: dict[str, float], *, extrapolate: bool) -> float | None:
    """Return the result for these parameter values, in 64 bits.

    Parameters
    ----------
    values
        Parameters of PHOTMODE by name.
    extrapolate
        EXTRAP of the table: dates outside the grid go on along the line through the last two
        points. Other parameters are never extrapolated.

    Returns
    -------
    float or None
        None outside the grid.

    Raises
    ------
    MissingReference
        The row wants a parameter that the mode does not have.
    """
    cube = np.array(row.results, np.float64)
    for name, grid in zip(row.names, row.grids, strict=True):
        value = _parameter(row, values, name)
        if not grid[0] <= value <= grid[-1] and not (
            extrapolate and name.lower() == TIME_PARAMETER
        ):
            return None
        cube = _along_first(cube, np.array(grid), value)
    return float(cube.item())


def _parameter(row: PhotometryRow, values: dict[str, float], name: str) -> float:
    try:
        return values[name.lower()]
    except KeyError as error:
        raise MissingReference(
            "the IMPHTTAB row has a parameter that PHOTMODE lacks",
            expected=name,
            found=f"{sorted(values)} for {row.mode}",
        ) from error


def _along_first(
    cube: npt.NDArray[np.float64], grid: npt.NDArray[np.float64], value: float
) -> npt.NDArray[np.float64]:
    """Interpolate over the fastest axis; outside, the nearest segment is prolonged."""
    table = cube.reshape(-1, grid.size)
    if grid.size == 1:
        return table[:, 0]
    low = int(np.clip(np.searchsorted(grid, value, side="right") - 1, 0, grid.size - 2))
    share = (value - grid[low]) / (grid[low + 1] - grid[low])
    return np.asarray(table[:, low] + share * (table[:, low + 1] - table[:, low]))
