"""Exposures that nobody can tell about count as affected, and say why; others stay out of it."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

import pytest
from crds_bestrefs import only_acs

from calib.errors import WorkerLost
from calib.references import comparison
from calib.references.comparison import compare_contexts, compare_source
from calib.references.profile import CrdsProfile

NEW = "hst_0729.pmap"
WFC_DARK = ("hst_0632.pmap", "hst_0633.pmap")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"TIME-OBS": "UNDEFINED"}, "undefined"),
        ({"DETECTOR": "UNDEFINED"}, "undefined"),
        ({"CCDAMP": "UNDEFINED"}, "undefined"),
    ],
)
def test_what_neither_rules_can_tell_is_no_silence(
    real: CrdsProfile, changes: dict[str, str], word: str
) -> None:
    """An exposure that lacks what the rules match with counts as affected, and says why."""
    (found,) = compare_contexts(real, *WFC_DARK, [only_acs(**changes)])
    assert word in str(found.problem)


def test_value_that_no_rules_know_changes_nothing(real: CrdsProfile) -> None:
    """A known value without a case has no file in either context: there is nothing to do."""
    asked = only_acs(CCDAMP="ZZ", BIASCORR="OMIT")
    assert list(compare_contexts(real, *WFC_DARK, [asked])) == []


def test_recorded_not_found_is_no_match(real: CrdsProfile) -> None:
    """What the ledger keeps of a type without a match differs from no match in no way."""
    asked = only_acs(PFLTFILE="NOT FOUND", DETECTOR="WFC", FILTER1="NONE", FILTER2="NONE")
    found = list(compare_source(real, NEW, [asked]))
    keywords = {each.keyword for one in found for each in one.changes}
    assert "PFLTFILE" not in keywords


def test_killed_process_is_named(real: CrdsProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that the system kills is one error in words, not a broken pool."""

    def broken(*_given: object) -> None:
        raise BrokenProcessPool("a child is gone")

    monkeypatch.setattr(comparison.ProcessPoolExecutor, "submit", broken)
    with pytest.raises(WorkerLost, match="was killed"):
        list(compare_contexts(real, *WFC_DARK, [only_acs()], processes=2))
