"""Synthetic x1d files as calstis and calcos lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

UNIT = "erg/s/cm**2/Angstrom"
_UNITS = {"WAVELENGTH": "Angstroms", "FLUX": UNIT, "ERROR": UNIT, "NET": "Counts/s"}


def row(wavelength: Any, flux: Any, **others: Any) -> dict[str, Any]:
    """Return one row: errors of a tenth of the flux and no flags unless told otherwise."""
    flux = np.asarray(flux, np.float64)
    usual = {"ERROR": np.full(flux.shape, 0.1) * np.abs(flux), "DQ": np.zeros(flux.shape, int)}
    return {"WAVELENGTH": np.asarray(wavelength, float), "FLUX": flux, **usual, **others}


def table(rows: Sequence[Mapping[str, Any]], version: int = 1, **cards: Any) -> Any:
    """Return a table with a row for each curve, of the shape that pipelines write."""
    columns = []
    for name in rows[0]:
        values = np.array([each[name] for each in rows])
        kind = {"f": "D" if name == "WAVELENGTH" else "E", "i": "I", "U": "A"}[values.dtype.kind]
        count = values.shape[1] if values.ndim > 1 else 1
        text = f"{values.dtype.itemsize // 4}A" if kind == "A" else f"{count}{kind}"
        columns.append(fits.Column(name, text, unit=_UNITS.get(name), array=values))
    hdu = fits.BinTableHDU.from_columns(columns, name="SCI", ver=version)
    hdu.header.update(cards)
    return hdu


def write_x1d(path: Path, *tables: Any, instrument: str = "STIS", **cards: Any) -> Path:
    """Write tables as a file."""
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"INSTRUME": instrument, "ROOTNAME": path.name[:9], "TARGNAME": "STAR", **cards}
    )
    fits.HDUList([primary, *tables]).writeto(path)
    return path
