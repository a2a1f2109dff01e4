"""Planes: rows of an image, read when they are wanted."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import CorruptFile, NotFound
from calib.fitsfile import ConstantPlane, HeldPlane, StoredPlane, open_reference, read_exposure
from calib.fitsfile.plane import read_whole

UNSIGNED = np.arange(65000, 65060, dtype=np.uint16).reshape(6, 10)
DATA = np.arange(-30, 30, dtype=np.float32).reshape(6, 10) / 7


def write(path: Path, *images: fits.ImageHDU) -> Path:
    """Write a file of image extensions, SCI first."""
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    return path


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (fits.ImageHDU(DATA, name="SCI"), StoredPlane),
        (fits.ImageHDU(DATA.astype(np.float64), name="SCI"), StoredPlane),
        (fits.ImageHDU(np.arange(60, dtype=np.int16).reshape(6, 10), name="SCI"), StoredPlane),
        (fits.ImageHDU(UNSIGNED, name="SCI"), StoredPlane),
        (fits.ImageHDU(np.arange(60, dtype=np.int32).reshape(6, 10), name="SCI"), HeldPlane),
        (fits.CompImageHDU(DATA, name="SCI", quantize_level=0), HeldPlane),
    ],
    ids=["f4", "f8", "i2", "u2", "i4", "compressed"],
)  # fmt: skip
def test_any_rows_are_those_of_astropy(tmp_path: Path, image: fits.ImageHDU, kind: type) -> None:
    """Plain numbers come from the file row by row, others are decoded at once."""
    path = write(tmp_path / "a.fits", image)
    with fits.open(path) as hdus:
        wanted = hdus["SCI"].data.astype(np.float32)
    found = open_reference(path, 1)
    assert isinstance(found.planes["SCI"], kind)
    for first, end in ((0, 6), (0, 1), (2, 5), (5, 6)):
        rows = found.signal(first, end)
        assert np.array_equal(rows, wanted[first:end])
        assert (rows.dtype, rows.flags.c_contiguous) == (np.dtype(np.float32), True)


def test_scaled_numbers_are_decoded(tmp_path: Path) -> None:
    """BSCALE is astropy's business."""
    image = fits.ImageHDU(np.arange(60, dtype=np.int16).reshape(6, 10), name="SCI")
    image.header["BSCALE"], image.header["BZERO"] = 0.5, 3.0
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    with fits.open(path) as hdus:
        wanted = hdus["SCI"].data.astype(np.float32)
    assert np.array_equal(open_reference(path, 1).signal(1, 4), wanted[1:4])


def test_constant_extension(tmp_path: Path) -> None:
    """One number in the file, as many rows as are wanted."""
    image = fits.ImageHDU(name="SCI")
    image.header.update({"BITPIX": -32, "NPIX1": 10, "NPIX2": 6, "PIXVALUE": 2.5})
    plane = open_reference(write(tmp_path / "a.fits", image), 1).planes["SCI"]
    assert plane.read(2, 4).tolist() == [[2.5] * 10] * 2
    whole = read_whole(plane, np.dtype(np.float32))
    assert whole.shape == (6, 10)
    assert whole.strides == (0, 0)


@settings(max_examples=20)
@given(rows=st.lists(st.integers(0, 6), min_size=2, max_size=6))
def test_blocks_make_the_whole(tmp_path_factory: pytest.TempPathFactory, rows: list[int]) -> None:
    """Wherever the cuts are."""
    path = tmp_path_factory.getbasetemp() / "blocks.fits"
    if not path.exists():
        write(path, fits.ImageHDU(DATA, name="SCI"))
    plane = open_reference(path, 1).planes["SCI"]
    cuts = sorted({0, 6, *rows})
    parts = [plane.read(first, end) for first, end in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate(parts), DATA)


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    """Not zeros, not old pixels: corrupt, with its name."""
    path = write(tmp_path / "a.fits", fits.ImageHDU(np.ones((100, 100), np.float32), name="SCI"))
    found = open_reference(path, 1)
    found.signal(0, 1)
    with path.open("r+b") as stream:
        stream.truncate(5760 + 10_000)
    assert found.signal(0, 20).all()
    with pytest.raises(CorruptFile, match=r"a\.fits"):
        found.signal(20, 40)


def test_a_file_that_goes_away_before_it_is_read(tmp_path: Path) -> None:
    """It is said which one."""
    path = write(tmp_path / "a.fits", fits.ImageHDU(DATA, name="SCI"))
    found = open_reference(path, 1)
    path.unlink()
    with pytest.raises(NotFound, match=r"a\.fits"):
        found.signal(0, 1)


def test_images_of_one_set_must_agree(tmp_path: Path) -> None:
    """SCI and ERR of different sizes; and a set without ERR gives SCI alone."""
    sci = fits.ImageHDU(DATA, name="SCI")
    wrong = write(tmp_path / "wrong.fits", sci, fits.ImageHDU(DATA[:3], name="ERR"))
    with pytest.raises(CorruptFile, match="differ in shape"):
        open_reference(wrong, 1)
    alone = open_reference(write(tmp_path / "alone.fits", sci.copy()), 1)
    assert alone.signal(0, 6).shape == (6, 10)
    with pytest.raises(CorruptFile, match="ERR,1"):
        alone.rows(0, 6)


def test_raw_samples_have_no_sign(tmp_path: Path) -> None:
    """0, 32768 and 65535 of a raw are these numbers, also where astropy is not asked."""
    data = np.array([[0, 1, 32767, 32768, 65535]], np.uint16)
    err = fits.ImageHDU(np.zeros((1, 5), np.float32), name="ERR")
    flags = fits.ImageHDU(np.zeros((1, 5), np.int16), name="DQ")
    path = write(tmp_path / "a_raw.fits", fits.ImageHDU(data, name="SCI"), err, flags)
    assert read_exposure(path).imsets[0].image.sci.tolist() == data.tolist()


def test_constant_planes_are_one_number() -> None:
    """Rows of a constant can be written to without changing the constant."""
    plane = ConstantPlane(np.float32(1), (4, 3))
    plane.read(0, 2)[:] = 9
    assert plane.read(0, 2).tolist() == [[1, 1, 1]] * 2
