"""From affected exposures to datasets: associations, visits, skycells, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import ledger, template, url
from hypothesis import given, settings
from hypothesis import strategies as st
from small_registry import ALONE, ASSOCIATION, EXPOSURES, RUN, fill, process, published

from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.publications import record_members
from calib.ledger.reprocessings import NewMark
from calib.records import Member
from calib.references.changes import AffectedExposure, ReferenceChange
from calib.reprocessing.selection import (
    PROBLEM,
    is_stage2_only,
    keyword_of,
    mark,
    new_references,
    select_datasets,
    select_with,
)

__all__ = ["ledger", "template", "url"]

VISIT, SKYCELL = "acs_8bt_05", "skycell-p2381x06y09"
DARK = ReferenceChange("DARKFILE", "a_drk.fits", "b_drk.fits")
OTHER_DARK = ReferenceChange("DARKFILE", "a_drk.fits", "c_drk.fits")
IDC = ReferenceChange("IDCTAB", "a_idc.fits", "b_idc.fits", stage2_only=True)


def affected(
    exposure: str, *changes: ReferenceChange, dataset: str | None = None, problem: str | None = None
) -> AffectedExposure:
    """Return an exposure whose dark changes, if nothing else is said."""
    return AffectedExposure(dataset or exposure, exposure, "acs", changes or (DARK,), problem)


def marked(ledger: Ledger, *exposures: AffectedExposure) -> dict[str, NewMark]:
    """Return marks by dataset."""
    found = ledger.ask(lambda rows: mark(exposures, rows))
    assert len({each.dataset for each in found}) == len(found)
    return {each.dataset.name: each for each in found}


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger that knows an association and an exposure."""
    fill(ledger)
    return ledger


@pytest.fixture
def with_hap(filled: Ledger) -> Ledger:
    """Return it with a visit made from the association, and a skycell made from the visit."""
    filled.ensure_run("hap", **RUN)
    flt = f"{EXPOSURES[0]}_flt.fits"
    process(filled, published("hap", VISIT, f"hst_{VISIT}_drc.fits"), [flt])
    # The small registry makes checksums of names: this input has the bytes of run hap's product.
    process(filled, published("hap", SKYCELL, f"{SKYCELL}_drc.fits"), [f"haphst_{VISIT}_drc.fits"])
    return filled


def test_a_member_marks_its_association_alone(filled: Ledger) -> None:
    """The exposure is no dataset of its own: only what holds it is made again."""
    assert [*marked(filled, affected(EXPOSURES[0]))] == [ASSOCIATION]


def test_a_member_that_is_processed_alone_too_is_marked_itself(filled: Ledger) -> None:
    """What the ledger has as a dataset is made again beside the association."""
    process(filled, published("r1", EXPOSURES[0], "x_flt.fits"), [f"{EXPOSURES[0]}_raw.fits"])
    assert [*marked(filled, affected(EXPOSURES[0]))] == [ASSOCIATION, EXPOSURES[0]]


def test_an_exposure_that_nothing_holds_is_marked(filled: Ledger) -> None:
    """An exposure in no association, known or not, is its own dataset."""
    assert [*marked(filled, affected(ALONE), affected("j9aa01abq"))] == ["j9aa01abq", ALONE]


def test_the_association_that_the_source_names_is_believed(ledger: Ledger) -> None:
    """A server or header knows associations that the ledger does not."""
    found = marked(ledger, affected("J8BT06O6Q", dataset="J8BT06040"))
    assert [*found] == ["j8bt06040"]


def test_a_subproduct_is_made_with_its_association(filled: Ledger) -> None:
    """Archives name PRODUCT:MEMBER, where the product may be a row of a larger association."""
    rows = (Member("J8BT07021", "PROD-RP1", present=True),)
    filled.write(lambda c: record_members(c, "j8bt07020", rows))
    assert [*marked(filled, affected("j8bt07nlq", dataset="j8bt07021"))] == ["j8bt07020"]


def test_absent_members_do_not_mark(filled: Ledger) -> None:
    """A row that the table marks as not present is no input."""
    rows = (Member("J9AA01ABQ", "EXP-CRJ", present=False),)
    filled.write(lambda c: record_members(c, "j9aa01010", rows))
    assert [*marked(filled, affected("j9aa01abq"))] == ["j9aa01abq"]


def test_names_of_files_are_exposures(filled: Ledger) -> None:
    """The ledger names exposures by their files."""
    file = affected(f"{EXPOSURES[1]}_raw.fits", dataset=ASSOCIATION)
    assert [*marked(filled, file)] == [ASSOCIATION]


def test_hap_products_follow_by_visit_and_by_lineage(with_hap: Ledger) -> None:
    """The visit by its name, the skycell since it was made from the visit's product."""
    found = marked(with_hap, affected(EXPOSURES[1], DARK, IDC))
    assert {name: each.wave for name, each in found.items()} == {
        ASSOCIATION: 1,
        VISIT: 2,
        SKYCELL: 3,
    }
    assert len({str(each.changes) for each in found.values()}) == 1


