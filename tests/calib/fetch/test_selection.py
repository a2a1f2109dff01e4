"""Which files belong to a dataset, by name alone."""

from __future__ import annotations

import pytest

from calib.association import read_rows
from calib.errors import MissingMember, NotFound
from calib.fetch.selection import (
    association_files,
    exposure_files,
    inputs_of,
    nearby,
    table_name,
)
from calib.ids import parse_dataset

STIS_ROWS = [("O6IH10BWQ", "CRSPLIT", True), ("O6IH10060", "PRODUCT", True)]


def test_only_the_dataset_itself_and_only_inputs() -> None:
    """Neighbours of the same program and visit, products and lookalikes stay out."""
    names = [
        "j8bt05njq_raw.fits",
        "j8bt05njq_spt.fits",
        "j8bt05njq_flt.fits",
        "j8bt05njq_raw.fits.gz",
        "j8bt05njqx_raw.fits",
        "j8bt05nkq_raw.fits",
        "j8bt05njq.tra",
    ]
    assert inputs_of("j8bt05njq", "acs", names) == tuple(names[:2])


def test_exposure_leaves_an_association_table_out() -> None:
    """An exposure id means that exposure alone, whatever lies beside it."""
    names = ["ldxt01i5q_rawtag_a.fits", "ldxt01i5q_asn.fits", "ldxt01i5q_spt.fits"]
    assert exposure_files(parse_dataset("ldxt01i5q"), names) == (names[0], names[2])


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("j8bt05njq", r"j8bt05njq_raw\.fits or j8bt05njq\.tar\.gz"),
        ("o4er06llq", r"o4er06llq_\(raw\|tag\|wav\)\.fits"),
    ],
)
def test_no_exposure_says_what_was_looked_for(dataset: str, expected: str) -> None:
    """A support file alone is no dataset."""
    with pytest.raises(NotFound, match=expected):
        exposure_files(parse_dataset(dataset), [f"{dataset}_spt.fits"])


def test_association_needs_its_table_unless_it_holds_the_exposures() -> None:
    """A STIS association's raw file bears its own name; an ACS one is nothing without table."""
    acs, stis = parse_dataset("jh0001010"), parse_dataset("o6ih10060")
    assert table_name(acs, ["jh0001010_asn.fits"]) == "jh0001010_asn.fits"
    assert table_name(stis, ["o6ih10060_raw.fits"]) is None
    assert table_name(parse_dataset("jh0001aaq"), ["jh0001aaq_asn.fits"]) is None
    with pytest.raises(NotFound, match="no association table"):
        table_name(acs, ["jh0001010_raw.fits"])
    with pytest.raises(NotFound, match="no association table"):
        table_name(stis, ["o6ih10060_spt.fits"])


def test_stis_members_need_no_files_of_their_own() -> None:
    """The image sets of the association's file are the members."""
    table = read_rows("o6ih10060", STIS_ROWS)
    names = ["o6ih10060_asn.fits", "o6ih10060_raw.fits", "o6ih10060_wav.fits"]
    assert association_files(table, "stis", names) == tuple(names)


def test_all_missing_members_are_listed_with_what_is_there() -> None:
    """One message names every gap, so that one request to the archive fills them."""
    rows = [(f"JH0001A{c}Q", "EXP-CRJ", True) for c in "ABC"]
    names = ["jh0001010_asn.fits", "jh0001aaq_raw.fits", "jh0001abq_spt.fits", "jz_raw.fits"]

    with pytest.raises(MissingMember) as caught:
        association_files(read_rows("jh0001010", rows), "acs", names)

    assert "2 of 3 exposures of the association are missing: jh0001abq jh0001acq" in str(
        caught.value
    )
    assert caught.value.found == "jh0001010_asn.fits jh0001aaq_raw.fits jh0001abq_spt.fits"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "nothing"),
        (["a.txt", "b.txt"], "no FITS file among 2 files"),
        (["x_raw.fits", "a.txt"], "x_raw.fits"),
        (["jh00_raw.fits", "x_raw.fits"], "jh00_raw.fits"),
        ([f"jh00{n:02}_raw.fits" for n in range(14)], "and 2 more"),
    ],
)
def test_nearby_names_are_short_and_related_first(names: list[str], expected: str) -> None:
    """The message fits a line even in a folder of thousands."""
    assert nearby("jh0001010", names).endswith(expected)
