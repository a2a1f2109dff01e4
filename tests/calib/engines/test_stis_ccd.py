"""The native engine on synthetic STIS CCD exposures: the sky comes back within the noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from factories import make_request

from calib.engines.lookup import choose_engine
from calib.engines.native import NativeEngine
from calib.errors import CorruptFile, DataError, HstflowError, MissingReference, UnsupportedMode
from calib.fitsfile import primary_header
from calib.instruments.stis_ccd import NOT_HERE, RECIPE
from calib.records import Products
from calib.simulate.stis import GAINS, StisDetector, StisExposure, sky_of, write_raw
from calib.simulate.stis_references import PHOTFLAM, write_image, write_stis_references, write_table
from calib.switches import parse_overrides

DETECTOR = StisDetector(7)
ROWS = (300, 48)  # of a subarray: cheap, with overscan at both sides
ENGINE = NativeEngine([RECIPE])
Calibrate = Callable[..., Products]


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the references of exposures at gain 1 without binning."""
    return write_stis_references(tmp_path_factory.mktemp("stis"), DETECTOR)


@pytest.fixture
def calibrate(tmp_path: Path, references: dict[str, Path]) -> Calibrate:
    """Return what makes an exposure and calibrates it."""

    def run(exposure: StisExposure, *settings: str, **changes: Any) -> Products:
        raw = write_raw(tmp_path, exposure, DETECTOR)
        request = make_request(raw, {**references, **changes}, tmp_path / "out", settings)
        return ENGINE.calibrate(request)

    return run


def alone(**values: Any) -> StisExposure:
    """Return a subarray that nothing is combined with."""
    cards = {"CRCORR": "OMIT", **values.pop("cards", {})}
    return StisExposure(rows=ROWS, cards=cards, **values)


def pulls(path: str, exposure: StisExposure, imset: int = 1) -> np.ndarray:
    """Return (counts - truth) / error of the pixels without a flag."""
    (by_x, by_y), gain = exposure.bins, GAINS[exposure.gain]
    with fits.open(path) as hdus:
        header, sci = hdus["SCI", imset].header, hdus["SCI", imset].data
        err, good = hdus["ERR", imset].data, hdus["DQ", imset].data == 0
    y, x = (round((by - 1) / 2 - by * header[key]) for by, key in ((by_y, "LTV2"), (by_x, "LTV1")))
    ny, nx = sci.shape
    truth = sky_of(exposure)[y : y + ny * by_y, x : x + nx * by_x] * header["EXPTIME"] / gain
    truth = truth.reshape(ny, by_y, nx, by_x).sum(axis=(1, 3))
    return np.asarray((sci - truth)[good] / err[good])


def check_truth(path: str, exposure: StisExposure, imset: int = 1) -> None:
    """Compare the scatter with the errors: 1 within 2 %, around 0 within a level's uncertainty."""
    found = pulls(path, exposure, imset)
    assert found.size > 40000
    assert abs(found.mean()) < 0.1
    assert 0.98 < found.std() < 1.02


def test_every_image_set_of_a_file_is_calibrated(calibrate: Calibrate) -> None:
    """Three exposures of different times become three image sets of counts."""
    exposure = alone(seconds=(50.0, 80.0, 110.0))
    products = calibrate(exposure)
    assert [file.name for file in products.files] == ["obzz01010_flt.fits"]
    for imset in (1, 2, 3):
        check_truth(products.files[0].path, exposure, imset)


def test_headers_say_what_was_done(calibrate: Calibrate) -> None:
    """Switches, gain, level, dark (0.004 e/s, 14 % more at 20 degrees, 100 s), photometry."""
    products = calibrate(alone(gain=1))
    with fits.open(products.files[0].path) as hdus:
        primary, science = hdus[0].header, hdus["SCI"].header
    assert [primary[f"{name}CORR"] for name in ("DQI", "BLEV", "BIAS", "DARK", "FLAT", "PHOT")] == [
        "COMPLETE"
    ] * 6
    assert (primary["ATODGAIN"], primary["READNSE"]) == (1.0, pytest.approx(5.6))
    assert primary["PHOTMODE"] == "STIS 50CCD A2D1 CCD"
    assert primary["PHOTFLAM"] == pytest.approx(PHOTFLAM)
    assert primary["CCDTAB"] == "oref$ccdtab.fits"
    assert science["MEANDARK"] == pytest.approx(0.004 * 1.14 * 100)
    assert science["MEANBLEV"] == pytest.approx(1510, abs=2)
    assert (science["LTV1"], science["LTV2"], science["CRPIX1"]) == (0, -300, 512 - 18)
    assert science["NGOODPIX"] > 48000
    assert "  reference image oref$lfltfile.fits" in list(primary["HISTORY"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"amplifier": "A", "gain": 4},
        {"amplifier": "B"},
        {"amplifier": "C"},
        {"amplifier": "D", "gain": 4},
        {"bins": (2, 2)},
        {"bins": (1, 2), "amplifier": "A"},
        {"bins": (4, 4), "gain": 4},
    ],
    ids=str,
)
def test_frames_of_every_amplifier_gain_and_binning(values: dict[str, Any], tmp_path: Path) -> None:
    """Full frames: with drift of the virtual overscan, mirrored and binned."""
    exposure = StisExposure(cards={"CRCORR": "OMIT"}, **values)
    files = write_stis_references(tmp_path, DETECTOR, exposure.bins, exposure.gain)
    raw = write_raw(tmp_path, exposure, DETECTOR)
    products = ENGINE.calibrate(make_request(raw, files, tmp_path / "out"))
    found = pulls(products.files[0].path, exposure)
    assert abs(found.mean()) < 0.1
    assert 0.97 < found.std() < 1.03


