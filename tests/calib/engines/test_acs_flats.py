"""Flats of the coronagraph, low-order flats and shutter shading in CCD exposures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from associations import MEMBERS, PAIR, associate, make_pair_references
from astropy.io import fits
from factories import (
    CCD_ROW,
    SHAPE,
    calibrate_tiny,
    make_raw,
    make_request,
    read_product,
    write_image,
    write_table,
)

from calib.engines.native import NativeEngine
from calib.errors import DataError, MissingReference
from calib.image import Image
from calib.instruments.acs_recipes import HRC
from calib.records import Products
from calib.steps.occulting_spots import shift_spots

DATE = {"DATE-OBS": "2002-08-20", "OBSTYPE": "CORONAGRAPHIC"}
SHIFTS = [
    {"DATE": "18/08/02", "SHIFTX": 2.5, "SHIFTY": -1.25},
    {"DATE": "30/08/02", "SHIFTX": 9.0, "SHIFTY": 9.0},
]
PHOTOMETRY_OFF = "PHOTCORR=OMIT"  # the tiny table has no mode with CORON


def make_spots() -> np.ndarray:
    """Return transmissions: 1, and a spot of 0.3."""
    spots = np.ones(SHAPE, np.float32)
    spots[10:16, 20:26] = 0.3
    return spots


@pytest.fixture
def spots(tmp_path: Path, files: dict[str, Path]) -> dict[str, Path]:
    """Return references with an image of the spots and a table of their shifts."""
    image = write_image(tmp_path / "cfltfile.fits", make_spots())
    return {**files, "CFLTFILE": image, "SPOTTAB": write_table(tmp_path / "spottab.fits", SHIFTS)}


def calibrate(folder: Path, files: dict[str, Path], *settings: str, **header: Any) -> Products:
    """Calibrate a coronagraphic exposure in a folder of its own."""
    folder.mkdir(exist_ok=True)
    return calibrate_tiny(folder, files, PHOTOMETRY_OFF, *settings, **{**DATE, **header})


def shadow() -> Image:
    """Return the spots where they were on August 18."""
    return shift_spots(make_spots(), 2.5, -1.25)


def test_spots_are_taken_off_with_the_flat(
    tmp_path: Path, files: dict[str, Path], spots: dict[str, Path]
) -> None:
    """The nearest row of SPOTTAB counts; SCI is divided by its transmission, once."""
    plain = read_product(calibrate(tmp_path / "plain", files))
    with_spots = calibrate(tmp_path / "spots", spots)
    sci, _, dq, header = read_product(with_spots)
    assert np.allclose(sci, plain[0] / shadow().sci, rtol=1e-5)
    assert np.array_equal(dq, plain[2])
    assert header["FLATCORR"] == "COMPLETE"
    assert "  reference image jref$cfltfile.fits" in list(header["HISTORY"])
    assert "  reference table jref$spottab.fits" in list(header["HISTORY"])
    assert "CORON" in fits.getval(with_spots.files[0].path, "PHOTMODE", "SCI")


def test_error_of_the_spots_can_be_left_out(
    tmp_path: Path, files: dict[str, Path], spots: dict[str, Path]
) -> None:
    """As the program does it SCI / ERR is never above 1; without the trap it stays."""
    plain = read_product(calibrate(tmp_path / "plain", files))
    spoilt = read_product(calibrate(tmp_path / "spoilt", spots))
    exact = read_product(calibrate(tmp_path / "exact", spots, "flat.exact_spots=yes"))
    far = (slice(20, 32), slice(30, 44))  # far from the spot the transmission is 1
    good = (plain[2][far] & 512) == 0
    assert (np.abs(spoilt[0] / spoilt[1])[far][good] < 1).all()
    assert np.allclose(exact[1][far], plain[1][far], rtol=1e-5)
    assert np.array_equal(exact[0], spoilt[0])


def test_spots_are_taken_off_with_each_flat(tmp_path: Path, spots: dict[str, Path]) -> None:
    """A trap: with a delta flat of 1 the shadow is divided out twice; once is possible."""
    delta = {**spots, "DFLTFILE": write_image(tmp_path / "dfltfile.fits", np.ones(SHAPE))}
    one = read_product(calibrate(tmp_path / "one", spots))[0]
    twice = read_product(calibrate(tmp_path / "twice", delta))[0]
    once = read_product(calibrate(tmp_path / "once", delta, "flat.spots_once=yes"))[0]
    assert np.allclose(twice, one / shadow().sci, rtol=1e-5)
    assert np.allclose(once, one, rtol=1e-6)


@pytest.mark.parametrize("absent", ["SPOTTAB", "CFLTFILE"])
def test_spots_need_image_and_table(
    tmp_path: Path, files: dict[str, Path], spots: dict[str, Path], absent: str
) -> None:
    """Without one of them nothing is taken off, and the user is told."""
    plain = read_product(calibrate(tmp_path / "plain", files))[0]
    products = calibrate(tmp_path / "spots", {**spots, absent: "N/A"})  # type: ignore[dict-item]
    assert np.array_equal(read_product(products)[0], plain)
    assert "The occulting spots are left in" in products.notes[-1]


def test_placeholder_of_the_spots_is_left_out(
    tmp_path: Path, files: dict[str, Path], spots: dict[str, Path]
) -> None:
    """A SPOTTAB with PEDIGREE DUMMY says nothing; FLATCORR is done all the same."""
    plain = read_product(calibrate(tmp_path / "plain", files))[0]
    spots["SPOTTAB"] = write_table(tmp_path / "dummy.fits", SHIFTS, pedigree="DUMMY")
    sci, _, _, header = read_product(calibrate(tmp_path / "spots", spots))
    assert np.array_equal(sci, plain)
    assert header["FLATCORR"] == "COMPLETE"


def test_spots_of_another_size_are_refused(tmp_path: Path, spots: dict[str, Path]) -> None:
    """The message names both files' keywords."""
    spots["CFLTFILE"] = write_image(tmp_path / "cfltfile.fits", np.ones((32, 40)))
    with pytest.raises(MissingReference, match="CFLTFILE and PFLTFILE differ in size"):
        calibrate(tmp_path / "out", spots)


