"""Exposures: image sets with their headers, read and written as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile
from calib.fitsfile.header_text import LENGTH, HeaderText, finished_cards
from calib.fitsfile.opening import BLOCK, named, opened
from calib.fitsfile.plane import StoredBytes, find_plane, read_whole
from calib.fitsfile.writing import HashedStream, Written, replacing
from calib.image import Header, Image, Imset

if TYPE_CHECKING:
    from astropy.io import fits

KINDS: dict[str, np.dtype[Any]] = {
    "SCI": np.dtype(np.float32),
    "ERR": np.dtype(np.float32),
    "DQ": np.dtype(np.int16),
}
BITPIX = {"i2": 16, "f4": -32}  # FITS standard 4.0, table 8
CHUNK = 1 << 21  # bytes written at a time: they stay in the cache

# How a file without primary pixels begins. The programs write BITPIX 16, which means nothing
# here, but comparisons of headers look at it.
PRIMARY = {"SIMPLE": True, "BITPIX": 16, "NAXIS": 0, "EXTEND": True}

# Cards that describe the pixels as they were stored in the raw, not in the product.
OF_RAW_PIXELS = (
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
    others
        All further extensions as the file has them, byte for byte: headerlets, tables, look-up
        tables of the distortion, SAMP and TIME of WFC3/IR. They are written behind the image
        sets.
    """

    primary: Header
    imsets: tuple[Imset, ...]
    others: bytes = b""


def read_exposure(path: str | Path) -> Exposure:
    """Read headers and pixels of all image sets; SCI and ERR as float32, DQ as int16.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where there is no SCI extension, ERR or DQ is absent, or there
        are fewer extensions than NEXTEND says (a file that ends between two of them is sound
        otherwise).
    """
    with opened(path) as hdus, named(path):
        versions = sorted(hdu.ver for hdu in hdus[1:] if hdu.name == "SCI")
        if not versions:
            raise CorruptFile("no SCI extension", path=path, found=[hdu.name for hdu in hdus])
        announced = hdus[0].header.get("NEXTEND")
        if isinstance(announced, int) and announced > len(hdus) - 1:
            raise CorruptFile(
                "extensions are absent",
                path=path,
                expected=f"NEXTEND {announced}",
                found=[f"{hdu.name},{hdu.ver}" for hdu in hdus[1:]],
            )
        file = StoredBytes(Path(path))
        imsets = tuple(_read_imset(hdus, version, file) for version in versions)
        others = [hdu for hdu in hdus[1:] if hdu.name not in KINDS or hdu.ver not in versions]
        return Exposure(_read_header(hdus[0], file), imsets, _stored(others, file))


def _stored(hdus: Sequence[Any], file: StoredBytes) -> bytes:
    """Return headers and data of extensions as the file has them."""
    pieces = []
    for place in (hdu.fileinfo() for hdu in hdus):
        piece = bytearray(place["datLoc"] + place["datSpan"] - place["hdrLoc"])
        file.fill(memoryview(piece), place["hdrLoc"])
        pieces.append(piece)
    return b"".join(pieces)


def _read_imset(hdus: fits.HDUList, version: int, file: StoredBytes) -> Imset:
    found = [_extension(hdus, name, version) for name in KINDS]
    sci, err, dq = (_read_header(hdu, file) for hdu in found)
    arrays = [
        read_whole(find_plane(file, hdu, kind), kind)
        for hdu, kind in zip(found, KINDS.values(), strict=True)
    ]
    unit = str(sci.get("BUNIT", "COUNTS")).strip().upper()
    return Imset(Image(arrays[0], arrays[1], arrays[2], unit), sci, err, dq, version)


def _extension(hdus: fits.HDUList, name: str, version: int) -> Any:
    if (name, version) not in hdus:
        raise CorruptFile("an extension is absent", expected=f"{name},{version}")
    return hdus[name, version]


def _read_header(hdu: Any, file: StoredBytes) -> Header:
    """Read the cards of an extension as the file has them, up to END."""
    place = hdu.fileinfo()
    block = bytearray(place["datLoc"] - place["hdrLoc"])
    file.fill(memoryview(block), place["hdrLoc"])
    text = block.decode("ascii")
    for start in range(0, len(text), LENGTH):
        if text[start : start + LENGTH].rstrip() == "END":
            return Header(HeaderText(text[:start]))
    raise CorruptFile("a header has no END", found=hdu.name)


def write_exposure(path: Path, exposure: Exposure, threads: int = 1) -> Written:
    """Write an exposure atomically, with the changes of its headers.

    Cards keep their order and comments, those that are not changed their bytes; what describes
    the old pixels (scaling, constant arrays, data range) goes. HISTORY lines are added at the
    end.

    Parameters
    ----------
    threads
        With more than one, the checksum is made while the bytes are written.

    Returns
    -------
    Written
        Checksum and size of the file.
    """
    with ExitStack() as open_things:
        stream = open_things.enter_context(replacing(path))
        pool = open_things.enter_context(ThreadPoolExecutor(1)) if threads > 1 else None
        file = HashedStream(stream, pool)
        file.write(_header_block(exposure.primary, PRIMARY))
        for imset in exposure.imsets:
            for name, header in zip(KINDS, (imset.sci, imset.err, imset.dq), strict=True):
                array = getattr(imset.image, name.lower())
                file.write(_header_block(header, _structure(array, name, imset.version)))
                _write_pixels(file, array)
        file.write(exposure.others)
        return Written(file.checksum(), file.size)


def _structure(array: npt.NDArray[Any], name: str, version: int) -> dict[str, Any]:
    """Return the cards that an image extension begins with (FITS standard 4.0, 7.1.1)."""
    ny, nx = array.shape
    return {
        "XTENSION": "IMAGE",
        "BITPIX": BITPIX[array.dtype.str[1:]],
        "NAXIS": 2,
        "NAXIS1": nx,
        "NAXIS2": ny,
        "PCOUNT": 0,
        "GCOUNT": 1,
        "EXTNAME": name,
        "EXTVER": version,
    }


def _header_block(header: Header, structure: Mapping[str, Any]) -> bytes:
    cards = [*finished_cards(header, structure, OF_RAW_PIXELS), "END".ljust(LENGTH)]
    text = "".join(cards)
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def _write_pixels(file: HashedStream, array: npt.NDArray[Any]) -> None:
    """Write big-endian numbers, some rows at a time, and fill the last block with zeros."""
    rows = max(1, CHUNK // max(array.strides[0], 1))
    for first in range(0, array.shape[0], rows):
        part = array[first : first + rows]
        file.write(part.astype(part.dtype.newbyteorder(">"), order="C").data.cast("B"))
    file.write(bytes(-array.nbytes % BLOCK))
