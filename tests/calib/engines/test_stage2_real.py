"""The real runastrodriz on exposures whose sum is known, without a network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from drizzle_world import ROOTS, SIZE, SKY, STAR, TABLE, World, make_world
from real_programs import find_real_program

from calib.engines.program import RUNASTRODRIZ, version_of
from calib.engines.stage2 import Stage2Plan
from calib.errors import EngineError
from calib.records import Products

pytestmark = pytest.mark.slow

EDGE = 0.005  # share of the pixels that drizzlepac 3.11 may leave otherwise in another run

SKY_LEFT = 0.02  # electrons/s: noise of 0.05 a pixel, in the median of 9 pixels of 3 exposures


@pytest.fixture(autouse=True)
def real_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where drizzlepac is not installed."""
    find_real_program(RUNASTRODRIZ, monkeypatch)


def done(world: World) -> Products:
    """Drizzle with the version that is here."""
    plan = Stage2Plan(wanted=True, version=version_of(RUNASTRODRIZ), astrometry="off")
    return world.drizzle(plan)


def path_of(products: Products, name: str) -> Path:
    """Return where a product lies."""
    return Path({file.name: file.path for file in products.files}[name])


def star_of(path: Path) -> tuple[float, float, float]:
    """Return right ascension and declination of the star, and its flux above the sky."""
    with fits.open(path) as hdus:
        image, sky = hdus["SCI"].data, np.nanmedian(hdus["SCI"].data)
        bright = np.nan_to_num(image - sky) * (np.nan_to_num(image - sky) > STAR / 10)
        rows, columns = np.indices(image.shape)
        flux = float(bright.sum())
        x, y = (float((axis * bright).sum() / flux) for axis in (columns, rows))
        right_ascension, declination = WCS(hdus["SCI"].header).all_pix2world(x, y, 0)
    return float(right_ascension), float(declination), flux


def test_association_is_combined(tmp_path: Path) -> None:
    """Flux and place of the star are kept, the hit of one exposure is gone, sky is subtracted.

    Nine pixels of 50 electrons/s give 450. The middle of the star is pixel SIZE/2 counted from
    1, which is CRPIX: it lies at CRVAL, to a twentieth of a pixel.
    """
    world = make_world(tmp_path, ROOTS, table=True)
    hit = world.request.output / f"{ROOTS[1]}_flt.fits"
    with fits.open(hit, mode="update") as hdus:
        hdus["SCI"].data[30, 40] += 500

    products = done(world)

    drizzled = path_of(products, f"{TABLE}_drz.fits")
    ra, dec, flux = star_of(drizzled)
    assert flux == pytest.approx(9 * STAR, rel=0.02)
    assert (ra - 150.0) * 3600 == pytest.approx(0, abs=0.13 / 20)
    assert (dec - 2.0) * 3600 == pytest.approx(0, abs=0.13 / 20)
    with fits.open(drizzled) as hdus:
        assert hdus[0].header["DRIZCORR"] == "COMPLETE"
        assert hdus["SCI"].header["BUNIT"] == "ELECTRONS/S"
        assert np.nanmax(np.where(hdus["SCI"].data > 60, hdus["SCI"].data, 0)) == 0
        assert abs(np.nanmedian(hdus["SCI"].data)) < SKY_LEFT
        assert max(hdus["SCI"].shape) < SIZE + 12  # dithers reach over 9 pixels
    for root in ROOTS:
        changed = path_of(products, f"{root}_flt.fits")
        assert fits.getval(changed, "WCSNAME", ext=1).startswith("IDC_")
        before = {file.name: file.sha256 for file in world.products.files}
        after = {file.name: file.sha256 for file in products.files}
        assert after[changed.name] != before[changed.name]
        assert path_of(products, f"{root}_flt_hlet.fits").is_file()
    with fits.open(hit) as hdus:
        assert hdus["DQ"].data[30, 40] & 4096  # AstroDrizzle's mark of a cosmic ray
    assert products.parameters["stage2.wcs"].startswith("IDC_")
    text = (world.request.output / f"{TABLE}.tra").read_text()
    assert text.startswith("calibrated\n")
    assert "astrodrizzle completed" in text


def test_lone_exposure(tmp_path: Path) -> None:
    """It is drizzled as it is, and its calibrated image says so."""
    world = make_world(tmp_path, ROOTS[:1], table=False)

    products = done(world)

    _, _, flux = star_of(path_of(products, f"{ROOTS[0]}_drz.fits"))
    assert flux == pytest.approx(9 * STAR, rel=0.02)
    assert fits.getval(path_of(products, f"{ROOTS[0]}_flt.fits"), "DRIZCORR") == "COMPLETE"
    with fits.open(path_of(products, f"{ROOTS[0]}_drz.fits")) as hdus:
        assert np.nanmedian(hdus["SCI"].data) == pytest.approx(SKY, abs=SKY_LEFT)


def test_same_pixels_again(tmp_path: Path) -> None:
    """Without a fit a run repeats itself, but for a few pixels at the edge now and then.

    Seen once: 15 of 28,054 pixels, in the first two rows, where one exposure reaches.
    """
    images = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        products = done(make_world(tmp_path / name, ROOTS, table=True))
        images.append(fits.getdata(path_of(products, f"{TABLE}_drz.fits"), "SCI"))

    first, second = map(np.nan_to_num, images)
    inside = (slice(SIZE // 4, -SIZE // 4),) * 2
    np.testing.assert_array_equal(first[inside], second[inside])
    assert np.mean(first != second) < EDGE


def test_missing_table_is_an_error(tmp_path: Path) -> None:
    """Without its parameters the program fails, and what it says is passed on."""
    world = make_world(tmp_path, ROOTS[:1], table=False)
    world.request = dataclasses.replace(
        world.request, references=dataclasses.replace(world.request.references, exposures=())
    )

    with pytest.raises(EngineError, match="runastrodriz failed") as caught:
        done(world)

    assert caught.value.code == 24
    assert "w3m18525i_" in caught.value.log_tail


def test_no_good_pixel(tmp_path: Path) -> None:
    """An exposure of no time is no viable data: the calibrated image stays, with a note."""
    world = make_world(tmp_path, ROOTS[:1], table=False)
    flt = world.request.output / f"{ROOTS[0]}_flt.fits"
    fits.setval(flt, "EXPTIME", value=0.0)

    products = done(world)

    assert products.notes == ("stage 2: no viable data",)
