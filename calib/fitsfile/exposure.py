"""Exposures: image sets with their headers, read and written as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calib.errors import CorruptFile
from calib.fitsfile.opening import named, opened, pixels_as
from calib.fitsfile.writing import write_atomically
from calib.image import Header, Image, Imset

# Cards that describe the pixels as they were stored in the raw, not in the product.
_OF_RAW_PIXELS = (
    "GROUPS", "DATE", "BSCALE", "BZERO", "DATAMIN", "DATAMAX", "NPIX1", "NPIX2", "PIXVALUE",
    "CHECKSUM", "DATASUM",
)  # fmt: skip


@dataclass(frozen=True)
class Exposure:
    """A raw or calibrated exposure as read from a file.

    Attributes
    ----------
    primary
        Primary header.
    imsets
        Image sets in order of EXTVER.
    """

    primary: Header
    imsets: tuple[Imset, ...]


def read_exposure(path: str | Path) -> Exposure:
    """Read headers and pixels of all image sets; SCI and ERR as float32, DQ as int16.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where there is no SCI extension, or ERR or DQ is absent.
    """
    with opened(path) as hdus, named(path):
        versions = sorted(hdu.ver for hdu in hdus[1:] if hdu.name == "SCI")
        if not versions:
            raise CorruptFile("no SCI extension", path=path, found=[hdu.name for hdu in hdus])
        imsets = tuple(_read_imset(hdus, version, path) for version in versions)
        return Exposure(Header(hdus[0].header.copy()), imsets)


def write_exposure(path: Path, exposure: Exposure) -> None:
    """Write an exposure atomically, with the changes of its headers.

    Cards keep their order and comments; what describes the old pixels (scaling, constant
    arrays, data range) goes. HISTORY lines are added at the end.
    """
    hdus = [_primary(exposure.primary)]
    for imset in exposure.imsets:
        for name, pixel_array, header in (
            ("SCI", imset.image.sci, imset.sci),
            ("ERR", imset.image.err, imset.err),
            ("DQ", imset.image.dq, imset.dq),
        ):
            hdu = fits.ImageHDU(pixel_array, header=_finished(header), name=name)
            hdu.ver = imset.version
            hdus.append(hdu)
    write_atomically(fits.HDUList(hdus), path)


def _primary(header: Header) -> fits.PrimaryHDU:
    """Return a primary HDU without pixels whose cards are written as they are.

    Built from text, because a new HDU would get another BITPIX: the programs write 16 (which
    means nothing here, but comparisons of headers look at it).
    """
    cards = _finished(header)
    cards["BITPIX"] = 16
    return fits.PrimaryHDU.fromstring(cards.tostring().encode("ascii"))


def _read_imset(hdus: fits.HDUList, version: int, path: str | Path) -> Imset:
    sci = _extension(hdus, "SCI", version, path)
    image = Image(
        pixels_as(sci, np.float32),
        pixels_as(_extension(hdus, "ERR", version, path), np.float32),
        pixels_as(_extension(hdus, "DQ", version, path), np.int16),
        unit=str(sci.header.get("BUNIT", "COUNTS")).strip().upper(),
    )
    sci_header, err_header, dq_header = (
        Header(hdus[name, version].header.copy()) for name in ("SCI", "ERR", "DQ")
    )
    return Imset(image, sci_header, err_header, dq_header, version)


def _extension(hdus: fits.HDUList, name: str, version: int, path: str | Path) -> Any:
    if (name, version) not in hdus:
        raise CorruptFile("an extension is absent", path=path, expected=f"{name},{version}")
    return hdus[name, version]


def _finished(header: Header) -> fits.Header:
    cards = fits.Header(header.cards, copy=True)
    for keyword in _OF_RAW_PIXELS:
        cards.remove(keyword, ignore_missing=True, remove_all=True)
    for keyword, value in header.changes.items():
        comment = header.comments.get(keyword)
        cards[keyword] = value if keyword in cards or comment is None else (value, comment)
    for line in header.history:
        cards.add_history(line)
    return cards
