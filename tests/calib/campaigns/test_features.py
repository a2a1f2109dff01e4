"""The nine features: from headers and sizes, and from a name alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.campaigns.features import class_of, features_of, features_of_files, typical_features
from calib.cost_model import Features
from calib.errors import NotFound
from calib.ids import parse_dataset
from calib.records import InputFile, RawInputs
from calib.simulate.observatory import Observatory

WFC: dict[str, Any] = {
    "INSTRUME": "ACS",
    "DETECTOR": "WFC",
    "SUBARRAY": False,
    "DRIZCORR": "PERFORM",
    "PCTECORR": "OMIT",
    "CRSPLIT": 2,
}


def test_association_of_two_full_frames() -> None:
    """Sizes are added up in 10^6 bytes, switches are flags, a digit at the end: association."""
    found = features_of([WFC, WFC], [34_400_000, 34_500_000], parse_dataset("j8bt05010"))
    assert found == Features(
        n_files=2,
        total_mb=68.9,
        drizcorr=1,
        pctecorr=0,
        crsplit=2,
        subarray=0,
        detector=1,
        dtype=1,
        instr=0,
    )


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("CRSPLIT", None, "crsplit", 0),
        ("CRSPLIT", 1, "crsplit", 1),
        ("CRSPLIT", 1.0, "crsplit", 1),
        ("CRSPLIT", 8, "crsplit", 2),
        ("CRSPLIT", "N/A", "crsplit", 0),
        ("CRSPLIT", True, "crsplit", 0),
        ("SUBARRAY", True, "subarray", 1),
        ("SUBARRAY", "T", "subarray", 1),
        ("SUBARRAY", None, "subarray", 0),
        ("DETECTOR", "UVIS ", "detector", 1),
        ("DETECTOR", "IR", "detector", 0),
        ("DETECTOR", None, "detector", 0),
        ("PCTECORR", "perform", "pctecorr", 1),
        ("DRIZCORR", "COMPLETE", "drizcorr", 0),
        ("DRIZCORR", 1, "drizcorr", 0),
    ],
)
def test_feature_of_a_keyword(name: str, value: Any, field: str, expected: int) -> None:
    """Each keyword has calcloud's value, also where it is missing or of an odd kind."""
    header = {**WFC, name: value}
    assert getattr(features_of([header], [1], parse_dataset("j8bt05njq")), field) == expected


@pytest.mark.parametrize(
    ("name", "number"), [("j8bt05njq", 0), ("labc01abq", 1), ("oabc01abq", 2), ("iabc01abq", 3)]
)
def test_number_of_the_instrument(name: str, number: int) -> None:
    """Instruments have calcloud's numbers."""
    assert features_of([WFC], [1], parse_dataset(name)).instr == number


def test_skycell_takes_the_instrument_of_its_exposures() -> None:
    """The name of a skycell has no instrument: the first header tells."""
    skycell = parse_dataset("skycell-p2381x06y09")
    assert features_of([{"INSTRUME": "WFC3"}], [1], skycell).instr == 3
    assert features_of([{}], [1], skycell).instr == 0


def test_any_exposure_sets_a_flag() -> None:
    """One member that is corrected for trailed charge makes the dataset one of those."""
    headers = [WFC, {**WFC, "PCTECORR": "PERFORM"}]
    assert features_of(headers, [1, 1], parse_dataset("j8bt05010")).pctecorr == 1


@pytest.mark.parametrize(
    "name",
    ["j8bt05njq", "j8bt05010", "iabc01abq", "labc01010", "oabc01abq", "acs_8ph_01", "wfc3_8ph_01"],
)
def test_name_alone_is_taken_for_a_large_dataset(name: str) -> None:
    """Without a header a dataset is as large as its name allows, and no field is open."""
    dataset = parse_dataset(name)
    found = typical_features(dataset)
    assert found.total_mb >= 10 * found.n_files > 0
    assert found.dtype == dataset.is_association
    assert features_of([], [], dataset) == found


@pytest.mark.parametrize(
    ("name", "kind"),
    [("j8bt05njq", "acs"), ("oabc01abq", "stis"), ("acs_8ph_01", "svm")],
)
def test_class_of_a_dataset(name: str, kind: str) -> None:
    """Exposures and associations go by instrument, visits are a class of their own."""
    assert class_of(parse_dataset(name)) == kind
    assert class_of(parse_dataset("skycell-p2381x06y09")) == "mvm"


def test_features_of_fetched_files(observatory: Observatory) -> None:
    """Headers are read from the exposures; an association table is no exposure."""
    raw = next(observatory.raws.rglob("*_raw.fits"))
    root = raw.name[:9]
    file = InputFile(raw.name, str(raw), "", raw.stat().st_size, "raw", root)
    table = InputFile("x_asn.fits", "/nowhere/x_asn.fits", "", 99_000_000, "asn", root)
    found = features_of_files(RawInputs(root, "file:", (table, file)), parse_dataset(root))
    assert (found.n_files, found.total_mb) == (1, raw.stat().st_size / 1e6)


def test_file_that_is_gone() -> None:
    """An exposure that is not there is named."""
    file = InputFile("a_raw.fits", "/nowhere/a_raw.fits", "", 1, "raw", "j8bt05njq")
    with pytest.raises(NotFound, match="a_raw"):
        features_of_files(RawInputs("j8bt05njq", "file:", (file,)), parse_dataset("j8bt05njq"))


def test_visit_of_calibrated_exposures(tmp_path: Path) -> None:
    """Of a visit the exposures are its FLC and FLT; the poller is none."""
    image = tmp_path / "j8ph01abq_flc.fits"
    fits.PrimaryHDU(header=fits.Header(WFC)).writeto(image)
    size = image.stat().st_size
    flc = InputFile(image.name, str(image), "", size, "flc", "j8ph01abq")
    poller = InputFile("acs_8ph_01_input.out", "/nowhere", "", 99, "poller", "acs_8ph_01")

    visit = parse_dataset("acs_8ph_01")
    found = features_of_files(RawInputs(visit.name, "file:", (poller, flc)), visit)

    assert (found.n_files, found.total_mb, found.detector) == (1, size / 1e6, 1)


def test_sizes_count_without_headers() -> None:
    """Files that were listed and not opened tell their number and size."""
    dataset = parse_dataset("j8pq010a1")
    known = features_of([], [50 * 10**6, 70 * 10**6], dataset)
    assert (known.n_files, known.total_mb) == (2, 120.0)
    assert known.drizcorr == typical_features(dataset).drizcorr
    assert features_of([], [], dataset) == typical_features(dataset)
