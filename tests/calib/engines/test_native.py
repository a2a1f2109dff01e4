"""The native engine on a tiny HRC whose references are made here."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from factories import (
    BIAS,
    GAIN,
    READ_NOISE,
    SHAPE,
    calibrate_tiny,
    make_raw,
    make_references,
    make_request,
    read_product,
)

from calib.engines.native import CAL_VER, NativeEngine, installed_recipes
from calib.engines.protocol import Engine
from calib.instruments.acs_recipes import HRC
from calib.instruments.recipe import Step
from calib.instruments.state import ExposureState
from calib.records import Products, from_json, to_json

TO_DARK = ("FLATCORR=OMIT", "PHOTCORR=OMIT")


def test_whole_recipe(tmp_path: Path, files: dict[str, Path]) -> None:
    """Every step leaves its mark: sizes, switches, keywords, units, flags, a sensible sky."""
    products = calibrate_tiny(tmp_path, files)
    sci, err, dq, header = read_product(products)
    assert sci.shape == err.shape == dq.shape == SHAPE
    done = [name for name, value in products.switches.items() if value == "COMPLETE"]
    assert done == [
        "BIASCORR",
        "BLEVCORR",
        "DARKCORR",
        "DQICORR",
        "EXPSCORR",
        "FLATCORR",
        "PHOTCORR",
    ]
    assert header["CAL_VER"] == CAL_VER == "hstflow native 2"
    assert header["FILENAME"] == "j8zz01aaq_flt.fits"
    assert header["BIASLEVC"] == pytest.approx(BIAS * GAIN, abs=3)
    assert (header["ATODGNC"], header["ATODGNA"], header["READNSEC"]) == (GAIN, 0, READ_NOISE)
    assert header["DARKFILE"] == "jref$darkfile.fits"
    assert header["CRDS_CTX"] == "hst_9001.pmap"
    sky = GAIN * (50 + np.arange(44) * 0.5)
    assert np.median(sci - sky) == pytest.approx(0, abs=3)
    assert err[0, 0] == pytest.approx(np.sqrt(sci[0, 0] + READ_NOISE**2), rel=0.1)
    assert dq[11, 12] & 256  # 30000 DN are 60000 e-
    assert dq[20, 21] & 2048
    assert dq[3, 4] & 512  # flat of 0
    assert dq[6, 4] & 16  # bad pixel run at (5, 7), counted from 1
    science = fits.getheader(products.files[0].path, "SCI")
    assert (science["LTV1"], science["CRPIX1"], science["SIZAXIS1"]) == (0, 22, 44)
    assert (science["LTV2"], science["CRPIX2"], science["SIZAXIS2"]) == (0, 16, 32)
    assert science["BUNIT"] == "ELECTRONS"
    assert science["PHOTMODE"] == "ACS HRC F555W MJD#52500.5000"
    assert science["PHOTFLAM"] == pytest.approx(2e-19 * 1.5005)
    assert science["MEANDARK"] == pytest.approx(1.02, rel=0.05)
    assert science["NGOODPIX"] == (((dq & 31743) == 0) & (err > 0)).sum()


def test_product_record(tmp_path: Path, files: dict[str, Path]) -> None:
    """The record names file, sum, parameters and log, and is JSON."""
    products = calibrate_tiny(tmp_path, files)
    assert [file.name for file in products.files] == ["j8zz01aaq_flt.fits"]
    assert products.files[0].size == Path(products.files[0].path).stat().st_size
    assert products.parameters["bias_level.clip_sigma"] == "3.0"
    assert from_json(Products, to_json(products)) == products
    text = Path(products.log or "").read_text()
    assert "subtract_dark: done in" in text
    assert text.startswith("20")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "j8zz01aaq.tra",
        "j8zz01aaq_flt.fits",
    ]


def test_equal_inputs_give_equal_bytes(tmp_path: Path, files: dict[str, Path]) -> None:
    """A second run, after the first one's product is gone, makes the same file."""
    first = calibrate_tiny(tmp_path, files)
    Path(first.files[0].path).unlink()
    assert calibrate_tiny(tmp_path, files).files[0].sha256 == first.files[0].sha256


