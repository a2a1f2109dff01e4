"""Calibration collections: ranges never overlap, and cutting them leaves the rest."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.ledger.calibrations import (
    Certification,
    calibrations_in,
    list_calibrations,
    valid_at,
)
from calib.ledger.holdings import list_collections
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reading import open_reader
from calib.ledger.validity import certify, decertify

BIAS = Certification("acs", "HRC", "BIASFILE", "my_bia.fits", "a" * 40, "file:/lab/my_bia.fits")
EARLY = replace(BIAS, begins_at="2002", ends_at="2004-06")


def put(ledger: Ledger, *wanted: Certification, name: str = "lab") -> int:
    """Certify in one transaction."""
    return ledger.write(lambda c: certify(c, name, wanted))


def cut(ledger: Ledger, **asked: Any) -> int:
    """Decertify biases in one transaction."""
    return ledger.write(lambda c: decertify(c, "lab", **{"keyword": "BIASFILE", **asked}))


def ranges(ledger: Ledger) -> list[tuple[str, str | None, str | None]]:
    """Return reference, begin and end of everything in the collection."""
    found = ledger.ask(lambda rows: calibrations_in(rows, "lab"))
    return [(each.reference, each.begins_at, each.ends_at) for each in found]


def chosen(ledger: Ledger, at: str, detector: str = "HRC", instrument: str = "acs") -> list[str]:
    """Return the names of what is valid for an exposure."""
    words = {"instrument": instrument, "detector": detector, "observed_at": at}
    found = ledger.ask(lambda rows: valid_at(calibrations_in(rows, "lab"), **words))
    return [each.reference for each in found.values()]


def test_a_file_with_two_ranges_is_one_reference(ledger: Ledger) -> None:
    """Both lists of collections count the same."""
    assert put(ledger, EARLY, replace(BIAS, begins_at="2005")) == 2
    (one,) = ledger.ask(list_calibrations)
    (same,) = ledger.ask(list_collections)
    assert (one.references, same.number) == (1, 1)


def test_ranges_are_half_open(ledger: Ledger) -> None:
    """The first moment is in, the last is out; dates are kept in the form that sorts."""
    late = replace(BIAS, reference="b_bia.fits", uri="file:/lab/b_bia.fits", begins_at="2004-06")
    assert put(ledger, EARLY, late) == 2
    assert ranges(ledger) == [
        ("my_bia.fits", "2002-01-01T00:00:00", "2004-06-01T00:00:00"),
        ("b_bia.fits", "2004-06-01T00:00:00", None),
    ]
    assert chosen(ledger, "2001-12-31T23:59:59.9") == []
    assert chosen(ledger, "2002") == chosen(ledger, "2004-05-31T23:59:59.999") == ["my_bia.fits"]
    assert chosen(ledger, "2004-06-01") == chosen(ledger, "2040") == ["b_bia.fits"]


def test_instrument_and_detector_count(ledger: Ledger) -> None:
    """A reference is for its detector, or for any of its instrument."""
    table = replace(BIAS, keyword="CRREJTAB", reference="c.fits", uri="file:/c.fits", detector="")
    put(ledger, EARLY, table)
    assert chosen(ledger, "2003", "hrc", "ACS") == ["my_bia.fits", "c.fits"]
    assert chosen(ledger, "2003", "WFC") == ["c.fits"]
    assert chosen(ledger, "2003", "HRC", "wfc3") == []


def test_same_again_changes_nothing_but_the_place(ledger: Ledger) -> None:
    """Certifying twice is harmless; a file that was moved is found where it is now."""
    assert (put(ledger, EARLY), put(ledger, EARLY, EARLY)) == (1, 0)
    assert put(ledger, replace(EARLY, uri="file:///new/my_bia.fits")) == 0
    (found,) = ledger.ask(lambda rows: calibrations_in(rows, "lab"))
    assert (found.path, found.begins_at) == ("/new/my_bia.fits", "2002-01-01T00:00:00")


@pytest.mark.parametrize(
    "change",
    [
        {"begins_at": "2004-05-31T23:59:59", "ends_at": None},
        {"begins_at": None, "ends_at": None},
        {"begins_at": "2003", "ends_at": "2003-02"},
        {"detector": ""},
        {"sha1": "b" * 40},
    ],
)
def test_overlap_is_refused_with_both_names(ledger: Ledger, change: dict[str, Any]) -> None:
    """Nothing of the whole call is kept, and the message names both references."""
    put(ledger, EARLY)
    other = replace(EARLY, reference="other.fits", uri="file:/other.fits", **change)
    free = replace(EARLY, keyword="DARKFILE")
    with pytest.raises(ConfigError, match=r"my_bia\.fits as BIASFILE.*other\.fits as BIASFILE"):
        put(ledger, free, other)
    assert len(ranges(ledger)) == 1


def test_overlap_within_one_call_is_refused(ledger: Ledger) -> None:
    """Two new references may not meet either, and then there is no collection."""
    with pytest.raises(ConfigError, match="at once"):
        put(ledger, EARLY, replace(BIAS, sha1="b" * 40))
    assert ledger.ask(list_calibrations) == []


@pytest.mark.parametrize(
    ("begins", "ends", "left"),
    [
        (None, None, []),
        ("2003", "2004", [("2002", "2003"), ("2004", "2004-06")]),
        (None, "2003", [("2003", "2004-06")]),
        ("2003", None, [("2002", "2003")]),
        ("2001", "2030", []),
        ("2002", "2003", [("2003", "2004-06")]),
        ("2004-06", "2030", [("2002", "2004-06")]),
        ("2001", "2002", [("2002", "2004-06")]),
    ],
)
def test_cut_leaves_what_is_outside(
    ledger: Ledger, begins: str | None, ends: str | None, left: list[tuple[str, str]]
) -> None:
    """A range is cut at either end, in two, away, or not at all."""
    put(ledger, EARLY)
    number = cut(ledger, begins=begins, ends=ends)
    found = [(b or "", e or "") for _, b, e in ranges(ledger)]
    full = {"2002": "2002-01", "2003": "2003-01", "2004": "2004-01"}
    expected = [[f"{full.get(d, d)}-01T00:00:00" for d in pair] for pair in left]
    assert [list(pair) for pair in found] == expected
    assert number == (left != [("2002", "2004-06")])


def test_cut_minds_detector_and_keyword(ledger: Ledger) -> None:
    """Only what was named is cut; out of "any detector" no single one can be cut."""
    wfc, dark = replace(EARLY, detector="WFC"), replace(EARLY, keyword="DARKFILE")
    put(ledger, EARLY, wfc, dark, replace(EARLY, keyword="CRREJTAB", detector=""))
    assert cut(ledger, detector="hrc") == 1
    assert cut(ledger, instrument="wfc3") == 0
    with pytest.raises(ConfigError, match="any detector"):
        cut(ledger, keyword="CRREJTAB", detector="HRC")
    assert cut(ledger, keyword="CRREJTAB", detector="") == 1
    found = ledger.ask(lambda rows: calibrations_in(rows, "lab"))
    assert [(each.keyword, each.detector) for each in found] == [
        ("BIASFILE", "WFC"),
        ("DARKFILE", "HRC"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"uri": "s3://bucket/my_bia.fits"}, "engines read rows"),
        ({"uri": "file:my_bia.fits"}, "whole path"),
        ({"uri": "file:/lab/other.fits"}, "whole path"),
        ({"uri": "my_bia.fits"}, "begins with its kind"),
        ({"reference": "../x.fits", "uri": "file:/x.fits"}, "whole path"),
        ({"reference": "a b.fits", "uri": "file:/a b.fits"}, "usable reference"),
        ({"keyword": "BIASFILE; DROP"}, "usable keyword"),
        ({"keyword": ""}, "usable keyword"),
        ({"instrument": ""}, "usable instrument"),
        ({"detector": "A/B"}, "usable detector"),
        ({"sha1": "abc"}, "usable sha1"),
        ({"begins_at": "soon"}, "not a date"),
        ({"begins_at": "2004", "ends_at": "2004"}, "ends after it begins"),
        ({"begins_at": "2005", "ends_at": "2004"}, "ends after it begins"),
    ],
)
def test_bad_certification_is_refused(ledger: Ledger, change: dict[str, Any], message: str) -> None:
    """What cannot be used later never enters the ledger."""
    with pytest.raises(ConfigError, match=message):
        put(ledger, replace(BIAS, **change))


@pytest.mark.parametrize("name", ["", "Lab", "../lab", "a/b", ".lab", "none", "x" * 101, "l\n"])
def test_bad_name_is_refused(ledger: Ledger, name: str) -> None:
    """A collection is named as a run is."""
    with pytest.raises(ConfigError, match="not a name"):
        put(ledger, BIAS, name=name)


def test_one_name_space(ledger: Ledger, dataset: DatasetId) -> None:
    """Neither a run, nor a job's run to be, nor a chain has the name of a collection."""
    place = {"context": "c", "engine": "e", "engine_version": "1", "output": "file:/o"}
    ledger.ensure_run("r1", parameters={}, **place)
    ledger.plan("adhoc", [dataset], "r2", context="c")
    ledger.write(lambda c: certify(c, "lab", [BIAS]))
    change = "UPDATE collection SET kind = 'chain' WHERE name = 'lab'"
    ledger.write(lambda c: c.exec_driver_sql(change))
    for name, message in {
        "r1": "a run has",
        "r2": "a run has",
        "lab": "a chain has this name",
    }.items():
        with pytest.raises(ConfigError, match=message):
            put(ledger, BIAS, name=name)
    for name in ("lab", "absent"):
        with pytest.raises(ConfigError, match="no such calibration collection"):
            ledger.ask(lambda rows, name=name: calibrations_in(rows, name))
        with pytest.raises(ConfigError, match="no such calibration collection"):
            ledger.write(lambda c, name=name: decertify(c, name, keyword="BIASFILE"))


