"""Bias level and stripes of a full frame."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen

from calib.errors import DataError, UnsupportedMode
from calib.steps.destripe import (
    AmplifierRows,
    Stripes,
    find_level,
    flatten_columns,
    gather_rows,
    good_rows,
    join_rows,
    measure_stripes,
    subtract_stripes,
)

NY, WIDTH = 48, 40
LEVELS = {"A": 4600.0, "B": 4300.0, "C": 4650.0, "D": 4500.0}
CHIPS = (("C", "D"), ("A", "B"))
RIGHT, TOP = "BD", "AB"


def frame(
    stripes: np.ndarray | float = 0.0, noise: float = 0.5, **quadrants: np.ndarray
) -> dict[tuple[str, ...], np.ndarray]:
    """Return two chips: level, stripe by row as read, and what is added to a quadrant as read."""
    rng = np.random.default_rng(5)
    parts = {}
    for name, level in LEVELS.items():
        pixels = level + np.broadcast_to(stripes, NY)[:, np.newaxis]
        pixels = pixels + rng.normal(0, noise, (NY, WIDTH)) + quadrants.get(name, 0.0)
        pixels = pixels[:, ::-1] if name in RIGHT else pixels
        parts[name] = pixels[::-1] if name in TOP else pixels
    return {
        names: np.concatenate([parts[name] for name in names], axis=1).astype(np.float32)
        for names in CHIPS
    }


def gathered(chips: dict[tuple[str, ...], np.ndarray]) -> dict[str, AmplifierRows]:
    """Gather all four amplifiers."""
    return {
        name: rows
        for names, pixels in chips.items()
        for name, rows in gather_rows(frozen(pixels), names).items()
    }


def measured(chips: dict[tuple[str, ...], np.ndarray]) -> Stripes:
    """Measure a frame."""
    return measure_stripes(gathered(chips))


def spot(row: int, columns: slice, value: float) -> np.ndarray:
    """Return a quadrant with a value in one row as read."""
    pixels = np.zeros((NY, WIDTH))
    pixels[row, columns] = value
    return pixels


def test_gathered_rows_are_as_wide_as_the_amplifier_and_begin_at_its_corner() -> None:
    """Columns 0..29 of the left half; 79..50 of the right one; sums of the 16 others of 40."""
    row = np.arange(80, dtype=np.float32)
    rows = gather_rows(frozen(row[np.newaxis, :]), ("C", "D"))
    assert rows["C"].pixels[0].tolist() == list(range(30))
    assert rows["D"].pixels[0].tolist() == list(range(79, 49, -1))
    assert rows["C"].totals[0] == sum(range(24, 40))
    assert rows["D"].totals[0] == sum(range(40, 56))
    assert rows["D"].columns == 40


@pytest.mark.parametrize("rows", [1, 7, 32, 100])
def test_rows_of_blocks_are_those_of_the_whole(rows: int) -> None:
    """Sums do not depend on the blocks, to the bit."""
    pixels = frame()[CHIPS[0]]
    whole = gather_rows(frozen(pixels), CHIPS[0])
    joined = join_rows(
        [gather_rows(frozen(pixels[y : y + rows]), CHIPS[0]) for y in range(0, NY, rows)]
    )
    for name in CHIPS[0]:
        assert np.array_equal(joined[name].pixels, whole[name].pixels)
        assert np.array_equal(joined[name].totals, whole[name].totals)


def test_levels_are_found_and_the_first_row_is_skipped() -> None:
    """One level per amplifier, no stripes but noise; row 0 is never good."""
    found = measured(frame())
    assert found.levels == pytest.approx(LEVELS, abs=0.1)
    assert (found.fixed, found.skipped) == (NY - 1, 1)
    assert found.rows[0] == 0
    assert np.abs(found.rows).max() < 0.5
    assert found.mean_level(("C", "D")) == pytest.approx((4650 + 4500) / 2, abs=0.1)


def test_stripes_come_out() -> None:
    """A stripe of 8 e in one row as read is that row's; the level does not see it (clipped)."""
    stripes = np.zeros(NY)
    stripes[20] = 8.0
    found = measured(frame(stripes, noise=0.01))
    assert found.rows[20] == pytest.approx(8, abs=0.02)
    assert np.abs(np.delete(found.rows, 20)).max() < 0.02
    assert found.levels == pytest.approx(LEVELS, abs=0.02)


