"""Quick looks: dithers fall on each other, bad pixels vanish, and no product's name is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from drizzle_world import DITHERS, ROOTS, SKY, STAR, write_exposure

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
