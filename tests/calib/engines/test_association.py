"""The native engine on small associations."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from associations import (
    ASN,
    HITS,
    MEMBERS,
    PAIR,
    PRODUCT,
    REPEATS,
    associate,
    hit_sky,
    make_pair_references,
    make_rejection_table,
)
from astropy.io import fits
from factories import BAD_ROW, calibrate_tiny, write_table

from calib.engines.native import NativeEngine
from calib.errors import DataError, EngineError, HstflowError, MissingReference, UnsupportedMode
from calib.instruments.acs_recipes import HRC
from calib.records import Products

CR = 8192
DITHER = ((MEMBERS[0], "EXP-DTH"), (MEMBERS[1], "EXP-DTH"), ("j8zz01010", "PROD-DTH"))


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, Path | str | None]:
    """Return references of a CR split of two."""
    return make_pair_references(tmp_path)


def run(*arguments: Any, **options: Any) -> Products:
    """Calibrate a small association."""
    return NativeEngine([HRC]).calibrate(associate(*arguments, **options))


def names(products: Products) -> list[str]:
    """Return the names of all products."""
    return [file.name for file in products.files]


def read(products: Products, name: str) -> fits.HDUList:
    """Return a product."""
    path = next(file.path for file in products.files if file.name == name)
    return fits.open(path, memmap=False, lazy_load_hdus=False)


def test_a_split_of_two(tmp_path: Path, pair: Any) -> None:
    """A crj without the cosmic rays, two flts that flag one each, and the renewed table."""
    products = run(tmp_path, pair)
    assert names(products) == [
        "j8zz01011_crj.fits",
        "j8zz01aaq_flt.fits",
        "j8zz01abq_flt.fits",
        "j8zz01010_asn.fits",
    ]
    with read(products, "j8zz01011_crj.fits") as crj:
        level = np.median(crj["SCI"].data)
        for y, x in HITS:
            assert crj["SCI"].data[y, x - 9] == pytest.approx(level, rel=0.2)
            assert not crj["DQ"].data[y, x - 9] & CR
    for number, name in enumerate(MEMBERS):
        with read(products, f"{name}_flt.fits") as flt:
            flags = flt["DQ"].data
        flagged = [bool(flags[y, x - 9] & CR) for y, x in HITS]
        assert flagged == [number == 0, number == 1]
    assert products.switches["CRCORR"] == "COMPLETE"
    assert products.parameters["cosmic_rays.whole_mask"] == "False"


def test_headers_of_the_combination(tmp_path: Path, pair: Any) -> None:
    """Sums of times, first start, last end, sky, rate, parameters, its own name and HISTORY."""
    second = {"EXPSTART": 52500.8, "EXPEND": 52500.9, "EXPTIME": 300.0, "DARKTIME": 303.0}
    products = run(tmp_path, pair, headers=({}, second))
    with read(products, "j8zz01011_crj.fits") as crj:
        header, science = crj[0].header, crj["SCI"].header
        assert crj["DQ"].header["EXPNAME"] == PRODUCT
    wanted = {
        "ROOTNAME": "J8ZZ01011",
        "FILENAME": "j8zz01011_crj.fits",
        "ASN_MTYP": "PROD-CRJ",
        "NEXTEND": 3,
        "EXPTIME": 400.0,
        "TEXPTIME": 400.0,
        "MEANEXP": 200.0,
        "EXPSTART": 52500.5,
        "EXPEND": 52500.9,
        "FLASHDUR": 0.0,
        "CRCORR": "COMPLETE",
        "CRMASK": True,
        "CRSIGMAS": "6.5,5.5,4.5",
        "SKYSUB": "mode",
        "CRREJTAB": "jref$crrejtab.fits",
    }
    assert {key: header[key] for key in wanted} == wanted
    assert header["DARKTIME"] == pytest.approx(102 + 303 + 2 * 0.5, abs=2)
    assert header["SKYSUM"] > 0
    assert science["NCOMBINE"] == 2
    assert science["PHOTMODE"].endswith("MJD#52500.5000")
    history = list(header["HISTORY"])
    place = history.index("CRCORR complete ...")
    assert history[place + 1 : place + 3] == [
        "  combined: j8zz01aaq j8zz01abq",
        "  reference table jref$crrejtab.fits",
    ]
    assert place < history.index("DARKCORR complete ...")


def test_rate_of_cosmic_rays(tmp_path: Path, pair: Any) -> None:
    """Two single pixels in 200 s, and nothing else in exposures that are equal otherwise."""
    plain = hit_sky(9)
    pixels = []
    for place in HITS:
        pixels.append(plain.copy())
        pixels[-1][place] += 5000
    products = run(tmp_path, pair, pixels=pixels)
    with read(products, "j8zz01011_crj.fits") as crj:
        assert crj[0].header["REJ_RATE"] == pytest.approx(0.01)
        rays = [(y, x - 9) for y, x in HITS]
        sci, err = crj["SCI"].data, crj["ERR"].data
        assert [err[place] > 1.3 * np.median(err) for place in rays] == [True, True]
        assert np.median(sci) == pytest.approx(2 * 2 * 60, rel=0.1)


def test_the_table_is_renewed_in_a_copy(tmp_path: Path, pair: Any) -> None:
    """The product's row and ASN_PROD become true; the input stays byte for byte."""
    request = associate(tmp_path, pair)
    before = Path(request.inputs.files[0].path).read_bytes()
    products = NativeEngine([HRC]).calibrate(request)
    with read(products, "j8zz01010_asn.fits") as table:
        assert table[0].header["ASN_PROD"] is True
        assert table[1].data["MEMPRSNT"].tolist() == [True, True, True]
        assert table[1].data["MEMNAME"][2] == PRODUCT.upper()
    assert Path(request.inputs.files[0].path).read_bytes() == before
    assert not fits.getdata(request.inputs.files[0].path)["MEMPRSNT"][2]