def test_slow_change_is_subtracted_where_it_is_read() -> None:
    """A drift of 1 e per row of the readout, of 40 pixels and a gap of 146, is taken off.

    All of it but a constant: rows are taken relative to columns 12..23, whose middle is read
    6 pixels after that of the 24 columns.
    """
    y, x = np.mgrid[0:NY, 0:WIDTH]
    ramp = y + (x - 11.5) / (WIDTH + 146)
    chips = frame(0.0, 0.0, **dict.fromkeys(LEVELS, ramp))
    found = measured(chips)
    for names, pixels in chips.items():
        made = subtract_stripes(frozen(pixels), found.chip(names, 2 * WIDTH)).sci
        read = made[::-1] if names[0] in TOP else made
        assert np.allclose(read[2:-1, 24:-24], -6 / (WIDTH + 146), atol=1e-3)


def test_line_between_rows_by_hand() -> None:
    """Stripes 0, 10, 30: column 24 of amplifier C in row 1 is 12.5 / 186 of the way to row 2.

    Column 0 is 11.5 / 186 before row 1: on the line from row 0. The last row goes on straight.
    """
    found = Stripes({"C": 100.0, "D": 200.0}, np.array([0.0, 10, 30]), 3, 0)
    chip = found.chip(("C", "D"), 80)
    made = subtract_stripes(frozen(np.full((3, 80), 1000)), chip).sci
    assert made[1, 24] == pytest.approx(1000 - 100 - (10 + 20 * 12.5 / 186))
    assert made[1, 0] == pytest.approx(1000 - 100 - 10 * (1 - 11.5 / 186))
    assert made[2, 24] == pytest.approx(1000 - 100 - (30 + 20 * 12.5 / 186))
    assert made[0, 0] == pytest.approx(1000 - 100 + 10 * 11.5 / 186)
    assert made[1, 55] == pytest.approx(1000 - 200 - (10 + 20 * 12.5 / 186))
    top = found._replace(levels={"A": 100.0, "B": 200.0}).chip(("A", "B"), 80)
    turned = subtract_stripes(frozen(np.full((3, 80), 1000)), top).sci
    assert np.array_equal(turned[::-1], made)


@pytest.mark.parametrize("names", CHIPS)
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_blocks_of_rows_give_the_same_bits(names: tuple[str, ...], rows: int) -> None:
    """Each row knows its number; errors and flags stay."""
    chips = frame(np.linspace(0, 5, NY))
    chip = measured(chips).chip(names, 2 * WIDTH)
    whole = subtract_stripes(frozen(chips[names], 1, 4), chip)
    parts = [
        subtract_stripes(frozen(chips[names][y : y + rows]), chip, y).sci
        for y in range(0, NY, rows)
    ]
    assert np.array_equal(np.concatenate(parts), whole.sci)
    assert (whole.err == 1).all()
    assert (whole.dq == 4).all()


def test_mean_profile_along_the_bias_columns_is_no_stripe() -> None:
    """Columns that have not settled are high by their own amount, which comes off."""
    profile = np.zeros((NY, WIDTH))
    profile[:, :12] = np.arange(12, 0, -1)
    flat = flatten_columns(gathered(frame(0.0, 0.0, C=profile))["C"])
    assert np.allclose(flat, 4650, atol=1e-3)


def test_hit_in_one_bias_column_does_not_move_its_mean() -> None:
    """5 sigma clipping: without the hit the column's mean is 0 and its pixels stay."""
    rows = gathered(frame(C=spot(9, slice(3, 4), 3000.0)))["C"]
    flat = flatten_columns(rows)
    assert np.abs(np.delete(flat[:, 3], 9) - 4650).mean() < 1
    assert flat[9, 3] > 7000


def test_level_leaves_hits_out() -> None:
    """480 pixels of 10 +- 1; 10000 goes in the first pass, 100 (below its 260) in the second."""
    bias = np.full((20, 24), 10.0)
    bias[::2] += 1
    bias[1::2] -= 1
    assert find_level(bias, "C") == 10
    bias[3, 3:5] = 10_000, 100
    kept = np.delete(bias.ravel(), [3 * 24 + 3, 3 * 24 + 4])
    assert find_level(bias, "C") == pytest.approx(kept.mean(), abs=1e-9)


def test_level_is_summed_column_by_column() -> None:
    """In the order of calacs, for equal bits."""
    bias = np.random.default_rng(3).normal(4600, 1, (200, 24))
    total = 0.0
    for value in bias.T.ravel().tolist():
        total += value
    assert find_level(bias, "C") == total / bias.size


@pytest.mark.parametrize(("jump", "good"), [(150.0, True), (250.0, False)])
def test_row_is_compared_with_the_overscan_of_itself_and_the_row_before(
    jump: float, good: bool
) -> None:
    """A stripe of 250 e is 125 more than the mean of two rows, and the row after is 125 less."""
    rows = gathered(frame(C=spot(30, slice(0, WIDTH), jump)))["C"]
    found = good_rows(rows, flatten_columns(rows))
    assert found[30] == found[31] == good
    assert found[29]
    assert found[32]


