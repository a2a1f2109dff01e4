"""Raw exposures that are damaged, odd or without numbers, through the whole native engine."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from workbench import (
    ASN,
    BESTREFS,
    INPUT,
    OLD,
    SBC,
    SOME,
    STAGE1,
    SUB,
    TINY,
    Bench,
    Change,
    MakeBench,
    drop_chip_of_raw,
    drop_extensions,
    fill_reference,
    flag_everything,
    refuse,
    set_cards,
    set_extension_cards,
    shorten_chip,
    spoil_raw,
    swap_image_sets,
    truncate_raw,
)

from calib.errors import (
    CorruptFile,
    DataError,
    MissingReference,
    UnsupportedMode,
)


@pytest.mark.parametrize(
    ("case", "change", "kind", "code", "match"),
    [
        (TINY, truncate_raw(0), CorruptFile, INPUT, "Empty or corrupt"),
        (TINY, truncate_raw(0.3), CorruptFile, INPUT, "truncated"),
        (SBC, truncate_raw(0.9), CorruptFile, INPUT, "truncated"),
        (TINY, drop_extensions("ERR,2"), CorruptFile, INPUT, "extensions are absent.*NEXTEND 6"),
        (SBC, drop_extensions("SCI,1"), CorruptFile, INPUT, "no SCI extension"),
        (
            OLD,
            drop_extensions("SCI,2", "ERR,2", "DQ,2"),
            CorruptFile,
            INPUT,
            r"absent.*NEXTEND 6; found \['SCI,1', 'ERR,1', 'DQ,1'\]",
        ),
        (TINY, drop_chip_of_raw, UnsupportedMode, STAGE1, "full frames of four.*found C D"),
        (TINY, shorten_chip, UnsupportedMode, STAGE1, "no row for its size.*chip 1"),
        (OLD, shorten_chip, UnsupportedMode, STAGE1, "no row for its size.*chip 1"),
        (SUB, set_extension_cards(NPIX2=60), CorruptFile, INPUT, "differ in shape"),
        (TINY, set_extension_cards(CCDCHIP=2), MissingReference, BESTREFS, "does not cover"),
        (TINY, set_extension_cards(CCDCHIP=7), DataError, INPUT, "CCDAMP ABCD reads chip 7"),
        (TINY, set_extension_cards(CCDCHIP="x"), DataError, INPUT, "CCDCHIP is not usable"),
        (TINY, set_extension_cards(LTV1=7.0), MissingReference, BESTREFS, r"from \(17, 0\)"),
        (SBC, set_extension_cards(LTV1="x"), DataError, INPUT, "LTV1 is not usable"),
        (SBC, set_extension_cards(LTM1_1=0.0), DataError, INPUT, "scale.*LTM1_1"),
        (TINY, set_extension_cards(SDQFLAGS="all"), DataError, INPUT, "SDQFLAGS.*'all'"),
        (SBC, set_extension_cards(GLOBRATE="x"), DataError, INPUT, "GLOBRATE is not usable"),
        (TINY, set_cards(CCDAMP="E"), UnsupportedMode, STAGE1, "CCDAMP is E: only"),
        (TINY, set_cards(CCDAMP=None), UnsupportedMode, STAGE1, "CCDAMP is absent"),
        (SUB, set_cards(CCDAMP="A"), DataError, INPUT, "no amplifier.*chip 2.*CD; found A"),
        (SUB, set_cards(CCDAMP="D"), MissingReference, BESTREFS, "no row.*CCDAMP=D"),
        (TINY, set_cards(DETECTOR="UVIS"), UnsupportedMode, STAGE1, "not ACS UVIS"),
        (TINY, set_cards(BINAXIS1=2), UnsupportedMode, STAGE1, "binned"),
        (TINY, set_cards(DARKCORR="MAYBE"), DataError, INPUT, "DARKCORR.*MAYBE"),
        (TINY, set_cards(EXPTIME=0.0), DataError, INPUT, "EXPTIME.*found 0"),
        (TINY, set_cards(EXPTIME=None), DataError, INPUT, "lacks a keyword.*EXPTIME"),
        (TINY, set_cards(EXPTIME="NaN"), DataError, INPUT, "EXPTIME.*a number; found 'NaN'"),
        (TINY, set_cards(EXPTIME=True), DataError, INPUT, "EXPTIME.*a number; found True"),
        (SBC, set_cards(EXPTIME="long"), DataError, INPUT, "EXPTIME.*found 'long'"),
        (TINY, set_cards(EXPSTART=None), DataError, INPUT, "lacks a keyword.*EXPSTART"),
        (TINY, set_cards(FLASHDUR="x"), DataError, INPUT, "FLASHDUR is not usable"),
        (TINY, set_cards(DARKTIME=-5.0), DataError, INPUT, "DARKTIME is not usable"),
        (TINY, set_cards(OBSMODE="ACQ"), UnsupportedMode, STAGE1, "acquisition"),
        (TINY, set_cards(PCTECORR="PERFORM"), UnsupportedMode, STAGE1, "--set PCTECORR=OMIT"),
        (ASN, set_cards(1, PCTECORR="PERFORM"), UnsupportedMode, STAGE1, "PCTECORR.*abq"),
        (OLD, set_cards(BLEVCORR="OMIT"), UnsupportedMode, STAGE1, "BLEVCORR has not been done"),
    ],
)
def test_raw_that_cannot_be_calibrated(
    make_bench: MakeBench, case: str, change: Change, kind: type, code: int, match: str
) -> None:
    """Damaged, of another mode, or with cards that mean nothing."""
    bench = make_bench(case, change)
    error = refuse(bench, kind, code, match)
    assert error.path
    if code != BESTREFS:
        assert error.path in map(str, bench.raws)


def test_blank_cards_are_absent_ones(make_bench: MakeBench) -> None:
    """Defaults stand in, and a default that changes numbers is told."""
    bench = make_bench(TINY, set_cards(DARKTIME=None, LRFWAVE=None, SHADCORR=None, CCDOFSTA=None))
    caveat = "DARKTIME is absent from the raw header: EXPTIME is used instead"
    assert bench.calibrate().notes == (caveat,)


def test_card_that_cannot_be_read(make_bench: MakeBench) -> None:
    """The card is shown; nobody looks at it before its value is wanted."""

    def garble(bench: Bench) -> None:
        path = bench.raws[0]
        content = path.read_bytes()
        start = content.index(b"EXPTIME =")
        path.write_bytes(content[:start] + b"EXPTIME = 500 or so".ljust(80) + content[start + 80 :])

    refuse(make_bench(TINY, garble), CorruptFile, INPUT, "card.*cannot be read.*500 or so")


def test_unknown_aperture_is_no_special_one(make_bench: MakeBench) -> None:
    """A name that no list has changes nothing in a full frame."""
    plain = make_bench(TINY).calibrate()
    other = make_bench(TINY, set_cards(APERTURE="NOWHERE")).calibrate()
    paths = [products.files[0].path for products in (plain, other)]
    assert fits.FITSDiff(*paths, ignore_keywords=["APERTURE"]).identical


def test_without_trailed_charge_the_user_is_told(make_bench: MakeBench) -> None:
    """PCTECORR set to OMIT by hand makes an flt that says so, in header, HISTORY and record."""
    bench = make_bench(TINY, set_cards(PCTECORR="PERFORM"))
    products = bench.calibrate("PCTECORR=OMIT")
    note = "PCTECORR was set to OMIT by hand: trailed charge is not corrected."
    assert products.notes == (note,)
    assert bench.left == ["jt0001aaq_flt.fits"]
    header = fits.getheader(products.files[0].path)
    assert header["PCTECORR"] == "OMIT"
    assert header["CUSTOM"] is True
    assert {note, "custom: PCTECORR=OMIT"} <= set(header["HISTORY"])
    plain = make_bench(TINY).calibrate("PCTECORR=OMIT")
    assert plain.notes == ()


@pytest.mark.parametrize("case", [TINY, OLD, ASN])
def test_image_sets_in_the_other_order(make_bench: MakeBench, case: str) -> None:
    """Each chip is what it is, wherever it stands: CCDCHIP decides, EXTVER does not."""
    plain, swapped = (make_bench(case, *c).calibrate() for c in ((), (swap_image_sets,)))
    for one, other in zip(plain.files, swapped.files, strict=True):
        if one.name.endswith("_asn.fits"):
            continue
        with fits.open(one.path) as a, fits.open(other.path) as b:
            assert b["SCI", 1].header["CCDCHIP"] == 1
            for name in ("SCI", "ERR", "DQ"):
                for version in (1, 2):
                    assert np.array_equal(a[name, version].data, b[name, 3 - version].data)


@pytest.mark.parametrize("keyword", ["BIASFILE", "DARKFILE", "FLSHFILE", "PFLTFILE", "DFLTFILE"])
def test_nan_of_a_reference_stays_in_its_pixels(make_bench: MakeBench, keyword: str) -> None:
    """Twelve of them, outside of the overscan; statistics leave them out, and the user is told."""
    products = make_bench(TINY, fill_reference(keyword, np.nan, SOME)).calibrate()
    assert products.notes == ("12 unflagged pixels are NaN or infinite.",)
    with fits.open(products.files[0].path) as hdus:
        assert np.isnan(hdus["SCI", 1].data).sum() == 12
        assert np.isnan(hdus["ERR", 1].data).sum() == 12
        assert not np.isnan(hdus["SCI", 2].data).any()
        assert hdus["SCI", 1].header["GOODMEAN"] == pytest.approx(48.1, abs=0.1)


@pytest.mark.parametrize(("keyword", "low", "bit"), [("SATUFILE", 9, 256), ("SNKCFILE", -9, 1024)])
def test_nan_of_a_map_flags_nothing(
    make_bench: MakeBench, keyword: str, low: float, bit: int
) -> None:
    """A limit that is no number is not exceeded."""
    plain = make_bench(TINY, fill_reference(keyword, low, SOME)).calibrate()
    spoilt = make_bench(TINY, fill_reference(keyword, np.nan)).calibrate()
    before, after = (fits.getdata(p.files[0].path, ("DQ", 1)) for p in (plain, spoilt))
    assert (before & bit).any()
    assert not (after & bit).any()
    assert np.array_equal(before & ~np.int16(bit), after)
    assert spoilt.notes == ()


@pytest.mark.parametrize("case", [TINY, OLD, SUB, SBC])
def test_nan_of_a_raw_stays_in_its_pixels(make_bench: MakeBench, case: str) -> None:
    """Some missing samples spoil nothing else; stripes are found without their rows."""
    changes = 1.0 if case == TINY else 0.0  # electrons: the noise of a stripe
    part = (slice(40, 42), slice(60, 64))
    plain = make_bench(case).calibrate().files[0].path
    spoilt = make_bench(case, spoil_raw(part)).calibrate().files[0].path
    with fits.open(plain) as a, fits.open(spoilt) as b:
        for hdu in a[1:]:
            if hdu.name == "SCI":
                lost = np.isnan(b[hdu.name, hdu.ver].data)
                assert lost.sum() == 8
                near = np.abs(hdu.data[~lost] - b[hdu.name, hdu.ver].data[~lost]) <= changes
                assert near.all()


@pytest.mark.parametrize("change", [spoil_raw(), fill_reference("BIASFILE", np.nan)])
def test_frame_without_numbers_has_no_stripes(make_bench: MakeBench, change: Change) -> None:
    """No row of the overscan is left to measure in."""
    refuse(make_bench(TINY, change), DataError, INPUT, "no row of the overscan can be used")


@pytest.mark.parametrize("case", [OLD, SUB])
def test_overscan_without_numbers_gives_the_default_level(make_bench: MakeBench, case: str) -> None:
    """The program falls back on the CCD table in silence; here the user is told."""
    products = make_bench(case, fill_reference("BIASFILE", np.nan)).calibrate()
    note = "The overscan of amplifier C is unusable: default bias level subtracted."
    assert products.notes[0] == note
    assert note in list(fits.getheader(products.files[0].path)["HISTORY"])


@pytest.mark.parametrize(("case", "chips"), [(TINY, "2, 1"), (SUB, "2"), (SBC, "1")])
def test_exposure_without_a_good_pixel(make_bench: MakeBench, case: str, chips: str) -> None:
    """Calibrated all the same, with statistics of nothing."""
    products = make_bench(case, flag_everything()).calibrate()
    assert f"No pixel of chip {chips} is good: statistics are 0." in products.notes
    with fits.open(products.files[0].path) as hdus:
        header = hdus["SCI", 1].header
        assert (header["NGOODPIX"], header["GOODMEAN"], header["SNRMEAN"]) == (0, 0, 0)
        assert np.isfinite(hdus["SCI", 1].data).all()
        assert (hdus["DQ", 1].data & 4).all()
