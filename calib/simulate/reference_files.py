"""Reference files of the synthetic HRC, made from its truth.

Images: bias, dark, flat, saturation map. Tables: CCD parameters, overscan, bad pixels,
photometry, cosmic-ray rejection. Error and flag extensions with one value everywhere hold
no pixels (NAXIS=0 with NPIX1, NPIX2, PIXVALUE), as in raw files, to keep them small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.dq import AcsDq
from calib.fitsfile import write_atomically
from calib.simulate.constant import constant_image
from calib.simulate.detector import (
    BIAS_LEVEL,
    FILTERS,
    FULL_WELL,
    GAIN,
    READ_NOISE,
    Detector,
    Geometry,
)

USEAFTER = "Jan 01 2002 00:00:00"
LATER_USEAFTER = "Apr 13 2002 18:00:00"

# Rate in electrons/s above which a pixel of the dark is flagged hot
# (ACS Data Handbook, section 4.3.1, for the HRC: 0.08).
HOT_RATE = 0.08

# PHOTFLAM, PHOTPLAM (Angstrom), PHOTBW (Angstrom) about those of the HRC.
PHOTOMETRY = {
    "F606W": (1.29e-19, 5888.0, 664.0),
    "F555W": (3.01e-19, 5356.0, 357.0),
    "F330W": (2.24e-18, 3362.0, 173.0),
}


@dataclass(frozen=True)
class Reference:
    """A reference file made: its CRDS type (lower case) and path."""

    type: str
    path: Path


@dataclass(frozen=True)
class _Maker:
    """Writes the references of one detector into one folder."""

    folder: Path
    detector: Detector

    def image(
        self, kind: str, name: str, filetype: str, *extensions: fits.ImageHDU, **keys: Any
    ) -> Reference:
        """Write an image reference: SCI, ERR, DQ."""
        primary = _primary(name, filetype, NEXTEND=len(extensions), **keys)
        return self._write(kind, name, [primary, *extensions])

    def table(
        self, kind: str, name: str, filetype: str, rows: Sequence[dict[str, Any]], **keys: Any
    ) -> Reference:
        """Write a table reference: one row per dictionary."""
        columns = [
            fits.Column(name=key, format=_format(value), array=np.array([r[key] for r in rows]))
            for key, value in rows[0].items()
        ]
        table = fits.BinTableHDU.from_columns(columns)
        table.header.update(keys)
        return self._write(kind, name, [_primary(name, filetype, NEXTEND=1), table])

    def tables(
        self, kind: str, name: str, filetype: str, tables: list[Any], **keys: Any
    ) -> Reference:
        """Write a reference with several tables."""
        primary = _primary(name, filetype, NEXTEND=len(tables), **keys)
        return self._write(kind, name, [primary, *tables])

    def _write(self, kind: str, name: str, hdus: list[Any]) -> Reference:
        path = self.folder / name
        write_atomically(fits.HDUList(hdus), path)
        return Reference(kind, path)


def write_first_references(folder: Path, detector: Detector) -> list[Reference]:
    """Write every reference that the first context names; the same detector, the same bytes."""
    maker = _Maker(folder, detector)
    return [
        _bias(maker),
        _dark(maker, "z0000002j_drk.fits", USEAFTER, detector.dark),
        *_flats(maker),
        _saturation(maker),
        _ccd_parameters(maker),
        _overscan(maker),
        _bad_pixels(maker),
        _rejection(maker),
        _photometry(maker),
    ]


def write_later_dark(folder: Path, detector: Detector) -> Reference:
    """Write the dark that the second context adds, for use after 18:00 of 13 April 2002."""
    maker = _Maker(folder, detector)
    return _dark(maker, "z0000012j_drk.fits", LATER_USEAFTER, detector.later_dark)


def _bias(maker: _Maker) -> Reference:
    """Write the bias in DN.

    Rules match biases from before the fourth servicing mission on APERTURE N/A, so that is
    what the header says, although `crds certify` lists no aperture for the HRC.
    """
    geometry = maker.detector.geometry
    return maker.image(
        "biasfile",
        "z0000001j_bia.fits",
        "BIAS",
        _pixels("SCI", maker.detector.bias, geometry, raw=True, unit="COUNTS"),
        _constant("ERR", 0.12, geometry, raw=True, unit="COUNTS"),
        _constant("DQ", 0, geometry, raw=True),
        CCDAMP="C",
        CCDGAIN=2.0,
        APERTURE="N/A",
    )


def _dark(maker: _Maker, name: str, useafter: str, rate: npt.NDArray[np.float32]) -> Reference:
    geometry = maker.detector.geometry
    hot = np.where(rate > HOT_RATE, int(AcsDq.HOT), 0).astype(np.int16)
    return maker.image(
        "darkfile",
        name,
        "DARK",
        _pixels("SCI", rate, geometry, unit="ELECTRONS/S"),
        _constant("ERR", 2e-4, geometry, unit="ELECTRONS/S"),
        _pixels("DQ", hot, geometry),
        CCDAMP="C",
        CCDGAIN=2.0,
        USEAFTER=useafter,
    )


def _flats(maker: _Maker) -> list[Reference]:
    geometry = maker.detector.geometry
    return [
        maker.image(
            "pfltfile",
            f"z000000{number}j_pfl.fits",
            "PIXEL-TO-PIXEL FLAT",
            _pixels("SCI", maker.detector.flat(name), geometry),
            _constant("ERR", 2e-3, geometry),
            _constant("DQ", 0, geometry),
            CCDAMP="ANY",
            CCDGAIN=-1.0,
            FILTER1=filter1,
            FILTER2=filter2,
            OBSTYPE="IMAGING",
            FW1OFFST=0,
            FW2OFFST=0,
            FWSOFFST=0,
        )
        for number, (name, (filter1, filter2)) in enumerate(FILTERS.items(), 3)
    ]


def _saturation(maker: _Maker) -> Reference:
    """Full well in electrons; a little lower to the left, and everywhere below the true one."""
    geometry = maker.detector.geometry
    ny, nx = geometry.raw_shape
    level = np.broadcast_to(FULL_WELL * np.linspace(0.90, 0.95, nx), (ny, nx))
    return maker.image(
        "satufile",
        "z0000006j_sat.fits",
        "FULL-WELL SATURATION LEVEL MAP",
        _pixels("SCI", level.astype(np.float32), geometry, raw=True, unit="ELECTRONS"),
        _constant("ERR", 0.0, geometry, raw=True, unit="ELECTRONS"),
        _constant("DQ", 0, geometry, raw=True),
        CCDAMP="C",
    )


def _ccd_parameters(maker: _Maker) -> Reference:
    row: dict[str, Any] = {"CCDAMP": "C", "CCDCHIP": 1, "CCDGAIN": 2.0, "BINAXIS1": 1}
    row |= {"BINAXIS2": 1} | {f"CCDOFST{amp}": 3 for amp in "ABCD"}
    row |= {f"CCDBIAS{amp}": BIAS_LEVEL for amp in "ABCD"}
    row |= {f"ATODGN{amp}": GAIN for amp in "ABCD"}
    row |= {f"READNSE{amp}": READ_NOISE for amp in "ABCD"}
    row |= {"AMPX": 0, "AMPY": 0, "ATODSAT": 65534, "SATURATE": FULL_WELL}
    row |= {"OVRHFLS": 0.0, "OVRHUFLS": 0.0, "PEDIGREE": "GROUND", "DESCRIP": "simulated"}
    return maker.table("ccdtab", "z0000007j_ccd.fits", "CCD PARAMETERS", [row])


def _overscan(maker: _Maker) -> Reference:
    """Write where the overscans are; columns and rows of the table count from one."""
    geometry = maker.detector.geometry
    (ny, nx), side, top = geometry.raw_shape, geometry.trim_x, geometry.trim_y
    row = {
        "CCDAMP": "C",
        "CCDCHIP": 1,
        "BINX": 1,
        "BINY": 1,
        "NX": nx,
        "NY": ny,
        "TRIMX1": side,
        "TRIMX2": side,
        "TRIMY1": 0,
        "TRIMY2": top,
        "VX1": side + 6,
        "VX2": nx - side - 5,
        "VY1": ny - top + 2,
        "VY2": ny - 1,
        "BIASSECTA1": side - 6,
        "BIASSECTA2": side,
        "BIASSECTB1": nx - side + 1,
        "BIASSECTB2": nx - side + 6,
    }
    return maker.table("oscntab", "z0000008j_osc.fits", "OVERSCAN", [row])


def _bad_pixels(maker: _Maker) -> Reference:
    ny, nx = maker.detector.geometry.shape
    rows = [
        {
            "CCDAMP": "N/A",
            "CCDCHIP": 1,
            "CCDGAIN": -999.0,
            "PIX1": column + 1,
            "PIX2": first + 1,
            "LENGTH": length,
            "AXIS": 2,
            "VALUE": int(AcsDq.BAD_PIXEL),
        }
        for column, first, length in maker.detector.dead_columns
    ]
    return maker.table(
        "bpixtab", "z0000009j_bpx.fits", "BAD PIXELS", rows, SIZAXIS1=nx, SIZAXIS2=ny
    )


def _rejection(maker: _Maker) -> Reference:
    rows = [
        {
            "CRSPLIT": exposures,
            "CCDCHIP": 1,
            "MEANEXP": seconds,
            "SCALENSE": 3.0,
            "INITGUES": "min",
            "SKYSUB": "mode",
            "CRSIGMAS": "6.5,5.5,4.5",
            "CRRADIUS": 1.5,
            "CRTHRESH": 0.75,
            "BADINPDQ": 39,
            "CRMASK": True,
        }
        for exposures in (2, 3, 4)
        for seconds in (100.0, 1000.0, 1e6)
    ]
    return maker.table("crrejtab", "z0000010j_crr.fits", "COSMIC RAY REJECTION", rows)


def _photometry(maker: _Maker) -> Reference:
    """Write PHOTFLAM, PHOTPLAM and PHOTBW by filter, each for four dates (MJD)."""
    dates = np.array([51000.0, 54000.0, 57000.0, 61000.0])
    tables = [
        _photometry_table(name, place, dates)
        for place, name in enumerate(("PHOTFLAM", "PHOTPLAM", "PHOTBW"))
    ]
    return maker.tables(
        "imphttab",
        "z0000011j_imp.fits",
        "IMAGE PHOTOMETRY TABLE",
        tables,
        PARNUM=1,
        PHOTZPT=-21.1,
        EXTRAP=True,
        SYNSWVER="simulated",
        GRAPHTAB="N/A",
        COMPTAB="N/A",
        ORIGIN="simulated",
    )


def _photometry_table(name: str, place: int, dates: npt.NDArray[np.float64]) -> Any:
    values = np.array([numbers[place] for numbers in PHOTOMETRY.values()])
    count = len(values)
    slope = 1e-7 if name == "PHOTFLAM" else 0.0  # the sensitivity falls slowly
    by_date = values[:, None] * (1 + slope * (dates - 55000.0))[None, :]
    modes = [f"acs,hrc,{filter_name.lower()},mjd#" for filter_name in PHOTOMETRY]
    columns = [
        ("OBSMODE", "40A", modes),
        ("DATACOL", "12A", [f"{name}1"] * count),
        (name, "D", values),
        ("NELEM1", "J", [len(dates)] * count),
        ("PAR1NAMES", "10A", ["MJD#"] * count),
        ("PAR1VALUES", f"{len(dates)}D", np.tile(dates, (count, 1))),
        (f"{name}1", f"{len(dates)}D", by_date),
        ("PEDIGREE", "12A", ["GROUND"] * count),
        ("DESCRIP", "30A", ["simulated"] * count),
    ]
    made = [fits.Column(name=n, format=f, array=np.asarray(a)) for n, f, a in columns]
    return fits.BinTableHDU.from_columns(made, name=name)


def _primary(name: str, filetype: str, **keys: Any) -> fits.PrimaryHDU:
    hdu = fits.PrimaryHDU()
    hdu.header.update(
        {
            "TELESCOP": "HST",
            "INSTRUME": "ACS",
            "DETECTOR": "HRC",
            "FILENAME": name,
            "FILETYPE": filetype,
            "USEAFTER": USEAFTER,
            "PEDIGREE": "GROUND",
            "DESCRIP": "Simulated reference for trying out software; not for science -----------",
            **keys,
        }
    )
    hdu.header["COMMENT"] = "made by the simulator of hstflow"
    return hdu


def _pixels(
    name: str,
    data: npt.NDArray[Any],
    geometry: Geometry,
    *,
    raw: bool = False,
    unit: str = "UNITLESS",
) -> fits.ImageHDU:
    hdu = fits.ImageHDU(data, name=name)
    hdu.header.update(_place(geometry, unit, raw=raw))
    return hdu


def _constant(
    name: str, value: float, geometry: Geometry, *, raw: bool = False, unit: str = "UNITLESS"
) -> fits.ImageHDU:
    hdu = constant_image(name, value, geometry.raw_shape if raw else geometry.shape)
    hdu.header.update(_place(geometry, unit, raw=raw))
    return hdu


def _place(geometry: Geometry, unit: str, *, raw: bool) -> dict[str, Any]:
    """Return the cards that say which part of the detector an extension covers."""
    return {
        "EXTVER": 1,
        "CCDCHIP": 1,
        "BUNIT": unit,
        "LTV1": float(geometry.trim_x) if raw else 0.0,
        "LTV2": 0.0,
        "LTM1_1": 1.0,
        "LTM2_2": 1.0,
    }


def _format(value: object) -> str:
    """Return the column format of a value; text is as wide as ACS tables have it at most."""
    if isinstance(value, bool):
        return "L"
    if isinstance(value, int):
        return "J"
    return "E" if isinstance(value, float) else "20A"
