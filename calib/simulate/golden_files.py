"""FITS files of the golden cases, card for card as the golden programs saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.fitsfile import write_atomically

# A column: name, FITS format, value of rows that do not say.
Columns = Sequence[tuple[str, str, Any]]
Row = Mapping[str, Any]
Pixels = npt.NDArray[Any]

# The first cards of every reference file. There is no USEAFTER: these files are for
# calibrating, not for CRDS.
REFERENCE_CARDS = {
    "TELESCOP": "HST",
    "PEDIGREE": "GROUND",
    "DESCRIP": "synthetic reference",
    "NEXTEND": 1,
}

ASSOCIATION_COLUMNS: Columns = (
    ("MEMNAME", "14A", ""),
    ("MEMTYPE", "14A", ""),
    ("MEMPRSNT", "L", True),
)


@dataclass(frozen=True)
class Imset:
    """Pixels of SCI, ERR and DQ; None where an extension is the same everywhere: zero."""

    sci: Pixels
    err: Pixels | None = None
    dq: Pixels | None = None


def write_hdus(path: Path, hdus: Sequence[Any]) -> None:
    """Write a file, making its folder where absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(fits.HDUList(list(hdus)), path)


def primary(cards: Mapping[str, Any]) -> fits.PrimaryHDU:
    """Return a primary HDU with these cards, in this order, without comments."""
    hdu = fits.PrimaryHDU()
    for keyword, value in cards.items():
        hdu.header[keyword] = value
    return hdu


def image(name: str, version: int, data: Pixels, cards: Mapping[str, Any]) -> fits.ImageHDU:
    """Return an image extension; u16 and int16 pixels are kept, others become float32."""
    kept = data.dtype in (np.dtype(np.uint16), np.dtype(np.int16))
    hdu = fits.ImageHDU(data if kept else np.asarray(data, np.float32), name=name)
    return _with_cards(hdu, version, cards)


def constant(
    name: str, version: int, shape: tuple[int, int], cards: Mapping[str, Any]
) -> fits.ImageHDU:
    """Return an extension of zeros without pixels.

    Unlike :func:`calib.simulate.constant.constant_image` BITPIX is 8 for ERR and DQ alike, as
    astropy writes it for an extension without data: so the golden inputs have it.
    """
    hdu = fits.ImageHDU(name=name)
    hdu.header["NPIX1"], hdu.header["NPIX2"] = shape[1], shape[0]
    hdu.header["PIXVALUE"] = 0 if name == "DQ" else 0.0
    return _with_cards(hdu, version, cards)


def imset_hdus(version: int, imset: Imset, cards: Mapping[str, Any]) -> list[fits.ImageHDU]:
    """Return SCI, ERR and DQ of one image set with the same cards."""
    planes = (("SCI", imset.sci), ("ERR", imset.err), ("DQ", imset.dq))
    return [
        constant(name, version, imset.sci.shape, cards)
        if data is None
        else image(name, version, data, cards)
        for name, data in planes
    ]


def table(rows: Sequence[Row], columns: Columns, name: str | None = None) -> fits.BinTableHDU:
    """Return a table of rows; what a row does not say has the default of its column."""
    made = [
        fits.Column(name=key, format=form, array=np.array([row.get(key, value) for row in rows]))
        for key, form, value in columns
    ]
    hdu = fits.BinTableHDU.from_columns(made)
    if name:
        hdu.name = name
    return hdu


def mapping_cards(offset_x: float, offset_y: float) -> dict[str, float]:
    """Return the cards that place an unbinned image on its detector."""
    return {"LTV1": float(offset_x), "LTV2": float(offset_y), "LTM1_1": 1.0, "LTM2_2": 1.0}


def write_association(folder: Path, name: str, detector: str, rows: Sequence[Row]) -> Path:
    """Write the association table ``name_asn.fits`` into a folder."""
    path = folder / f"{name}_asn.fits"
    cards = {
        "INSTRUME": "ACS",
        "DETECTOR": detector,
        "TELESCOP": "HST",
        "NEXTEND": 1,
        "ASN_ID": name.upper(),
        "FILENAME": path.name,
        "ROOTNAME": name,
        "ASN_TAB": path.name,
    }
    write_hdus(path, [primary(cards), table(rows, ASSOCIATION_COLUMNS, "ASN")])
    return path


def _with_cards(hdu: fits.ImageHDU, version: int, cards: Mapping[str, Any]) -> fits.ImageHDU:
    hdu.ver = version
    for keyword, value in cards.items():
        hdu.header[keyword] = value
    return hdu
