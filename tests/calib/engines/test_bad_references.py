"""References that are missing, do not fit or are damaged, through the whole native engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from astropy.io import fits
from workbench import (
    ASN,
    BESTREFS,
    INPUT,
    OLD,
    SBC,
    STAGE1,
    SUB,
    TINY,
    Bench,
    Change,
    MakeBench,
    cut_row,
    drop_reference_chip,
    empty_table,
    fill_reference,
    lose,
    make_placeholder,
    name_nothing,
    refuse,
    set_cards,
    set_columns,
    set_reference_cards,
    truncate_reference,
)

from calib.engines.native import NativeEngine
from calib.errors import (
    CorruptFile,
    DataError,
    MissingReference,
    ReferenceUnavailable,
    UnsupportedMode,
)
from calib.instruments.acs_recipes import WFC
from calib.instruments.recipe import Kind, Step
from calib.instruments.state import ExposureState

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
