"""Predictions: by the formula, by what was learned, by what was measured; always bounded."""

from __future__ import annotations

import math

import pytest
from cost_history import GB, RUNGS, frame, made_history
from hypothesis import given
from hypothesis import strategies as st

from calib.campaigns.features import class_of, typical_features
from calib.campaigns.formula import STAGES, TARGETS, formula_of
from calib.campaigns.model import (
    KNOWN_FACTOR,
    MARGIN_FACTOR,
    UNKNOWN_FACTOR,
    expected,
    kill_time,
    predict,
    terms_of,
)
from calib.campaigns.rungs import rung_for
from calib.campaigns.training import train
from calib.cost_model import Errors, Features, Law, Measured, Model
from calib.ids import parse_dataset
from calib.records import from_json, to_json

HOUR = 3600
EXPOSURE, VISIT = parse_dataset("j8bt05njq"), parse_dataset("acs_8ph_01")
SKYCELL = parse_dataset("skycell-p2381x06y09")
NAMES = ["j8bt05njq", "j8bt05010", "iabc01abq", "labc01010", "oabc01010", "acs_8ph_01"]
KINDS = ["acs", "wfc3", "cos", "stis", "svm", "mvm"]

flags = st.integers(0, 1)
looks = st.builds(
    Features,
    n_files=st.integers(1, 500),
    total_mb=st.floats(0.001, 1e6),
    drizcorr=flags,
    pctecorr=flags,
    crsplit=st.integers(0, 2),
    subarray=flags,
    detector=flags,
    dtype=flags,
    instr=st.integers(0, 3),
)
numbers = st.floats(-1e6, 1e6)
errors = st.builds(Errors, st.floats(0, 1e9), st.floats(0, 1e9), st.none(), st.floats(0, 1))
laws = st.builds(
    Law,
    target=st.sampled_from(TARGETS),
    trained_at=st.just("2026-01-01T00:00:00.000000+00:00"),
    examples=st.integers(10, 10**6),
    classes=st.just({"acs": 10, "cos": 9}),
    terms=st.fixed_dictionaries(
        {"size": st.floats(-1, 1)},
        optional=dict.fromkeys(["all", "ln n_files", "dtype", "acs", "gone"], numbers),
    ),
    margin=numbers,
    before=errors,
    after=errors,
)


@pytest.mark.parametrize(
    ("features", "measured"),
    [
        (frame(1, 34.4), 0.31 + 1.006),
        (frame(2, 34.4), 0.31 + 1.270),
        (frame(1, 2.1), 0.31 + 0.040),
    ],
)
def test_formula_holds_what_the_native_engine_takes(features: Features, measured: float) -> None:
    """Measured peaks are within the formula, by a half at most, and all on the first rung.

    GB: of a worker that has worked, and above it with references kept.
    """
    found = predict(features, None, EXPOSURE).memory
    assert measured <= found / GB <= 1.5 * measured
    assert rung_for(found, RUNGS) == 2 * GB


@pytest.mark.parametrize(
    ("name", "rung"),
    [("j8bt05njq", 2), ("j8bt05010", 8), ("labc01010", 2), ("oabc01010", 2), ("acs_8ph_01", 8)],
)
def test_rung_of_a_name_alone(name: str, rung: int) -> None:
    """Without history and headers a name leads to the rung that calcloud gave, or near it."""
    dataset = parse_dataset(name)
    found = predict(None, None, dataset)
    assert rung_for(found.memory, RUNGS) == rung * GB
    assert found.note == "formula, from its name alone"


def test_skycell_starts_where_calcloud_started_it() -> None:
    """Skycells begin on 8 GB, with room on disk for images of 21418 x 21418 pixels."""
    found = predict(None, None, SKYCELL)
    assert rung_for(found.memory, RUNGS) == 8 * GB
    assert found.disk > 3 * 4 * 21418**2


def test_limits_without_history() -> None:
    """Every stage has calcloud's 20 minutes times 6; visits and skycells have 12 hours."""
    assert predict(None, None, EXPOSURE).limits == dict.fromkeys(STAGES, 2 * HOUR)
    for dataset in (VISIT, SKYCELL):
        assert predict(None, None, dataset).limits == dict.fromkeys(STAGES, 12 * HOUR)


def test_limits_with_history() -> None:
    """A stage that takes seconds is hung after 20 minutes, one of hours after four times that."""
    history = made_history(40, lambda formula, _: formula)
    short = train(history, RUNGS).model
    assert predict(frame(), short, EXPOSURE).limits["calibrate"] == 20 * 60
    slow = train(made_history(40, lambda formula, _: 2 * HOUR), RUNGS).model
    limit = predict(frame(), slow, EXPOSURE).limits["calibrate"]
    assert 8 * HOUR <= limit <= 16 * HOUR


