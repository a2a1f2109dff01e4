"""The only module that opens and writes FITS files.

Reading turns every way a file can be broken into :class:`~calib.errors.CorruptFile`; writing
goes to a temporary name beside the target, is flushed to disk and renamed, so a reader sees
a whole file or none.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from calib.errors import CorruptFile, NotFound

BLOCK = 2880  # A FITS file is a whole number of such blocks (FITS standard 4.0, section 3.1).


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
            with fits.open(path, **options) as hdus:
                yield hdus
    except FileNotFoundError as error:
        raise NotFound("no such file", path=path) from error
    except (OSError, ValueError, TypeError, UserWarning, fits.VerifyError) as error:
        raise CorruptFile(f"not a readable FITS file: {error}", path=path) from error


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


def write_atomically(hdus: fits.HDUList, path: Path) -> None:
    """Write a file under a temporary name, flush it to disk, rename it into place."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            hdus.writeto(stream, output_verify="silentfix")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
