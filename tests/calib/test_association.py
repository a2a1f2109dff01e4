"""Association tables: rows in, members and positions out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.association import Position, read_rows
from calib.errors import CorruptFile, MissingMember
from calib.records import Member

CR_SPLIT_AND_DITHER = [
    ("JH0001AAQ", "EXP-CR1", True),
    ("JH0001ABQ", "EXP-CR1", True),
    ("JH0001011", "PROD-CR1", False),
    ("JH0001ACQ", "EXP-CR2", True),
    ("JH0001ADQ", "EXP-CR2", False),
    ("JH0001021", "PROD-CR2", False),
    ("JH0001010", "PROD-DTH", False),
]


def test_rows_become_members_exposures_and_products() -> None:
    """Names are lower case; absent exposures are exposures, but not required."""
    table = read_rows("JH0001010", CR_SPLIT_AND_DITHER)

    assert table.name == "jh0001010"
    assert table.members[0] == Member("jh0001aaq", "EXP-CR1", present=True)
    assert [m.name for m in table.exposures] == ["jh0001aaq", "jh0001abq", "jh0001acq", "jh0001adq"]
    assert [m.name for m in table.products] == ["jh0001011", "jh0001021", "jh0001010"]
    assert table.required == ("jh0001aaq", "jh0001abq", "jh0001acq")


def test_positions_group_exposures_with_their_product() -> None:
    """CR sets by number, with the exposures present; a dither product stands alone."""
    assert read_rows("jh0001010", CR_SPLIT_AND_DITHER).positions == (
        Position("CR", "1", ("jh0001aaq", "jh0001abq"), "jh0001011"),
        Position("CR", "2", ("jh0001acq",), "jh0001021"),
        Position("DTH", "", (), "jh0001010"),
    )


@pytest.mark.parametrize(
    ("exposure", "product", "expected"),
    [
        ("EXP-CRJ", "PROD-CRJ", ("CR", "J")),
        ("exp-crj ", "prod-crj", ("CR", "J")),
        ("EXP_CRJ", "PROD_CRJ", ("CR", "J")),
        ("EXP-RPT", "PROD-RPT", ("RP", "T")),
        ("EXP-RP3", "PROD-RP3", ("RP", "3")),
        ("EXP-DTH", "PROD-DTH", ("DTH", "")),
    ],
)
def test_type_gives_kind_and_position(
    exposure: str, product: str, expected: tuple[str, str]
) -> None:
    """The last character of CR and RP types is the position; old tables have underscores."""
    (position,) = read_rows(
        "ii0003010", [("II0003AAQ", exposure, True), ("II0003011", product, True)]
    ).positions
    assert (position.kind, position.label) == expected
    assert (position.exposures, position.product) == (("ii0003aaq",), "ii0003011")


def test_position_without_a_product_row_names_none() -> None:
    """Nothing is invented where the table names no product."""
    (position,) = read_rows("ii0003010", [("II0003AAQ", "EXP-CRJ", True)]).positions
    assert position.product is None


def test_cos_and_stis_types_are_members_without_positions() -> None:
    """Their programs read the table: exposures and products are told apart, no more."""
    table = read_rows(
        "o6ih10060",
        [
            ("O6IH10BWQ", "CRSPLIT", True),
            ("O6IH10BXQ", "AUTO-WAVECAL", True),
            ("O6IH10060", "PRODUCT", True),
        ],
    )
    assert table.required == ("o6ih10bwq", "o6ih10bxq")
    assert [m.name for m in table.products] == ["o6ih10060"]
    assert table.positions == ()


@pytest.mark.parametrize("value", [True, np.True_, 1, "T", "t ", "YES", "True"])
def test_present_in_all_spellings(value: Any) -> None:
    """Logical columns and the text of old tables mean the same."""
    assert read_rows("j00000010", [("J00000AAQ", "EXP-CRJ", value)]).required == ("j00000aaq",)


@pytest.mark.parametrize("value", [False, np.False_, 0, "F", "NO", "no "])
def test_absent_in_all_spellings(value: Any) -> None:
    """The text "F" is not true; an association without any exposure present is refused."""
    with pytest.raises(MissingMember, match="no exposure as present") as caught:
        read_rows("j00000010", [("J00000AAQ", "EXP-CRJ", value)])
    assert "j00000aaq EXP-CRJ" in str(caught.value)


def test_empty_table_is_refused() -> None:
    """No rows, no exposures."""
    with pytest.raises(MissingMember, match="no rows"):
        read_rows("j00000010", [])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("../../etc/x", "EXP-CRJ", True), "no exposure"),
        (("J00000AAQ_RAW", "EXP-CRJ", True), "no exposure"),
        (("", "EXP-CRJ", True), "no exposure"),
        (("J00000AAQ", "EXP-CRJ", "maybe"), "no truth value"),
        (("J00000AAQ", "EXP-CRJ", float("nan")), "no truth value"),
    ],
)
def test_senseless_rows_are_refused(row: tuple[Any, ...], message: str) -> None:
    """Member names go into file names: only an ipppssoot will do."""
    with pytest.raises(CorruptFile, match=message) as caught:
        read_rows("j00000010", [row])
    assert caught.value.dataset == "j00000010"


def test_exposure_listed_twice_is_refused() -> None:
    """Combining an exposure with itself would pass as a deeper image."""
    rows = [("J00000AAQ", "EXP-CRJ", True), ("j00000aaq", "EXP-CRJ", True)]
    with pytest.raises(CorruptFile, match="twice"):
        read_rows("j00000010", rows)


def test_product_row_of_an_exposure_name_is_no_duplicate() -> None:
    """A product may bear the name of the association, and of a row before it."""
    rows = [("J00000010", "PROD-DTH", True), ("J00000AAQ", "EXP-DTH", True)]
    assert read_rows("j00000010", rows).required == ("j00000aaq",)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"j[a-z0-9]{7}q", fullmatch=True),
            st.sampled_from(["EXP-CR1", "EXP-CR2", "EXP-RPT", "EXP-DTH", "EXP-FP"]),
            st.booleans(),
        ),
        unique_by=lambda row: row[0],
        min_size=1,
    ).filter(lambda rows: any(present for *_, present in rows))
)
def test_every_required_exposure_is_in_at_most_one_position(rows: list[Any]) -> None:
    """Positions divide the exposures present; only types without a position are left out."""
    table = read_rows("j00000010", rows)
    placed = [name for position in table.positions for name in position.exposures]
    assert len(placed) == len(set(placed))
    without = {m.name for m in table.exposures if m.type == "EXP-FP"}
    assert set(placed) == set(table.required) - without


def test_golden_table_reads(shared: Path) -> None:
    """A table as HSTCAL leaves it: two exposures, one product."""
    from astropy.io import fits

    path = shared / "golden" / "products" / "acs_hrc_asn" / "jh0001010_asn.fits.gz"
    with fits.open(path) as hdus:
        rows = [(r["MEMNAME"], r["MEMTYPE"], r["MEMPRSNT"]) for r in hdus["ASN"].data]

    assert read_rows("jh0001010", rows).positions == (
        Position("CR", "J", ("jh0001aaq", "jh0001abq"), "jh0001011"),
    )