def test_collections_are_listed_with_notes(ledger: Ledger) -> None:
    """A note stays until another is given; an emptied collection is still there."""
    ledger.write(lambda c: certify(c, "lab", [EARLY], note="Tests of June"))
    put(ledger, replace(BIAS, begins_at="2010"))
    (found,) = ledger.ask(list_calibrations)
    assert (found.name, found.note, found.references) == ("lab", "Tests of June", 1)
    assert cut(ledger) == 2
    (found,) = ledger.ask(list_calibrations)
    assert found.references == 0


YEARS = list(range(2000, 2006))
DETECTORS = ["HRC", "WFC", ""]
Moment = tuple[str, int]  # a detector, and a year from its first of January on
ends_of = st.one_of(st.none(), st.sampled_from(YEARS))
actions = st.lists(
    st.tuples(st.booleans(), st.sampled_from("ab"), st.sampled_from(DETECTORS), ends_of, ends_of),
    max_size=12,
)
_numbers = itertools.count()


def moments(detector: str, first: int | None, end: int | None) -> set[Moment]:
    """Return the detectors and years that a range covers; 1999 stands for all before."""
    names = [detector] if detector else ["HRC", "WFC"]
    years = range(1999 if first is None else first, 2007 if end is None else end)
    return {(name, year) for name in names for year in years}


