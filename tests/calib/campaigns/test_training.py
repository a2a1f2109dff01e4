"""Learning what datasets cost: a known law is found again, with few, wrong and partial examples."""

from __future__ import annotations

import dataclasses
import math

import pytest
from cost_history import GB, HRC_MB, RUNGS, WFC_MB, frame, made_history, three_times
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.campaigns.formula import formula_of
from calib.campaigns.model import KNOWN_FACTOR, MARGIN_FACTOR, UNKNOWN_FACTOR, expected, predict
from calib.campaigns.training import train
from calib.cost_model import Example, Features, Law
from calib.ids import parse_dataset

SHAPES = [frame(n, mb, drizzle=d) for n in (1, 2) for mb in (HRC_MB, WFC_MB) for d in (False, True)]


def memory_law(history: list[Example]) -> Law:
    """Return what is learned about memory."""
    return train(history, RUNGS).model.laws["memory"]


def off(law: Law, features: Features) -> float:
    """Return how far a law is from the known one, as a share."""
    truth = three_times(formula_of("memory", features, "acs"), features)
    return abs(expected("memory", features, "acs", law, margin=False) / truth - 1)


@pytest.mark.parametrize(("number", "most"), [(10, 0.5), (40, 0.15), (500, 0.05)])
def test_known_law_is_found_again(number: int, most: float) -> None:
    """Ten examples already help, where the formula is off by 67 to 78 %; hundreds pin it down."""
    law = memory_law(made_history(number))
    assert max(off(law, shape) for shape in SHAPES) < most


def test_power_of_size_is_found_again() -> None:
    """Costs that grow less than the formula with size have a slope that says so."""
    history = made_history(300, lambda formula, _: 1e9 * (formula / 1.3e9) ** 0.5, scatter=0.02)
    assert memory_law(history).terms["size"] == pytest.approx(-0.5, abs=0.1)


def test_costs_that_fall_with_size_are_not_followed() -> None:
    """A history in which large frames need less gives a flat law, never a falling one."""
    law = memory_law(made_history(100, lambda formula, _: 1e18 / formula))
    assert law.terms["size"] >= -1


def test_nothing_known() -> None:
    """Without any example there is no law, and it is said once."""
    found = train([], RUNGS)
    assert (found.examples, found.datasets, found.model.laws) == (0, 0, {})
    (note,) = found.notes
    assert "0 of 10 datasets" in note


def test_few_examples_keep_the_formula() -> None:
    """Nine datasets teach nothing, and the note says how many there are."""
    found = train(made_history(9), RUNGS)
    assert not found.model.laws
    assert "memory, calibrate: measured for 9 of 10 datasets" in found.notes[0]


def test_one_dataset_many_times_is_one() -> None:
    """A dataset that was processed a hundred times says nothing about others."""
    history = [dataclasses.replace(e, dataset="j8bt05njq") for e in made_history(100)]
    assert not train(history, RUNGS).model.laws


@pytest.mark.parametrize("factor", [1000.0, 0.001])
@pytest.mark.parametrize("number", [20, 100])
def test_one_example_that_is_wrong_by_a_thousand(number: int, factor: float) -> None:
    """An outlier moves predictions by less than a tenth more, and the margin hardly."""
    history = made_history(number)
    wrong = dict(history[3].costs)
    wrong["memory"] *= factor
    spoiled = [*history[:3], dataclasses.replace(history[3], costs=wrong), *history[4:]]
    clean, law = memory_law(history), memory_law(spoiled)
    for shape in SHAPES:
        both = [expected("memory", shape, "acs", each, margin=False) for each in (clean, law)]
        assert both[1] == pytest.approx(both[0], rel=0.1)
    assert law.margin < clean.margin + math.log(1.5)


def test_margin_covers_nineteen_of_twenty() -> None:
    """Of new datasets of the same law no more than some percent need more than predicted."""
    law = memory_law(made_history(300, scatter=0.3))
    new = made_history(1001, scatter=0.3)
    short = [e for e in new if expected("memory", e.features, "acs", law) < e.costs["memory"]]
    assert 0.01 < len(short) / len(new) < 0.09


