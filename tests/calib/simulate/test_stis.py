"""The synthetic CCD of STIS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calib.simulate.stis import StisDetector, StisExposure, expected_electrons, write_raw
from calib.simulate.stis_references import write_stis_references

DETECTOR = StisDetector(3)
SMALL = StisExposure(rows=(100, 20), seconds=(10.0, 20.0))


def test_equal_exposures_have_equal_bytes(tmp_path: Path) -> None:
    """Nothing depends on the time of day or on what was made before."""
    first = write_raw(tmp_path, SMALL, DETECTOR).read_bytes()
    assert write_raw(tmp_path, SMALL, StisDetector(3)).read_bytes() == first
    assert write_raw(tmp_path, SMALL, StisDetector(4)).read_bytes() != first


def test_file_holds_the_exposures_of_a_split(tmp_path: Path) -> None:
    """SCI with samples, ERR and DQ without pixels, each twice; times are in the SCI headers."""
    with fits.open(write_raw(tmp_path, SMALL, DETECTOR)) as hdus:
        names = [(hdu.name, hdu.ver) for hdu in hdus[1:]]
        assert names == [(name, ver) for ver in (1, 2) for name in ("SCI", "ERR", "DQ")]
        assert [hdus["SCI", ver].header["EXPTIME"] for ver in (1, 2)] == [10, 20]
        assert hdus["SCI", 2].data.dtype == np.uint16
        assert hdus["ERR", 1].header["NPIX1"] == 1060
        assert hdus[0].header["NEXTEND"] == 6


@pytest.mark.parametrize(
    ("values", "shape", "offset"),
    [
        ({}, (1044, 1062), (19, 20)),
        ({"amplifier": "A"}, (1044, 1062), (19, 0)),
        ({"rows": (100, 20)}, (20, 1060), (18, -100)),
        # 21 columns come first: their centres map to (21 - 0.5) / 2 + 0.5
        ({"bins": (2, 2)}, (522, 532), (10.75, 10.25)),
    ],
    ids=str,
)
def test_frames_have_the_size_and_place_of_real_ones(
    values: dict[str, object], shape: tuple[int, int], offset: tuple[float, float], tmp_path: Path
) -> None:
    """LTV is the overscan before the sky; that of binned images maps centres of pixels."""
    exposure = StisExposure(**values)  # type: ignore[arg-type]
    with fits.open(write_raw(tmp_path, exposure, DETECTOR)) as hdus:
        header = hdus["SCI"].header
        assert hdus["SCI"].data.shape == shape
    assert (header["LTV1"], header["LTV2"]) == offset


def test_dark_grows_with_temperature() -> None:
    """7 % of 0.004 electrons/s per degree, in 1000 s."""
    cold, warm = (
        expected_electrons(StisExposure(temperature=degrees), DETECTOR, 1000.0)
        for degrees in (18.0, 19.0)
    )
    assert float(np.median(warm - cold)) == pytest.approx(0.004 * 0.07 * 1000)


def test_references_are_binned_like_the_exposure(tmp_path: Path) -> None:
    """Bias and dark are sums over bins; the flats are those of single pixels."""
    paths = write_stis_references(tmp_path, DETECTOR, (2, 4))
    shapes = {}
    for keyword in ("BIASFILE", "DARKFILE", "PFLTFILE", "LFLTFILE"):
        with fits.open(paths[keyword]) as hdus:
            shapes[keyword] = hdus["SCI"].data.shape
            if keyword == "BIASFILE":
                assert hdus["SCI"].header["LTM1_1"] == 0.5
                total = float(hdus["SCI"].data.sum(dtype=float))
    assert shapes == {
        "BIASFILE": (256, 512), "DARKFILE": (256, 512), "PFLTFILE": (1024, 1024),
        "LFLTFILE": (16, 16),
    }  # fmt: skip
    assert total == pytest.approx(float(DETECTOR.bias.sum()), rel=1e-5)
