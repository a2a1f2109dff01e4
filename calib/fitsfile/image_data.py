"""Image sets as arrays with headers and WCS, one at a time: what people compute with."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.errors import CorruptFile, NotFound
from calib.fitsfile.opening import named, opened, pixels
from calib.fitsfile.writing import write_atomically

# Cards that name look-up tables of the distortion (paper IV of the FITS WCS, as written by
# stwcs): without the tables in the same file they make no sense.
_LOOKUP = re.compile(r"(CPDIS|CPERR|CQDIS|CQERR|DP|DQ|D2IMDIS|D2IMERR|D2IM)\d.*|D2IMEXT|AXISCORR")


# Extensions of whole numbers. One that is stored as a number may have any BITPIX.
_WHOLE = ("DQ", "SAMP")


@dataclass(frozen=True)
class ImageSet:
    """Extensions of one EXTVER.

    Attributes
    ----------
    planes
        Arrays by EXTNAME; SCI is always there.
    header
        Header of SCI.
    version
        EXTVER.
    wcs
        astropy's WCS of SCI, with its look-up tables where the file has them; None without.
    """

    planes: Mapping[str, npt.NDArray[Any]]
    header: fits.Header
    version: int = 1
    wcs: Any = field(default=None, compare=False)


def image_versions(path: str | Path) -> tuple[int, ...]:
    """Return the EXTVER of all image sets; (1,) where the primary HDU holds the only image.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.opened`; also where the file holds no image.
    """
    with opened(path) as hdus:
        versions = tuple(sorted(hdu.ver for hdu in hdus[1:] if _is_science(hdu)))
        if versions or hdus[0].header.get("NAXIS"):
            return versions or (1,)
        names = [hdu.name for hdu in hdus]
    raise CorruptFile("the file holds no image", path=path, expected="SCI", found=names)


def read_image_sets(
    path: str | Path, names: Collection[str], versions: Collection[int], *, wcs: bool = True
) -> Iterator[tuple[fits.Header, ImageSet]]:
    """Yield the primary header and an image set, one after the other; others are not read.

    Parameters
    ----------
    names
        Extensions beside SCI that are wanted where the file has them. One that is stored as a
        number (NPIX1, NPIX2, PIXVALUE) is a read-only array of that number, which takes no
        memory.
    versions
        EXTVER of the sets, in the order wanted.
    wcs
        Whether to make the WCS.

    Raises
    ------
    NotFound
        There is no such file, or no such image set in it.
    CorruptFile
        As :func:`calib.fitsfile.opened`; also where the arrays of a set differ in shape.
    """
    with opened(path) as hdus, named(path):
        primary = hdus[0].header.copy()
        for version in versions:
            science = _science(hdus, version, path)
            planes = {"SCI": _take(science)}
            for name in names:
                if (name, version) in hdus and hdus[name, version].is_image:
                    planes[name] = _take(hdus[name, version])
            _check_shapes(planes, version)
            found = _read_wcs(science.header, hdus) if wcs else None
            yield primary, ImageSet(planes, science.header.copy(), version, found)


def write_image_sets(path: Path, primary: fits.Header, sets: Sequence[ImageSet]) -> None:
    """Write image sets as extensions, atomically.

    Cards that name look-up tables of the distortion are left out, as the tables are.

    Raises
    ------
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    hdus = fits.HDUList([fits.PrimaryHDU(header=primary)])
    for each in sets:
        for name, array in each.planes.items():
            header = without_lookup_tables(each.header) if name == "SCI" else _beside(each, name)
            hdus.append(fits.ImageHDU(array, header, name=name, ver=each.version))
    hdus[0].header["NEXTEND"] = (len(hdus) - 1, "number of extensions")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        write_atomically(hdus, path)


def without_lookup_tables(header: fits.Header) -> fits.Header:
    """Return a copy without the cards that name look-up tables of the distortion."""
    cards = [card for card in header.cards if not _LOOKUP.fullmatch(card.keyword)]
    return fits.Header(cards)


def _beside(each: ImageSet, name: str) -> fits.Header:
    """Return the header of an extension beside SCI: its unit, and which chip it is of."""
    units = {"ERR": each.header.get("BUNIT"), "DQ": "UNITLESS", "SAMP": "SAMPLES"}
    unit = units.get(name) if name != "TIME" else "SECONDS"
    values = {"BUNIT": unit, "CCDCHIP": each.header.get("CCDCHIP")}
    return fits.Header({key: value for key, value in values.items() if value is not None})


def _is_science(hdu: Any) -> bool:
    return hdu.name == "SCI" and bool(hdu.is_image)


def _science(hdus: fits.HDUList, version: int, path: str | Path) -> Any:
    if ("SCI", version) in hdus and hdus["SCI", version].is_image:
        return hdus["SCI", version]
    if version == 1 and hdus[0].header.get("NAXIS"):
        return hdus[0]
    found = [hdu.ver for hdu in hdus[1:] if _is_science(hdu)]
    raise NotFound(
        "the file has no such image set", path=path, expected=f"SCI,{version}", found=found
    )


def _take(hdu: Any) -> npt.NDArray[Any]:
    """Return the pixels, of which astropy forgets its own copy."""
    data = pixels(hdu)
    if data is None:
        raise CorruptFile("an extension has no pixels", found=f"{hdu.name},{hdu.ver}")
    del hdu.data
    if hdu.name not in _WHOLE or data.dtype.kind in "iu":
        return data
    is_constant = data.strides == (0, 0)
    return np.broadcast_to(data[0, 0].astype(np.int16), data.shape) if is_constant else data


def _check_shapes(planes: Mapping[str, npt.NDArray[Any]], version: int) -> None:
    shapes = {name: array.shape for name, array in planes.items()}
    if len(set(shapes.values())) > 1:
        message = f"arrays of image set {version} differ in shape"
        raise CorruptFile(message, expected=shapes["SCI"], found=shapes)


def _read_wcs(header: fits.Header, hdus: fits.HDUList) -> Any:
    """Return the WCS; without look-up tables where they are not there, None where it is none."""
    from astropy.wcs import WCS

    if "CTYPE1" not in header:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what astropy mends (dates, units) is of no concern
        for cards, tables in ((header, hdus), (without_lookup_tables(header), None)):
            try:
                return WCS(cards, fobj=tables, naxis=2)
            except (KeyError, ValueError, AssertionError, np.linalg.LinAlgError):
                continue
    return None