def test_a_visit_that_nobody_made_is_not_invented(filled: Ledger) -> None:
    """Only datasets that the ledger knows are marked beyond what was asked."""
    assert VISIT not in marked(filled, affected(EXPOSURES[0]))


def test_members_that_change_otherwise_keep_both_changes(filled: Ledger) -> None:
    """No new reference of any exposure is lost where one dataset holds several."""
    one, two = affected(EXPOSURES[0]), affected(EXPOSURES[1], OTHER_DARK, IDC)
    changes = marked(filled, one, two)[ASSOCIATION].changes
    assert new_references(changes) == {"b_drk.fits", "c_drk.fits", "b_idc.fits"}
    assert [*changes] == ["DARKFILE", "DARKFILE 2", "IDCTAB/stage 2"]
    assert {keyword_of(key) for key in changes} == {"DARKFILE", "IDCTAB"}
    assert not is_stage2_only(changes)


def test_stage_2_only(ledger: Ledger) -> None:
    """A dataset for which only drizzle's files change says so in every key."""
    (one,) = marked(ledger, affected(ALONE, IDC)).values()
    assert is_stage2_only(one.changes)


def test_a_problem_is_kept_and_is_no_reference(ledger: Ledger) -> None:
    """What cannot be compared is processed again, with the reason beside it."""
    one = marked(ledger, AffectedExposure(ALONE, ALONE, "acs", (), "no CCDGAIN"))[ALONE]
    assert one.changes == {PROBLEM: ("no CCDGAIN", None)}
    assert one.left_out is None
    assert new_references(one.changes) == set()


def test_retired_instruments_are_told() -> None:
    """A server has exposures of WFPC2: no dataset here, but not forgotten."""
    found = select_datasets([affected("u2440101t"), affected(ALONE)], None)
    assert [each.dataset.name for each in found.marks] == [ALONE]
    assert "WFPC2" in found.strange["u2440101t"]


def test_links_say_what_marks_what(with_hap: Ledger) -> None:
    """Types point at exposures, those at associations, those at visits, those at skycells."""
    found = with_hap.ask(lambda rows: select_datasets([affected(EXPOSURES[0])], rows))
    assert {
        ("ACS DARKFILE", EXPOSURES[0]),
        (EXPOSURES[0], ASSOCIATION),
        (ASSOCIATION, VISIT),
        (VISIT, SKYCELL),
    } <= found.links


def test_named_datasets_bring_what_was_made_from_them(with_hap: Ledger) -> None:
    """Everything with a reference: the publications, then visits and skycells."""
    found = with_hap.ask(lambda rows: select_with({ASSOCIATION: [DARK]}, rows))
    assert [each.dataset.name for each in found.marks] == [ASSOCIATION, VISIT, SKYCELL]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Return a ledger that holds some of the exposures that are drawn."""
    with open_ledger(str(tmp_path_factory.mktemp("known") / "ledger.db")) as opened:
        for number in range(3):
            rows = [
                Member(f"JAAA0{number}0{last}Q", "EXP-DTH", present=last != "C") for last in "ABC"
            ]
            opened.write(lambda c, n=number, r=rows: record_members(c, f"jaaa0{n}010", r))
        yield opened


LETTERS = st.sampled_from("abcd")
NAMES = st.builds(lambda n, last: f"jaaa0{n}0{last}q", st.integers(0, 3), LETTERS)
EXPOSED = st.builds(
    lambda name, changes, own: affected(name, *changes, dataset=name if own else f"{name[:6]}010"),
    NAMES,
    st.lists(st.sampled_from([DARK, OTHER_DARK, IDC]), min_size=1, max_size=3, unique=True),
    st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(exposures=st.lists(EXPOSED, max_size=8), data=st.data())
def test_nothing_is_lost_and_order_does_not_matter(
    known: Ledger, exposures: list[AffectedExposure], data: st.DataObject
) -> None:
    """Every exposure is in a marked dataset with all its changes, whatever the order."""
    found = known.ask(lambda rows: select_datasets(exposures, rows))
    again = data.draw(st.permutations(exposures))
    assert known.ask(lambda rows: select_datasets(again, rows)) == found
    assert [(m.wave, m.dataset) for m in found.marks] == sorted(
        {(m.wave, m.dataset) for m in found.marks}
    )
    pairs = {each.dataset.name: set(each.changes.values()) for each in found.marks}
    for each in exposures:
        own = {(c.old, c.new) for c in each.changes}
        holders = {other for one, other in found.links if one == each.exposure}
        assert any(own <= pairs.get(name, set()) for name in {*holders, each.exposure})
        assert each.dataset == each.exposure or own <= pairs[each.dataset]


def test_many_exposures_are_asked_for_in_portions(tmp_path: Path) -> None:
    """Twelve hundred names are no question that a database refuses."""
    names = [f"j{n // 36**2 % 36:01d}aa{n % 10}{n // 10 % 10}{n // 100:02d}q" for n in range(1200)]
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        found = opened.ask(lambda rows: mark(map(affected, names), rows))
    assert {each.dataset.name for each in found} == set(names)