class Model:
    """Which reference is valid when, moment by moment, and for which detectors it was meant."""

    def __init__(self) -> None:
        self.valid: dict[Moment, tuple[str, str]] = {}

    def certify(self, name: str, detector: str, wanted: set[Moment]) -> bool:
        """Enter a reference unless another is valid somewhere in it."""
        if wanted & self.valid.keys():
            return False
        self.valid |= dict.fromkeys(wanted, (name, detector))
        return True

    def decertify(self, detector: str, wanted: set[Moment]) -> bool:
        """Remove a range from the references for a detector ('': for any)."""
        inside = {moment: self.valid[moment] for moment in wanted & self.valid.keys()}
        if detector and any(meant == "" for _, meant in inside.values()):
            return False
        for moment, (_, meant) in inside.items():
            if meant == detector:
                del self.valid[moment]
        return True


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=actions)
def test_any_sequence_is_as_the_model_says(ledger: Ledger, asked: list[Any]) -> None:
    """Certify and decertify in any order: the answer at every moment is the model's, and one."""
    name, model = f"c{next(_numbers)}", Model()
    ledger.write(lambda c: certify(c, name, []))
    for is_new, letter, detector, first, end in asked:
        begins, ends = (None if each is None else str(each) for each in (first, end))
        wanted = moments(detector, first, end)
        each = replace(BIAS, detector=detector, sha1=letter * 40, begins_at=begins, ends_at=ends)

        def work(c: Any, each: Certification = each, is_new: bool = is_new) -> int:
            if is_new:
                return certify(c, name, [each])
            words = {"begins": each.begins_at, "ends": each.ends_at, "detector": each.detector}
            return decertify(c, name, keyword="BIASFILE", **words)

        before = ledger.ask(lambda rows: calibrations_in(rows, name))
        try:
            ledger.write(work)
            agreed = True
        except ConfigError:
            agreed = False
        if first is not None and end is not None and first >= end:
            assert not agreed
        elif is_new:
            again = any(replace(each, **dated(first, end)) == old for old in before)
            assert agreed == (again or model.certify(letter, detector, wanted))
        else:
            assert agreed == model.decertify(detector, wanted)
        check_against(ledger, name, model)


def dated(first: int | None, end: int | None) -> dict[str, str | None]:
    """Return a range as the ledger has it."""
    texts = [None if each is None else f"{each}-01-01T00:00:00" for each in (first, end)]
    return {"begins_at": texts[0], "ends_at": texts[1]}


def check_against(ledger: Ledger, name: str, model: Model) -> None:
    """Compare the answer for every detector and year, and find no two valid at once."""
    found = ledger.ask(lambda rows: calibrations_in(rows, name))
    for detector, year in itertools.product(["HRC", "WFC"], range(1999, 2007)):
        at = f"{year}-05-05T00:00:00"
        valid = [each.sha1[0] for each in found if each.is_for("acs", detector, at)]
        expected = model.valid.get((detector, year))
        assert valid == ([] if expected is None else [expected[0]])


def test_of_two_at_once_one_wins(url: str, ledger: Ledger) -> None:
    """Two users certify overlapping references at the same moment: one is told so."""
    start = threading.Barrier(2)

    def certify_one(letter: str) -> bool:
        with open_ledger(url) as own:
            start.wait(timeout=30)
            try:
                put(own, replace(BIAS, sha1=letter * 40))
            except ConfigError:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(certify_one, "ab")) == [False, True]
    assert len(ranges(ledger)) == 1


def test_reader_gives_the_same(url: str, ledger: Ledger) -> None:
    """Planning reads without opening the ledger for writing, on every database."""
    put(ledger, EARLY)
    with open_reader(url) as rows:
        assert rows is not None
        assert calibrations_in(rows, "lab") == ledger.ask(lambda r: calibrations_in(r, "lab"))
        assert [each.name for each in list_calibrations(rows)] == ["lab"]