def test_trailers(tmp_path: Path, pair: Any) -> None:
    """One per exposure and product, which has those of its exposures, and one with all lines."""
    products = run(tmp_path, pair)
    texts = {path.stem: path.read_text() for path in (tmp_path / "out").glob("*.tra")}
    assert sorted(texts) == [ASN, PRODUCT, *MEMBERS]
    assert products.log == str(tmp_path / "out" / f"{ASN}.tra")
    assert "reject_cosmic_rays: done in" in texts[PRODUCT]
    assert "calibrates j8zz01abq_raw.fits" in texts[PRODUCT]
    assert "reject_cosmic_rays" not in texts[MEMBERS[0]]
    assert "wrote j8zz01aaq_flt.fits" in texts[MEMBERS[0]]
    for name in (PRODUCT, *MEMBERS):
        assert f"{name}: wrote {name}" in texts[ASN]


def test_flt_is_that_of_the_exposure_alone(tmp_path: Path, pair: Any) -> None:
    """But for 8192: same pixels, same errors, CRCORR still PERFORM."""
    products = run(tmp_path, pair)
    (tmp_path / "alone").mkdir()
    alone = calibrate_tiny(
        tmp_path / "alone", pair, pixels=hit_sky(0), CRCORR="PERFORM", EXPEND=52500.6
    )
    with read(products, "j8zz01aaq_flt.fits") as flt, fits.open(alone.files[0].path) as other:
        assert np.array_equal(flt["SCI"].data, other["SCI"].data)
        assert np.array_equal(flt["ERR"].data, other["ERR"].data)
        assert np.array_equal(flt["DQ"].data & ~np.int16(CR), other["DQ"].data)
        assert flt[0].header["CRCORR"] == "PERFORM"


def test_without_expscorr_only_the_combination(tmp_path: Path, pair: Any) -> None:
    """EXPSCORR of the first exposure decides."""
    made = names(run(tmp_path, pair, EXPSCORR="OMIT"))
    assert made == ["j8zz01011_crj.fits", "j8zz01010_asn.fits"]


def test_without_crmask_the_exposures_are_not_marked(tmp_path: Path) -> None:
    """The combination is the same."""
    products = run(tmp_path, make_pair_references(tmp_path, {"CRMASK": False}))
    with read(products, "j8zz01aaq_flt.fits") as flt:
        assert not (flt["DQ"].data & CR).any()
    with read(products, "j8zz01011_crj.fits") as crj:
        assert crj[0].header["CRMASK"] is False