def test_split_becomes_one_image_without_cosmic_rays(calibrate: Calibrate) -> None:
    """The sum of both has the time of both; the exposures keep theirs, with hits flagged."""
    exposure = StisExposure(
        rows=ROWS, seconds=(100.0, 140.0), cosmic=True, cards={"EXPSCORR": "PERFORM"}
    )
    products = calibrate(exposure)
    combined, single = (file.path for file in products.files)
    assert [file.name for file in products.files] == ["obzz01010_crj.fits", "obzz01010_flt.fits"]
    check_truth(combined, exposure)
    for imset in (1, 2):
        check_truth(single, exposure, imset)
    with fits.open(combined) as hdus:
        assert len(hdus) == 4
        primary, science = hdus[0].header, hdus["SCI"].header
    assert (primary["NEXTEND"], primary["TEXPTIME"], science["NCOMBINE"]) == (3, 240, 2)
    assert (primary["CRCORR"], primary["BADINPDQ"]) == ("COMPLETE", 39)
    assert science["EXPEND"] == pytest.approx(58000.01 + 140 / 86400)
    with fits.open(single) as hdus:
        hits = [int((hdus["DQ", imset].data & 8192 > 0).sum()) for imset in (1, 2)]
    assert min(hits) > 20
    assert primary["REJ_RATE"] == pytest.approx(sum(hits) / 240)


def test_products_are_foreseen(tmp_path: Path, references: dict[str, Path]) -> None:
    """A split becomes _crj alone unless EXPSCORR asks for the exposures too."""
    raw = write_raw(tmp_path, StisExposure(rows=ROWS, seconds=(10.0, 10.0)), DETECTOR)
    for settings, names in (
        ((), ("obzz01010_crj.fits",)),
        (("EXPSCORR=PERFORM",), ("obzz01010_crj.fits", "obzz01010_flt.fits")),
        (("CRCORR=OMIT",), ("obzz01010_flt.fits",)),
    ):
        request = make_request(raw, references, tmp_path / "out", settings)
        assert ENGINE.product_names(request) == names
    header = primary_header(raw)
    assert "CRREJTAB" in ENGINE.required_references(header)
    without = parse_overrides(["CRCORR=OMIT"]).apply(header)
    assert "CRREJTAB" not in ENGINE.required_references(without)


def test_one_exposure_is_not_split(calibrate: Calibrate) -> None:
    """CRCORR becomes SKIPPED, which the user is told, and the product is an _flt."""
    products = calibrate(StisExposure(rows=ROWS))
    assert products.files[0].name == "obzz01010_flt.fits"
    assert products.switches["CRCORR"] == "SKIPPED"
    assert "CRCORR skipped" in products.notes[0]


def test_empty_image_set_is_copied_through(calibrate: Calibrate) -> None:
    """EXPTIME 0: IMSET_OK is F, and its samples are those of the raw; the others are calibrated."""
    exposure = alone(seconds=(60.0, 0.0))
    products = calibrate(exposure)
    check_truth(products.files[0].path, exposure)
    with fits.open(products.files[0].path) as hdus:
        assert hdus["SCI", 2].header["IMSET_OK"] is False
        assert "IMSET_OK" not in hdus["SCI", 1].header
        assert hdus["SCI", 2].data.shape == (48, 1060)
        assert hdus["SCI", 2].data.mean() == pytest.approx(1510, abs=2)
        assert not hdus["ERR", 2].data.any()
    assert any("EXPTIME is 0" in note for note in products.notes)