def test_limit_of_a_class_without_history_stays() -> None:
    """What was learned of ACS says nothing about how long COS may take."""
    model = train(made_history(40, lambda formula, _: formula), RUNGS).model
    found = predict(None, model, parse_dataset("labc01010"))
    assert found.limits["calibrate"] == 2 * HOUR
    assert "few examples of cos" in found.note


@pytest.mark.parametrize(
    ("seconds", "scale", "name", "limit"),
    [
        (7200, 1, "j8bt05njq", 7200),
        (7200, 2, "j8bt05njq", 14400),
        (7200, 1000, "j8bt05njq", 48 * HOUR),
        (7200, 1000, "acs_8ph_01", 72 * HOUR),
        (7200, 1000, "skycell-p2381x06y09", 72 * HOUR),
        (10, 1, "j8bt05njq", 60),
        (10, 0.5, "j8bt05njq", 30),
        (7200, 0.0001, "j8bt05njq", 0.72),
    ],
)
def test_kill_time(seconds: float, scale: float, name: str, limit: float) -> None:
    """The scale multiplies before the cap of 48 hours, 72 for visits and skycells."""
    assert kill_time(seconds, scale, parse_dataset(name)) == pytest.approx(limit)


def test_measured_before_counts_more_than_a_model() -> None:
    """The same dataset again is given a quarter more than it took, and time for it."""
    measured = Measured(memory=10 * GB, disk=GB, walls={"calibrate": 4 * HOUR})
    model = train(made_history(40), RUNGS).model
    for known in (None, model):
        found = predict(frame(), known, EXPOSURE, measured)
        assert (found.memory, found.disk) == (12.5 * GB, 1.25 * GB)
        assert found.limits["calibrate"] == 16 * HOUR
        assert found.note == "measured before"


def test_measured_in_part() -> None:
    """What was not measured is predicted."""
    found = predict(frame(), None, EXPOSURE, Measured(disk=GB))
    assert found.memory == predict(frame(), None, EXPOSURE).memory
    assert found.disk == 1.25 * GB


@given(looks, st.floats(1, 1000), st.sampled_from(KINDS), st.sampled_from(TARGETS), laws)
def test_more_pixels_never_need_less(
    features: Features, factor: float, kind: str, target: str, law: Law
) -> None:
    """Costs rise with the size of the inputs, by the formula and by whatever was learned."""
    larger = Features(**{**vars(features), "total_mb": features.total_mb * factor})
    for known in (None, law):
        less = expected(target, features, kind, known)
        assert expected(target, larger, kind, known) >= less * (1 - 1e-9)


@given(looks, st.sampled_from(KINDS), st.sampled_from(["memory", "disk"]), laws)
def test_no_law_makes_a_prediction_absurd(
    features: Features, kind: str, target: str, law: Law
) -> None:
    """Whatever was learned: an unseen class gets the formula to twice it, a seen one 16 times."""
    share = expected(target, features, kind, law) / formula_of(target, features, kind)
    if kind == "acs":
        assert 1 / KNOWN_FACTOR * 0.999 <= share <= KNOWN_FACTOR * MARGIN_FACTOR * 1.001
    else:
        assert 0.999 <= share <= UNKNOWN_FACTOR * 1.001


@given(looks, st.sampled_from(NAMES), st.dictionaries(st.sampled_from(TARGETS), laws))
def test_rung_is_never_below_the_prediction(
    features: Features, name: str, learned: dict[str, Law]
) -> None:
    """Every prediction is a positive finite amount, and its rung holds it."""
    found = predict(features, Model(learned), parse_dataset(name))
    assert found.memory > 0
    assert found.disk > 0
    assert all(0 < limit < math.inf for limit in found.limits.values())
    rung = rung_for(found.memory, RUNGS)
    assert rung is None or rung > found.memory


@given(laws, looks)
def test_records_round_trip(law: Law, features: Features) -> None:
    """Laws and features come back from JSON as they were."""
    assert from_json(Law, to_json(law)) == law
    assert from_json(Features, to_json(features)) == features


def test_terms_are_known_by_name() -> None:
    """A law is a sum over the same names that a prediction has values for."""
    law = train(made_history(30), RUNGS).model.laws["memory"]
    values = terms_of("memory", typical_features(EXPOSURE), class_of(EXPOSURE))
    assert set(law.terms) <= set(values)
