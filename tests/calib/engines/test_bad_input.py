"""Bad input through the whole native engine: what it says, and that it leaves nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from workbench import (
    Bench,
    Change,
    cut_row,
    drop_chip_of_raw,
    drop_extensions,
    drop_reference_chip,
    empty_table,
    fill_reference,
    flag_everything,
    lose,
    make_placeholder,
    name_nothing,
    replace_raw,
    rewriting,
    set_cards,
    set_columns,
    set_extension_cards,
    set_reference_cards,
    set_up,
    shorten_chip,
    spoil_raw,
    swap_image_sets,
    table_of,
    truncate_raw,
    truncate_reference,
)

from calib.engines.native import NativeEngine
from calib.errors import (
    ArchiveError,
    CorruptFile,
    DataError,
    HstflowError,
    MissingMember,
    MissingReference,
    ReferenceUnavailable,
    UnsupportedMode,
)
from calib.instruments.acs_recipes import WFC
from calib.instruments.recipe import Kind, Step
from calib.instruments.state import ExposureState
from calib.simulate.golden import GoldenCase, write_case

TINY, OLD, SUB, ASN, SBC = (
    "acs_wfc_tiny",
    "acs_wfc_tiny_presm4",
    "acs_wfc_tiny_sub",
    "acs_wfc_tiny_asn",
    "acs_sbc",
)
INPUT, STAGE1, ARCHIVE, BESTREFS = 21, 23, 25, 27  # exit codes
SOME = (slice(30, 33), slice(40, 44))  # 12 pixels, in overscan and science region alike

MakeBench = Callable[..., Bench]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], GoldenCase]:
    """Return what writes the inputs of a golden case, once."""
    folder = tmp_path_factory.mktemp("cases")
    written: dict[str, GoldenCase] = {}

    def find(name: str) -> GoldenCase:
        if name not in written:
            written[name] = write_case(name, folder)
        return written[name]

    return find


@pytest.fixture
def make_bench(tmp_path: Path, cases: Callable[[str], GoldenCase]) -> MakeBench:
    """Return what sets up benches: a case with changes."""

    def make(case: str, *changes: Change) -> Bench:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        bench = set_up(cases(case), folder)
        for change in changes:
            change(bench)
        return bench

    return make


def refuse(bench: Bench, kind: type[HstflowError], code: int, match: str) -> HstflowError:
    """Calibrate, and return the error; nothing but logs may be left, and these say it."""
    with pytest.raises(kind, match=match) as caught:
        bench.calibrate()
    error = caught.value
    assert type(error) is kind
    assert error.code == code
    assert error.dataset
    assert bench.left == []
    return error


WFC_REFERENCES = (
    "CCDTAB", "OSCNTAB", "BIASFILE", "DARKFILE", "PFLTFILE", "FLSHFILE", "SNKCFILE", "IMPHTTAB",
)  # fmt: skip
SBC_REFERENCES = ("BPIXTAB", "DARKFILE", "PFLTFILE", "IMPHTTAB", "MLINTAB")
REQUIRED = [
    *((TINY, keyword) for keyword in WFC_REFERENCES),
    *((SBC, keyword) for keyword in SBC_REFERENCES),
    (ASN, "CRREJTAB"),
]


@pytest.mark.parametrize(("case", "keyword"), REQUIRED)
def test_reference_that_is_not_named(make_bench: MakeBench, case: str, keyword: str) -> None:
    """Final; the message says which one, and which steps would open it."""
    bench = make_bench(case, name_nothing(keyword))
    error = refuse(bench, MissingReference, BESTREFS, rf"named by {keyword} \(opened by \w+")
    assert str(error).count("opened by") == 1
    assert error.path == str(bench.raws[0])


@pytest.mark.parametrize(
    ("case", "keyword"),
    [*REQUIRED, *((TINY, keyword) for keyword in ("BPIXTAB", "SATUFILE", "DFLTFILE"))],
)
def test_reference_that_is_not_there(make_bench: MakeBench, case: str, keyword: str) -> None:
    """It may come: one may try again. Optional files that are named must be there, too."""
    bench = make_bench(case, lose(keyword))
    match = rf"{keyword} names a file.*opened by.*{keyword.lower()}.fits"
    refuse(bench, ReferenceUnavailable, BESTREFS, match)


def test_all_that_is_missing_is_said_before_an_association_begins(make_bench: MakeBench) -> None:
    """The table of the combination with those of the exposures, and nothing was computed."""
    bench = make_bench(ASN, name_nothing("CRREJTAB"), lose("DARKFILE"))
    refuse(bench, MissingReference, BESTREFS, "CRREJTAB.*; DARKFILE")
    assert "done in" not in (bench.output / f"{bench.dataset}.tra").read_text()


@pytest.mark.parametrize(
    ("case", "keyword", "skipped"),
    [
        (TINY, "BPIXTAB", {"DQICORR"}),
        (TINY, "BIASFILE", {"BIASCORR"}),
        (TINY, "DARKFILE", {"DARKCORR"}),
        (TINY, "FLSHFILE", {"FLSHCORR"}),
        (TINY, "SNKCFILE", {"SINKCORR"}),
        (TINY, "PFLTFILE", {"FLATCORR"}),
        (TINY, "IMPHTTAB", {"PHOTCORR"}),
        (TINY, "DFLTFILE", set()),
        (TINY, "SATUFILE", set()),
        (SBC, "BPIXTAB", {"DQICORR"}),
        (SBC, "DARKFILE", {"DARKCORR"}),
        (SBC, "PFLTFILE", {"FLATCORR"}),
        (SBC, "MLINTAB", {"GLINCORR", "LFLGCORR"}),
    ],
)
def test_placeholder_skips_its_step(
    make_bench: MakeBench, case: str, keyword: str, skipped: set[str]
) -> None:
    """SKIPPED in the header and HISTORY; one of several flats is just passed over."""
    products = make_bench(case, make_placeholder(keyword)).calibrate()
    assert {key for key, value in products.switches.items() if value == "SKIPPED"} == skipped
    history = "\n".join(fits.getheader(products.files[0].path)["HISTORY"])
    for switch in skipped:
        assert f"{switch} skipped due to dummy reference file" in history


def test_placeholder_for_the_full_well_flags_nothing(make_bench: MakeBench) -> None:
    """Not one pixel gets 256, and the user is told."""
    low = fill_reference("SATUFILE", -1e9)
    flagged = make_bench(TINY, low).calibrate()
    passed = make_bench(TINY, low, make_placeholder("SATUFILE")).calibrate()
    count = [
        int((fits.getdata(p.files[0].path, ("DQ", 1)) & 256).astype(bool).sum())
        for p in (flagged, passed)
    ]
    assert count == [256 * 128, 0]
    assert passed.notes == (
        "SATUFILE is a placeholder: full-well saturation (256) is not flagged.",
    )


@pytest.mark.parametrize(
    ("case", "keyword"), [(TINY, "CCDTAB"), (TINY, "OSCNTAB"), (ASN, "CRREJTAB")]
)
def test_placeholder_that_nobody_can_do_without(
    make_bench: MakeBench, case: str, keyword: str
) -> None:
    """Fatal, as CCDTAB is in calacs."""
    refuse(make_bench(case, make_placeholder(keyword)), MissingReference, BESTREFS, "placeholder")


IMAGES = ("BIASFILE", "DARKFILE", "FLSHFILE", "PFLTFILE", "DFLTFILE", "SATUFILE", "SNKCFILE")
LENGTH = 0.47  # of a file: in the middle of the pixels of the first or second image set


@pytest.mark.parametrize("keyword", IMAGES)
@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (cut_row, "does not cover the image.*expected.*found"),
        (lambda key: set_reference_cards(key, CCDCHIP=3), "no image of this chip"),
        (lambda key: drop_reference_chip(key, 1), r"of this chip.*CCDCHIP 1; found CCDCHIP \[2\]"),
        (lambda key: set_reference_cards(key, LTM1_1=0.5, LTM2_2=0.5), "binned otherwise"),
    ],
    ids=["size", "chip", "one chip", "binning"],
)
def test_image_that_does_not_fit(
    make_bench: MakeBench, keyword: str, spoil: Callable[[str], Change], match: str
) -> None:
    """Never a guess: keyword, file, expected and found are said."""
    bench = make_bench(TINY, spoil(keyword))
    error = refuse(bench, MissingReference, BESTREFS, f"{keyword}: .*{match}")
    assert error.path == str(bench.references[keyword])
    assert error.expected
    assert error.found


@pytest.mark.parametrize(
    ("case", "keyword"),
    [
        *((TINY, keyword) for keyword in (*IMAGES, "CCDTAB", "OSCNTAB", "BPIXTAB", "IMPHTTAB")),
        *((SBC, keyword) for keyword in ("DARKFILE", "MLINTAB")),
        (ASN, "CRREJTAB"),
    ],
)
def test_file_that_is_cut_short(make_bench: MakeBench, case: str, keyword: str) -> None:
    """The file is named, and the exit code is that of references, not that of inputs."""
    bench = make_bench(case, truncate_reference(keyword, 0.97))
    error = refuse(bench, CorruptFile, BESTREFS, "truncated")
    assert error.path == str(bench.references[keyword])


@pytest.mark.parametrize("content", [b"", b"<html>404</html>" * 400], ids=["empty", "no FITS"])
def test_reference_that_is_no_fits_file(make_bench: MakeBench, content: bytes) -> None:
    """What a failed download leaves."""
    bench = make_bench(TINY, lambda bench: bench.own("DARKFILE").write_bytes(content) and None)
    refuse(bench, CorruptFile, BESTREFS, "not a readable FITS file.*drk.fits")


def test_reference_without_flags(make_bench: MakeBench) -> None:
    """The extension is named."""

    def drop(bench: Bench) -> None:
        with bench.reference("DARKFILE") as hdus:
            hdus.pop(hdus.index_of(("DQ", 1)))

    refuse(make_bench(TINY, drop), CorruptFile, BESTREFS, "absent.*drk.fits.*DQ,1")


@pytest.mark.parametrize("threads", [1, 2])
def test_reference_that_ends_while_its_rows_are_read(make_bench: MakeBench, threads: int) -> None:
    """It was whole when it was opened: the error comes in the middle of the pixels."""
    bench = make_bench(TINY)

    def cut(state: ExposureState) -> ExposureState:
        truncate_reference("DARKFILE", LENGTH)(bench)
        return state

    bench.own("DARKFILE")
    step = Step("cut_the_dark", cut, kind=Kind.HEADERS)
    engine = NativeEngine([WFC.insert_after("subtract_dark", step)])
    with pytest.raises(CorruptFile, match=r"ends inside its pixels.*drk.fits") as caught:
        bench.calibrate(engine=engine, threads=threads)
    assert caught.value.code == BESTREFS
    assert bench.left == []


@pytest.mark.parametrize(
    ("case", "change", "kind", "code", "match"),
    [
        (TINY, empty_table("CCDTAB"), MissingReference, BESTREFS, "no row.*CCDAMP=ABCD"),
        (TINY, set_cards(CCDGAIN=4), MissingReference, BESTREFS, "no row.*CCDGAIN=4"),
        (TINY, set_columns("CCDTAB", ATODGNC=np.nan), DataError, BESTREFS, "gain.*C.*ccd.fits"),
        (TINY, set_columns("CCDTAB", READNSEB=0.0), DataError, BESTREFS, "noise.*B.*ccd.fits"),
        (
            TINY,
            set_columns("CCDTAB", OVRHFLS=np.nan),
            MissingReference,
            BESTREFS,
            "overhead.*ccd.fits",
        ),
        (TINY, empty_table("OSCNTAB"), UnsupportedMode, STAGE1, "OSCNTAB has no row"),
        (
            OLD,
            set_columns("OSCNTAB", TRIMX1=9999),
            MissingReference,
            BESTREFS,
            "impossible row.*304 x 148.*9999",
        ),
        (TINY, set_columns("OSCNTAB", TRIMY2=-1), MissingReference, BESTREFS, "impossible row"),
        (
            OLD,
            set_columns("OSCNTAB", VX1=1, VX2=305, VY1=1, VY2=4),
            DataError,
            INPUT,
            "overscan does not lie in the image",
        ),
        (
            SUB,
            set_columns("OSCNTAB", VX1=1, VX2=9, VY1=9, VY2=65),
            DataError,
            INPUT,
            "overscan does not lie in the image",
        ),
        (TINY, set_columns("BPIXTAB", AXIS=3), DataError, BESTREFS, "impossible row.*bpx.fits"),
        (TINY, empty_table("IMPHTTAB"), MissingReference, BESTREFS, "no row for this mode"),
        (TINY, set_cards(FILTER1="F999W"), MissingReference, BESTREFS, "no row.*f999w"),
        (SBC, set_cards(FILTER1="F999W"), MissingReference, BESTREFS, "no row.*f999w"),
        (SBC, empty_table("MLINTAB"), MissingReference, BESTREFS, "no row.*SBC; found no row"),
        (ASN, empty_table("CRREJTAB"), MissingReference, BESTREFS, "CRREJTAB has no row"),
        (
            ASN,
            set_columns("CRREJTAB", CRSIGMAS="six"),
            MissingReference,
            BESTREFS,
            "CRSIGMAS of CRREJTAB",
        ),
    ],
)
def test_table_that_does_not_fit(
    make_bench: MakeBench, case: str, change: Change, kind: type, code: int, match: str
) -> None:
    """Without its row, with numbers that mean nothing, or for places outside of the image."""
    refuse(make_bench(case, change), kind, code, match)


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
        (TINY, set_cards(DETECTOR="UVIS"), UnsupportedMode, STAGE1, "not for ACS/UVIS"),
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


@pytest.mark.parametrize("numbers", [(), (0,), (1,)])
def test_sky_needs_good_pixels(make_bench: MakeBench, numbers: tuple[int, ...]) -> None:
    """One exposure without any is enough to stop a combination."""
    bench = make_bench(ASN, flag_everything(*numbers))
    error = refuse(bench, DataError, INPUT, "no good pixel to measure the sky in")
    assert error.dataset == "jt0004011"


@pytest.mark.parametrize(
    ("cards", "match"),
    [
        ({"DETECTOR": "HRC", "CCDAMP": "C"}, "differ in DETECTOR.*jt0004abq HRC"),
        ({"FILTER1": "F814W"}, "differ in FILTER1.*jt0004aaq F606W, jt0004abq F814W"),
        ({"CCDGAIN": 1}, "differ in CCDGAIN.*jt0004aaq 2, jt0004abq 1"),
        ({"SUBARRAY": True}, "differ in SUBARRAY"),
        ({"BIASCORR": "OMIT"}, "differ in BIASCORR"),
    ],
)
def test_mixed_association(make_bench: MakeBench, cards: dict[str, object], match: str) -> None:
    """Before anything is computed, with the value of each exposure."""
    refuse(make_bench(ASN, set_cards(1, **cards)), UnsupportedMode, STAGE1, match)


@pytest.mark.parametrize(
    ("other", "cards", "match"),
    [
        (SBC, {}, "differ in DETECTOR.*jt0004abq SBC"),
        (SUB, {}, "differ in CCDAMP.*jt0004abq C"),
        (SUB, {"SUBARRAY": False, "CCDAMP": "ABCD"}, "no row for its size.*chip 2"),
    ],
)
def test_association_with_an_exposure_of_another_kind(
    make_bench: MakeBench,
    cases: Callable[[str], GoldenCase],
    other: str,
    cards: dict[str, object],
    match: str,
) -> None:
    """Even where the headers pretend that it belongs there."""
    bench = make_bench(ASN, replace_raw(1, cases(other), CRCORR="PERFORM", **cards))
    refuse(bench, UnsupportedMode, STAGE1, match)


def test_member_without_exposure_time(make_bench: MakeBench) -> None:
    """The message names the member."""
    error = refuse(make_bench(ASN, set_cards(2, EXPTIME=0.0)), DataError, INPUT, "EXPTIME")
    assert error.dataset == "jt0004acq"


def test_member_that_is_absent(make_bench: MakeBench) -> None:
    """Said before anything is computed."""
    bench = make_bench(ASN, lambda bench: bench.raws[1].unlink())
    refuse(bench, MissingMember, INPUT, "not among the inputs.*all but jt0004abq")


def test_member_that_is_named_twice(make_bench: MakeBench) -> None:
    """It would be combined with itself."""

    def repeat(bench: Bench) -> None:
        with rewriting(table_of(bench)) as hdus:
            hdus[1].data["MEMNAME"][1] = hdus[1].data["MEMNAME"][0]

    refuse(make_bench(ASN, repeat), CorruptFile, INPUT, "twice.*jt0004aaq")


def test_output_that_is_in_the_way(make_bench: MakeBench) -> None:
    """A file where the folder should be."""
    bench = make_bench(TINY, lambda bench: bench.output.write_text("mine") and None)
    with pytest.raises(ArchiveError, match="cannot be written: File exists") as caught:
        bench.calibrate()
    assert caught.value.code == ARCHIVE
    assert bench.output.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_that_is_not_writable(make_bench: MakeBench) -> None:
    """Not even the log can be written, and the error is that of writing."""
    bench = make_bench(TINY, lambda bench: bench.output.mkdir(0o500))
    with pytest.raises(ArchiveError, match="cannot be written: Permission denied"):
        bench.calibrate()


@pytest.mark.parametrize("number", [1, 2, 4])
def test_full_disk(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """From some product of an association on nothing can be written: all go, also parts of files.

    Later the logs cannot be written either, which hides nothing.
    """
    written = []

    def fill(_descriptor: int) -> None:
        written.append(True)
        if len(written) >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    bench = make_bench(ASN)
    monkeypatch.setattr("os.fsync", fill)
    error = refuse(bench, ArchiveError, ARCHIVE, "cannot be written: No space left")
    assert Path(str(error.path)).parent == bench.output


def test_disk_that_is_full_for_the_log_alone(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A product without its log is no product."""

    def fail(*_arguments: object) -> Path:
        raise ArchiveError("cannot be written: No space left", path="x.tra")

    bench = make_bench(TINY)
    monkeypatch.setattr("calib.engines.trailer.Trailer.write", fail)
    with pytest.raises(ArchiveError, match=r"No space left.*x.tra"):
        bench.calibrate()
    assert bench.left == []
