"""Dataset names: what is one, and what only looks like one."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.ids import RETIRED_BY_LETTER, DatasetId, is_run_name, parse_dataset, rootname_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("j8bt05njq", DatasetId("j8bt05njq", "ipst", "acs")),
        ("J8CB010B0", DatasetId("j8cb010b0", "ipst", "acs")),
        ("ib8t01010", DatasetId("ib8t01010", "ipst", "wfc3")),
        ("ldxt01i5q", DatasetId("ldxt01i5q", "ipst", "cos")),
        ("O4ER06llq", DatasetId("o4er06llq", "ipst", "stis")),
        ("acs_8ph_01", DatasetId("acs_8ph_01", "svm", "acs")),
        ("WFC3_ABC_Z9", DatasetId("wfc3_abc_z9", "svm", "wfc3")),
        ("skycell-p2381x06y09", DatasetId("skycell-p2381x06y09", "mvm", "mvm")),
    ],
)
def test_names_of_every_kind_are_read_in_any_case(text: str, expected: DatasetId) -> None:
    """A name gives kind and instrument, and is lower case from then on."""
    assert parse_dataset(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        # CALDP's patterns for visits and skycells are not anchored at the end: it takes these.
        "acs_8ph_01_extra",
        "acs_8ph_01 ",
        "wfc3_8ph_011",
        "acs_8ph_01/../../etc/passwd",
        "acs_8ph_01;rm -rf x",
        "acs_8ph_01\n",
        "skycell-p0081x16y14junk",
        "skycell-p0081x16y14.fits",
        "skycell-p0081x16y141",
        # Python's $ also matches before a last newline: an anchored pattern takes this one.
        "j8bt05njq\n",
        # No pattern should take these.
        "",
        " j8bt05njq",
        "j8bt05nj",
        "j8bt05njqq",
        "j8bt05njq_raw",
        "j8bt05njq_raw.fits",
        "a8bt05njq",
        "j8bt05nj-",
        "j8bt05n/q",
        "../j8bt05",
        "stis_8ph_01",
        "ACS-8ph-01",
        "skycell-p81x16y14",
        "jé bt05njq",
        "j8bt05nj\u0664",
        "\u01308bt05njq",
        "\u017fkycell-p0081x16y14",
        "j8bt05nj\x00",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    """Patterns match the whole name, ASCII only; the message repeats what was found."""
    with pytest.raises(ConfigError, match="not the name of a dataset") as caught:
        parse_dataset(text)
    assert caught.value.code == 2
    assert caught.value.found == repr(text)


@pytest.mark.parametrize(("letter", "instrument"), RETIRED_BY_LETTER.items())
def test_retired_instruments_are_called_by_name(letter: str, instrument: str) -> None:
    """A WFPC2 name is a real name: the message says which instrument, not "no name"."""
    with pytest.raises(ConfigError, match=instrument):
        parse_dataset(f"{letter}8bt05njq")


@pytest.mark.parametrize(
    ("text", "program", "visit", "association"),
    [
        ("j8bt05njq", "8bt", "05", False),
        ("j8bt05020", "8bt", "05", True),
        ("j8bt05021", "8bt", "05", True),
        ("acs_8ph_01", "8ph", "01", False),
        ("skycell-p2381x06y09", "", "", False),
    ],
)
def test_parts_of_a_name(text: str, program: str, visit: str, association: bool) -> None:
    """Program, visit, and whether an ipppssoot ends in a digit."""
    dataset = parse_dataset(text)
    assert (dataset.program, dataset.visit) == (program, visit)
    assert dataset.is_association is association


@given(st.from_regex(r"[ijloIJLO][a-zA-Z0-9]{8}", fullmatch=True))
def test_reading_twice_changes_nothing(text: str) -> None:
    """The name that comes out is itself a name, and the same one."""
    once = parse_dataset(text)
    assert parse_dataset(str(once)) == once


@given(st.text(max_size=30))
def test_whatever_is_taken_is_safe_in_a_path(text: str) -> None:
    """Any text is refused or becomes lower-case letters, digits, `_` and `-` only."""
    try:
        name = parse_dataset(text).name
    except ConfigError:
        return
    assert set(name) <= set(string.ascii_lowercase + string.digits + "_-")


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        ("j8bt05njq_flt.fits", "j8bt05010", "j8bt05njq"),
        ("previews/J8BT05NJQ_flt.jpg", "j8bt05010", "j8bt05njq"),
        ("j8bt05njq.tra", "j8bt05010", "j8bt05njq"),
        ("logs/process.txt", "j8bt05010", "j8bt05010"),
        ("j8bt05njqx_flt.fits", "j8bt05010", "j8bt05010"),
        ("j8bt05njq", "j8bt05010", "j8bt05010"),
        ("hst_8bt_05_acs_hrc_f606w_drz.fits", "acs_8bt_05", "acs_8bt_05"),
        ("u8bt05njq_flt.fits", "j8bt05010", "j8bt05010"),
        ("", "j8bt05010", "j8bt05010"),
    ],
)
def test_rootname_of_a_file(name: str, dataset: str, expected: str) -> None:
    """A file shows the ipppssoot that it begins with, and else its dataset."""
    assert rootname_of(name, dataset) == expected


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("hst_0729-1a2b", True),
        ("2026.1", True),
        ("r" * 100, True),
        ("r" * 101, False),
        ("", False),
        (".hidden", False),
        ("..", False),
        ("a/b", False),
        ("A", False),
        ("a b", False),
        ("a\n", False),
        ("é", False),
    ],
)
def test_names_of_runs(name: str, allowed: bool) -> None:
    """A run is a folder: nothing that leaves it, hides or needs quoting."""
    assert is_run_name(name) is allowed


# CALDP's patterns, which are matched at the beginning of a name only (caldp 0.2.28, process.py).
CALDP = {
    "ipst": r"^[IJLOijlo][a-zA-Z0-9]{8,8}$",
    "svm": r"[a-zA-Z0-9]{3,4}_[a-zA-Z0-9]{3}_[a-zA-Z0-9]{2}",
    "mvm": r"skycell-p[0-9]{4}x[0-9]{2}y[0-9]{2}",
}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ipst", "j8bt05njq\n"),
        ("svm", "acs_8ph_01_extra"),
        ("svm", "acs_8ph_01.fits"),
        ("svm", "acs_8ph_01/../../etc/passwd"),
        ("svm", "wfc3_8ph_01;rm -rf x"),
        ("svm", "wfc3_8ph_011"),
        ("svm", "acs_8ph_01\n"),
        ("mvm", "skycell-p0081x16y14junk"),
        ("mvm", "skycell-p0081x16y141"),
        ("mvm", "skycell-p0081x16y14/../x"),
        ("mvm", "skycell-p0081x16y14_input.out"),
        ("mvm", "skycell-p0081x16y14\n"),
    ],
)
def test_what_caldp_accepts_wrongly_is_refused(kind: str, text: str) -> None:
    """Each fits CALDP's pattern of its kind, and is a name of none here."""
    assert re.match(CALDP[kind], text)
    if kind == "svm":
        assert text.partition("_")[0] in {"acs", "wfc3"}  # CALDP's further rule
    with pytest.raises(ConfigError, match="not the name of a dataset"):
        parse_dataset(text)


@pytest.mark.parametrize("text", ["j8bt05njq", "acs_8ph_01", "skycell-p2381x06y09"])
@given(st.data())
def test_every_kind_is_anchored_at_both_ends(text: str, data: st.DataObject) -> None:
    """Any one character more, before or after, makes another thing of a name."""
    more = data.draw(st.characters())
    for longer in (text + more, more + text):
        with pytest.raises(ConfigError):
            parse_dataset(longer)