def test_exposure_that_holds_nothing_is_refused(calibrate: Calibrate) -> None:
    """Nothing passes on uncalibrated."""
    with pytest.raises(DataError, match="no image set"):
        calibrate(alone(seconds=(0.0, 0.0)))


def test_split_with_one_good_exposure_is_refused(calibrate: Calibrate, tmp_path: Path) -> None:
    """There is nothing to compare it with; no product is left."""
    with pytest.raises(DataError, match="too few image sets"):
        calibrate(StisExposure(rows=ROWS, seconds=(60.0, 0.0)))
    assert not list((tmp_path / "out").glob("*.fits"))


@pytest.mark.parametrize("extensions", [3, None])
def test_split_that_the_header_hides_is_refused(
    tmp_path: Path, references: dict[str, Path], extensions: int | None
) -> None:
    """NEXTEND says one image set where there are two: CRCORR PERFORM would not be done."""
    raw = write_raw(tmp_path, StisExposure(rows=ROWS, seconds=(10.0, 10.0)), DETECTOR)
    with fits.open(raw, mode="update") as hdus:
        hdus[0].header["NEXTEND"] = extensions
    with pytest.raises(DataError, match=r"NEXTEND.*expected NEXTEND 6"):
        ENGINE.calibrate(make_request(raw, references, tmp_path / "out"))


def test_file_that_is_cut_short_is_refused(tmp_path: Path, references: dict[str, Path]) -> None:
    """The second exposure is missing: nothing but the trailer, which says so, is left."""
    raw = write_raw(tmp_path, StisExposure(rows=ROWS, seconds=(10.0, 10.0)), DETECTOR)
    raw.write_bytes(raw.read_bytes()[:60000])
    with pytest.raises(CorruptFile, match="truncated"):
        ENGINE.calibrate(make_request(raw, references, tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["obzz01010.tra"]
    assert "stopped" in (tmp_path / "out" / "obzz01010.tra").read_text(encoding="ascii")


def test_flags_of_dark_table_and_filter_come_together(calibrate: Calibrate) -> None:
    """Hot 16 of the dark, 16 of the table at detector pixel (101, 351), 4 beyond F28X50LP."""
    exposure = alone(cards={"APERTURE": "F28X50LP", "APER_FOV": "28x50"})
    folder = Path(calibrate(exposure, "PHOTCORR=OMIT").files[0].path).parent
    with fits.open(folder / "obzz01010_flt.fits") as hdus:
        dq = hdus["DQ"].data
    hot = DETECTOR.dark[300:348] > 0.05
    assert ((dq & 16 > 0) == hot).all()
    assert (dq[:, :10] & 4 == 4).all()  # 50 arcsec are 985 of 1024 columns, and 10 more each side
    assert not (dq[:, 10:1010] & 4).any()


def test_bad_pixel_table_is_placed_by_ltv(calibrate: Calibrate, tmp_path: Path) -> None:
    """PIX1 101, PIX2 311 of the detector is column 100, row 10 of rows 300 and more."""
    row = {"OPT_ELEM": "MIRVIS", "PIX1": 101, "PIX2": 311, "LENGTH": 3, "AXIS": 2, "VALUE": 32}
    table = write_table(tmp_path / "bpx.fits", [row], {"SIZAXIS1": 1024, "SIZAXIS2": 1024})
    path = calibrate(alone(), BPIXTAB=table).files[0].path
    with fits.open(path) as hdus:
        assert np.argwhere(hdus["DQ"].data & 32).tolist() == [[10, 100], [11, 100], [12, 100]]


def test_small_subarray_gets_the_level_of_the_table(calibrate: Calibrate) -> None:
    """A subarray of 1059 columns is too narrow for overscan: CCDBIAS, and a warning."""
    exposure = alone()
    raw = write_raw(Path(calibrate(exposure).files[0].path).parents[1], exposure, DETECTOR)
    with fits.open(raw, mode="update") as hdus:
        narrow = hdus["SCI"].data[:, 18:118].copy()
        hdus["SCI"].data = narrow
        hdus["SCI"].header["LTV1"] = 0.0
        for name in ("ERR", "DQ"):
            hdus[name].header["NPIX1"] = 100
    files = write_stis_references(raw.parent, DETECTOR)
    products = ENGINE.calibrate(make_request(raw, files, raw.parent / "narrow"))
    assert any("CCDBIAS is subtracted" in note for note in products.notes)
    with fits.open(products.files[0].path) as hdus:
        assert hdus["SCI"].header["MEANBLEV"] == 1510
        assert hdus["SCI"].data.shape == (48, 100)


def test_error_without_bias_level_leaves_the_bias_out(calibrate: Calibrate) -> None:
    """BLEVCORR OMIT: the noise is that of the signal above CCDBIAS."""
    off = [f"{name}CORR=OMIT" for name in ("BLEV", "BIAS", "DARK", "FLAT", "PHOT")]
    path = calibrate(alone(), *off).files[0].path
    with fits.open(path) as hdus:
        sci, err = hdus["SCI"].data, hdus["ERR"].data
    assert sci.shape == (48, 1060)
    wanted = np.sqrt(np.maximum(sci - 1510.0, 0) + 5.6**2)
    assert np.allclose(err, wanted, rtol=1e-5)


@pytest.mark.parametrize("step", ["BIAS", "FLAT"])
def test_overscan_must_be_gone_before_references_come(calibrate: Calibrate, step: str) -> None:
    """Without BLEVCORR neither bias nor flat fits, and the message names the switch."""
    others = {"BIAS", "DARK", "FLAT", "PHOT", "BLEV"} - {step}
    with pytest.raises(UnsupportedMode, match=r"still has overscan.*BLEVCORR"):
        calibrate(alone(), *(f"{name}CORR=OMIT" for name in others))


def test_shutter_and_delta_flat_are_applied(calibrate: Calibrate, tmp_path: Path) -> None:
    """A shading of 10 s in 100 s divides by 1.1, a delta flat of 0.5 doubles."""
    ones = np.ones((1024, 1024))
    shading = write_image(tmp_path / "shad.fits", (10 * ones, 0, 0))
    delta = write_image(tmp_path / "delta.fits", (0.5 * ones, 0, 0))
    path = calibrate(alone(), "SHADCORR=PERFORM", SHADFILE=shading, DFLTFILE=delta).files[0].path
    with fits.open(path) as hdus:
        level = float(np.median(hdus["SCI"].data))
    sky = sky_of(alone())[300:348]
    assert level == pytest.approx(float(np.median(sky)) * 100 * 2 / 1.1, rel=0.005)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"PFLTFILE": "N/A", "LFLTFILE": "N/A"}, MissingReference, "no flat is named"),
        ({"CCDTAB": "N/A"}, MissingReference, "CCDTAB"),
        ({"IMPHTTAB": "N/A"}, MissingReference, "IMPHTTAB"),
    ],
)
def test_absent_references_are_named(
    calibrate: Calibrate, changes: dict[str, str], kind: type[HstflowError], message: str
) -> None:
    """Each message says what is lacking."""
    with pytest.raises(kind, match=message):
        calibrate(alone(), **changes)


