"""Cosmic-ray rejection: beside a scalar version of it, and rules that hold for any image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from factories import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calib.errors import DataError
from calib.image import Image
from calib.steps import cosmic_rays
from calib.steps.cosmic_rays import (
    Combined,
    Rejection,
    combine_exposures,
    excluding_bits,
    keep_last_columns,
    weigh,
)

PLAIN = Rejection((6.5, 5.5, 4.5), radius=1.5, threshold=0.75, scale_noise=0.03, bad=39, sky="none")
SHAPE = (6, 7)
f4 = np.float32


@st.composite
def exposures(draw: Any, count: int = 3) -> list[Image]:
    """Return exposures of one field: faint signal, some cosmic rays, some flags."""
    made = []
    for _ in range(count):
        signal = draw(hnp.arrays(np.float32, SHAPE, elements=st.floats(-20, 60, width=32)))
        hits = draw(hnp.arrays(np.bool_, SHAPE, elements=st.sampled_from([False] * 9 + [True])))
        flags = st.sampled_from((0,) * 12 + (1, 2, 4, 8, 16, 32, 256, 6, 8192))
        dq = draw(hnp.arrays(np.int16, SHAPE, elements=flags))
        made.append(frozen(signal + 500 * hits, 6.0, dq))
    return made


def combine_slowly(images: Sequence[Image], seconds: Sequence[float], r: Rejection) -> Any:
    """Do what the module says pixel by pixel, with plain loops and nothing shared.

    Returns sum, error, flags of the combination, and rejected pixels. No sky is taken off.
    """
    t = [f4(s) for s in seconds]
    p = [image.sci / time for image, time in zip(images, t, strict=True)]
    ave = np.where(images[0].dq & r.bad, f4(0), p[0])
    for rate, image in zip(p[1:], images[1:], strict=True):
        ave = np.where(rate < ave, np.where(image.dq & r.bad, f4(0), rate), ave)
    for sigma in r.sigmas:
        state = [image.dq.copy() for image in images]
        weight, variance, flags = np.zeros(SHAPE, f4), np.zeros(SHAPE, f4), np.zeros(SHAPE, int)
        for y in range(SHAPE[0]):
            total = np.zeros(SHAPE[1], f4)
            for n, image in enumerate(images):
                flags[y] |= state[n][y] & ~(2 | 8192)
                state[n][y] = [4 if s & r.bad and s != 2 else s for s in state[n][y]]
                mark_slowly(state[n], y, (p[n], image.err, ave), (f4(sigma), t[n]), r)
                for x in np.flatnonzero((state[n][y] & 14) == 0):
                    total[x] += p[n][y, x] * t[n]
                    weight[y, x] += t[n]
                    variance[y, x] += image.err[y, x] ** 2
            ave[y] = np.where(weight[y] > 0, total / np.maximum(weight[y], f4(1)), ave[y])
    rejected = np.array([(s == 8) | (s == 2) for s in state])
    flags |= np.where(rejected.all(axis=0), 8192, 0)
    whole, good = np.cumsum(np.array(t, f4))[-1], weight > 0
    error = np.zeros(SHAPE, f4)
    error[good] = (whole / weight[good]).astype(float) * np.sqrt(variance[good].astype(float))
    return np.where(good, ave, f4(0)) * whole, error, flags.astype(np.int16), rejected


def mark_slowly(state: Any, y: int, pixels: Any, numbers: Any, r: Rejection) -> None:
    """Mark hits (8) of a line and their neighbours (2) on this and later lines."""
    (p, err, ave), (sigma, t) = pixels, numbers
    s2, thr2 = sigma * sigma, f4(r.threshold) * f4(r.threshold)
    for x in range(SHAPE[1]):
        noise = f4(r.scale_noise) * max(ave[y, x] * t, f4(0))
        limit = s2 * (err[y, x] ** 2 + noise * noise) / (t * t)
        if not (p[y, x] - ave[y, x]) ** 2 > limit or state[y, x] == 4:
            continue
        state[y, x] = 8
        for v, u in np.ndindex(SHAPE):
            near = (v - y) ** 2 + (u - x) ** 2 <= r.radius**2 and v >= y
            plain = thr2 * (s2 * err[v, u] ** 2 / (t * t))
            far = (p[v, u] - ave[v, u]) ** 2 > plain or r.threshold <= 0
            if near and far and state[v, u] != 8:
                state[v, u] = 2


def rejected(made: Combined) -> np.ndarray:
    """Return which pixels of each exposure were rejected, by their marks."""
    return np.array(made.flags) & 8192 != 0


@settings(max_examples=50)
@given(images=exposures(), radius=st.sampled_from([0.5, 1.5, 2.1]))
def test_equals_the_slow_version(images: list[Image], radius: float) -> None:
    """To the bit, with flags of all kinds, three exposure times and several radii."""
    rejection = dataclasses.replace(PLAIN, radius=radius)
    made = combine_exposures(images, (100.0, 150.0, 80.0), rejection)
    sci, err, dq, hits = combine_slowly(images, (100.0, 150.0, 80.0), rejection)
    assert np.array_equal(made.image.sci, sci)
    assert np.array_equal(made.image.err, err)
    assert np.array_equal(made.image.dq, dq)
    assert np.array_equal(rejected(made), hits)
    assert made.rejected == hits.sum()


@settings(max_examples=25)
@given(images=exposures(count=2))
def test_all_neighbours_where_the_threshold_is_zero(images: list[Image]) -> None:
    """CRTHRESH of 0 takes every pixel within the radius, as the slow version does."""
    rejection = dataclasses.replace(PLAIN, threshold=0.0)
    made = combine_exposures(images, (100.0, 100.0), rejection)
    assert np.array_equal(rejected(made), combine_slowly(images, (100.0, 100.0), rejection)[3])


def flat(count: int, level: float = 50.0, dq: Any = 0) -> list[Image]:
    """Return equal exposures."""
    return [frozen(np.full(SHAPE, level), 5.0, dq) for _ in range(count)]


def hit(image: Image, y: int, x: int, electrons: float) -> Image:
    """Return an exposure with a cosmic ray."""
    sci = image.sci.copy()
    sci[y, x] += electrons
    return dataclasses.replace(image, sci=sci)


@given(
    signal=hnp.arrays(np.float32, SHAPE, elements=st.floats(-100, 1e4, width=32)),
    count=st.integers(2, 5),
)
def test_identical_exposures_lose_nothing(signal: np.ndarray, count: int) -> None:
    """The sum of n equal exposures is n times one, the error sqrt(n) times; no flag appears."""
    made = combine_exposures([frozen(signal, 5.0)] * count, [100.0] * count, PLAIN)
    assert made.rejected == 0
    assert np.allclose(made.image.sci, count * signal, rtol=1e-5, atol=1e-3)
    assert np.allclose(made.image.err, np.sqrt(count) * 5)
    assert not made.image.dq.any()


@given(
    y=st.integers(0, 5),
    x=st.integers(0, 6),
    which=st.integers(0, 2),
    electrons=st.floats(300, 1e5),
)
def test_a_planted_cosmic_ray_is_rejected(y: int, x: int, which: int, electrons: float) -> None:
    """In its own exposure only; the sum is as without it, the error that of the other two."""
    images = flat(3)
    images[which] = hit(images[which], y, x, electrons)
    made = combine_exposures(images, [100.0] * 3, PLAIN)
    assert np.argwhere(rejected(made)).tolist() == [[which, y, x]]
    assert np.allclose(made.image.sci, 150, rtol=1e-5)
    assert made.image.err[y, x] == pytest.approx(1.5 * np.sqrt(50))
    assert not made.image.dq.any()


def test_a_faint_neighbour_goes_too_but_not_on_the_line_before() -> None:
    """28 e- are less than 6.5 * 5 = 32.5, but beside a hit more than 0.75 * 32.5 = 24.4.

    The line before has been summed when the hit is found: its neighbour stays in the sum.
    """
    images = flat(2)
    for place in ((3, 4), (4, 3), (2, 3), (3, 1)):
        images[1] = hit(images[1], *place, 28)
    images[1] = hit(images[1], 3, 3, 400)
    made = combine_exposures(images, (100.0, 100.0), PLAIN)
    assert np.argwhere(rejected(made)[1]).tolist() == [[3, 3], [3, 4], [4, 3]]
    assert made.image.sci[2, 3] == pytest.approx(128)
    assert made.image.sci[4, 3] == pytest.approx(100)


@pytest.mark.parametrize("guess", ["min", "med"])
def test_order_does_not_matter_for_good_pixels(guess: Any) -> None:
    """Three exposures with a cosmic ray each: any order rejects the same ones."""
    rng = np.random.default_rng(1)
    images = [frozen(rng.normal(50, 5, SHAPE), 5.0) for _ in range(3)]
    images = [hit(image, n, 2 * n, 800.0) for n, image in enumerate(images)]
    rejection = dataclasses.replace(PLAIN, first_guess=guess)
    made = combine_exposures(images, (100.0, 100.0, 100.0), rejection)
    turned = combine_exposures(images[::-1], (100.0, 100.0, 100.0), rejection)
    assert made.rejected == 3
    assert np.array_equal(rejected(made)[::-1], rejected(turned))
    assert np.allclose(made.image.sci, turned.image.sci, rtol=1e-5)


def test_rates_are_weighted_with_time() -> None:
    """100 e- in 100 s and 500 e- in 500 s are one rate; their sum is 600 e- in 600 s."""
    images = [frozen(np.full(SHAPE, value), 5.0) for value in (100.0, 500.0)]
    made = combine_exposures(images, (100.0, 500.0), PLAIN)
    assert made.seconds == 600
    assert np.allclose(made.image.sci, 600)
    assert made.rejected == 0


@pytest.mark.parametrize(
    ("came", "combined"),
    [
        ((16, 0), 16),  # kept, and told
        ((1, 256), 257),  # or-ed over the exposures, also of those left out
        ((4, 4), 4),  # nothing left: value and error 0
        ((2, 0), 0),  # left out as if it had been hit, and 2 is never told
        ((2, 2), 8192),
        ((8192, 0), 0),  # an old mark does not count
        ((8, 16), 24),
    ],
)
def test_flags_of_the_combination(came: tuple[int, int], combined: int) -> None:
    """Each exposure brings its own flag; 8192 stands only where all were hit."""
    images = [flat(1, level=10, dq=dq)[0] for dq in came]
    made = combine_exposures(images, (100.0, 100.0), PLAIN)
    assert (made.image.dq == combined).all()
    kept = sum(not flag & (39 | 8) for flag in came)
    assert np.allclose(made.image.sci, 20 if kept else 0)
    assert np.allclose(made.image.err, (0, 200 / 100 * 5, 200 / 200 * np.sqrt(50))[kept])


def test_a_flagged_first_exposure_makes_the_guess_0() -> None:
    """A trap: 50 e- of the good one are 10 sigma above 0, and rejected; 10 e- are not."""
    images = [flat(1, dq=1)[0], flat(1)[0]]
    assert rejected(combine_exposures(images, (100.0, 100.0), PLAIN))[1].all()
    middle = dataclasses.replace(PLAIN, first_guess="med")
    assert combine_exposures(images, (100.0, 100.0), middle).rejected == 0


def test_rejected_everywhere_gets_8192() -> None:
    """The flagged first exposure makes the guess 0; both others are far above it, one is not."""
    first = flat(1, level=0, dq=np.where(np.indices(SHAPE).sum(0) == 4, 2, 0))[0]
    images = [first, *flat(2, level=40.0)]
    made = combine_exposures(images, [100.0] * 3, PLAIN)
    assert rejected(made)[:, 2, 2].all()
    assert made.image.dq[2, 2] == 8192
    assert (made.image.sci[2, 2], made.image.err[2, 2]) == (0, 0)
    assert not made.image.dq[2, 3]
    assert made.image.sci[2, 3] == 0


def test_flag_4_of_bias_and_dark_frames_is_used() -> None:
    """Their bad pixels are averaged like the others."""
    images = flat(2, dq=4)
    assert not combine_exposures(images, (1.0, 1.0), PLAIN).image.sci.any()
    used = combine_exposures(images, (1.0, 1.0), PLAIN, use_excluded=True)
    assert np.allclose(used.image.sci, 100)
    assert (excluding_bits(use_excluded=False), excluding_bits(use_excluded=True)) == (14, 10)


def test_flag_4_of_bias_and_dark_frames_protects_nothing() -> None:
    """With 16 beside it, a pixel of 910 e- is tested like any other, not so in a sky.

    The others are faint, as the first guess is 0 for flagged pixels in any case: of 50 e- all
    are rejected.
    """
    images = flat(2, level=10, dq=4 | 16)
    images[1] = hit(images[1], 2, 2, 900)
    used = combine_exposures(images, (1.0, 1.0), PLAIN, use_excluded=True)
    assert np.argwhere(rejected(used)).tolist() == [[1, 2, 2]]
    assert combine_exposures(images, (1.0, 1.0), PLAIN).rejected == 0
    bright = combine_exposures(flat(2, dq=4 | 16), (1.0, 1.0), PLAIN, use_excluded=True)
    assert rejected(bright).all()


def test_nan_is_not_rejected() -> None:
    """It makes the sum NaN there and nowhere else."""
    images = flat(2)
    images[0] = hit(images[0], 1, 1, np.nan)
    made = combine_exposures(images, (100.0, 100.0), PLAIN)
    assert np.argwhere(np.isnan(made.image.sci)).tolist() == [[1, 1]]


@settings(max_examples=25)
@given(
    images=exposures(),
    rows=st.sampled_from([1, 2, 4]),
    radius=st.sampled_from([0, 1.5, 3.1]),
    guess=st.sampled_from(["min", "med"]),
)
def test_blocks_of_any_size_give_the_same_bits(
    images: list[Image], rows: int, radius: float, guess: Any
) -> None:
    """However many rows are done at a time, and however far neighbours reach behind them."""
    rejection = dataclasses.replace(PLAIN, radius=radius, first_guess=guess)
    whole = combine_exposures(images, (100.0, 150.0, 80.0), rejection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosmic_rays, "ROWS", rows)
        parts = combine_exposures(images, (100.0, 150.0, 80.0), rejection)
    for name in ("sci", "err", "dq"):
        assert np.array_equal(getattr(whole.image, name), getattr(parts.image, name))
    assert np.array_equal(whole.flags, parts.flags)
    assert whole.rejected == parts.rejected


@pytest.mark.parametrize("guess", ["min", "med"])
def test_an_exposure_of_0_seconds_is_left_out(guess: Any) -> None:
    """The sum is that of the others; its own flags just lose 8192.

    The pixels are faint, as for ``min`` it makes the guess 0.
    """
    images = [flat(1, level=9, dq=16 | 8192)[0], *flat(2, level=10)]
    rejection = dataclasses.replace(PLAIN, first_guess=guess)
    made = combine_exposures(images, (0.0, 100.0, 50.0), rejection)
    assert made.seconds == 150
    assert np.allclose(made.image.sci, 20)
    assert not made.image.dq.any()
    assert (made.flags[0] == 16).all()
    assert made.rejected == 0


def test_exposures_of_0_seconds_only_weigh_the_same() -> None:
    """Biases: 40 e- and 60 e- make 100 e-, and the number stands for the time."""
    images = [flat(1, level=level)[0] for level in (40.0, 60.0)]
    made = combine_exposures(images, (0.0, 0.0), PLAIN)
    assert np.allclose(made.image.sci, 100)
    assert np.allclose(made.image.err, np.sqrt(50))
    assert made.seconds == 2
    assert weigh([0.0, 0.0]).tolist() == [1, 1]


def test_a_sky_below_0_is_not_added() -> None:
    """The levels are told as they are, their sum is 0 at least: -20 e- each become +20 e-."""
    rng = np.random.default_rng(3)
    images = [frozen(rng.normal(-20, 3, (60, 60)), 3.0) for _ in range(2)]
    made = combine_exposures(images, (100.0, 100.0), dataclasses.replace(PLAIN, sky="mode"))
    assert made.skies == pytest.approx((-20, -20), abs=3)
    assert made.sky == 0
    assert np.median(made.image.sci) == pytest.approx(0, abs=4)


def test_the_sky_is_taken_off_and_added_again() -> None:
    """Two exposures whose sky differs by 100 e- are compared without it."""
    rng = np.random.default_rng(2)
    images = [frozen(rng.normal(level, 3, (60, 60)), 3.0) for level in (50.0, 150.0)]
    made = combine_exposures(images, (100.0, 100.0), dataclasses.replace(PLAIN, sky="mode"))
    assert made.skies == pytest.approx((50, 150), abs=3)
    assert rejected(made).mean() < 0.01
    assert np.median(made.image.sci) == pytest.approx(200, abs=3)
    without = combine_exposures(images, (100.0, 100.0), PLAIN)
    assert without.skies == (0, 0)
    assert rejected(without)[1].mean() > 0.99


@pytest.mark.parametrize(
    ("images", "seconds", "match"),
    [
        (flat(1), [100.0], "too few"),
        ([flat(1)[0], frozen(np.ones((3, 3)))], [100.0, 100.0], "differ in size"),
        (flat(1) * 121, [100.0] * 121, "too many.*2 to 120.*121"),
        (flat(2), [100.0, 0.0], "EXPTIME"),
        (flat(2), [100.0, -1.0], "EXPTIME"),
        (flat(2), [100.0, np.nan], "EXPTIME"),
    ],
)
def test_what_cannot_be_combined(images: list[Image], seconds: list[float], match: str) -> None:
    """Said before anything is computed."""
    with pytest.raises(DataError, match=match):
        combine_exposures(images, seconds, PLAIN)


def test_marks_stop_before_an_incomplete_byte() -> None:
    """Of 13 columns the first 8 are marked and unmarked; the others stay as they came."""
    came, marked = np.full((2, 13), 8193, np.int16), np.ones((2, 13), np.int16)
    kept = keep_last_columns(marked, came)
    assert (kept[:, :8] == 1).all()
    assert (kept[:, 8:] == 8193).all()
    assert keep_last_columns(marked[:, :8], came[:, :8]).tolist() == marked[:, :8].tolist()


def test_marks_replace_old_ones() -> None:
    """8192 stands where this run rejected, and other flags stay."""
    images = [hit(flat(1, dq=8192 | 16)[0], 2, 3, 900), *flat(1)]
    first, second = combine_exposures(images, (100.0, 100.0), PLAIN).flags
    assert first[2, 3] == 8192 | 16
    assert (first == 16).sum() == first.size - 1
    assert not second.any()


@pytest.mark.parametrize(("keep", "corner"), [(True, np.sqrt(50)), (False, -1)])
def test_first_error_may_be_spoilt(keep: bool, corner: float) -> None:
    """-1 in the corner and nowhere else."""
    err = combine_exposures(flat(2), (100.0, 100.0), PLAIN, keep_first_error=keep).image.err
    assert err[0, 0] == pytest.approx(corner)
    assert np.allclose(err.ravel()[1:], np.sqrt(50))


def test_a_combination_is_a_plain_record() -> None:
    """Arrays of the right kind and shape."""
    made: Combined = combine_exposures(flat(2), (100.0, 100.0), PLAIN)
    assert made.image.unit == "ELECTRONS"
    assert (made.image.sci.dtype, made.image.dq.dtype) == (np.float32, np.int16)
    assert [flags.shape for flags in made.flags] == [SHAPE, SHAPE]