def test_exposure_without_date_is_refused(tmp_path: Path, spots: dict[str, Path]) -> None:
    """Nobody knows where the spots were."""
    with pytest.raises(DataError, match="DATE-OBS"):
        calibrate(tmp_path / "out", spots, **{"DATE-OBS": None})


def test_subarray_gets_its_part_of_the_spots(tmp_path: Path, spots: dict[str, Path]) -> None:
    """Rows and columns cut out of a full frame have the shadow that lies there."""
    names = ("CCDTAB", "OSCNTAB", "PFLTFILE", "CFLTFILE", "SPOTTAB")
    files = {key: spots[key] for key in names}
    raw = make_raw(tmp_path, np.full((10, 12), 500.0), **{**DATE, "SUBARRAY": True})
    with fits.open(raw, mode="update") as hdus:
        for hdu in hdus[1:]:
            hdu.header.update({"LTV1": -18.0, "LTV2": -8.0})
    only = ["DQICORR=OMIT", "BIASCORR=OMIT", "DARKCORR=OMIT", PHOTOMETRY_OFF]
    request = make_request(raw, files, tmp_path / "out", only)
    sci = read_product(NativeEngine([HRC]).calibrate(request))[0]
    flat = fits.getdata(files["PFLTFILE"], "SCI")[8:18, 18:30]
    level = 500 * CCD_ROW["ATODGNC"] - CCD_ROW["CCDBIASC"] * CCD_ROW["ATODGNC"]
    wanted = level / flat / shadow().sci[8:18, 18:30]
    assert np.allclose(sci, wanted, rtol=1e-5)


def test_low_order_flat_of_a_ccd_flags_everything(tmp_path: Path, files: dict[str, Path]) -> None:
    """A trap: every pixel gets 512 and no value changes."""
    plain = read_product(calibrate_tiny(tmp_path, files))
    (tmp_path / "low").mkdir()
    files["LFLTFILE"] = write_image(tmp_path / "lfltfile.fits", np.full(SHAPE, 2.0))
    low = read_product(calibrate_tiny(tmp_path / "low", files))
    assert np.array_equal(low[0], plain[0])
    assert np.array_equal(low[2], plain[2] | 512)


