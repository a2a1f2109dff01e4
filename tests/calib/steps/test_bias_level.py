"""The line fitted to the overscan."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import DataError
from calib.image import Image
from calib.steps.bias_level import (
    BiasLevel,
    BiasLevelParameters,
    Overscan,
    fit_bias_levels,
    mean_level,
    row_medians,
    subtract_bias_levels,
    subtract_default_level,
    whole_threshold,
)
from calib.steps.line import fit_line
from calib.steps.readout import Amplifier
from calib.steps.section import Region

REGION = Region(2, 14, 4, 16)
OVERSCAN = Overscan(REGION, ((0, 2), (16, 18)), (5, 14), (16, 19))
LEFT = Overscan(Region(2, 14, 4, 10), ((0, 2),), (5, 14), (16, 19))
RIGHT = Overscan(Region(2, 14, 10, 16), ((16, 18),), (5, 14), (16, 19))
AMPLIFIER = Amplifier("C", 2.0, 4.0, 900.0)
SHAPE = (20, 20)


def ramp(slope: float = 0.0, drift: float = 0.0, level: float = 1000.0) -> np.ndarray:
    """Return an image whose level rises by row and by column."""
    y, x = np.mgrid[0:20, 0:20]
    return (level + slope * y + drift * (x - 1)).astype(np.float32)


def fit(image: Image, overscan: Overscan = OVERSCAN, **parameters: object) -> BiasLevel:
    """Fit with a read noise of 4 and a default of 900."""
    chosen = BiasLevelParameters(**parameters)
    (level,) = fit_bias_levels(image, (overscan,), (AMPLIFIER,), 31743, chosen)
    return level


def test_constant_level_is_found_and_removed() -> None:
    """A level of 1000 everywhere leaves science pixels at 0 and the overscan as it is."""
    image = frozen(ramp())
    level = fit(image)
    assert (level.slope, level.intercept, level.drift, level.mean) == (0, 1000, 0, 1000)
    assert level.has_drift
    made = subtract_bias_levels(image, (level,))
    assert not made.sci[2:14, 4:16].any()
    assert (made.sci[:2] == 1000).all()
    assert (made.sci[:, :4] == 1000).all()


def test_line_is_evaluated_at_raw_rows() -> None:
    """The kept trap: two trimmed rows at the bottom put a slope of 1 per row 2 too low or high."""
    image = frozen(ramp(slope=1.0))
    kept = subtract_bias_levels(image, (fit(image),))
    right = subtract_bias_levels(image, (fit(image, match_rows=True),))
    assert np.allclose(right.sci[2:14, 4:16], 0, atol=1e-3)
    assert np.allclose(kept.sci[2:14, 4:16], -2, atol=1e-3)


def test_drift_is_zero_in_the_middle_of_the_first_bias_section() -> None:
    """The slope of the virtual overscan is subtracted about column 1, the middle of 0..2.

    With one bias section, so that the level is that of column 1.
    """
    overscan = OVERSCAN._replace(bias_sections=((0, 2),))
    image = frozen(ramp(drift=0.25))
    level = fit(image, overscan)
    assert level.drift == pytest.approx(0.25, abs=1e-6)
    assert level.zero_column == 1.0
    made = subtract_bias_levels(image, (level,))
    assert np.allclose(made.sci[2:14, 4:16], 0, atol=1e-3)


def test_mean_level_takes_the_drift_at_half_width() -> None:
    """MEANBLEV is level + drift * (12 / 2 - 1): calacs counts columns of two frames."""
    overscan = OVERSCAN._replace(bias_sections=((0, 2),))
    image = frozen(ramp(drift=0.25))
    level = fit(image, overscan)
    assert level.mean == pytest.approx(1000 + 0.25 * 5, abs=1e-3)


@pytest.mark.parametrize("overscan", [
    OVERSCAN._replace(virtual_y=(-1, -1)),
    OVERSCAN._replace(virtual_x=(5, 5)),
    OVERSCAN._replace(virtual_y=(16, 16)),
])  # fmt: skip
def test_no_virtual_overscan_no_drift(overscan: Overscan) -> None:
    """Without rows above the image there is no slope along the rows."""
    image = frozen(ramp(drift=0.25))
    level = fit(image, overscan)
    assert (level.drift, level.has_drift) == (0, False)


def test_cosmic_ray_in_the_overscan_is_clipped() -> None:
    """A row whose bias columns are hit does not tilt the line."""
    pixels = ramp()
    pixels[5, :3] += 5000
    pixels[5, 16:19] += 5000
    level = fit(frozen(pixels))
    assert (level.slope, level.intercept) == pytest.approx((0, 1000), abs=1e-9)


def test_flagged_pixels_do_not_enter_the_medians() -> None:
    """The median of a row is that of its good pixels; a row without any has none."""
    pixels = ramp()
    flags = np.zeros(SHAPE, np.int16)
    pixels[4, 0:3], flags[4, 0:3] = 9999, 4
    flags[6] = 4
    values, good = row_medians(frozen(pixels, 0, flags), OVERSCAN, 4)
    assert values[2] == 1000
    assert not good[4]
    assert good.sum() == 11


def test_median_of_an_even_number_is_the_mean_of_the_middle() -> None:
    """Six bias columns 1 2 3 | 4 50 60: median 3.5."""
    pixels = np.zeros(SHAPE, np.float32)
    pixels[:, 0:3], pixels[:, 16:19] = (3, 1, 2), (60, 4, 50)
    values, _ = row_medians(frozen(pixels), OVERSCAN, 0)
    assert (values == 3.5).all()


def test_default_level_where_nothing_is_good() -> None:
    """All rows flagged: the bias of the CCD table."""
    level = fit(frozen(ramp(), 0, 4))
    assert (level.slope, level.intercept, level.mean) == (0, 900, 900)
    assert not level.has_drift


def test_thresholds_are_cut_to_whole_electrons() -> None:
    """Limits of 1012.9 and -3.7 become 1012 and 3, as C's abs makes them."""
    assert whole_threshold(1012.9) == 1012
    assert whole_threshold(-3.7) == 3


