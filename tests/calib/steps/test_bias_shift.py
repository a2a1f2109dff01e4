"""The bias shift of the readout electronics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factories import frozen

from calib.arithmetic.electronics import next_charge, unshifted
from calib.errors import UnsupportedMode
from calib.steps import bias_shift
from calib.steps.bias_shift import (
    ELECTRONICS,
    GAP,
    ROWS,
    BiasShift,
    Electronics,
    measure_bias_shift,
    remove_bias_shift,
)

WIDTH = 23  # the least that holds the square


@pytest.fixture
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all amplifiers the numbers of C."""
    monkeypatch.setattr(bias_shift, "ELECTRONICS", dict.fromkeys("ABCD", ELECTRONICS["C"]))


def scene(width: int = WIDTH, seed: int = 1) -> np.ndarray:
    """Return a noisy level with some bright pixels."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(4600, 5, (ROWS, width))
    pixels[rng.integers(0, ROWS, 50), rng.integers(0, width, 50)] += 60_000
    return pixels.astype(np.float32)


def correct(pixels: np.ndarray, name: str) -> tuple[np.ndarray, BiasShift]:
    """Correct a subarray."""
    (shift,) = measure_bias_shift([pixels], [(name,)])
    return remove_bias_shift(frozen(pixels), shift).sci, shift


def test_one_pixel_by_hand() -> None:
    """Charge 10, pixel 100, uptake 0.5: 100 * 0.5 * 0.3 + 0.5 * 10 = 20.

    Corrected with sensitivity 0.01: 100 - 0.2 - 10 / 22 * (20 - 10).
    """
    assert next_charge(100, 0.5, 10) == pytest.approx(20)
    assert unshifted(100, 10, 20, 0.01) == pytest.approx(99.8 - 100 / 22)


def test_constants() -> None:
    """3.212 ms are 146 pixels of 22 µs; amplifier A takes up 1/1695.5 per pixel."""
    assert GAP == 146
    assert ELECTRONICS["A"].uptake == pytest.approx(1 - math.exp(-0.022 / 37.290251))


def test_equals_the_stream_pixel_by_pixel() -> None:
    """Rows, gaps of the mean level, one filter over all: equal to the bit for amplifier C."""
    pixels = scene()
    square = (slice(2057, 2067), slice(13, 23))
    start = sum(pixels[square].astype(float).ravel().tolist()) / 100
    uptake, sensitivity = ELECTRONICS["C"].uptake, ELECTRONICS["C"].sensitivity
    rows, charge = [], start * 0.3
    for row in pixels.astype(float).tolist():
        line = []
        for value in row:
            after = value * uptake * 0.3 + (1 - uptake) * charge
            line.append((value - sensitivity * after) - 10 / 22 * (after - charge))
            charge = after
        rows.append(line)
        for _ in range(146):
            charge = start * uptake * 0.3 + (1 - uptake) * charge
    expected = np.array(rows)
    level = sum(expected[square].ravel().tolist()) / 100
    made, shift = correct(pixels, "C")
    assert shift.levels[0] == level
    assert np.array_equal(made, (expected - level).astype(np.float32))


def test_constant_image_becomes_zero() -> None:
    """The charge stays at 0.3 of the level v, so v (1 - 0.3 S) is the level that is left."""
    made, shift = correct(np.full((ROWS, WIDTH), 4000, np.float32), "D")
    assert np.allclose(made, 0, atol=1e-9)
    assert shift.levels[0] == pytest.approx(4000 * (1 - 0.3 * 3.8596253e-3))


@pytest.mark.parametrize(("name", "rows", "columns"), [("A", -1, 1), ("B", -1, -1), ("D", 1, -1)])
def test_each_amplifier_reads_from_its_corner(
    alike: None, name: str, rows: int, columns: int
) -> None:
    """A frame turned over for another corner gives the turned result, to the bit."""
    pixels = scene()
    straight, shift = correct(pixels, "C")
    turned, other = correct(pixels[::rows, ::columns], name)
    assert np.array_equal(turned[::rows, ::columns], straight)
    assert other.levels == shift.levels
    assert np.array_equal(other.charges[::rows], shift.charges)


def test_four_amplifiers_at_once() -> None:
    """Each half of each chip is what it is alone: halves do not know each other."""
    chips = [scene(2 * WIDTH, seed) for seed in (2, 3)]
    names = [("C", "D"), ("A", "B")]
    shifts = measure_bias_shift(chips, names)
    for chip, letters, shift in zip(chips, names, shifts, strict=True):
        made = remove_bias_shift(frozen(chip), shift).sci
        for k, name in enumerate(letters):
            half = slice(k * WIDTH, (k + 1) * WIDTH)
            alone, one = correct(np.ascontiguousarray(chip[:, half]), name)
            assert np.array_equal(made[:, half], alone)
            assert one.levels[0] == shift.levels[k]


@pytest.mark.parametrize("rows", [1, 5, 32, 3000])
def test_blocks_of_rows_give_the_same_bits(rows: int) -> None:
    """With the charge at the beginning of each row the rows are independent."""
    pixels = scene(2 * WIDTH)
    shift, _ = measure_bias_shift([pixels, pixels], [("C", "D"), ("A", "B")])
    whole = remove_bias_shift(frozen(pixels), shift).sci
    for y in (0, 7, 1024, ROWS - 1):
        part = remove_bias_shift(frozen(pixels[y : y + rows], 1, 4), shift, y)
        assert np.array_equal(part.sci, whole[y : y + rows])
        assert (part.err == 1).all()
        assert (part.dq == 4).all()


def test_bright_pixel_lowers_those_read_after_it() -> None:
    """80000 e leave a charge E of 80000 u 0.3, u the uptake: the next pixel loses S (1 - u) E.

    It gets 10 / 22 u E, as the charge falls by u E meanwhile; the effect fades by 1 - u a pixel.
    """
    pixels = np.full((ROWS, WIDTH), 4000, np.float32)
    pixels[100, 5] += 80_000
    made, _ = correct(pixels, "C")
    uptake, sensitivity = ELECTRONICS["C"].uptake, ELECTRONICS["C"].sensitivity
    charge = 80_000 * uptake * 0.3
    lost = sensitivity * (1 - uptake) * charge - 10 / 22 * uptake * charge
    assert lost > 0.1
    assert made[100, 6] == pytest.approx(-lost, rel=1e-5)
    assert made[100, 16] == pytest.approx(-lost * (1 - uptake) ** 10, rel=1e-5)
    assert np.allclose(made[:100], 0, atol=1e-9)


def test_twice_the_signal_gives_twice_the_result() -> None:
    """The correction is linear; a factor of 2 keeps all digits."""
    pixels = scene()
    once, _ = correct(pixels, "B")
    twice, _ = correct(pixels * np.float32(2), "B")
    assert np.array_equal(twice, once * np.float32(2))


def test_no_sensitivity_leaves_the_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uptake and sensitivity only the mean of the square is subtracted."""
    neutral = Electronics(time_constant=1e30, sensitivity=0.0)
    monkeypatch.setattr(bias_shift, "ELECTRONICS", {"C": neutral})
    pixels = np.round(scene())
    made, shift = correct(pixels, "C")
    assert np.allclose(made, pixels - shift.levels[0], atol=1e-2)


def test_nan_spoils_what_is_read_later() -> None:
    """Rows before it are corrected, but there is no level any more: it is read last."""
    pixels = scene()
    pixels[50, 3] = np.nan
    (shift,) = measure_bias_shift([pixels], [("C",)])
    assert np.isfinite(shift.charges[:51]).all()
    assert np.isnan(shift.charges[51:]).all()


@pytest.mark.parametrize(
    ("shapes", "names"),
    [
        ([(2048, 46)], [("C",)]),
        ([(ROWS, 46)], [("C", "D")]),
        ([(ROWS, 46)], [("X",)]),
        ([(ROWS, 47)] * 2, [("C", "D"), ("A", "B")]),
        ([(ROWS, 46), (ROWS, 48)], [("C", "D"), ("A", "B")]),
    ],
)
def test_other_frames_are_refused(
    shapes: list[tuple[int, int]], names: list[tuple[str, ...]]
) -> None:
    """Too few rows, two amplifiers, unknown ones, an odd width, chips of two sizes."""
    with pytest.raises(UnsupportedMode, match="bias shift"):
        measure_bias_shift([np.zeros(shape, np.float32) for shape in shapes], names)
