"""CHECKSUM and DATASUM: written, verified, removed; files that do not end where they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calib.errors import CorruptFile, NotFound
from calib.fitsfile.checksums import (
    add_checksums,
    check_whole,
    remove_checksums,
    verify_checksums,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with scaled integers and a table."""
    path = tmp_path / "a file.fits"
    image = fits.ImageHDU(np.arange(5000, dtype=np.uint16).reshape(50, 100), name="SCI")
    column = fits.Column("VALUE", "E", array=np.arange(10.0))
    fits.HDUList([fits.PrimaryHDU(), image, fits.BinTableHDU.from_columns([column])]).writeto(path)
    return path


def states(path: Path) -> list[str]:
    """Return the state of each unit."""
    return [unit.state for unit in verify_checksums(path)]


def test_written_verified_removed(file: Path) -> None:
    """Checksums come and go; the stored bytes of pixels and tables stay."""
    original = file.read_bytes()
    assert states(file) == ["none"] * 3
    add_checksums(file)
    assert states(file) == ["right"] * 3
    with fits.open(file, checksum=True) as hdus:  # astropy warns where one is wrong
        assert hdus["SCI"].data[1, 0] == 100
    remove_checksums(file)
    assert file.read_bytes() == original


def test_one_wrong_byte(file: Path) -> None:
    """A byte that is not what it was is found in its unit."""
    add_checksums(file)
    with fits.open(file) as hdus:
        place = hdus["SCI"].fileinfo()["datLoc"]
    with file.open("r+b") as stream:
        stream.seek(place + 500)
        stream.write(b"\xff")
    assert states(file) == ["right", "wrong", "right"]


@pytest.mark.parametrize("cut", [-1, -2880, 2880, 7])
def test_whole_files(file: Path, cut: int) -> None:
    """A file that is cut anywhere, or has something behind its end, is refused."""
    check_whole(file)
    data = file.read_bytes()
    file.write_bytes(data[:cut] if cut < 0 else data + bytes(cut))
    with pytest.raises(CorruptFile):
        check_whole(file)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is told."""
    with pytest.raises(NotFound):
        check_whole(tmp_path / "gone.fits")
