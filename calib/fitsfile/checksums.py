"""The checksums that FITS files carry: CHECKSUM and DATASUM of each header and data unit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from astropy.io import fits

from calib.errors import CorruptFile
from calib.fitsfile.opening import opened
from calib.fitsfile.writing import write_atomically

KEYWORDS = ("CHECKSUM", "DATASUM")

State = Literal["right", "wrong", "none"]


class UnitChecksum(NamedTuple):
    """The checksums of one header and data unit: ``none`` where it has neither."""

    name: str
    state: State


def check_whole(path: str | Path) -> None:
    """Refuse a file that does not end where its last data unit does; all of it is read.

    astropy opens a file that is cut in a later header as one with fewer extensions, and only
    warns.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where bytes are missing or left over.
    """
    size = Path(path).stat().st_size if Path(path).is_file() else 0
    with opened(path, do_not_scale_image_data=True) as hdus:
        for hdu in hdus:
            hdu.verify_datasum()
            info = hdu.fileinfo()
            end = info["datLoc"] + info["datSpan"]
        if end != size:
            message = "the file is cut short, or has bytes that belong to no extension"
            raise CorruptFile(message, path=path, expected=f"{end} bytes", found=size)


def verify_checksums(path: str | Path) -> list[UnitChecksum]:
    """Compare the checksums of every unit with its bytes.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`.
    """
    with opened(path, do_not_scale_image_data=True) as hdus:
        return [UnitChecksum(_name(number, hdu), _state(hdu)) for number, hdu in enumerate(hdus)]


def add_checksums(path: Path) -> None:
    """Write CHECKSUM and DATASUM into every unit; pixels stay as they are stored.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`.
    ArchiveError
        The file cannot be written; it is as before.
    """
    with opened(path, do_not_scale_image_data=True) as hdus:
        for hdu in hdus:
            hdu.add_checksum()
        write_atomically(hdus, path)


def remove_checksums(path: Path) -> None:
    """Take CHECKSUM and DATASUM out of every unit; raises as :func:`add_checksums`."""
    with opened(path, do_not_scale_image_data=True) as hdus:
        for hdu in hdus:
            for keyword in KEYWORDS:
                hdu.header.remove(keyword, ignore_missing=True)
        write_atomically(hdus, path)


def _name(number: int, hdu: fits.PrimaryHDU) -> str:
    return f"{hdu.name or 'unit'},{hdu.ver} [{number}]"


def _state(hdu: fits.PrimaryHDU) -> State:
    # astropy: 1 right, 0 wrong, 2 not there.
    found = {hdu.verify_checksum(), hdu.verify_datasum()}
    if found == {2}:
        return "none"
    return "wrong" if 0 in found else "right"