def test_repeats_become_an_sfl(tmp_path: Path, pair: Any) -> None:
    """The same way, by RPTCORR."""
    products = run(tmp_path, pair, REPEATS, CRCORR="OMIT", RPTCORR="PERFORM")
    assert names(products)[0] == "j8zz01011_sfl.fits"
    with read(products, "j8zz01011_sfl.fits") as sfl:
        assert sfl[0].header["RPTCORR"] == "COMPLETE"
        assert sfl[0].header["CRCORR"] == "OMIT"
        assert sfl[0].header["ASN_MTYP"] == "PROD-RPT"


def test_dithered_exposures_are_not_combined(tmp_path: Path, pair: Any) -> None:
    """One flt each whatever CRCORR says, no CRREJTAB, no new table."""
    del pair["CRREJTAB"]
    products = run(tmp_path, pair, DITHER)
    assert names(products) == ["j8zz01aaq_flt.fits", "j8zz01abq_flt.fits"]


def test_positions_are_combined_by_themselves(tmp_path: Path, pair: Any) -> None:
    """Two crj of two, and a dithered exposure beside them."""
    rows = (
        ("j8zz01aaq", "EXP-CR1"), ("j8zz01abq", "EXP-CR1"), ("j8zz01011", "PROD-CR1"),
        ("j8zz01acq", "EXP-CR2"), ("j8zz01adq", "EXP-CR2"), ("j8zz01021", "PROD-CR2"),
        ("j8zz01aeq", "EXP-DTH"), ("j8zz01010", "PROD-DTH"),
    )  # fmt: skip
    products = run(tmp_path, pair, rows)
    flts = [f"j8zz01a{letter}q_flt.fits" for letter in "abcde"]
    assert sorted(names(products)) == sorted(
        ["j8zz01011_crj.fits", "j8zz01021_crj.fits", "j8zz01010_asn.fits", *flts]
    )
    with read(products, "j8zz01010_asn.fits") as table:
        assert table[1].data["MEMPRSNT"].tolist() == [True] * 7 + [False]


def test_traps_can_be_avoided(tmp_path: Path, pair: Any) -> None:
    """The first error, and the last 4 of 44 columns of the marks."""
    pixels = [hit_sky(0), hit_sky(1)]
    pixels[0][7, 51] += 5000
    kept = run(tmp_path, pair, pixels=pixels)
    (tmp_path / "b").mkdir()
    settings = ("cosmic_rays.whole_mask=yes", "cosmic_rays.keep_first_error=yes")
    mended = run(tmp_path / "b", pair, PAIR, *settings, pixels=pixels)
    corner, mark = [], []
    for products in (kept, mended):
        with read(products, "j8zz01011_crj.fits") as crj:
            corner.append(float(crj["ERR"].data[0, 0]))
        with read(products, "j8zz01aaq_flt.fits") as flt:
            mark.append(bool(flt["DQ"].data[7, 42] & CR))
    assert corner[0] < 2 < corner[1]
    assert mark == [False, True]


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"CRCORR": "OMIT"}, UnsupportedMode, "disagree"),
        ({"RPTCORR": "PERFORM"}, UnsupportedMode, "disagree"),
        ({"headers": ({}, {"DETECTOR": "WFC"})}, UnsupportedMode, "calibrates ACS HRC.*abq"),
        ({"headers": ({}, {"CCDGAIN": 4})}, UnsupportedMode, "differ in CCDGAIN"),
        ({"headers": ({}, {"FILTER1": "F606W"})}, UnsupportedMode, "differ in FILTER1"),
        ({"headers": ({}, {"EXPTIME": 0.0})}, DataError, "EXPTIME.*j8zz01abq"),
        ({"EXPTIME": 5000.0}, MissingReference, "CRREJTAB has no row.*j8zz01011"),
    ],
)
def test_what_stops_an_association(
    tmp_path: Path, pair: Any, options: dict[str, Any], kind: type[HstflowError], match: str
) -> None:
    """No product is left, whichever step stops."""
    with pytest.raises(kind, match=match):
        run(tmp_path, pair, **options)
    assert not list((tmp_path / "out").glob("*.fits*"))


