"""Which exposures are combined, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from associations import MEMBERS, PAIR, PRODUCT, REPEATS, describe

from calib.association import read_rows
from calib.engines.groups import check_headers, combines, find_groups
from calib.errors import CorruptFile, DataError, HstflowError, MissingMember, UnsupportedMode
from calib.records import RawInputs

TWO_POSITIONS = (
    ("j8zz01aaq", "EXP-CR1"),
    ("j8zz01acq", "EXP-CR2"),
    ("j8zz01abq", "EXP-CR1"),
    ("j8zz01011", "PROD-CR1"),
    ("j8zz01adq", "EXP-CR2"),
    ("j8zz01021", "PROD-CR2"),
    ("j8zz01aeq", "EXP-DTH"),
    ("j8zz01010", "PROD-DTH"),
)
ALIKE = ("CCDGAIN", "FILTER1")


def inputs(folder: Path, rows: Any, absent: tuple[str, ...] = ()) -> RawInputs:
    """Return inputs of an association; the raws are empty files."""
    files = []
    for name, kind in rows:
        if not kind.startswith("PROD") and name not in absent:
            path = folder / f"{name}_raw.fits"
            path.touch()
            files.append(describe(path, "raw"))
    members = read_rows("j8zz01010", [(name, kind, True) for name, kind in rows]).members
    return RawInputs("j8zz01010", "file", tuple(files), members)


def test_each_position_is_a_group(tmp_path: Path) -> None:
    """CR1 and CR2 become a product each; the dithered exposure belongs to none."""
    one, two = find_groups(inputs(tmp_path, TWO_POSITIONS))
    assert [file.rootname for file in one.files] == ["j8zz01aaq", "j8zz01abq"]
    assert [file.rootname for file in two.files] == ["j8zz01acq", "j8zz01adq"]
    assert (one.file_name, two.file_name) == ("j8zz01011_crj.fits", "j8zz01021_crj.fits")
    assert (two.member_type, two.switch) == ("PROD-CR2", "CRCORR")


def test_repeats_have_their_own_suffix_and_switch(tmp_path: Path) -> None:
    """EXP-RPT becomes an sfl by RPTCORR."""
    (group,) = find_groups(inputs(tmp_path, REPEATS))
    assert (group.file_name, group.switch) == ("j8zz01011_sfl.fits", "RPTCORR")


def test_nothing_to_combine() -> None:
    """A lone exposure, and a pattern of dithered ones."""
    dithered = read_rows("j8zz01010", [("j8zz01aaq", "EXP-DTH", True)]).members
    assert find_groups(RawInputs("j8zz01aaq", "file", ())) == ()
    assert find_groups(RawInputs("j8zz01010", "file", (), dithered)) == ()
    assert not combines(dithered)
    assert not combines(())
    assert combines(read_rows("j8zz01010", [(*row, True) for row in PAIR]).members)


@pytest.mark.parametrize(
    ("rows", "absent", "kind", "match"),
    [
        (PAIR, MEMBERS[1:], MissingMember, "position CRJ are not among.*j8zz01abq"),
        (PAIR[1:], (), DataError, "too few"),
        (PAIR[:2], (), CorruptFile, "names no product.*PROD-CRJ"),
        (
            ((MEMBERS[0], "EXP-CR1"), (MEMBERS[1], "EXP-CR1"), (PRODUCT, "PROD-CR1"),
             ("j8zz01acq", "EXP-CR2"), ("j8zz01adq", "EXP-CR2"), (PRODUCT, "PROD-CR2")),
            (), CorruptFile, "one product",
        ),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_followed(
    tmp_path: Path, rows: Any, absent: tuple[str, ...], kind: type[HstflowError], match: str
) -> None:
    """Said with the association and the position."""
    with pytest.raises(kind, match=match) as caught:
        find_groups(inputs(tmp_path, rows, absent))
    assert caught.value.dataset == "j8zz01010"


@pytest.mark.parametrize(
    ("first", "match"),
    [
        ({"CRCORR": "OMIT"}, "disagree.*CRCORR PERFORM alone.*neither"),
        ({"CRCORR": "PERFORM", "RPTCORR": "PERFORM"}, "disagree.*CRCORR PERFORM and RPTCORR"),
        ({"CRCORR": "OMIT", "RPTCORR": "PERFORM"}, "disagree"),
        ({"CRCORR": "PERFORM", "CCDGAIN": 4}, "differ in CCDGAIN.*j8zz01aaq 4, j8zz01abq 2"),
        ({"CRCORR": "PERFORM", "FILTER1": ""}, "differ in FILTER1.*absent.*F555W"),
    ],
)
def test_headers_that_contradict(tmp_path: Path, first: dict[str, Any], match: str) -> None:
    """The first header against the table, and all against each other."""
    (group,) = find_groups(inputs(tmp_path, PAIR))
    plain = {"CCDGAIN": 2, "FILTER1": "F555W"}
    with pytest.raises(UnsupportedMode, match=match):
        check_headers(group, [{**plain, **first}, plain], ALIKE)


def test_equal_values_may_be_written_differently(tmp_path: Path) -> None:
    """2 and 2.0, case and blanks are no difference; the switch of the first one counts."""
    (group,) = find_groups(inputs(tmp_path, PAIR))
    first = {"CRCORR": "PERFORM", "CCDGAIN": 2, "FILTER1": "F555W"}
    check_headers(group, [first, {"CCDGAIN": 2.0, "FILTER1": "f555w  "}], ALIKE)
