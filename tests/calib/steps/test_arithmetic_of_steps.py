"""Numbers of the steps, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factories import frozen

from calib.errors import DataError, MissingReference
from calib.steps.bad_pixels import (
    BadRun,
    flag_bad_pixels,
    flag_no_table_row,
    flag_saturated_samples,
    place_runs,
)
from calib.steps.bias import subtract_bias
from calib.steps.dark import subtract_dark
from calib.steps.dark_time import Overheads, adjust_dark_time
from calib.steps.flash import mean_by_rows
from calib.steps.flat import divide_flat
from calib.steps.full_well import flag_full_well, region_to_compare
from calib.steps.gain import to_electrons
from calib.steps.noise import initialise_error, initialise_error_of_bias
from calib.steps.section import (
    Offset,
    PixelMapping,
    Region,
    find_offset,
    trim_overscan,
)
from calib.steps.statistics import measure
from calib.steps.totals import sum_good


def test_bias_adds_errors_in_quadrature() -> None:
    """10 - 4 = 6 with errors 3 and 4 gives 5; flags 1 and 128 give 129."""
    made = subtract_bias(frozen([[10.0]], 3, 1), frozen([[4.0]], 4, 128))
    assert (made.sci[0, 0], made.err[0, 0], made.dq[0, 0]) == (6, 5, 129)


def test_gain_makes_electrons() -> None:
    """5 DN of 2 DN error are 10 and 4 electrons at gain 2, 15 and 6 at gain 3."""
    made = to_electrons(frozen([[5.0, 5.0]], 2, unit="COUNTS"), np.array([2, 3], np.float32))
    assert made.sci.tolist() == [[10, 15]]
    assert made.err.tolist() == [[4, 6]]
    assert made.unit == "ELECTRONS"


def test_initial_error() -> None:
    """Signal 7, read noise 3, bias error 0: sqrt(7 + 9) = 4; a negative signal adds nothing.

    The last column has a read noise of 9: sqrt(7 + 81).
    """
    noise = np.array([3, 3, 3, 9], np.float32)
    made = initialise_error(frozen([[7.0, -7, 0, 7]], [[0, 0, 4, 0]]), noise)
    assert made.err.tolist() == [[4, 3, 5, np.float32(math.sqrt(88))]]


def test_error_of_a_bias_is_the_read_noise() -> None:
    """Targets named BIAS get the read noise alone."""
    noise = np.array([3, 4], np.float32)
    assert initialise_error_of_bias(frozen([[7.0, 7.0]], 9), noise).err.tolist() == [[3, 4]]


def test_dark_is_scaled_and_its_mean_leaves_out_bad_pixels() -> None:
    """0.5 e/s in 10 s is 5; the mean of 5 and a flagged 50 is 5."""
    dark = frozen([[0.5, 5.0]], 0.1, [[0, 16]])
    made, totals = subtract_dark(frozen([[20.0, 20.0]]), dark, 10.0, 16)
    assert made.sci.tolist() == [[15, -30]]
    assert made.err.tolist() == [[1, 1]]
    assert totals.mean == 5


def test_mean_dark_of_bad_pixels_only_is_zero() -> None:
    """No good dark pixel: 0, not NaN."""
    assert subtract_dark(frozen([[1.0]]), frozen([[1.0]], 0, 4), 1.0, 4).totals.mean == 0


def test_flash_mean_weights_rows_by_good_pixels() -> None:
    """Rows of mean 2 (two good) and 8 (one good): (2 * 1 + 8 * 0.5) / 1.5 = 4."""
    values = np.array([[1, 3], [8, 99]], np.float32)
    flags = np.array([[0, 0], [0, 4]], np.int16)
    assert mean_by_rows(sum_good(values, flags, 1.0, 4), width=2) == 4
    assert mean_by_rows(sum_good(values, flags | 4, 1.0, 4), width=2) == 0


def test_flat_divides_and_flags_zeros() -> None:
    """8 / 2 = 4; errors 6/2 and 1*8/2/2 give sqrt(9 + 4); a flat of 0 changes nothing but 512."""
    made = divide_flat(frozen([[8.0, 8.0]], 6), frozen([[2.0, 0.0]], [[1, 1]], [[32, 0]]))
    assert made.sci.tolist() == [[4, 8]]
    assert made.err[0, 0] == np.float32(math.sqrt(13))
    assert made.err[0, 1] == 6
    assert made.dq.tolist() == [[32, 512]]


def test_saturation_flag_includes_the_limit() -> None:
    """A sample at the converter's top is saturated."""
    assert flag_saturated_samples(frozen([[9.0, 10, 11]]), 10).dq.tolist() == [[0, 2048, 2048]]


def test_full_well_excludes_the_limit_and_the_outside() -> None:
    """Only above the limit, and only in the region."""
    image = frozen([[9.0, 10, 11, 99]])
    made = flag_full_well(image, frozen([[10.0] * 4]).sci, Region(0, 1, 0, 3))
    assert made.dq.tolist() == [[0, 0, 256, 0]]


def test_full_well_of_a_subarray_leaves_the_last_columns_out() -> None:
    """The kept trap: from raw pixel 0 over the trimmed width, so 24 science columns are missed."""
    region = region_to_compare((24, 0), (0, 0), (64, 152), Offset(0, 0, same_size=False))
    assert region == Region(0, 64, 0, 128)
    whole = region_to_compare((19, 19), (0, 20), (1044, 1062), Offset(0, 0, same_size=True))
    assert whole == Region(0, 1024, 19, 1043)


