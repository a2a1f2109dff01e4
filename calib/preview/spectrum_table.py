"""The curves of a spectrum as one long table, which any program reads: ``BASE_prev.fits``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from calib.fitsfile.table_data import write_tables
from calib.fitsfile.units import unit_of
from calib.preview.spectrum import Curve, Spectrum

# What says what was observed, with what, and what calibrated it.
_COPIED = (
    "TELESCOP", "INSTRUME", "ROOTNAME", "TARGNAME", "RA_TARG", "DEC_TARG", "PROPOSID", "DETECTOR",
    "OBSMODE", "OPT_ELEM", "CENWAVE", "APERTURE", "TDATEOBS", "TTIMEOBS", "TEXPTIME", "CAL_VER",
)  # fmt: skip


def write_curves(path: Path, spectrum: Spectrum, source: str) -> None:
    """Write a row for each point, in the order of the file; nothing is left out or changed.

    The columns are WAVELENGTH (double), FLUX or NET and ERROR (single precision, NaN where there
    is none), DQ, SEGMENT where the instrument has segments, SPORDER where it has orders, and
    EXPOSURE (EXTVER of the table) where there are several.

    Parameters
    ----------
    path
        Replaced if there.
    source
        Name of the file that the curves come from; card SOURCE.

    Raises
    ------
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    from astropy.table import Table

    curves = spectrum.curves
    table = Table(
        {
            "WAVELENGTH": np.concatenate([curve.wavelength for curve in curves]),
            spectrum.quantity: np.concatenate([curve.flux for curve in curves]).astype(np.float32),
            "ERROR": np.concatenate([curve.error for curve in curves]).astype(np.float32),
            "DQ": np.concatenate([curve.dq for curve in curves]),
            **_labels(curves),
        }
    )
    for name, unit in zip(("WAVELENGTH", spectrum.quantity), spectrum.units, strict=True):
        table[name].unit = unit_of(unit) if unit else None
    table["ERROR"].unit = table[spectrum.quantity].unit
    table.meta = {key: spectrum.header[key] for key in _COPIED if key in spectrum.header}
    table.meta |= {"SOURCE": source, "EXTNAME": "SPECTRUM"}
    write_tables(path, [table])


def _labels(curves: tuple[Curve, ...]) -> dict[str, Any]:
    """Return the columns that tell curves apart, where there is something to tell."""
    kinds: dict[str, Any] = {}
    if any(curve.segment for curve in curves):
        kinds["SEGMENT"] = np.array([curve.segment for curve in curves])
    if any(curve.order for curve in curves):
        kinds["SPORDER"] = np.array([curve.order for curve in curves], np.int32)
    if len({curve.exposure for curve in curves}) > 1:
        kinds["EXPOSURE"] = np.array([curve.exposure for curve in curves], np.int32)
    counts = [curve.flux.size for curve in curves]
    return {name: np.repeat(values, counts) for name, values in kinds.items()}