def test_flat_of_another_size_is_refused(calibrate: Calibrate, tmp_path: Path) -> None:
    """A delta flat must have the pixels of the pixel-to-pixel flat."""
    small = write_image(tmp_path / "small.fits", (np.ones((512, 512)), 0, 0))
    with pytest.raises(MissingReference, match="DFLTFILE and the other flats differ"):
        calibrate(alone(), DFLTFILE=small)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"OBSMODE": "ACQ/PEAK"}, "acquisition"),
        ({"TARGNAME": "WAVEHITM"}, "wavelength calibration"),
        ({"CCDAMP": "AB"}, "CCDAMP is AB"),
        ({"BINAXIS1": 3}, "binned by 3 and 1"),
        *(({name: "PERFORM"}, f"--set {name}=OMIT") for name in NOT_HERE),
    ],
    ids=str,
)
def test_modes_that_are_not_covered_say_why(cards: dict[str, Any], message: str) -> None:
    """Spectra, rectified images, sums and acquisitions are the program's."""
    header = {"INSTRUME": "STIS", "DETECTOR": "CCD", "CCDAMP": "D"}
    assert RECIPE.refuses(header) is None
    reason = RECIPE.refuses({**header, **cards})
    assert reason is not None
    assert message in reason


def test_auto_does_not_take_it_and_names_the_program() -> None:
    """No number was compared with those of calstis: only `--engine native` does it."""
    header = {"INSTRUME": "STIS", "DETECTOR": "CCD", "CCDAMP": "D"}
    reason = NativeEngine([RECIPE]).unproven(header)
    assert reason is not None
    assert "not compared with cs0.e of HSTCAL yet: --engine native asks for it" in reason
    assert choose_engine("native", [header]).covers(header) is None


def test_real_acquisitions_are_refused(shared: Path) -> None:
    """All eleven real raws are acquisition images, and say so."""
    raws = sorted((shared / "data" / "real").glob("o*_raw.fits"))
    assert raws
    for raw in raws:
        with pytest.raises(UnsupportedMode, match="acquisition image"):
            ENGINE.recipe_for(primary_header(raw))