@pytest.mark.parametrize("coarse", [False, True])
def test_shutter_shading_is_divided_out(
    tmp_path: Path, files: dict[str, Path], *, coarse: bool
) -> None:
    """25 s more than the 100 s of the header leave 80 %, from a fine and a coarse image."""
    plain = read_product(calibrate_tiny(tmp_path, files))
    (tmp_path / "shaded").mkdir()
    shape = (8, 11) if coarse else SHAPE
    files["SHADFILE"] = write_image(tmp_path / "shadfile.fits", np.full(shape, 25.0))
    if coarse:
        with fits.open(files["SHADFILE"], mode="update") as hdus:
            for hdu in hdus[1:]:
                hdu.header.update({"LTV1": 0.375, "LTV2": 0.375, "LTM1_1": 0.25, "LTM2_2": 0.25})
    made = calibrate_tiny(tmp_path / "shaded", files, SHADCORR="PERFORM")
    sci, _, _, header = read_product(made)
    assert np.allclose(sci, plain[0] * 0.8, rtol=1e-6)
    assert header["SHADCORR"] == "COMPLETE"
    assert "SHADCORR complete ..." in list(header["HISTORY"])


def test_combined_exposures_count_the_time_of_one(tmp_path: Path) -> None:
    """The crj of two exposures of 100 s is shaded as one of them is: 80 %."""
    files = make_pair_references(tmp_path)
    folders = [tmp_path / name for name in ("plain", "shaded")]
    for folder in folders:
        folder.mkdir()
    plain = NativeEngine([HRC]).calibrate(associate(folders[0], files))
    files["SHADFILE"] = write_image(tmp_path / "shadfile.fits", np.full(SHAPE, 25.0))
    request = associate(folders[1], files, PAIR, SHADCORR="PERFORM")
    shaded = NativeEngine([HRC]).calibrate(request)
    for number in range(1 + len(MEMBERS)):
        one, other = (read_at(products, number) for products in (plain, shaded))
        assert np.allclose(other, one * 0.8, rtol=1e-6)


def read_at(products: Products, number: int) -> np.ndarray:
    """Return SCI of one of several products."""
    pixels: np.ndarray = fits.getdata(products.files[number].path, "SCI")
    return pixels


def test_coarse_shading_that_does_not_fit_is_refused(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    """A shading image in pixels of 4 that covers only a part is named in the message."""
    files["SHADFILE"] = write_image(tmp_path / "shadfile.fits", np.ones((3, 3)))
    with fits.open(files["SHADFILE"], mode="update") as hdus:
        for hdu in hdus[1:]:
            hdu.header.update({"LTV1": 0.375, "LTV2": 0.375, "LTM1_1": 0.25, "LTM2_2": 0.25})
    with pytest.raises(MissingReference, match="SHADFILE: the reference does not cover") as caught:
        calibrate_tiny(tmp_path, files, SHADCORR="PERFORM")
    assert "shadfile.fits" in str(caught.value)


def test_bias_without_time_skips_the_shutter(tmp_path: Path, files: dict[str, Path]) -> None:
    """EXPTIME 0 of a bias: SHADCORR is SKIPPED."""
    files["SHADFILE"] = write_image(tmp_path / "shadfile.fits", np.full(SHAPE, 25.0))
    header = {"EXPTIME": 0.0, "DARKTIME": 0.0, "IMAGETYP": "BIAS", "SHADCORR": "PERFORM"}
    made = calibrate_tiny(tmp_path, files, **header)
    assert made.switches["SHADCORR"] == "SKIPPED"


def test_blocks_of_rows_do_not_matter(
    tmp_path: Path, spots: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row at a time gives the bits and keywords of the whole image at once."""
    shading = write_image(tmp_path / "shadfile.fits", np.full((8, 11), 25.0), err=0.5)
    with fits.open(shading, mode="update") as hdus:
        for hdu in hdus[1:]:
            hdu.header.update({"LTV1": 0.375, "LTV2": 0.375, "LTM1_1": 0.25, "LTM2_2": 0.25})
    files = {**spots, "SHADFILE": shading, "DFLTFILE": spots["PFLTFILE"]}
    header = {"SHADCORR": "PERFORM"}
    whole = calibrate(tmp_path / "whole", files, **header).files[0].path
    monkeypatch.setattr("calib.instruments.row_blocks.BLOCK_PIXELS", 1)
    rows = calibrate(tmp_path / "rows", files, **header).files[0].path
    assert fits.FITSDiff(whole, rows, ignore_keywords=["DATE"]).identical