@pytest.mark.parametrize(
    ("run", "flagged"),
    [
        (BadRun(1, 0, 2, 1, 4), [(0, 1), (0, 2)]),
        (BadRun(1, 0, 2, 2, 4), [(0, 1), (1, 1)]),
        (BadRun(-1, 0, 2, 1, 4), [(0, 0)]),
        (BadRun(2, 1, 9, 1, 4), [(1, 2)]),
        (BadRun(0, 5, 2, 1, 4), []),
        (BadRun(9, 0, 2, 1, 4), []),
        (BadRun(-5, 0, 2, 1, 4), []),
    ],
)
def test_bad_runs_are_clipped(run: BadRun, flagged: list[tuple[int, int]]) -> None:
    """Runs go along x or y and end at the edges of the image."""
    made = flag_bad_pixels(frozen(np.zeros((2, 3))), place_runs([run], (0.0, 0.0)))
    assert list(zip(*map(np.ndarray.tolist, np.nonzero(made.dq)), strict=True)) == flagged


def test_bad_run_moves_with_the_overscan() -> None:
    """Detector pixel 1 is image pixel 3 where two columns of overscan come first."""
    made = flag_bad_pixels(
        frozen(np.zeros((1, 5))), place_runs([BadRun(1, 0, 1, 1, 4)], (2.0, 0.0))
    )
    assert made.dq.tolist() == [[0, 0, 0, 4, 0]]


@pytest.mark.parametrize("run", [BadRun(0, 0, 0, 1, 4), BadRun(0, 0, 1, 3, 4)])
def test_impossible_bad_run_is_refused(run: BadRun) -> None:
    """A run without length or with an axis 3 is a broken table."""
    with pytest.raises(DataError, match="impossible row"):
        place_runs([run], (0.0, 0.0))


def test_no_fitting_row_flags_one_pixel() -> None:
    """Kept from calacs: pixel (1, 1) gets 64."""
    assert flag_no_table_row(frozen(np.zeros((2, 2)))).dq.tolist() == [[0, 0], [0, 64]]


@pytest.mark.parametrize(
    ("start", "flashed", "aperture", "seconds"),
    [
        (53000.0, False, None, 100.0),
        (54962.0, False, None, 100.5),
        (54962.0, True, None, 103.5),
        (58000.0, False, "WFC2-MRAMPQ", 100.0),
        (58000.0, False, "WFC2C-2K", 100.5),
        (58000.0, True, "WFC1-POL60V ", 103.5),
        (57661.9, False, "WFC2C-2K", 100.0),
        (57662.0, False, "WFC1-SMFL", 100.5),
    ],
)
def test_dark_time(start: float, flashed: bool, aperture: str | None, seconds: float) -> None:
    """Overheads: full frames from Servicing Mission 4 on, named subarrays from October 2016 on."""
    overheads = Overheads(flashed=3.5, unflashed=0.5)
    found = adjust_dark_time(100.0, start, overheads, flashed=flashed, aperture=aperture)
    assert found == seconds


def test_statistics_of_good_pixels() -> None:
    """Flagged pixels and those without error do not count; NaN is counted apart."""
    image = frozen([[1.0, 3, 100, 200]], [[1, 2, 1, 0]], [[0, 0, 4, 0]])
    found = measure(image, 4)
    assert found.good == 2
    assert found.sci == (1, 3, 2)
    assert found.err == (1, 2, 1.5)
    assert found.snr == (1, 1.5, 1.25)
    assert found.not_finite == 0
    assert measure(frozen([[np.nan, 1.0]], 1), 4).not_finite == 1
    assert measure(frozen([[1.0]], 1, 4), 4).sci == (0, 0, 0)


def test_offset_of_a_subarray() -> None:
    """A subarray with LTV -40 begins 40 detector pixels in; the raw reference 9 before."""
    image, raw = PixelMapping((-40.0, -8.0)), PixelMapping((9.0, 0.0))
    assert find_offset(image, raw, (4, 5), (44, 62)) == Offset(49, 8, same_size=False)


@pytest.mark.parametrize(
    ("mapping", "shape"),
    [
        (PixelMapping((-60.0, 0.0)), (4, 5)),
        (PixelMapping((1.0, 0.0)), (4, 5)),
        (PixelMapping((0.0, 0.0), (0.5, 0.5)), (4, 5)),
        (PixelMapping((0.0, 0.0)), (45, 5)),
    ],
)
def test_reference_that_does_not_fit(mapping: PixelMapping, shape: tuple[int, int]) -> None:
    """Too small, shifted out or binned otherwise: said with both sizes."""
    with pytest.raises(MissingReference):
        find_offset(mapping, PixelMapping((0.0, 0.0)), shape, (44, 62))


def test_binned_mapping_rounds_half_away_from_zero() -> None:
    """LTM 0.5 and LTV 0.25: bins of 2, corner nint(1 - 0.5) = 1."""
    mapping = PixelMapping((0.25, 0.0), (0.5, 0.5))
    assert mapping.bins == (2, 2)
    assert mapping.corner == (1, 1)


def test_trim_cuts_both_sides() -> None:
    """One column left, two right, one row at the top."""
    image = frozen(np.arange(20).reshape(4, 5))
    assert trim_overscan(image, (1, 2), (0, 1)).sci.tolist() == [[1, 2], [6, 7], [11, 12]]
