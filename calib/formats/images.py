"""Images as `astropy.nddata.CCDData`: counts with unit, error, flags, mask, WCS and header."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calib.errors import ConfigError
from calib.fitsfile.image_data import (
    ImageSet,
    image_versions,
    read_image_sets,
    without_lookup_tables,
    write_image_sets,
)
from calib.fitsfile.joined_header import join_headers, part_header
from calib.fitsfile.units import unit_of, unit_text
from calib.formats.format import Reading, refuse_object

EXPECTED = "CCDData, or a list of CCDData"

# What a pixel gets in DQ that is masked without a flag: 4, a bad pixel, in all four
# instruments (data handbooks, tables of data-quality flags).
MASKED = np.int16(4)

# Types of numbers that FITS holds (FITS standard 4.0, table 8; unsigned ones by BZERO).
_NUMBERS = ("u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8")


def read_images(path: Path, reading: Reading) -> Any:
    """Read an image: CCDData for one image set, a list in order of EXTVER for several.

    ``data`` are SCI as stored, ``unit`` BUNIT, ``uncertainty`` ERR as standard deviation,
    ``flags`` DQ. ``mask`` is true where DQ has a bit that is not in `good_bits`; a drizzled
    image, which has no DQ, is masked where its weight (WHT) is 0 and has no uncertainty.
    ``wcs`` holds the distortion with its look-up tables if the file has them. ``meta`` are
    the cards of the file, then of SCI (:mod:`calib.fitsfile.joined_header`).

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.image_data.read_image_sets`.
    """
    versions = image_versions(path) if reading.imset is None else (reading.imset,)
    found = read_image_sets(path, ("ERR", "DQ", "WHT"), versions)
    images = [_image(join_headers(primary, s.header, "SCI"), s, reading) for primary, s in found]
    return images[0] if len(images) == 1 else images


def write_images(path: Path, images: Any) -> None:
    """Write one CCDData or several as image sets SCI, ERR and DQ.

    ERR is written where there is an uncertainty, as standard deviation in the unit of the
    data. DQ is written where there are flags or a mask: the flags with all their bits, and
    :data:`MASKED` where a pixel is masked without one. The header of a file comes from the
    first image. A WCS that is no longer that of ``meta`` (a cut-out) is written anew;
    look-up tables of the distortion are not written.

    Raises
    ------
    ConfigError
        Not images, or numbers that FITS does not hold.
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    chosen = list(images) if isinstance(images, list | tuple) else [images]
    if not chosen or not all(_is_image(each) for each in chosen):
        raise refuse_object(images, EXPECTED)
    primary, _ = part_header(chosen[0].meta)
    write_image_sets(path, primary, [_set_of(n, each) for n, each in enumerate(chosen, start=1)])


def mask_of(flags: npt.NDArray[Any], good_bits: int) -> npt.NDArray[np.bool_]:
    """Return which pixels have a bit that is not good."""
    # In the type of the flags: int16 has the sixteenth bit as its sign.
    bad = np.array(~good_bits & 0xFFFF, np.uint32).astype(flags.dtype)
    masked: npt.NDArray[np.bool_] = (flags & bad) != 0
    return masked


def _image(header: Any, found: ImageSet, reading: Reading) -> Any:
    from astropy.nddata import CCDData, StdDevUncertainty

    planes = found.planes
    flags = np.array(planes["DQ"]) if "DQ" in planes else None
    mask = None if flags is None else mask_of(flags, reading.good_bits)
    if mask is None and "WHT" in planes:
        mask = planes["WHT"] == 0
    return CCDData(
        np.array(planes["SCI"], copy=None),
        unit=unit_of(found.header.get("BUNIT", header.get("BUNIT"))),
        uncertainty=StdDevUncertainty(np.array(planes["ERR"])) if "ERR" in planes else None,
        mask=mask,
        flags=flags,
        wcs=found.wcs,
        meta=header,
    )


def _is_image(thing: object) -> bool:
    from astropy.nddata import CCDData

    return isinstance(thing, CCDData) and thing.data.ndim == 2  # noqa: PLR2004 - an image


def _set_of(version: int, image: Any) -> ImageSet:
    _, header = part_header(image.meta)
    header["BUNIT"] = unit_text(image.unit, image.meta.get("BUNIT"))
    return ImageSet(dict(_planes(image)), _with_wcs(header, image), version)


def _planes(image: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "SCI", storable(image.data)
    if image.uncertainty is not None:
        yield "ERR", storable(_deviation(image))
    if image.flags is not None or image.mask is not None:
        yield "DQ", _flags(image)


def storable(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers unchanged where FITS holds them.

    Raises
    ------
    ConfigError
        It does not hold numbers of this type.
    """
    if np.dtype(data.dtype).str[1:] not in _NUMBERS:
        message = "FITS does not hold numbers of this type"
        raise ConfigError(message, expected=" ".join(_NUMBERS), found=data.dtype)
    return data


def _deviation(image: Any) -> npt.NDArray[Any]:
    """Return the uncertainty as standard deviation in the unit of the data."""
    from astropy.nddata import StdDevUncertainty

    found = image.uncertainty
    if not isinstance(found, StdDevUncertainty):  # a detour over the square loses digits
        found = found.represent_as(StdDevUncertainty)
    if found.unit in {None, image.unit}:
        return np.asarray(found.array)
    return np.asarray(found.quantity.to_value(image.unit))


def _flags(image: Any) -> npt.NDArray[Any]:
    """Return the flags, and a flag for pixels that are masked without."""
    if image.flags is None:
        flags = np.zeros(image.data.shape, np.int16)
    else:
        flags = np.asarray(image.flags)
        if flags.dtype.kind not in "iub" or flags.shape != image.data.shape:
            raise refuse_object(image.flags, "flags: whole numbers in the shape of the data")
        fits = flags.size == 0 or (flags.min() >= -0x8000 and flags.max() <= 0x7FFF)  # noqa: PLR2004 - int16
        flags = flags.astype(np.int16) if fits else flags
    if image.mask is None:
        return flags
    masked = np.broadcast_to(np.asarray(image.mask, bool), flags.shape)
    return np.where(masked & (flags == 0), flags.dtype.type(MASKED), flags)


def _with_wcs(header: Any, image: Any) -> Any:
    """Return the header with the WCS of the image, if that is another one than its own."""
    from astropy.wcs import WCS

    plain = without_lookup_tables(header)
    if not isinstance(image.wcs, WCS) or ("CTYPE1" in plain and _is_same(image.wcs, plain)):
        return plain
    plain.update(image.wcs.to_header(relax=True))
    return plain


def _is_same(wcs: Any, header: Any) -> bool:
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the file was read
        return bool(WCS(header, naxis=2).wcs.compare(wcs.wcs))
