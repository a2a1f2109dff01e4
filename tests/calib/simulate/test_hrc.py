"""Raw exposures of the synthetic HRC."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calib.fitsfile import opened, pixels
from calib.ids import parse_dataset
from calib.simulate.detector import FULL_FRAME, SMALL_FRAME, Detector
from calib.simulate.hrc import expose
from calib.simulate.pointing import Pointing, plan_pointings
from calib.simulate.raws import write_raw

START = datetime(2002, 4, 13, 18, 30)  # noqa: DTZ001 - HST headers are UT, unmarked
POINTING = Pointing("jsim01aaq", "F606W", START, 360.0, field=1, seed=7)
DETECTOR = Detector(SMALL_FRAME, 1)


def test_names_are_datasets_and_differ() -> None:
    """Thousands of exposures have as many names, each an ACS exposure, four to a visit."""
    names = [pointing.rootname for pointing in plan_pointings(6000, 1)]
    assert len(set(names)) == 6000
    parsed = [parse_dataset(name) for name in names]
    assert {(p.kind, p.instrument, p.is_association) for p in parsed} == {("ipst", "acs", False)}
    assert names[:5] == ["jsim01aaq", "jsim01abq", "jsim01acq", "jsim01adq", "jsim02aaq"]


def test_every_fourth_exposure_is_a_day_earlier() -> None:
    """Three of four exposures are after 18:00 of 13 April 2002, one is before."""
    limit = datetime(2002, 4, 13, 18)  # noqa: DTZ001 - HST headers are UT, unmarked
    late = [pointing.start >= limit for pointing in plan_pointings(8, 1)]
    assert late == [True, True, True, False] * 2


def test_same_pointing_same_bytes(tmp_path: Path) -> None:
    """A raw is a function of pointing and detector, byte for byte."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    a, b = (write_raw(tmp_path / f, POINTING, [Detector(SMALL_FRAME, 1)]) for f in ("a", "b"))
    assert a.read_bytes() == b.read_bytes()
    other = dataclasses.replace(POINTING, seed=8)
    assert write_raw(tmp_path / "b", other, [DETECTOR]).read_bytes() != a.read_bytes()


def test_raw_is_laid_out_like_a_real_one(tmp_path: Path) -> None:
    """SCI is u16 with BZERO; ERR and DQ have no pixels but NPIX1, NPIX2 and PIXVALUE."""
    path = write_raw(tmp_path, POINTING, [DETECTOR])
    with opened(path, do_not_scale_image_data=True) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "ERR", "DQ"]
        sci, err, dq = (hdu.header for hdu in hdus[1:])
        assert (sci["BITPIX"], sci["BZERO"]) == (16, 32768)
        assert (sci["NAXIS1"], sci["NAXIS2"], sci["LTV1"], sci["LTV2"]) == (166, 148, 19.0, 0.0)
        assert (err["NAXIS"], err["BITPIX"], dq["BITPIX"]) == (0, -32, 16)
        zeros = pixels(hdus[3])
    assert zeros is not None
    assert (zeros.shape, zeros.dtype, zeros.any()) == ((148, 166), np.int16, False)
    with fits.open(path) as hdus:
        hdus.verify("exception")


def test_raw_has_the_keywords_of_a_real_one(crds_pack: Path, tmp_path: Path) -> None:
    """What calibration reads of a real header is in a simulated one, as the same kind of value."""
    real = fits.getheader(crds_pack / "raw" / "j8bt05njq_raw.fits")
    ours = fits.getheader(write_raw(tmp_path, POINTING, [DETECTOR]))
    groups = (
        "CORR",
        "FILE",
        "TAB",
        "FILTER",
        "CCD",
        "ATODGN",
        "READNSE",
        "BIASLEV",
        "FLASH",
        "ASN",
    )
    modern = {"PHOTTAB", "GRAPHTAB", "COMPTAB"}  # synphot's, not read by calibration
    wanted = {k for k in real if any(g in k for g in groups)} - modern
    wanted |= {"DATE-OBS", "TIME-OBS", "EXPSTART", "EXPEND", "EXPTIME", "PROPOSID", "TARGNAME"}
    assert wanted - set(ours) == set()
    kinds = {k: (type(real[k]), type(ours[k])) for k in wanted}
    assert {k: v for k, v in kinds.items() if v[0] is not v[1]} == {}


def test_bias_level_is_in_the_overscan() -> None:
    """Overscan pixels have the bias level with a slope of 1.5 DN and read noise of 2.1 DN."""
    image = expose(POINTING, DETECTOR).astype(float)
    left, right = image[:, :19], image[:, -19:]
    assert left.mean() == pytest.approx(1140.75 + DETECTOR.bias[:, :19].mean(), abs=0.4)
    assert (left - DETECTOR.bias[:, :19]).std() == pytest.approx(4.74 / 2.216, rel=0.15)
    assert image[-20:].max() < 1180
    assert right.max() < 1180


def test_bright_star_saturates_and_bleeds() -> None:
    """The brightest star fills the converter, and its column around it."""
    image = expose(POINTING, DETECTOR)
    full = image == 65535
    assert full.sum() > 5
    assert full.sum(axis=0).max() > full.sum(axis=1).max()


def test_dead_columns_see_no_light() -> None:
    """A dead column has less signal than its neighbours."""
    image = expose(POINTING, DETECTOR).astype(float)[SMALL_FRAME.window]
    for column, first, length in DETECTOR.dead_columns:
        rows = slice(first, first + length)
        beside = (image[rows, column - 1] + image[rows, column + 1]) / 2
        assert np.median(image[rows, column]) < np.median(beside) - 3


def test_full_frame_is_that_of_the_real_detector() -> None:
    """The full geometry is the real one: 1062 x 1044 raw, 1024 x 1024 calibrated."""
    assert FULL_FRAME.raw_shape == (1044, 1062)
    assert FULL_FRAME.shape == (1024, 1024)
