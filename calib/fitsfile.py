"""The only module that opens and writes FITS files.

Reading turns every way a file can be broken into :class:`~calib.errors.CorruptFile`; writing
goes to a temporary name beside the target, is flushed to disk and renamed, so a reader sees
a whole file or none.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from calib.errors import CorruptFile, MissingReference, NotFound
from calib.image import Header, Image, Imset

Kind = TypeVar("Kind", bound=np.generic)

BLOCK = 2880  # A FITS file is a whole number of such blocks (FITS standard 4.0, section 3.1).

# Cards that describe the pixels as they were stored in the raw, not in the product.
_OF_RAW_PIXELS = (
    "GROUPS", "DATE", "BSCALE", "BZERO", "DATAMIN", "DATAMAX", "NPIX1", "NPIX2", "PIXVALUE",
    "CHECKSUM", "DATASUM",
)  # fmt: skip


@contextmanager
def opened(path: str | Path, **options: Any) -> Iterator[fits.HDUList]:
    """Open a file for reading; pixels are read on access, not mapped.

    Raises
    ------
    NotFound
        There is no such file.
    CorruptFile
        It is not FITS, or it is cut short, which includes errors that show only when a
        header or pixels are read inside the block.
    """
    options.setdefault("memmap", False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VerifyWarning)
            warnings.filterwarnings("error", "File may have been truncated")
            # Our own stream: astropy leaves its file open where opening ends in a warning.
            with Path(path).open("rb") as stream, fits.open(stream, **options) as hdus:
                yield hdus
    except FileNotFoundError as error:
        raise NotFound("no such file", path=path) from error
    except (OSError, ValueError, TypeError, UserWarning, fits.VerifyError) as error:
        raise CorruptFile(f"not a readable FITS file: {error}", path=path) from error


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    """Name the file in errors that do not know it."""
    try:
        yield
    except CorruptFile as error:
        error.path = error.path or str(path)
        raise


def primary_header(path: str | Path) -> fits.Header:
    """Return a copy of the primary header."""
    with opened(path) as hdus:
        return hdus[0].header.copy()


def pixels(hdu: Any) -> npt.NDArray[Any] | None:
    """Return the pixels of an image extension in native byte order, C-contiguous.

    A constant extension (NAXIS=0 with NPIX1, NPIX2 and PIXVALUE, as raw ERR and DQ are
    stored) is expanded to shape (NPIX2, NPIX1). An extension with neither gives None.
    """
    if hdu.data is not None:
        data: npt.NDArray[Any] = np.ascontiguousarray(hdu.data)
        return data.astype(data.dtype.newbyteorder("="), copy=False)
    header = hdu.header
    if "NPIX1" not in header:
        return None
    kind = np.int16 if header["BITPIX"] == 16 else np.float32  # noqa: PLR2004 - BITPIX of int16
    return np.full((header["NPIX2"], header["NPIX1"]), header.get("PIXVALUE", 0), kind)


def pixels_as(hdu: Any, kind: type[Kind]) -> npt.NDArray[Kind]:
    """Return the pixels of an image extension as numbers of a kind.

    Raises
    ------
    CorruptFile
        The extension has no pixels.
    """
    data = pixels(hdu)
    if data is None:
        raise CorruptFile("an extension has no pixels", found=f"{hdu.name},{hdu.ver}")
    return data.astype(kind, copy=False)


def write_atomically(hdus: fits.HDUList, path: Path) -> None:
    """Write a file under a temporary name, flush it to disk, rename it into place."""
    with _replacing(path) as stream:
        hdus.writeto(stream, output_verify="silentfix")


def update_primary_header(path: Path, cards: Mapping[str, Any]) -> None:
    """Set cards of the primary header; every byte behind it stays as it is.

    Parameters
    ----------
    cards
        Values, or (value, comment), by keyword. New keywords are appended. A CHECKSUM of
        the primary header is renewed.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`.
    """
    with opened(path) as hdus:
        primary = hdus[0]
        start = primary.fileinfo()["datLoc"]
        for keyword, value in cards.items():
            primary.header[keyword] = value
        if "CHECKSUM" in primary.header:
            primary.add_checksum(when="CHECKSUM renewed with the header")
        text = primary.header.tostring()
    with path.open("rb") as old, _replacing(path) as stream:
        stream.write(text.encode("ascii"))
        old.seek(start)
        shutil.copyfileobj(old, stream)


def mark_present(source: Path, target: Path, names: Collection[str]) -> None:
    """Copy an association table with MEMPRSNT true for some members, and ASN_PROD true.

    Parameters
    ----------
    source, target
        The table, which stays as it is, and its copy.
    names
        Members, lower case.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where the first extension is no association table.
    """
    with opened(source) as hdus:
        try:
            rows = hdus[1].data
            members = [str(name).strip().lower() for name in rows["MEMNAME"]]
            rows["MEMPRSNT"][[name in names for name in members]] = True
        except (IndexError, KeyError, TypeError) as error:
            raise CorruptFile("no association table", path=source) from error
        hdus[0].header["ASN_PROD"] = (True, "products have been made")
        for hdu in hdus:
            for keyword in ("CHECKSUM", "DATASUM"):
                hdu.header.remove(keyword, ignore_missing=True)
        write_atomically(hdus, target)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of `path` if all goes well."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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


@dataclass(frozen=True)
class ReferenceFile:
    """One image set of a reference image, with what the primary header says of the file."""

    image: Image
    header: Mapping[str, Any]
    primary: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A binary table: columns by name in upper case, text stripped of blanks."""

    columns: Mapping[str, npt.NDArray[Any]]
    header: Mapping[str, Any]
    primary: Mapping[str, Any]
    path: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column.

        Raises
        ------
        MissingReference
            The table has no such column.
        """
        try:
            return self.columns[name]
        except KeyError as error:
            raise MissingReference(
                "a reference table lacks a column",
                path=self.path,
                expected=name,
                found=" ".join(self.columns),
            ) from error


def read_exposure(path: str | Path) -> Exposure:
    """Read headers and pixels of all image sets; SCI and ERR as float32, DQ as int16.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where there is no SCI extension, or ERR or DQ is absent.
    """
    with opened(path) as hdus, _named(path):
        versions = sorted(hdu.ver for hdu in hdus[1:] if hdu.name == "SCI")
        if not versions:
            raise CorruptFile("no SCI extension", path=path, found=[hdu.name for hdu in hdus])
        imsets = tuple(_read_imset(hdus, version, path) for version in versions)
        return Exposure(Header(hdus[0].header.copy()), imsets)


def read_reference(path: str | Path, chip: int) -> ReferenceFile:
    """Read the image set of a chip from a reference image.

    Parameters
    ----------
    chip
        CCDCHIP; an extension without the keyword counts as chip 1, as in calacs.

    Raises
    ------
    MissingReference
        No image set is of this chip.
    NotFound, CorruptFile
        As :func:`opened`.
    """
    with opened(path) as hdus, _named(path):
        chips = {hdu.header.get("CCDCHIP", 1): hdu.ver for hdu in hdus[1:] if hdu.name == "SCI"}
        if chip not in chips:
            raise MissingReference(
                "the reference has no image of this chip",
                path=path,
                expected=f"CCDCHIP {chip}",
                found=f"CCDCHIP {sorted(chips)}",
            )
        imset = _read_imset(hdus, chips[chip], path)
        return ReferenceFile(imset.image, imset.sci.cards, hdus[0].header.copy())


def read_table(path: str | Path, extension: int | str = 1) -> Table:
    """Read a binary table.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where the extension is absent or no table.
    """
    with opened(path) as hdus:
        there = extension < len(hdus) if isinstance(extension, int) else extension in hdus
        if not there or not isinstance(hdus[extension], fits.BinTableHDU):
            raise CorruptFile("no such table extension", path=path, expected=extension)
        hdu = hdus[extension]
        columns = {name.upper(): _native(hdu.data[name]) for name in hdu.columns.names}
        return Table(columns, hdu.header.copy(), hdus[0].header.copy(), str(path))


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


def _native(column: Any) -> npt.NDArray[Any]:
    data = np.asarray(column)
    if data.dtype.kind in "SU":
        return np.char.strip(data)
    return data.astype(data.dtype.newbyteorder("="))


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