@pytest.mark.parametrize(("value", "match"), [("N/A", "CRREJTAB"), ("dummy", "placeholder")])
def test_the_rejection_table_is_needed(tmp_path: Path, pair: Any, value: str, match: str) -> None:
    """A combination cannot be skipped: a placeholder is an error too."""
    dummy = value == "dummy"
    pair["CRREJTAB"] = make_rejection_table(tmp_path, pedigree="DUMMY") if dummy else value
    with pytest.raises(MissingReference, match=match):
        run(tmp_path, pair)
    assert not list((tmp_path / "out").glob("*.fits*"))


def test_late_failure_leaves_nothing(tmp_path: Path, pair: Any) -> None:
    """The table, written last, is damaged: combination and exposures go again."""
    request = associate(tmp_path, pair)
    Path(request.inputs.files[0].path).write_bytes(b"SIMPLE  =                    T")
    with pytest.raises(HstflowError):
        NativeEngine([HRC]).calibrate(request)
    assert not list((tmp_path / "out").glob("*.fits*"))


def test_nothing_is_overwritten(tmp_path: Path, pair: Any) -> None:
    """A second run stops at once, and leaves the products of the first."""
    request = associate(tmp_path, pair)
    products = NativeEngine([HRC]).calibrate(request)
    with pytest.raises(EngineError, match="exists already"):
        NativeEngine([HRC]).calibrate(request)
    assert all(Path(file.path).is_file() for file in products.files)


def test_exposures_flashed_differently(tmp_path: Path, pair: Any) -> None:
    """One flash image is subtracted from the sum: current and share of the time must agree."""
    flash = {"FLSHCORR": "PERFORM", "FLASHCUR": "LOW", "FLASHDUR": 2.0}
    pair["FLSHFILE"] = pair["DARKFILE"]
    made = run(tmp_path, pair, **flash)
    with read(made, "j8zz01011_crj.fits") as crj:
        assert crj[0].header["FLASHDUR"] == 4.0
    for number, other in enumerate(({"FLASHCUR": "MED"}, {"FLASHDUR": 3.0})):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(DataError, match="flashed differently"):
            run(folder, pair, headers=({}, other), **flash)


def test_required_references_of_an_association(tmp_path: Path, pair: Any) -> None:
    """CRREJTAB only where CRCORR is PERFORM and the association combines."""
    request = associate(tmp_path, pair)
    header = fits.getheader(request.inputs.exposures[0].path)
    members = request.inputs.members
    required = NativeEngine().required_references
    assert "CRREJTAB" in required(header, members)
    assert "CRREJTAB" not in required(header)
    dithered = tuple(dataclasses.replace(member, type="EXP-DTH") for member in members)
    assert "CRREJTAB" not in required(header, dithered)
    header["CRCORR"] = "OMIT"
    assert "CRREJTAB" not in required(header, members)


def test_flash_that_is_not_subtracted_is_not_summed(tmp_path: Path, pair: Any) -> None:
    """With FLSHCORR OMIT the combination has FLASHDUR 0, as calacs writes."""
    with read(run(tmp_path, pair, FLASHDUR=2.0), "j8zz01011_crj.fits") as crj:
        assert crj[0].header["FLASHDUR"] == 0.0


@pytest.mark.parametrize(("kind", "used"), [("EXT", False), ("DARK", True), ("BIAS", True)])
def test_bad_pixels_of_bias_and_dark_frames(tmp_path: Path, kind: str, used: bool) -> None:
    """Pixels with 4 are left out of the average of a sky, not of that of a bias or dark."""
    files = make_pair_references(tmp_path, {"BADINPDQ": 4})
    files["BPIXTAB"] = write_table(tmp_path / "bad.fits", [{**BAD_ROW, "VALUE": 4}])
    with read(run(tmp_path, files, IMAGETYP=kind), "j8zz01011_crj.fits") as crj:
        assert crj["DQ"].data[6, 4] & 4
        assert (crj["ERR"].data[6, 4] > 5) is np.bool_(used)