def test_errors_are_of_datasets_that_were_not_seen() -> None:
    """The reported error is that of new examples, and far below that of the formula."""
    law = memory_law(made_history(200, scatter=0.2))
    new = [
        abs(expected("memory", e.features, "acs", law, margin=False) / e.costs["memory"] - 1)
        for e in made_history(1001, scatter=0.2)
    ]
    assert law.after.median == pytest.approx(sorted(new)[500], rel=0.3)
    assert law.before.median > 3 * law.after.median


def test_rungs_before_and_after() -> None:
    """The formula puts most on a rung that is too low; the law hardly any."""
    law = memory_law(made_history(300))
    assert law.before.too_low is not None
    assert law.before.too_low > 0.4
    assert law.after.too_low is not None
    assert law.after.too_low < 0.03
    assert law.after.right_rung is not None
    assert law.before.right_rung is not None
    assert law.after.right_rung > law.before.right_rung
    assert train(made_history(300), RUNGS).model.laws["calibrate"].after.right_rung is None


def test_formula_that_is_right_stays() -> None:
    """Noise around the formula is not learned: no terms, and a margin for the noise."""
    law = memory_law(made_history(30, lambda formula, _: formula, scatter=0.5))
    shape = frame()
    assert expected("memory", shape, "acs", law, margin=False) == pytest.approx(
        formula_of("memory", shape, "acs"), rel=0.3
    )
    assert math.exp(law.margin) > 1.5


def test_too_little_memory_is_a_bound() -> None:
    """Attempts that ran out of memory raise a prediction that says less, and no other."""
    history = made_history(40, lambda formula, _: formula, scatter=0.02)
    base = memory_law(history)
    hungry = frame(4, WFC_MB, drizzle=True)
    for granted, raises in ((100_000, False), (8 * GB, True)):
        died = [Example(f"j{number:07d}z", "acs", hungry, at_least=granted) for number in range(40)]
        law = memory_law([*history, *died])
        before, after = (expected("memory", hungry, "acs", each) for each in (base, law))
        assert (after > 1.3 * before) is raises


def test_ran_out_of_memory_says_nothing_of_time() -> None:
    """An attempt that died teaches no wall clock."""
    died = [Example(f"j{n:07d}z", "acs", frame(), at_least=2 * GB) for n in range(30)]
    laws = train([*made_history(20), *died], RUNGS).model.laws
    assert (laws["memory"].examples, laws["calibrate"].examples) == (50, 20)


def test_only_attempts_that_died() -> None:
    """Bounds alone are a history too: the prediction climbs towards them."""
    died = [Example(f"j{n:07d}z", "acs", frame(), at_least=8 * GB) for n in range(30)]
    law = memory_law(died)
    assert expected("memory", frame(), "acs", law) > 7 * GB


def test_training_is_the_same_again() -> None:
    """The same history gives the same coefficients, in any order."""
    history = made_history(50)
    one, other = memory_law(history), memory_law(history[::-1])
    assert one.terms == pytest.approx(other.terms)
    assert one.margin == pytest.approx(other.margin)


costs = st.floats(1e-3, 1e15)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(costs, st.sampled_from(SHAPES), st.booleans()), min_size=10, max_size=30))
def test_no_history_makes_a_prediction_absurd(
    found: list[tuple[float, Features, bool]],
) -> None:
    """Any history: predictions of the class and of an unseen one stay near the formula."""
    history = [
        Example(f"j{number:07d}q", "acs", shape, at_least=int(cost) + 1)
        if died
        else Example(f"j{number:07d}q", "acs", shape, {"memory": cost})
        for number, (cost, shape, died) in enumerate(found)
    ]
    model = train(history, RUNGS).model
    for name, factor in (
        ("j8bt05njq", KNOWN_FACTOR * MARGIN_FACTOR),
        ("oabc01abq", UNKNOWN_FACTOR),
    ):
        dataset = parse_dataset(name)
        least = 1 / KNOWN_FACTOR if name.startswith("j") else 1.0
        formula = predict(None, None, dataset).memory
        share = predict(None, model, dataset).memory / formula
        assert least * 0.999 <= share <= factor * 1.001
