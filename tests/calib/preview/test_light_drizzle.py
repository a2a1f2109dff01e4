"""Quick looks: dithers fall on each other, bad pixels vanish, and no product's name is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from drizzle_world import DITHERS, ROOTS, SKY, STAR, write_exposure
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import CorruptFile
from calib.preview import light_drizzle
from calib.preview.light_drizzle import drizzle_lightly


@pytest.fixture
def exposures(tmp_path: Path) -> list[Path]:
    """Return three dithered exposures of a star."""
    pytest.importorskip("drizzle", reason="package drizzle is not installed (hstflow[quicklook])")
    return [write_exposure(tmp_path, *each)[1] for each in zip(ROOTS, DITHERS, strict=True)]


def test_dithers_are_combined(exposures: list[Path], tmp_path: Path) -> None:
    """Nine pixels of 50 above a sky of 1: that flux, at the place of the star; WHT is time.

    A flagged hit of one exposure is not seen: the two others have weight 200 s there.
    """
    with fits.open(exposures[1], mode="update") as hdus:
        hdus["SCI"].data[60, 30] = 1e6
        hdus["DQ"].data[60, 30] = 8192
        hdus["SCI"].data[61, 30] = np.nan

    path = drizzle_lightly(exposures, "ib3y01010", tmp_path)

    assert path.name == "ib3y01010_quicklook.fits"
    with fits.open(path) as hdus:
        image, weight, header = hdus["SCI"].data, hdus["WHT"].data, hdus["SCI"].header
    assert image.dtype == np.dtype(">f4")
    assert np.nanmax(weight) == pytest.approx(300)
    assert np.nanmedian(image) == pytest.approx(SKY, abs=0.02)
    assert np.nanmax(image) < SKY + STAR + 1
    bright = np.where(image > SKY + STAR / 10, image - SKY, 0)
    rows, columns = np.indices(image.shape)
    x, y = ((axis * bright).sum() / bright.sum() for axis in (columns, rows))
    assert bright.sum() == pytest.approx(9 * STAR, rel=0.02)
    ra, dec = WCS(header).all_pix2world(x, y, 0)
    assert (float(ra) - 150.0) * 3600 == pytest.approx(0, abs=0.13 / 20)
    assert (float(dec) - 2.0) * 3600 == pytest.approx(0, abs=0.13 / 20)
    assert np.isnan(image[weight == 0]).all()


def test_counts_become_rates(exposures: list[Path], tmp_path: Path) -> None:
    """An image in electrons is divided by its exposure time, 100 s."""
    with fits.open(exposures[0], mode="update") as hdus:
        hdus["SCI"].data *= 100
        hdus["SCI"].header["BUNIT"] = "ELECTRONS"

    path = drizzle_lightly(exposures[:1], "ib3y01a0q", tmp_path)

    assert np.nanmedian(fits.getdata(path, "SCI")) == pytest.approx(SKY, abs=0.02)


def test_large_fields_get_larger_pixels(
    exposures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture is never larger than can be looked at; surface brightness stays."""
    monkeypatch.setattr(light_drizzle, "_LARGEST", 50)

    image = fits.getdata(drizzle_lightly(exposures, "ib3y01010", tmp_path), "SCI")

    assert max(image.shape) <= 52
    assert np.nanmedian(image) == pytest.approx(SKY, abs=0.02)


def flat(path: Path, crpix: tuple[float, float], angle: float = 0.0) -> Path:
    """Write an exposure of 20 by 12 ones, of 1 s."""
    turn, step = np.radians(angle), 1e-5
    science = fits.ImageHDU(np.ones((12, 20), np.float32), name="SCI")
    science.header.update(
        CRPIX1=crpix[0],
        CRPIX2=crpix[1],
        CRVAL1=10.0,
        CRVAL2=10.0,
        CD1_1=-step * np.cos(turn),
        CD1_2=step * np.sin(turn),
        CD2_1=step * np.sin(turn),
        CD2_2=step * np.cos(turn),
    )
    primary = fits.PrimaryHDU()
    primary.header["EXPTIME"] = 1.0
    fits.HDUList([primary, science]).writeto(path, overwrite=True)
    return path


PIXEL = st.floats(-30, 30)


@settings(max_examples=30, deadline=None)
@given(crpix=st.tuples(PIXEL, PIXEL), angle=st.sampled_from([0.0, 30.0, 90.0, 200.0]))
def test_nothing_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, crpix: tuple[float, float], angle: float
) -> None:
    """The grid takes in each corner, with less than a pixel more on either side."""
    path = flat(tmp_path_factory.mktemp("f") / "q_flt.fits", crpix, angle)
    tiles = light_drizzle._tiles(path)
    grid, (ny, nx) = light_drizzle._grid(tiles)

    corners = grid.wcs_world2pix(light_drizzle._corners(tiles[0]), 0)
    low, high = corners.min(axis=0) + 0.5, (nx - 0.5, ny - 0.5) - corners.max(axis=0)
    assert min(*low, *high) > -1e-5
    assert max(*low, *high) < 1
    if angle == 0.0 and all(each.is_integer() for each in crpix):
        assert (ny, nx) == (12, 20)


@pytest.mark.parametrize("crpix", [(10.0, 5.0), (10.3, 5.7), (10.5, 5.5), (-0.9, 30.0)])
def test_all_time_is_kept(tmp_path: Path, crpix: tuple[float, float]) -> None:
    """The weights of 240 pixels of 1 s are 240 s, wherever the pixels of the picture fall."""
    pytest.importorskip("drizzle", reason="package drizzle is not installed (hstflow[quicklook])")
    path = drizzle_lightly([flat(tmp_path / "q_flt.fits", crpix)], "q", tmp_path)
    assert fits.getdata(path, "WHT").sum() == pytest.approx(240, rel=1e-5)


def test_nothing_to_combine(exposures: list[Path], tmp_path: Path) -> None:
    """Exposures of no time, or without coordinates, are refused."""
    fits.setval(exposures[0], "EXPTIME", value=0.0)
    fits.delval(exposures[1], "CD1_1", ext=1)

    with pytest.raises(CorruptFile, match="world coordinates"):
        drizzle_lightly(exposures[:2], "ib3y01010", tmp_path)


def test_absent_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no version then."""
    monkeypatch.setattr(light_drizzle, "PACKAGE", "no-such-package")
    assert light_drizzle.package_version() == ""
