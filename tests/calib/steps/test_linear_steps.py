"""Rules that every step keeps, checked on any image (`tests/every_step.py` says which)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from every_step import (
    ALL,
    COLUMNS,
    MEASURES,
    ROWS,
    SERIOUS,
    SHAPE,
    STEPS,
    Rules,
    listed_functions,
    public_functions,
    step_modules,
)
from factories import frozen, images
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import DataError
from calib.image import Image
from calib.steps.bad_pixels import flag_bad_pixels, flag_saturated_samples, place_runs
from calib.steps.bias_level import BiasLevel, subtract_bias_levels, subtract_default_level
from calib.steps.full_well import flag_full_well
from calib.steps.gain import to_electrons
from calib.steps.linearity import scale_counts
from calib.steps.section import trim_overscan
from calib.steps.statistics import measure_rows
from calib.steps.totals import sum_good

FEW = settings(max_examples=15)
BY_NAME = {step.__name__: rules for step, rules in STEPS.items()}


def named(**wanted: Any) -> list[str]:
    """Return the names of steps whose rules have these values."""
    return [
        name
        for name, rules in BY_NAME.items()
        if all(getattr(rules, key) == value for key, value in wanted.items())
    ]


def take_rows(image: Image, start: int, size: int) -> Image:
    """Return a block of rows, nothing copied."""
    part = slice(start, start + size)
    return Image(image.sci[part], image.err[part], image.dq[part], image.unit)


def test_every_function_has_its_rules() -> None:
    """A new step without an entry fails here, and so does an entry without a function."""
    assert public_functions(step_modules()) == listed_functions()


def test_a_new_function_would_be_found() -> None:
    """One that a module defines, but none that it imports or hides."""
    module = ModuleType("calib.steps.new")
    exec(  # noqa: S102 - a module as somebody would write it
        "from calib.steps.bias import subtract_bias\n"
        "def invent(image): return image\n"
        "def _help(image): return image\n",
        vars(module),
    )
    assert public_functions([module]) == {"new.invent"}


def keeps_flags(rules: Rules, image: Image, other: Image) -> None:
    """Every bit of the input is in the output; of a reference, too, where flags are joined."""
    made = rules.run(image, other, 0)
    assert np.array_equal(made.dq & image.dq, image.dq)
    if rules.joins:
        assert np.array_equal(made.dq, image.dq | other.dq)


def keeps_errors(rules: Rules, image: Image, other: Image) -> None:
    """Subtracting something and adding noise can only make errors larger."""
    made = rules.run(image, other, 0)
    assert (made.err >= image.err * np.float32(0.999999)).all()


def gives_rows(rules: Rules, image: Image, other: Image) -> None:
    """Blocks of one to all rows, joined, are what the whole image gives, to the bit."""
    whole = rules.run(image, other, 0)
    for size in range(1, ROWS):
        parts = [
            rules.run(take_rows(image, start, size), take_rows(other, start, size), start)
            for start in range(0, ROWS, size)
        ]
        for plane in ("sci", "err", "dq"):
            joined = np.concatenate([getattr(part, plane) for part in parts])
            assert np.array_equal(joined, getattr(whole, plane), equal_nan=plane != "dq")


def does_nothing(rules: Rules, image: Image) -> None:
    """Leave the image as it is, with a reference of the neutral value."""
    made = rules.run(image, frozen(np.full(SHAPE, rules.neutral)), 0)
    assert np.array_equal(made.sci, image.sci)
    assert np.allclose(made.err, image.err, rtol=1e-6)
    assert np.array_equal(made.dq, image.dq)


def is_linear(rules: Rules, image: Image, other: Image, factor: float) -> None:
    """Any step f has f(k a) - f(0) = k (f(a) - f(0)); powers of two keep all digits."""
    other = frozen(np.abs(other.sci) / 100 + 1)
    zero = rules.run(frozen(np.zeros(SHAPE)), other, 0).sci.astype(float)
    once = rules.run(image, other, 0).sci.astype(float) - zero
    larger = frozen(image.sci * np.float32(factor), image.err)
    scaled = rules.run(larger, other, 0).sci.astype(float) - zero
    size = np.abs(image.sci).max() * 8 + np.abs(zero).max() + 1
    assert np.allclose(scaled, factor * once, atol=size * 1e-5, rtol=0)


@pytest.mark.parametrize("name", BY_NAME)
@FEW
@given(image=images(SHAPE), other=images(SHAPE), factor=st.sampled_from((2.0, 0.5, -4.0)))
def test_step_keeps_its_rules(name: str, image: Image, other: Image, factor: float) -> None:
    """Flags, errors, rows, neutral references, linearity: those that its entry promises.

    All arrays are read-only: writing to them would fail.
    """
    rules = BY_NAME[name]
    keeps_flags(rules, image, other)
    if rules.grows:
        keeps_errors(rules, image, other)
    if rules.by_rows:
        gives_rows(rules, image, other)
    if rules.neutral is not None:
        does_nothing(rules, image)
    if rules.linear:
        is_linear(rules, image, other, factor)


@pytest.mark.parametrize(
    "step",
    [
        lambda image: to_electrons(image, np.ones(COLUMNS, np.float32)),
        lambda image: scale_counts(image, 1.0),
        lambda image: subtract_default_level(image, np.zeros(COLUMNS, np.float32)),
        lambda image: subtract_bias_levels(image, (BiasLevel(ALL, 0.0, 0.0, 0.0),)),
        lambda image: flag_bad_pixels(image, place_runs([], (0.0, 0.0))),
        lambda image: flag_saturated_samples(image, 99_999),
        lambda image: trim_overscan(image, (0, 0), (0, 0)),
    ],
    ids=["gain", "ratio", "default level", "line", "no runs", "no saturation", "no trim"],
)
@FEW
@given(image=images(SHAPE))
def test_neutral_numbers_do_nothing(step: Callable[[Image], Image], image: Image) -> None:
    """A gain or ratio of 1, a level of 0, no bad pixel, a high limit, nothing to cut off."""
    made = step(image)
    for plane in ("sci", "err", "dq"):
        assert np.array_equal(getattr(made, plane), getattr(image, plane))


@pytest.mark.parametrize("name", BY_NAME)
def test_nan_stays_where_it_is(name: str) -> None:
    """A NaN is not hidden or raised, and not spread farther than the entry says."""
    sci = np.ones(SHAPE, np.float32)
    sci[1, 2] = np.nan
    rules = BY_NAME[name]
    made = rules.run(frozen(sci, 1), frozen(np.ones(SHAPE)), 0)
    lost = np.isnan(made.sci)
    assert lost[1, 2]
    assert lost.any(axis=1).sum() == 1
    assert lost.sum() == 1 or rules.spreads == "row"


@pytest.mark.parametrize("name", named(refers=True))
@pytest.mark.parametrize("shape", [(ROWS - 1, COLUMNS), (ROWS, COLUMNS + 1), (1, COLUMNS), (1, 1)])
def test_reference_of_another_shape_is_refused(name: str, shape: tuple[int, int]) -> None:
    """Neither read beyond its end nor stretched."""
    with pytest.raises(DataError, match="differ in") as caught:
        BY_NAME[name].run(frozen(np.ones(SHAPE), 1), frozen(np.ones(shape), 1), 0)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("name", ["remove_bias_shift", "subtract_stripes"])
def test_rows_that_were_not_measured_are_refused(name: str) -> None:
    """What was found in four rows says nothing about a fifth."""
    with pytest.raises(DataError, match=r"rows|size"):
        BY_NAME[name].run(frozen(np.ones(SHAPE)), frozen(np.ones(SHAPE)), 1)


@pytest.mark.parametrize("function", MEASURES, ids=lambda function: function.__name__)
def test_measuring_changes_nothing(function: Callable[..., Any]) -> None:
    """Functions that only look at pixels take read-only ones, and leave them as they are."""
    rng = np.random.default_rng(1)
    image, other = (
        frozen(rng.normal(50, 9, SHAPE), rng.uniform(1, 2, SHAPE), rng.choice([0, 4], SHAPE))
        for _ in range(2)
    )
    before = [array.tobytes() for one in (image, other) for array in (one.sci, one.err, one.dq)]
    assert MEASURES[function](image, other) is not None
    after = [array.tobytes() for one in (image, other) for array in (one.sci, one.err, one.dq)]
    assert before == after


@FEW
@given(image=images(SHAPE), size=st.integers(1, ROWS))
def test_sums_are_made_row_by_row(image: Image, size: int) -> None:
    """Totals and statistics of blocks are those of the whole, to the bit."""
    whole = [*sum_good(image.sci, image.dq, 2.0, SERIOUS), *measure_rows(image, SERIOUS)]
    parts = []
    for start in range(0, ROWS, size):
        block = take_rows(image, start, size)
        parts.append([*sum_good(block.sci, block.dq, 2.0, SERIOUS), *measure_rows(block, SERIOUS)])
    for one, joined in zip(whole, map(np.concatenate, zip(*parts, strict=True)), strict=True):
        assert np.array_equal(one, joined)


def test_nan_is_never_called_saturated() -> None:
    """A NaN is neither above the converter's limit nor above the full well."""
    image = frozen(np.full(SHAPE, np.nan))
    assert not flag_saturated_samples(image, 10).dq.any()
    assert not flag_full_well(image, frozen(np.ones(SHAPE)).sci, ALL).dq.any()


def test_big_endian_and_sliced_arrays_are_taken() -> None:
    """Arrays as FITS files and slices give them are converted at the edge."""
    odd = np.arange(40, dtype=">f4").reshape(4, 10)[:, ::2]
    image = Image(odd, odd, np.zeros((4, 5), ">i2"))
    assert np.array_equal(to_electrons(image, np.full(5, 2, np.float32)).sci, odd * 2)
