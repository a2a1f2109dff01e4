"""Opening FITS files, and headers and pixels as plain numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile, NotFound

if TYPE_CHECKING:
    from astropy.io import fits

Kind = TypeVar("Kind", bound=np.generic)

BLOCK = 2880  # A FITS file is a whole number of such blocks (FITS standard 4.0, section 3.1).


@contextmanager
def opened(path: str | Path, **options: Any) -> Iterator[fits.HDUList]:
    """Open a file for reading; pixels are read on access, not mapped.

    Raises
    ------
    NotFound
        There is no such file, or it is a folder.
    CorruptFile
        It is not FITS, or it is cut short, which includes errors that show only when a
        header or pixels are read inside the block.
    """
    # Late: astropy takes half the time that a command needs to start, and many open no file.
    from astropy.io import fits
    from astropy.io.fits.verify import VerifyWarning

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
    except IsADirectoryError as error:
        raise NotFound("a folder, and no file", path=path) from error
    except (OSError, ValueError, TypeError, LookupError, UserWarning, fits.VerifyError) as error:
        raise CorruptFile(f"not a readable FITS file: {error}", path=path) from error


@contextmanager
def named(path: str | Path) -> Iterator[None]:
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
    stored) is shown as an array of shape (NPIX2, NPIX1), read-only, whose pixels are one and
    the same number in memory. An extension with neither gives None.
    """
    if hdu.data is not None:
        data: npt.NDArray[Any] = np.ascontiguousarray(hdu.data)
        return data.astype(data.dtype.newbyteorder("="), copy=False)
    header = hdu.header
    if "NPIX1" not in header:
        return None
    kind = np.int16 if header["BITPIX"] == 16 else np.float32  # noqa: PLR2004 - BITPIX of int16
    value = kind(header.get("PIXVALUE", 0))
    return np.broadcast_to(value, (header["NPIX2"], header["NPIX1"]))


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
