"""The datasets that run first: few, for every changed type, and the same each time."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.ledger.reprocessing_reports import Mark
from calib.reprocessing.canaries import canaries_of, choose_canaries, types_of

KEYWORDS = ("BIASFILE", "DARKFILE", "PFLTFILE", "MDRIZTAB/stage 2")


def mark(name: str, *keywords: str, wave: int = 1, left_out: str | None = None) -> Mark:
    """Return a dataset of ACS for which these types change."""
    changes = dict.fromkeys(keywords, ("old.fits", "new.fits"))
    return Mark(name, "ipst", "acs", wave, is_canary=False, changes=changes, left_out=left_out)


@st.composite
def marked(draw: st.DrawFn) -> list[Mark]:
    """Return a strategy of some marks of two instruments and three waves."""
    found = []
    for number in range(draw(st.integers(0, 25))):
        keywords = draw(st.sets(st.sampled_from(KEYWORDS)))
        wave, gone = draw(st.integers(1, 3)), draw(st.sampled_from([None, None, "no input"]))
        one = mark(f"j{number:08d}", *sorted(keywords), wave=wave, left_out=gone)
        instrument = draw(st.sampled_from(["acs", "wfc3"]))
        found.append(Mark(**{**vars(one), "instrument": instrument}))
    return found


@given(marked(), st.integers(1, 3))
def test_every_type_is_shown_often_enough(marks: list[Mark], per_type: int) -> None:
    """In the first wave that has it, by as many as asked or as there are; by none left out."""
    chosen = set(choose_canaries(marks, per_type))
    by_name = {one.dataset: one for one in marks}
    assert all(by_name[name].left_out is None for name in chosen)
    going = [one for one in marks if one.left_out is None]
    for each in {each for one in going for each in types_of(one)}:
        waves = Counter(one.wave for one in going if each in types_of(one))
        first = min(waves)
        shown = [n for n in chosen if each in types_of(by_name[n]) and by_name[n].wave == first]
        assert len(shown) >= min(per_type, waves[first])


@given(marked(), st.randoms())
def test_none_could_be_spared_for_nothing_and_order_does_not_count(
    marks: list[Mark], chance: random.Random
) -> None:
    """No more than the types ask for; the same marks in another order give the same."""
    chosen = choose_canaries(marks, 2)
    going = [one for one in marks if one.left_out is None]
    types = {each for one in going for each in types_of(one)}
    assert len(chosen) == len(set(chosen)) <= 2 * len(types)
    shuffled = list(marks)
    chance.shuffle(shuffled)
    assert choose_canaries(shuffled, 2) == chosen


def test_one_dataset_serves_for_all_of_its_types() -> None:
    """Three types and a dataset that shows all of them: it alone runs."""
    marks = [mark("a", "BIASFILE"), mark("b", "BIASFILE", "DARKFILE", "PFLTFILE")]
    assert choose_canaries([*marks, mark("c", "DARKFILE")], 1) == ["b"]


def test_the_smaller_one_is_taken() -> None:
    """Where sizes are known; one that is not known comes last."""
    marks = [mark(name, "BIASFILE") for name in ("a", "b", "c")]
    assert choose_canaries(marks, 1) == ["a"]
    assert choose_canaries(marks, 1, sizes={"b": 30, "c": 20}) == ["c"]


def test_a_hundred_thousand_marks_are_no_trouble() -> None:
    """The choice is made among the different ones alone."""
    marks = [mark(f"j{number:08d}", KEYWORDS[number % 3]) for number in range(20_000)]
    assert choose_canaries(marks) == [f"j{number:08d}" for number in range(6)]


def test_none_for_a_type_is_refused() -> None:
    """A canary run of nothing shows nothing."""
    with pytest.raises(ConfigError, match="a type needs a dataset"):
        choose_canaries([], 0)


def test_where_no_type_tells_some_of_each_kind_run_first() -> None:
    """A list names no change: exposures and associations; none left out, of no later wave."""
    names = ("j8bt05njq", "j8bt06o6q", "j8bt07o6q", "j8bt05010", "j8bt06010")
    marks = [*map(mark, names), mark("j8bt01o6q", left_out="why"), mark("acs_8bt_05", wave=2)]
    assert canaries_of(marks, 1) == ["j8bt05010", "j8bt05njq"]
    assert canaries_of(marks[::-1]) == ["j8bt05010", "j8bt05njq", "j8bt06010", "j8bt06o6q"]
    assert canaries_of([*marks, mark("j8bt08o6q", "DARKFILE")]) == ["j8bt08o6q"]
    assert canaries_of(marks, 0) == []
