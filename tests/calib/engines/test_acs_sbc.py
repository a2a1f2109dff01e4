"""The native engine on small SBC exposures."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from associations import MEMBERS, PRODUCT, REPEATS
from astropy.io import fits
from factories import make_request, read_product, write_image, write_table
from photon_counts import (
    BAD_RUN,
    LINEARITY_ROW,
    RATE,
    SECONDS,
    SHAPE,
    Files,
    associate_counts,
    calibrate_counts,
    make_count_raw,
    make_count_references,
    make_counts,
)

from calib.engines.native import NativeEngine
from calib.errors import DataError, HstflowError, MissingReference, UnsupportedMode
from calib.instruments.acs_sbc import RECIPE

# True over observed rate for tau = 1e-5 s: x exp(-tau x) = 1000 has x = 1010.152...
RATIO = 1.0101527


@pytest.fixture
def references(tmp_path: Path) -> Files:
    """Return the references of a small SBC exposure."""
    return make_count_references(tmp_path)


def test_counts_become_calibrated_electrons(tmp_path: Path, references: Files) -> None:
    """Counts times 1.01015 over a flat of 0.5; the dark takes nothing off; all flags are there."""
    sci, err, dq, header = read_product(calibrate_counts(tmp_path, references))
    assert np.allclose(sci, make_counts() * RATIO / 0.5, rtol=1e-6)
    own = np.maximum(1, np.sqrt(make_counts() * RATIO)) / 0.5
    assert np.allclose(err, np.hypot(own, 0.01 * make_counts() * RATIO / 0.25), rtol=1e-6)
    wanted = np.zeros(SHAPE, np.int16)
    wanted[2, 2] |= 64  # dark
    wanted[4:6, 2] |= 16  # BPIXTAB
    wanted[4, 4:7] |= 256
    wanted[3:6, 5] |= 256  # the bright pixel and four neighbours
    assert np.array_equal(dq, wanted)
    assert [header[key] for key in ("GLINCORR", "LFLGCORR", "DARKCORR")] == ["COMPLETE"] * 3


def test_headers_and_history_are_those_of_the_program(tmp_path: Path, references: Files) -> None:
    """GLOBLIM, BUNIT, MEANDARK, PHOTMODE and HISTORY, with MLINTAB and its row named once."""
    path = calibrate_counts(tmp_path, references).files[0].path
    with fits.open(path) as hdus:
        science, history = hdus["SCI"].header, list(hdus[0].header["HISTORY"])
        assert hdus["ERR"].header["BUNIT"] == "ELECTRONS"
    assert science["GLOBLIM"] == "NOT-EXCEEDED"
    assert science["BUNIT"] == "ELECTRONS"
    assert science["MEANDARK"] == 0
    assert science["PHOTMODE"] == "ACS SBC F125LP MJD#52500.5000"
    assert history[:13] == [
        "DQICORR complete ...",
        "  DQ array initialized ...",
        "  reference table jref$bpixtab.fits",
        "    GROUND",
        "    tiny",
        "GLINCORR complete ...",
        "LFLGCORR complete ...",
        "  reference table jref$mlintab.fits",
        "    GROUND",
        "    tiny",
        "    row of a tiny MAMA",
        "Uncertainty array initialized.",
        "DARKCORR complete ...",
    ]


def test_global_correction_alone_names_its_table(tmp_path: Path, references: Files) -> None:
    """Without LFLGCORR the lines about MLINTAB follow GLINCORR."""
    *_, header = read_product(calibrate_counts(tmp_path, references, "LFLGCORR=OMIT"))
    history = list(header["HISTORY"])
    after = history[history.index("GLINCORR complete ...") + 1 :]
    assert after[0] == "  reference table jref$mlintab.fits"
    assert history.count("  reference table jref$mlintab.fits") == 1


def test_exceeded_global_limit(tmp_path: Path, references: Files) -> None:
    """Nothing is scaled, GLOBLIM says it, the user is told once, and calibration goes on."""
    products = calibrate_counts(tmp_path, references, rate=3e5)
    sci, _, dq, header = read_product(products)
    assert np.array_equal(sci, make_counts() * 2)
    assert dq[4, 5] == 256
    assert fits.getval(products.files[0].path, "GLOBLIM", "SCI") == "EXCEEDED"
    assert header["GLINCORR"] == "COMPLETE"
    note = "Global count rate 300000/s exceeds 200000/s: nothing is corrected."
    assert products.notes == (note,)
    assert list(header["HISTORY"]).count(note) == 1


def test_local_flags_alone_write_the_limit_too(tmp_path: Path, references: Files) -> None:
    """With GLINCORR OMIT nothing is scaled, and GLOBLIM is written all the same."""
    products = calibrate_counts(tmp_path, references, "GLINCORR=OMIT")
    assert np.array_equal(read_product(products)[0], make_counts() * 2)
    assert fits.getval(products.files[0].path, "GLOBLIM", "SCI") == "NOT-EXCEEDED"


def test_dark_can_be_scaled_as_it_should(tmp_path: Path, references: Files) -> None:
    """0.01 counts/s for 100 s is 1 count, if the trap is avoided; MEANDARK says so."""
    products = calibrate_counts(tmp_path, references, "dark.with_time=yes", "GLINCORR=OMIT")
    sci, err, *_ = read_product(products)
    assert np.allclose(sci, (make_counts() - 1) * 2)
    assert err[0, 0] == pytest.approx(np.hypot(np.hypot(1, 0.1) / 0.5, 0.01 * -1 / 0.25))
    assert fits.getval(products.files[0].path, "MEANDARK", "SCI") == 1
    assert products.parameters["dark.with_time"] == "True"


def test_headers_of_ccds_are_not_needed(tmp_path: Path, references: Files) -> None:
    """An SBC raw has no amplifier, gain or dark time, and nobody is warned of that."""
    header = fits.getheader(make_count_raw(tmp_path))
    assert not {"CCDAMP", "CCDGAIN", "DARKTIME"} & set(header)
    assert calibrate_counts(tmp_path, references).notes == ()


def test_bad_pixels_of_an_amplifier_do_not_count(tmp_path: Path) -> None:
    """No row fits an SBC exposure: one pixel gets 64, as in the program."""
    files = make_count_references(tmp_path, BPIXTAB={"CCDAMP": "C", "PIX1": 1, "PIX2": 1})
    dq = read_product(calibrate_counts(tmp_path, files))[2]
    assert dq[1, 1] == 64
    assert not (dq & 16).any()


@pytest.mark.parametrize(
    ("keyword", "changes", "switches"),
    [
        ("MLINTAB", {"file_pedigree": "DUMMY"}, ("GLINCORR", "LFLGCORR")),
        ("MLINTAB", {"PEDIGREE": "DUMMY"}, ("GLINCORR", "LFLGCORR")),
        ("BPIXTAB", {"file_pedigree": "DUMMY"}, ("DQICORR",)),
        ("DARKFILE", {"pedigree": "DUMMY"}, ("DARKCORR",)),
        ("PFLTFILE", {"pedigree": "DUMMY"}, ("FLATCORR",)),
    ],
)
def test_placeholders_skip_their_steps(
    tmp_path: Path, keyword: str, changes: dict[str, Any], switches: tuple[str, ...]
) -> None:
    """PEDIGREE DUMMY, of the file or of its row, makes switches SKIPPED; the rest goes on."""
    files = make_count_references(tmp_path, **{keyword: changes})
    products = calibrate_counts(tmp_path, files)
    assert {key for key, value in products.switches.items() if value == "SKIPPED"} == set(switches)
    history = "\n".join(read_product(products)[3]["HISTORY"])
    for switch in switches:
        assert f"{switch} skipped due to dummy reference file ..." in history


@pytest.mark.parametrize(
    ("keyword", "changes", "match"),
    [
        ("MLINTAB", {"DETECTOR": "FUV-MAMA"}, "MLINTAB has no row for this detector"),
        ("MLINTAB", {"TAU": math.nan}, "MLINTAB has a number without a meaning"),
        ("MLINTAB", {"EXPAND": -1.0}, "MLINTAB has a number without a meaning"),
        ("PFLTFILE", {"sci": np.ones((5, 8)), "dq": 0}, "PFLTFILE: the reference does not cover"),
        ("DARKFILE", {"sci": np.ones((6, 7)), "dq": 0}, "DARKFILE: the reference does not cover"),
        ("DARKFILE", {"chip": 2}, "no image of this chip"),
    ],
)
def test_references_that_do_not_fit_are_refused(
    tmp_path: Path, keyword: str, changes: dict[str, Any], match: str
) -> None:
    """A reference without a row, with nonsense or of another size is named in the message."""
    files = make_count_references(tmp_path, **{keyword: changes})
    with pytest.raises(MissingReference, match=match) as caught:
        calibrate_counts(tmp_path, files)
    assert keyword.lower() in str(caught.value)


def test_column_of_the_linearity_table_is_missed(tmp_path: Path, references: Files) -> None:
    """The message names the table and the column."""
    row = {key: value for key, value in LINEARITY_ROW.items() if key != "EXPAND"}
    references["MLINTAB"] = write_table(tmp_path / "mlintab.fits", [row])
    with pytest.raises(MissingReference, match="lacks a column") as caught:
        calibrate_counts(tmp_path, references)
    assert "EXPAND" in str(caught.value)


def test_tables_are_needed(tmp_path: Path, references: Files) -> None:
    """DQICORR of a MAMA is nothing without BPIXTAB; all missing files are named at once."""
    references["BPIXTAB"] = references["MLINTAB"] = "N/A"
    with pytest.raises(MissingReference) as caught:
        calibrate_counts(tmp_path, references)
    assert "BPIXTAB" in str(caught.value)
    assert "MLINTAB" in str(caught.value)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_exposure_without_time_is_refused(
    tmp_path: Path, references: Files, seconds: float
) -> None:
    """No rate can be compared with a limit."""
    with pytest.raises(DataError, match="EXPTIME is not usable"):
        calibrate_counts(tmp_path, references, EXPTIME=seconds)


@pytest.mark.parametrize("rate", [None, 9e4])
def test_global_rate_must_be_usable(tmp_path: Path, references: Files, rate: float | None) -> None:
    """GLOBRATE must be there, and one that no true rate gives (tau = 1e-5) is an error."""
    with pytest.raises(DataError, match=r"GLOBRATE|lacks a keyword"):
        calibrate_counts(tmp_path, references, rate=rate)


@pytest.mark.parametrize("mode", ["ACQ", "TARGACQ"])
def test_acquisition_is_refused(tmp_path: Path, references: Files, mode: str) -> None:
    """Nothing is calibrated in an acquisition image."""
    with pytest.raises(UnsupportedMode, match="acquisition"):
        calibrate_counts(tmp_path, references, OBSMODE=mode)


def test_switches_of_ccds_are_left_alone(tmp_path: Path, references: Files) -> None:
    """FLSHCORR PERFORM in an SBC header means nothing to the program, and stays."""
    products = calibrate_counts(tmp_path, references, FLSHCORR="PERFORM")
    assert products.switches["FLSHCORR"] == "PERFORM"


def test_low_order_flat_flags_everything(tmp_path: Path, references: Files) -> None:
    """A trap: with LFLTFILE every pixel gets 512 and no value changes."""
    plain = read_product(calibrate_counts(tmp_path, references))
    (tmp_path / "low").mkdir()
    references["LFLTFILE"] = write_image(tmp_path / "lfltfile.fits", np.full(SHAPE, 2.0))
    low = read_product(calibrate_counts(tmp_path / "low", references))
    assert np.array_equal(low[0], plain[0])
    assert np.array_equal(low[2], plain[2] | 512)


def test_low_order_flat_can_be_divided_by(tmp_path: Path, references: Files) -> None:
    """Avoiding the trap, a low-order flat in pixels of 2 is enlarged and divides."""
    low = write_image(tmp_path / "lfltfile.fits", np.full((3, 4), 2.0))
    with fits.open(low, mode="update") as hdus:
        for hdu in hdus[1:]:
            hdu.header.update({"LTV1": 0.25, "LTV2": 0.25, "LTM1_1": 0.5, "LTM2_2": 0.5})
    references["LFLTFILE"] = low
    settings = ("flat.low_order=yes", "GLINCORR=OMIT")
    sci, _, dq, _ = read_product(calibrate_counts(tmp_path, references, *settings))
    assert np.array_equal(sci, make_counts())
    assert not (dq & 512).any()


def test_repeated_exposures_are_added_up(tmp_path: Path, references: Files) -> None:
    """Two calibrated exposures become their sum, and stay products whatever EXPSCORR says."""
    headers = [
        {"RPTCORR": "PERFORM", "EXPTIME": 100.0, "EXPEND": 52500.6},
        {"RPTCORR": "PERFORM", "EXPTIME": 50.0, "EXPEND": 52500.7},
    ]
    request = associate_counts(tmp_path, references, REPEATS, headers)
    products = NativeEngine([RECIPE]).calibrate(request)
    names = [file.name for file in products.files]
    assert names == [
        f"{PRODUCT}_sfl.fits",
        *(f"{member}_flt.fits" for member in MEMBERS),
        "j8zz01010_asn.fits",
    ]
    with ExitStack() as stack:
        total, one, two = (stack.enter_context(fits.open(f.path)) for f in products.files[:3])
        assert np.array_equal(total["SCI"].data, one["SCI"].data + two["SCI"].data)
        wanted = np.hypot(one["ERR"].data, two["ERR"].data)
        assert np.allclose(total["ERR"].data, wanted, rtol=1e-6)
        assert np.array_equal(total["DQ"].data, one["DQ"].data | two["DQ"].data)
        header = total[0].header
        assert [hdus[0].header["RPTCORR"] for hdus in (one, two)] == ["PERFORM"] * 2
    assert header["EXPTIME"] == 150
    assert header["EXPEND"] == 52500.7
    assert header["NCOMBINE"] == 2
    assert header["ROOTNAME"] == PRODUCT.upper()
    assert header["RPTCORR"] == "COMPLETE"
    assert list(header["HISTORY"])[-2:] == [
        "RPTCORR complete",
        "Statistics computed after rptcorr.",
    ]


def test_statistics_of_a_sum_leave_out_every_flag(tmp_path: Path, references: Files) -> None:
    """A trap: SDQFLAGS does not count in a sum; 1024 is not serious in an exposure."""
    run = {**BAD_RUN, "PIX1": 1, "PIX2": 1, "VALUE": 1024}  # three pixels
    references["BPIXTAB"] = write_table(tmp_path / "bpixtab.fits", [run])
    headers = [{"RPTCORR": "PERFORM"}] * 2
    request = associate_counts(tmp_path, references, REPEATS, headers)
    products = NativeEngine([RECIPE]).calibrate(request)
    counts = [fits.getval(file.path, "NGOODPIX", "SCI") for file in products.files[:2]]
    flagged = 5 + 1  # around the bright pixel, and one of the dark
    assert counts == [48 - flagged - 3, 48 - flagged]


def test_switches_must_agree_with_the_table(tmp_path: Path, references: Files) -> None:
    """A table of repeats without RPTCORR PERFORM is refused, as in the program."""
    request = associate_counts(tmp_path, references, REPEATS, [{}, {}])
    with pytest.raises(UnsupportedMode, match="disagree"):
        NativeEngine([RECIPE]).calibrate(request)


def test_different_filters_are_not_added_up(tmp_path: Path, references: Files) -> None:
    """Exposures of a sum must not differ in mode."""
    headers = [{"RPTCORR": "PERFORM"}, {"RPTCORR": "PERFORM", "FILTER1": "F140LP"}]
    request = associate_counts(tmp_path, references, REPEATS, headers)
    with pytest.raises(UnsupportedMode, match="FILTER1"):
        NativeEngine([RECIPE]).calibrate(request)


def test_required_references(tmp_path: Path) -> None:
    """The recipe opens what its switches say, and no CCD table; a sum needs none more."""
    header = fits.getheader(make_count_raw(tmp_path))
    engine = NativeEngine([RECIPE])
    wanted = ("BPIXTAB", "MLINTAB", "DARKFILE", "PFLTFILE", "IMPHTTAB")
    assert engine.required_references(header) == wanted
    assert RECIPE.required_references(header, combined=True) == wanted


def test_errors_that_are_there_are_kept(tmp_path: Path, references: Files) -> None:
    """Only image sets whose errors are all 0 get new ones, and HISTORY tells which it was."""
    raw = make_count_raw(tmp_path)
    with fits.open(raw) as hdus:
        primary, science, _, flags = (hdu.copy() for hdu in hdus)
        errors = fits.ImageHDU(np.full(SHAPE, 3, np.float32), science.header.copy(), name="ERR")
        fits.HDUList([primary, science, errors, flags]).writeto(raw, overwrite=True)
    request = make_request(raw, references, tmp_path / "out", ["GLINCORR=OMIT", "FLATCORR=OMIT"])
    _, err, _, header = read_product(NativeEngine([RECIPE]).calibrate(request))
    assert (err == 3).all()
    assert "Uncertainty array initialized." not in list(header["HISTORY"])


def test_rate_of_the_ratio() -> None:
    """The number that the tests expect is the solution of x exp(-tau x) = 1000."""
    true = RATE * RATIO
    assert true * math.exp(-LINEARITY_ROW["TAU"] * true) == pytest.approx(RATE, rel=1e-7)
    assert SECONDS * LINEARITY_ROW["LOCAL_LIMIT"] < 5000


def test_failure_names_dataset_and_file(tmp_path: Path, references: Files) -> None:
    """An error says which exposure it is about."""
    with pytest.raises(HstflowError) as caught:
        calibrate_counts(tmp_path, references, EXPTIME=0.0)
    assert caught.value.dataset == "j8zz01aaq"


def test_blocks_of_rows_do_not_matter(
    tmp_path: Path, references: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row at a time gives the bits and keywords of the whole image at once."""
    settings = ("dark.with_time=yes",)
    (tmp_path / "rows").mkdir()
    whole = calibrate_counts(tmp_path, references, *settings).files[0].path
    monkeypatch.setattr("calib.instruments.row_blocks.BLOCK_PIXELS", SHAPE[1])
    rows = calibrate_counts(tmp_path / "rows", references, *settings).files[0].path
    assert fits.FITSDiff(whole, rows, ignore_keywords=["DATE"]).identical