def test_truncation_rejects_what_lies_between() -> None:
    """One row of 12 at 1013.05: the limit is mean + 3 * 4 = 1013.09, cut to 1013."""
    rows = np.full(SHAPE, 1000, np.float32)
    rows[8, :] = 1013.05
    kept = fit(frozen(rows), truncate_thresholds=False, clip_sigma=100.0)
    cut = fit(frozen(rows), clip_sigma=100.0)
    assert cut.intercept == 1000
    assert kept.intercept > 1000.5


def test_level_below_one_electron_is_lost_to_truncation() -> None:
    """The kept trap at its worst: a limit of 0.5 becomes 0, no row is left, default level."""
    image = frozen(ramp(level=0.5))
    assert fit(image).intercept == 900
    assert fit(image, truncate_thresholds=False).intercept == 0.5


def test_level_below_zero_is_fitted_too() -> None:
    """The square root of a negative mean is no limit to sigma."""
    assert fit(frozen(ramp(level=-5.0)), truncate_thresholds=False).intercept == -5


@given(
    slope=st.floats(-10, 10),
    offset=st.floats(-100, 100),
    keep=st.sets(st.integers(0, 9), min_size=2),
)
def test_line_through_points_on_a_line(slope: float, offset: float, keep: set[int]) -> None:
    """Any two or more points of a line give the line."""
    x = np.arange(10.0)
    used = np.isin(np.arange(10), list(keep))
    found = fit_line(x, offset + slope * x, used)
    assert found == pytest.approx((slope, offset), abs=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_no_line_through_too_few_points(count: int) -> None:
    """One point has no slope, none has no level."""
    used = np.arange(4) < count
    assert fit_line(np.arange(4.0), np.ones(4), used) is None


@given(level=st.floats(0, 5000, width=32))
def test_fit_follows_the_level(level: float) -> None:
    """Adding a constant to all pixels adds it to the level, and science pixels stay 0."""
    image = frozen(ramp(slope=0.01, level=level))
    found = fit(image, truncate_thresholds=False, match_rows=True)
    assert found.intercept == pytest.approx(level + 0.08, abs=1e-3)
    assert np.allclose(subtract_bias_levels(image, (found,)).sci[2:14, 4:16], 0, atol=2e-3)


def test_two_amplifiers_have_their_own_lines() -> None:
    """Left half at 1000, right half at 3000 + y: each by its own bias columns, mean of both.

    Right: rows 2..13 are fitted as -6..5 and evaluated as -4..7, so 2 too much is taken off.
    """
    pixels = ramp()
    pixels[:, 10:] = 3000 + np.arange(20)[:, None]
    parts = [overscan._replace(virtual_y=(-1, -1)) for overscan in (LEFT, RIGHT)]
    levels = fit_bias_levels(frozen(pixels), parts, (AMPLIFIER, AMPLIFIER), 0)
    made = subtract_bias_levels(frozen(pixels), levels)
    assert not made.sci[2:14, 4:10].any()
    assert np.allclose(made.sci[2:14, 10:16], -2, atol=1e-3)
    assert np.array_equal(made.sci[:, 16:], pixels[:, 16:])
    assert mean_level(levels) == pytest.approx((1000 + 3009.5) / 2, abs=1e-3)


def test_drift_of_two_amplifiers_includes_the_step_between_them() -> None:
    """The kept trap: one virtual section over columns 5..14 with a step of 100 at column 10.

    The line through five columns at 0 and five at 100: slope 100 * 125 / 825.
    """
    pixels = ramp()
    pixels[:, 10:] += 100
    for level in fit_bias_levels(frozen(pixels), (LEFT, RIGHT), (AMPLIFIER, AMPLIFIER), 0):
        assert level.drift == pytest.approx(12500 / 825)


@pytest.mark.parametrize("rows", [1, 3, 7, 32])
def test_blocks_of_rows_give_the_same_bits(rows: int) -> None:
    """Each row knows its number: any blocks of rows give what the whole image gives."""
    noise = np.random.default_rng(1).normal(0, 3, SHAPE)
    image = frozen((ramp(0.3, 0.2) + noise).astype(np.float32))
    levels = fit_bias_levels(image, (LEFT, RIGHT), (AMPLIFIER, AMPLIFIER), 0)
    parts = [
        subtract_bias_levels(image.cut(slice(y, y + rows), slice(0, 20)), levels, y).sci
        for y in range(0, 20, rows)
    ]
    assert np.array_equal(np.concatenate(parts), subtract_bias_levels(image, levels).sci)


def test_sections_beyond_the_edge_are_cut_and_absent_ones_have_no_columns() -> None:
    """Columns 18..25 of 20 are 18 and 19; section (-1, -1) leaves the default level."""
    image = frozen(ramp())
    assert fit(image, OVERSCAN._replace(bias_sections=((18, 25),))).intercept == 1000
    assert fit(image, OVERSCAN._replace(bias_sections=((-1, -1),))).intercept == 900


def test_default_level_of_all_pixels() -> None:
    """Without overscan one number per column is subtracted everywhere."""
    level = np.full(20, 1000, np.float32)
    level[5] = 900
    made = subtract_default_level(frozen(ramp()), level).sci
    assert not np.delete(made, 5, axis=1).any()
    assert (made[:, 5] == 100).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_left_out(value: float) -> None:
    """Two pixels of a row, a whole row, and a column of the virtual overscan: nothing is seen."""
    sci = ramp(slope=0.5, drift=0.25)
    wanted = fit(frozen(sci))
    sci[5, 1] = sci[5, 17] = sci[7, :3] = sci[7, 16:19] = sci[16:20, 9] = value
    found = fit(frozen(sci))
    assert found.slope == pytest.approx(wanted.slope)
    assert found.drift == pytest.approx(wanted.drift)
    assert found.intercept == pytest.approx(wanted.intercept)
    assert found.mean == pytest.approx(wanted.mean)
    assert not found.is_default


def test_overscan_without_numbers_says_that_it_is_the_default() -> None:
    """A level of 900, and no drift."""
    level = fit(frozen(np.full(SHAPE, np.nan)))
    assert (level.is_default, level.intercept, level.has_drift) == (True, 900, False)


@pytest.mark.parametrize(
    "overscan",
    [
        OVERSCAN._replace(region=Region(2, 21, 4, 16)),
        OVERSCAN._replace(region=Region(-1, 14, 4, 16)),
        OVERSCAN._replace(region=Region(2, 2, 4, 16)),
        OVERSCAN._replace(region=Region(2, 14, 4, 21)),
        OVERSCAN._replace(virtual_x=(5, 20)),
        OVERSCAN._replace(virtual_x=(-1, 9)),
        OVERSCAN._replace(virtual_y=(16, 20)),
    ],
)
def test_places_outside_of_the_image_are_refused(overscan: Overscan) -> None:
    """Compiled loops would read what lies behind the image."""
    with pytest.raises(DataError, match=r"does not lie in the image.*20 x 20"):
        fit(frozen(ramp()), overscan)
