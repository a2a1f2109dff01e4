"""Extracted spectra as curves: what a preview of an x1d, sx1 or x1dsum shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calib import fitsfile
from calib.caldp import SPECTRUM_SUFFIXES, product_suffix
from calib.errors import CorruptFile

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

# Bits of DQ that spoil a point where the table has no SDQFLAGS of its own. STIS: all but the
# small blemish of 1024, as its tables say. COS: what calcos 3.6.2 assumes (cosutil.py).
SERIOUS_BITS = {"STIS": 31743, "COS": 3832}

_SPECTRA = frozenset[str]().union(*SPECTRUM_SUFFIXES.values())

# What a picture, and a table in single precision, has room for.
_LARGEST = float(np.finfo(np.float32).max)

# An order of an echelle has a row of its own; a spectrum of one order has a single row.
_LEAST_ORDERS = 2


@dataclass(frozen=True)
class Curve:
    """One row of a table: a segment of the detector, or an order of an echelle.

    Attributes
    ----------
    segment
        ``FUVA``, ``NUVB``...; empty for STIS.
    order
        Spectral order of STIS; 0 where the table does not say.
    exposure
        EXTVER of its table.
    wavelength, flux, error
        Shape (n,), as in the file and in its order; NaN where the file has no errors.
    dq
        Data quality, shape (n,); 0 where the file has none.
    good
        Points with a place in a picture and no serious flag.
    """

    segment: str
    order: int
    exposure: int
    wavelength: Values
    flux: Values
    error: Values
    dq: Flags
    good: Mask

    @property
    def seen(self) -> Mask:
        """Points that have a place in a picture, flagged or not.

        Their wavelength is positive, and that and the flux are finite in single precision.
        """
        return _places(self.wavelength, self.flux)


@dataclass(frozen=True)
class Spectrum:
    """The curves of a file.

    Attributes
    ----------
    curves
        At least one, each of one point or more.
    quantity
        Column that `Curve.flux` holds: FLUX, or NET where no flux was calibrated.
    units
        Texts of the units of wavelength and flux, as in the file; may be empty.
    header
        The primary header.
    """

    curves: tuple[Curve, ...]
    quantity: str
    units: tuple[str, str]
    header: Mapping[str, Any]

    @property
    def is_echelle(self) -> bool:
        """Whether the curves are the orders of one exposure."""
        orders = {curve.order for curve in self.curves}
        return len(orders) >= _LEAST_ORDERS


def holds_spectrum(path: Path) -> bool:
    """Tell whether a file is a spectrum: by its suffix, or by a table of fluxes in it.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.opened`.
    """
    with fitsfile.opened(path) as hdus:
        return product_suffix(path.name) in _SPECTRA or any(_is_table(hdu) for hdu in hdus[1:])


def read_spectrum(path: Path) -> Spectrum:
    """Read the curves of all tables of fluxes, in the order of the file.

    Only the first NELEM points of a row count, as STIS fills rows up. Rows without a point are
    left out. Values are not changed: NaN, zero and flagged points stay.

    Raises
    ------
    NotFound
        No such file.
    CorruptFile
        Not FITS, cut short, without a table of WAVELENGTH and FLUX, without a single point, with
        columns of different lengths, or with flags or orders that 32 bits do not hold.
    """
    with fitsfile.opened(path) as hdus:
        header = dict(hdus[0].header)  # a card that says nothing is found here
        tables = [_columns(hdu) for hdu in hdus[1:] if _is_table(hdu)]
        units = _units(next((hdu for hdu in hdus[1:] if _is_table(hdu)), None))
        found = [f"{hdu.name},{hdu.ver}" for hdu in hdus[1:]]
    serious = SERIOUS_BITS.get(str(header.get("INSTRUME", "")).strip(), SERIOUS_BITS["STIS"])
    try:
        quantity = _quantity(tables)
        curves = [curve for table in tables for curve in _curves(table, quantity, serious)]
    except (ValueError, IndexError, TypeError, ArithmeticError) as error:
        raise CorruptFile(f"no spectrum to show: {error}", path=path) from error
    if not curves:
        wanted = "a table with points of WAVELENGTH and FLUX"
        raise CorruptFile("no spectrum to show", path=path, expected=wanted, found=found)
    return Spectrum(tuple(curves), quantity, (units["WAVELENGTH"], units[quantity]), header)


def _places(wavelength: Values, flux: Values) -> Mask:
    mask: Mask = (wavelength > 0) & (wavelength <= _LARGEST) & (np.abs(flux) <= _LARGEST)
    return mask  # NaN is nowhere


def _is_table(hdu: Any) -> bool:
    columns = getattr(hdu, "columns", None)  # which images have not
    names = () if columns is None else [name.upper() for name in columns.names]
    return {"WAVELENGTH", "FLUX"} <= set(names)


def _columns(hdu: Any) -> dict[str, Any]:
    """Return what is needed of a table: columns in native byte order, EXTVER, SDQFLAGS."""
    wanted = {
        "WAVELENGTH", "FLUX", "NET", "ERROR", "NET_ERROR", "DQ", "DQ_WGT", "NELEM", "SPORDER",
        "SEGMENT",
    }  # fmt: skip
    columns = {n.upper(): np.asarray(hdu.data[n]) for n in hdu.columns.names if n.upper() in wanted}
    return {**columns, "EXTVER": hdu.ver, "SDQFLAGS": hdu.header.get("SDQFLAGS")}


def _units(hdu: Any) -> dict[str, str]:
    if hdu is None:
        return {"WAVELENGTH": "", "FLUX": ""}
    return {column.name.upper(): str(column.unit or "") for column in hdu.columns}


def _quantity(tables: list[dict[str, Any]]) -> str:
    """Choose NET where every flux is zero or nothing: it was not calibrated."""
    flux, net = (any(_says_something(table.get(n)) for table in tables) for n in ("FLUX", "NET"))
    return "NET" if net and not flux else "FLUX"


def _says_something(values: Any) -> bool:
    return values is not None and bool(np.any(np.isfinite(values) & (values != 0)))


def _curves(table: dict[str, Any], quantity: str, serious: int) -> list[Curve]:
    by_point = table["WAVELENGTH"].ndim == 1 and not {"SEGMENT", "SPORDER", "NELEM"} & set(table)
    rows = 1 if by_point else len(table["WAVELENGTH"])
    if not rows or not table["WAVELENGTH"].size:
        return []
    flags = table["SDQFLAGS"]
    bits = int(flags) if isinstance(flags, int) and flags else serious
    made = [_curve(_Row(table, rows, number), quantity, bits) for number in range(rows)]
    return [curve for curve in made if curve.flux.size]


@dataclass(frozen=True)
class _Row:
    """One row of a table of `rows` rows; a table of one point a row is one row of many."""

    table: Mapping[str, Any]
    rows: int
    number: int

    def value(self, name: str) -> Any:
        return self.table[name][self.number] if name in self.table else None

    def points(self, name: str, missing: float) -> Any:
        shape = self.table["WAVELENGTH"].reshape(self.rows, -1).shape
        column = self.table.get(name)
        data = np.full(shape, missing) if column is None else column.reshape(self.rows, -1)
        if data.shape != shape:
            message = f"{name} has {data.shape[1]} points a row, WAVELENGTH {shape[1]}"
            raise ValueError(message)
        count = self.value("NELEM")
        return data[self.number, : None if count is None else max(0, int(count))]


def _curve(row: _Row, quantity: str, serious: int) -> Curve:
    wavelength = row.points("WAVELENGTH", np.nan).astype(np.float64)
    flux = row.points(quantity, np.nan).astype(np.float64)
    error = row.points("ERROR" if quantity == "FLUX" else "NET_ERROR", np.nan).astype(np.float64)
    dq = row.points("DQ", 0).astype(np.int32)
    kept = row.points("DQ_WGT", 1) > 0
    good = _places(wavelength, flux) & ((dq & serious) == 0) & kept
    return Curve(
        segment=str(row.value("SEGMENT") or "").strip(),
        order=int(np.int32(int(row.value("SPORDER") or 0))),
        exposure=int(row.table["EXTVER"]),
        wavelength=wavelength,
        flux=flux,
        error=error,
        dq=dq,
        good=good,
    )