@pytest.mark.parametrize(
    ("quadrant", "why"),
    [
        (spot(30, slice(24, WIDTH), 150.0), "100 electrons above the mean row"),
        (spot(30, slice(24, WIDTH), -150.0), "as much below"),
        (spot(30, slice(24, 25), 70_000.0), "bright pixel at the edge"),
        (spot(30, slice(0, WIDTH), np.nan), "not a number"),
    ],
)
def test_bad_rows(quadrant: np.ndarray, why: str) -> None:
    """Row 30 is bad in this amplifier alone, and row 0 always."""
    rows = gathered(frame(C=quadrant))["C"]
    good = good_rows(rows, flatten_columns(rows))
    assert not good[0]
    assert not good[30]
    assert good.sum() >= NY - 3


@pytest.mark.parametrize(("excess", "good"), [(104.0, True), (105.0, False), (-104.0, True)])
def test_excess_is_cut_to_whole_electrons(excess: float, good: bool) -> None:
    """104 in one of 28 rows: 100.3 above their mean is 100, not more; 105 makes 101.2."""
    rows = gathered(frame(0.0, 0.0, C=spot(20, slice(24, WIDTH), excess)))["C"]
    assert good_rows(rows, flatten_columns(rows))[20] == good


def test_stripe_of_two_good_amplifiers() -> None:
    """Bad in two of four: the mean of the two others; bad in three: no stripe, row skipped."""
    bad = spot(30, slice(24, WIDTH), 500.0)
    two = measured(frame(A=bad, B=bad))
    three = measured(frame(A=bad, B=bad, C=bad))
    assert (two.fixed, two.skipped) == (NY - 1, 1)
    assert two.rows[30] != 0
    assert (three.fixed, three.skipped) == (NY - 2, 2)
    assert three.rows[30] == 0


def test_noisy_bias_columns_give_no_stripe() -> None:
    """A scatter of 15 e or more in one row: that amplifier does not count there."""
    wild = spot(12, slice(0, 24), 0.0)
    wild[12, :24:2] = 40.0
    quiet = measured(frame(noise=0.01))
    found = measured(frame(noise=0.01, A=wild))
    assert found.rows[12] == pytest.approx(quiet.rows[12], abs=0.2)
    assert measured(frame(noise=0.01, A=wild, B=wild, C=wild)).skipped == 2


def test_nan_rows_are_bad_and_do_not_spread() -> None:
    """A NaN in the bias columns of one amplifier: the others make the stripe of its row."""
    found = measured(frame(D=spot(15, slice(2, 3), np.nan)))
    assert np.isfinite(found.rows).all()
    assert all(np.isfinite(level) for level in found.levels.values())
    assert found.fixed == NY - 1


def test_adding_a_level_moves_only_the_level() -> None:
    """64 e more in amplifier B are found as 64 e more there; stripes stay."""
    plain, raised = measured(frame()), measured(frame(B=np.full((NY, WIDTH), 64.0)))
    assert raised.levels["B"] - plain.levels["B"] == pytest.approx(64, abs=1e-3)
    assert np.allclose(raised.rows, plain.rows, atol=1e-3)


def test_small_frames_are_refused() -> None:
    """35 columns per amplifier and more than 20 rows are needed."""
    with pytest.raises(UnsupportedMode, match="too few columns"):
        gather_rows(frozen(np.zeros((30, 68))), ("C", "D"))
    flat = {name: AmplifierRows(np.zeros((20, 30), "f4"), np.zeros(20), 40) for name in "ABCD"}
    with pytest.raises(UnsupportedMode, match="full frames of four amplifiers"):
        measure_stripes(flat)


@pytest.mark.parametrize("missing", ["A", "C"])
def test_four_amplifiers_are_needed(missing: str) -> None:
    """Three are refused, and so are chips of different height."""
    rows = gathered(frame())
    three = {name: one for name, one in rows.items() if name != missing}
    with pytest.raises(UnsupportedMode, match="four amplifiers"):
        measure_stripes(three)
    short = rows[missing]._replace(pixels=rows[missing].pixels[:30], totals=np.zeros(30))
    with pytest.raises(UnsupportedMode, match="four amplifiers"):
        measure_stripes({**rows, missing: short})


@pytest.mark.parametrize("value", [60_000.0, 80_000.0])
def test_no_good_row_is_an_error(value: float) -> None:
    """Bright edges everywhere: nothing to find the level from."""
    bright = np.zeros((NY, WIDTH))
    bright[:, 24:30] = value
    with pytest.raises(DataError, match="no row"):
        measured(frame(C=bright))


def test_level_of_no_rows_is_an_error() -> None:
    """No good row: said with the amplifier."""
    with pytest.raises(DataError, match="no row of amplifier C"):
        find_level(np.zeros((0, 24)), "C")