def test_one_log_line_per_step(
    tmp_path: Path, files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """INFO has each step once; HISTORY lines are DEBUG."""
    with caplog.at_level(logging.INFO, "calib.engines"):
        calibrate_tiny(tmp_path, files)
    for step in HRC.steps:
        assert sum(f" {step.name}:" in record.getMessage() for record in caplog.records) == 1


def test_history_has_the_references(tmp_path: Path, files: dict[str, Path]) -> None:
    """HISTORY tells in order what was done and with which file."""
    history = list(read_product(calibrate_tiny(tmp_path, files))[3]["HISTORY"])
    dark = history.index("DARKCORR complete ...")
    assert history[dark + 1 : dark + 4] == [
        "  reference image jref$darkfile.fits",
        "    GROUND",
        "    tiny",
    ]
    assert history.index("BIASCORR complete ...") < dark
    assert history.count("CCD parameters table:") == 2


def test_overrides_change_pixels_and_are_marked(tmp_path: Path, files: dict[str, Path]) -> None:
    """A switch set by the user is in the header, the record and the pixels."""
    plain = (
        read_product(calibrate_tiny(tmp_path / "a", files))[0]
        if (tmp_path / "a").mkdir() is None
        else None
    )
    (tmp_path / "b").mkdir()
    products = calibrate_tiny(tmp_path / "b", files, "DARKCORR=OMIT", "bias_level.clip_sigma=4")
    sci, _, _, header = read_product(products)
    assert not np.array_equal(plain, sci)
    assert products.switches["DARKCORR"] == "OMIT"
    assert products.parameters["bias_level.clip_sigma"] == "4.0"
    assert header["CUSTOM"] is True
    assert "custom: DARKCORR=OMIT" in list(header["HISTORY"])


def test_bias_frame_of_zero_seconds(tmp_path: Path, files: dict[str, Path]) -> None:
    """A bias has no exposure time, and its error is the read noise."""
    products = calibrate_tiny(
        tmp_path, files, *TO_DARK, IMAGETYP="BIAS", EXPTIME=0.0, DARKTIME=0.0, TARGNAME="BIAS",
        DARKCORR="OMIT",
    )  # fmt: skip
    assert (read_product(products)[1] == READ_NOISE).all()


@pytest.mark.parametrize(
    ("keyword", "switch"),
    [
        ("BIASFILE", "BIASCORR"),
        ("DARKFILE", "DARKCORR"),
        ("PFLTFILE", "FLATCORR"),
        ("IMPHTTAB", "PHOTCORR"),
        ("BPIXTAB", "DQICORR"),
    ],
)
def test_placeholder_reference_skips_its_step(tmp_path: Path, keyword: str, switch: str) -> None:
    """PEDIGREE DUMMY: SKIPPED in header and HISTORY, the rest is done."""
    files = make_references(tmp_path, **{keyword: {"pedigree": "DUMMY"}})
    products = calibrate_tiny(tmp_path, files)
    assert products.switches[switch] == "SKIPPED"
    history = list(read_product(products)[3]["HISTORY"])
    assert f"{switch} skipped due to dummy reference file ..." in history
    assert list(products.switches.values()).count("COMPLETE") == 6
    if switch == "DQICORR":
        assert read_product(products)[2][20, 21] & 2048


def test_complete_switches_are_not_redone(tmp_path: Path, files: dict[str, Path]) -> None:
    """A product fed in again comes out with the same pixels and HISTORY."""
    first = calibrate_tiny(tmp_path, files)
    again = tmp_path / "again"
    again.mkdir()
    raw = Path(first.files[0].path).rename(again / "j8zz01aaq_raw.fits")
    second = NativeEngine([HRC]).calibrate(make_request(raw, files, again / "out"))
    with fits.open(raw) as old, fits.open(second.files[0].path) as new:
        for name in ("SCI", "ERR", "DQ"):
            assert np.array_equal(old[name].data, new[name].data)
        lines = list(new[0].header["HISTORY"])
    assert lines.count("DARKCORR complete ...") == 1
    assert lines.count("Uncertainty array initialized.") == 1


def test_old_raw_without_keywords(tmp_path: Path, files: dict[str, Path]) -> None:
    """DARKTIME, offsets, SATUFILE and others absent: defaults, and two caveats."""
    del files["SATUFILE"]
    gone = dict.fromkeys(("DARKTIME", "FLASHDUR", "FLASHSTA", "OBSTYPE", "SUBARRAY", "FILTER2"))
    products = calibrate_tiny(tmp_path, files, **gone)
    _, _, dq, header = read_product(products)
    assert header["DARKTIME"] == 100.0
    assert len(products.notes) == 2
    assert all(note in "\n".join(header["HISTORY"]) for note in products.notes)
    assert not (dq & 256).any()


def test_no_overscan_row_uses_the_table_bias(tmp_path: Path) -> None:
    """An image without overscan (LTV 0) gets the bias of the CCD table, and is not trimmed."""
    files = make_references(
        tmp_path, OSCNTAB={"NX": 1062}, BIASFILE={"sci": np.zeros(SHAPE), "ltv": 0.0, "dq": 0},
        SATUFILE={"sci": np.full(SHAPE, 6e4), "ltv": 0.0},
    )  # fmt: skip
    raw = make_raw(tmp_path, np.full(SHAPE, BIAS + 50))
    for name in ("SCI", "ERR", "DQ"):
        fits.setval(raw, "LTV1", value=0.0, extname=name)
    settings = ("FLATCORR=OMIT", "DARKCORR=OMIT")
    products = NativeEngine([HRC]).calibrate(make_request(raw, files, tmp_path / "out", settings))
    sci, _, _, header = read_product(products)
    assert (sci == 50 * GAIN).all()
    assert "BLEVCORR complete, but default bias level was subtracted." in list(header["HISTORY"])


def test_flash_is_subtracted(tmp_path: Path) -> None:
    """10 e-/s for 2 s lower the sky by 20; FLASHDUR 0 is SKIPPED."""
    files = make_references(tmp_path)
    del files["DFLTFILE"]
    sky = []
    for number, header in enumerate(({}, {"FLSHCORR": "PERFORM", "FLASHDUR": 2.0})):
        folder = tmp_path / str(number)
        folder.mkdir()
        sky.append(np.median(read_product(calibrate_tiny(folder, files, **header))[0]))
    assert sky[0] - sky[1] == pytest.approx(20, abs=0.5)
    skipped = calibrate_tiny(tmp_path, files, FLSHCORR="PERFORM")
    assert skipped.switches["FLSHCORR"] == "SKIPPED"
    assert "FLSHCORR not performed ..." in list(read_product(skipped)[3]["HISTORY"])


def test_delta_flat_is_divided_too(tmp_path: Path, files: dict[str, Path]) -> None:
    """A delta flat of 1.01 lowers the signal by one per cent; without it the flats are fused."""
    one = read_product(calibrate_tiny(tmp_path, files))[0]
    both = make_references(tmp_path)
    (tmp_path / "b").mkdir()
    two = read_product(calibrate_tiny(tmp_path / "b", both))[0]
    ratio = np.divide(one, two, out=np.full(SHAPE, 1.01, "f4"), where=two > 50)
    ratio[3, 4] = 1.01  # the flat is 0 there
    assert np.allclose(ratio, 1.01, rtol=1e-5)


def test_photometry_outside_the_table(tmp_path: Path) -> None:
    """Without leave to extrapolate: SKIPPED, and -9999 as calacs writes."""
    files = make_references(tmp_path, IMPHTTAB={"extrapolate": False})
    products = calibrate_tiny(tmp_path, files, EXPSTART=53500.0)
    assert products.switches["PHOTCORR"] == "SKIPPED"
    assert fits.getval(products.files[0].path, "PHOTFLAM", extname="SCI") == -9999


def test_nan_in_a_reference_is_told(tmp_path: Path) -> None:
    """The pixel is NaN in the product, and the user hears of it."""
    dark = np.full(SHAPE, 0.01)
    dark[2, 2] = np.nan
    products = calibrate_tiny(tmp_path, make_references(tmp_path, DARKFILE={"sci": dark, "dq": 0}))
    assert np.isnan(read_product(products)[0][2, 2])
    assert any("NaN" in note for note in products.notes)


def test_step_of_ours_in_the_recipe(tmp_path: Path, files: dict[str, Path]) -> None:
    """A step defined here runs between dark and flat without a change to the project."""
    seen = []

    def add_hundred(state: ExposureState) -> ExposureState:
        seen.append(state.switch("DARKCORR"))
        image = dataclasses.replace(state.images[0], sci=state.images[0].sci + np.float32(100))
        return state.with_images([image]).with_notes("A hundred electrons were added.")

    step = Step("add_hundred", add_hundred, needs=("electrons",))
    recipe = HRC.insert_after("subtract_dark", step)
    plain = read_product(calibrate_tiny(tmp_path, files))[0]
    (tmp_path / "b").mkdir()
    sci, _, _, header = read_product(
        calibrate_tiny(tmp_path / "b", files, engine=NativeEngine([recipe]))
    )
    flat = fits.getdata(files["PFLTFILE"], "SCI")
    flat[flat == 0] = 1
    assert np.allclose(sci - plain, 100 / flat, rtol=1e-3)
    assert seen == ["COMPLETE"]
    assert "A hundred electrons were added." in list(header["HISTORY"])


def test_engine_fits_the_protocol() -> None:
    """The native engine is an Engine; its recipe is found through the entry points."""
    engine = NativeEngine()
    assert isinstance(engine, Engine)
    assert "acs_hrc" in {recipe.name for recipe in installed_recipes()}
    assert engine.covers({"INSTRUME": "WFC3", "DETECTOR": "IR"}) is not None
