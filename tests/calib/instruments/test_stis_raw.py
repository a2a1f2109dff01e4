"""Steps of STIS CCD exposures on images whose numbers are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import frozen

from calib.errors import DataError
from calib.image import Header, Image, Imset
from calib.instruments import stis_product, stis_raw
from calib.instruments.reference_set import ReferenceSet
from calib.instruments.state import ExposureState
from calib.records import ReferenceUse
from calib.simulate.stis_references import ccd_rows, write_image, write_table

PRIMARY = {
    "INSTRUME": "STIS", "DETECTOR": "CCD", "CCDAMP": "D", "CCDGAIN": 1, "CCDOFFST": 3,
    "BINAXIS1": 1, "BINAXIS2": 1, "OBSTYPE": "IMAGING", "TARGNAME": "STAR", "CRCORR": "OMIT",
    "APERTURE": "50CCD", "APER_FOV": "50x50", "OPT_ELEM": "MIRVIS", "BLEVCORR": "PERFORM",
}  # fmt: skip
SCIENCE = {
    "EXPTIME": 100.0, "EXPSTART": 58000.0, "OCCDHTAV": 20.0, "SDQFLAGS": 31743, "NCOMBINE": 1,
    "CRPIX1": 531.0, "CRPIX2": 532.0, "LTV1": 19.0, "LTV2": 20.0, "LTM1_1": 1.0, "LTM2_2": 1.0,
    "CD1_1": 0.05 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.05 / 3600,
}  # fmt: skip


def make_state(
    images: list[Image],
    files: Mapping[str, Path] | None = None,
    *,
    primary: Mapping[str, Any] | None = None,
    science: Mapping[str, Any] | None = None,
) -> ExposureState:
    """Return an exposure with these image sets."""
    mapping = {"CRPIX1": 531.0, "LTV1": 19.0}
    imsets = tuple(
        Imset(image, Header({**SCIENCE, **(science or {})}), Header(mapping), Header(mapping), n)
        for n, image in enumerate(images, 1)
    )
    uses = {key: ReferenceUse(key, path.name, str(path)) for key, path in (files or {}).items()}
    header = Header({**PRIMARY, **(primary or {})})
    return ExposureState("obzz01010", "obzz01010_raw.fits", header, imsets, ReferenceSet(uses))


@pytest.fixture
def ccdtab(tmp_path: Path) -> dict[str, Path]:
    """Return a CCD table for every amplifier, gain and binning; CCDBIAS is 1510."""
    return {"CCDTAB": write_table(tmp_path / "ccdtab.fits", ccd_rows())}


@pytest.mark.parametrize("amplifier", "ABCD")
def test_level_with_slope_and_drift_is_taken_off(ccdtab: dict[str, Path], amplifier: str) -> None:
    """A level of 1000 + 0.01 row + 0.02 column under 7 DN of sky leaves 7 everywhere.

    MEANBLEV is the level in the middle: of 1024 rows from 0 (20 for C and D) and in column
    19 + 512.
    """
    y, x = np.mgrid[:1044, :1062]
    sci = 1000 + 0.01 * y + 0.02 * x
    first = 20 if amplifier in "CD" else 0
    sci[first : first + 1024, 19:1043] += 7
    state = make_state([frozen(sci, unit="COUNTS")], ccdtab, primary={"CCDAMP": amplifier})
    made = stis_raw.subtract_bias_level(state).imsets[0]
    assert made.image.shape == (1024, 1024)
    assert np.allclose(made.image.sci, 7, atol=1e-3)
    middle = 1000 + 0.01 * (first + 511.5) + 0.02 * 531
    assert made.sci["MEANBLEV"] == pytest.approx(middle, abs=1e-3)
    assert (made.sci["LTV1"], made.sci["CRPIX1"]) == (0, 512)
    assert made.sci["LTV2"] == 20 - first
    assert (made.err["LTV1"], made.dq["CRPIX1"]) == (0, 512)
    assert "LTV2" not in made.dq


def test_hot_columns_do_not_tilt_the_level(ccdtab: dict[str, Path]) -> None:
    """Three columns at the right read 500 more in the virtual overscan: the drift stays 0."""
    rng = np.random.default_rng(3)
    sci = 1000 + rng.normal(0, 1, (1044, 1062))
    sci[:20, 980:1040:20] = 1500
    state = make_state([frozen(sci, unit="COUNTS")], ccdtab)
    made = stis_raw.subtract_bias_level(state).imsets[0].image.sci
    assert abs(float(made[:, :100].mean()) - float(made[:, -100:].mean())) < 0.2


def test_flagged_overscan_does_not_count(ccdtab: dict[str, Path]) -> None:
    """Half of the bias section is 900 too high and flagged as lost."""
    sci, dq = np.full((1044, 1062), 1000.0), np.zeros((1044, 1062), np.int16)
    sci[:, 1:9], dq[:, 1:9] = 1900, 2
    made = stis_raw.subtract_bias_level(make_state([frozen(sci, dq=dq)], ccdtab)).imsets[0]
    assert np.allclose(made.image.sci, 0)


@pytest.mark.parametrize(
    ("science", "primary", "reason"),
    [
        ({"EXPTIME": 0.0}, {}, "EXPTIME is 0"),
        ({}, {"same": True}, "all its values are 5"),
    ],
)
def test_empty_image_sets_are_marked(
    science: dict[str, Any], primary: dict[str, Any], reason: str
) -> None:
    """The second of two holds nothing."""
    full = frozen([[1.0, 2.0]])
    state = make_state([full, frozen([[5.0, 5.0]]) if primary else full])
    imsets = [state.imsets[0], state.imsets[1]]
    imsets[1] = Imset(imsets[1].image, imsets[1].sci.with_values(science), *2 * (Header({}),), 2)
    made = stis_raw.check_exposure(state.with_imsets(imsets))
    assert made.imsets[1].sci["IMSET_OK"] is False
    assert "IMSET_OK" not in made.imsets[0].sci
    assert reason in made.warnings[0]


def test_bias_exposures_may_have_no_time() -> None:
    """TARGNAME BIAS: EXPTIME is 0 in all of them."""
    state = make_state([frozen([[5.0, 5.0]])], primary={"TARGNAME": "BIAS"})
    state = state.with_science([{"EXPTIME": 0.0}])
    assert "IMSET_OK" not in stis_raw.check_exposure(state).imsets[0].sci


@pytest.mark.parametrize("seconds", [-1.0, "long", None])
def test_unusable_times_are_refused(seconds: Any) -> None:
    """A negative time, text, or none at all."""
    with pytest.raises(DataError, match="EXPTIME"):
        stis_raw.check_exposure(make_state([frozen([[1.0, 2.0]])], science={"EXPTIME": seconds}))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("28X50", (28, 50)),
        ("50x50", (50, 50)),
        ("0.2X0.06ND", (0.2, 0.06)),
        ("F28", None),
        ("", None),
    ],
)
def test_aperture_is_read_from_its_name(text: str, size: tuple[float, float] | None) -> None:
    """Height by width; what cannot be read flags nothing."""
    state = make_state([frozen([[1.0]])], primary={"APER_FOV": text})
    found = stis_raw.aperture_of(state.chips[0])
    assert (found and (found.height, found.width)) == size


def test_pixel_scale_does_not_depend_on_binning() -> None:
    """0.1 arcsec per pixel of 2 x 2 bins are 0.05 per detector pixel."""
    cards = {"CD1_1": 0.1 / 3600, "CD2_2": 0.1 / 3600, "LTM1_1": 0.5, "LTM2_2": 0.5}
    state = make_state([frozen([[1.0]])], science=cards)
    assert stis_raw.pixel_scales(state.chips[0]) == pytest.approx((0.05, 0.05))


def test_scale_of_a_spectrum_is_that_across_it() -> None:
    """CD1_1 is Angstrom then: CD2_2 counts for both."""
    state = make_state(
        [frozen([[1.0]])], primary={"OBSTYPE": "SPECTROSCOPIC"}, science={"CD1_1": 4.9}
    )
    assert stis_raw.pixel_scales(state.chips[0]) == pytest.approx((0.05, 0.05))


def test_bad_pixels_of_a_binned_image(ccdtab: dict[str, Path], tmp_path: Path) -> None:
    """Detector pixels 4 and 5 (from 1), row 1: with 2 x 2 bins from pixel 3 on, bins 0 and 1."""
    row = {"PIX1": 4, "PIX2": 1, "LENGTH": 2, "AXIS": 1, "VALUE": 16}
    table = write_table(tmp_path / "bpx.fits", [row], {"SIZAXIS1": 1024, "SIZAXIS2": 1024})
    binned = {"LTV1": -0.75, "LTV2": 1.25, "LTM1_1": 0.5, "LTM2_2": 0.5}
    state = make_state([frozen(np.ones((3, 4)))], {**ccdtab, "BPIXTAB": table}, science=binned)
    made = stis_raw.flag_pixels(state).imsets[0].image.dq
    assert made.tolist() == [[0, 0, 0, 0], [16, 16, 0, 0], [0, 0, 0, 0]]


def test_bias_is_subtracted_once_for_each_combined_exposure(tmp_path: Path) -> None:
    """3 DN +- 0.4 in two exposures are 6 +- 0.8: errors of 0.6 become 1."""
    path = write_image(tmp_path / "bias.fits", (np.full((4, 4), 3.0), 0.4, 128))
    flat = {"LTV1": 0.0, "LTV2": 0.0, "NCOMBINE": 2}
    state = make_state([frozen(np.full((4, 4), 10.0), 0.6, 16)], {"BIASFILE": path}, science=flat)
    made = stis_raw.subtract_bias(state).imsets[0].image
    assert np.allclose(made.sci, 4)
    assert np.allclose(made.err, 1)
    assert (made.dq == 128 + 16).all()


@pytest.mark.parametrize(
    ("science", "factor"),
    [
        ({}, 1.14),
        ({"OCCDHTAV": -1.0}, 1.0),
        ({"EXPSTART": 51000.0}, 1.0),
    ],
    ids=["second electronics", "not known", "first electronics"],
)
def test_dark_is_scaled_with_time_gain_and_temperature(
    ccdtab: dict[str, Path], tmp_path: Path, science: dict[str, Any], factor: float
) -> None:
    """0.02 e/s in 100 s at 2.02 electrons per DN, 7 % more per degree above 18."""
    path = write_image(tmp_path / "dark.fits", (np.full((4, 4), 0.02), 0, 0))
    flat = {"LTV1": 0.0, "LTV2": 0.0, **science}
    state = make_state(
        [frozen(np.zeros((4, 4)), 1)],
        {**ccdtab, "DARKFILE": path},
        primary={"CCDGAIN": 2},
        science=flat,
    )
    made = stis_product.subtract_dark(state).imsets[0]
    expected = 0.02 * 100 / 2.02 * factor
    assert np.allclose(made.image.sci, -expected)
    assert made.sci["MEANDARK"] == pytest.approx(expected)


def test_photmode_names_the_grating_of_a_spectrum() -> None:
    """Mirrors are not named; gratings are, with their wavelength."""
    image = [frozen([[1.0]])]
    assert (
        stis_product.name_photmode(make_state(image)).primary["PHOTMODE"] == "STIS 50CCD A2D1 CCD"
    )
    cards = {"OBSTYPE": "SPECTROSCOPIC", "OPT_ELEM": "G750L", "CENWAVE": 7751, "APERTURE": "52X2"}
    made = stis_product.name_photmode(make_state(image, primary=cards))
    assert made.primary["PHOTMODE"] == "STIS 52X2 A2D1 G750L CCD 7751"


def test_statistics_are_those_that_statflag_asks_for() -> None:
    """F: none. T: of good pixels with an error."""
    image = [frozen([[1.0, 3.0, 90.0]], 1, [[0, 0, 4]])]
    assert "NGOODPIX" not in stis_product.measure_statistics(make_state(image)).imsets[0].sci
    made = stis_product.measure_statistics(make_state(image, primary={"STATFLAG": True}))
    assert (made.imsets[0].sci["NGOODPIX"], made.imsets[0].sci["GOODMEAN"]) == (2, 2)
