"""Occulting spots of the coronagraph."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen

from calib.errors import DataError
from calib.steps.occulting_spots import (
    SpotShift,
    choose_shift,
    multiply_flat,
    shift_spots,
)

ROWS = (SpotShift("01/06/02", 1.0, 2.0), SpotShift("11/06/02", 3.0, 4.0))


@pytest.mark.parametrize(
    ("observed", "chosen"),
    [
        ("2002-05-01", 0),
        ("2002-06-06", 0),  # 4.5 and 5.5 days from the two noons
        ("2002-06-07", 1),
        ("2004-01-01", 1),
        ("2002-06-06T23:00:00", 0),  # only the day counts
    ],
)
def test_nearest_date_is_chosen(observed: str, chosen: int) -> None:
    """The row nearest in time decides; it means noon, the exposure's date midnight."""
    assert choose_shift(ROWS, observed) is ROWS[chosen]


def test_first_of_equally_near_rows_is_chosen() -> None:
    """Two rows of one date: the first one."""
    rows = (SpotShift("05/07/03", 1.0, 0.0), SpotShift("05/07/03", 2.0, 0.0))
    assert choose_shift(rows, "2003-07-09") is rows[0]


def test_table_means_noon_and_the_exposure_midnight() -> None:
    """June 7 lies 5.5 days from the noons of June 1 and June 12: equally far, so the first."""
    rows = (SpotShift("01/06/02", 1.0, 0.0), SpotShift("12/06/02", 2.0, 0.0))
    assert choose_shift(rows, "2002-06-07") is rows[0]


def test_month_counts_one_too_late() -> None:
    """A trap: Jan 31 becomes "Feb 31", so March 3, and is nearer to Feb 14 ("March 14").

    In truth Jan 31 noon is 13.5 days before Feb 14, and Feb 27 noon 13.5 after; here it is 10.5.
    """
    rows = (SpotShift("26/02/03", 1.0, 0.0), SpotShift("31/01/03", 2.0, 0.0))
    assert choose_shift(rows, "2003-02-14") is rows[1]


def test_year_of_the_table_may_have_four_digits() -> None:
    """2002 is that year, not 4002."""
    rows = (SpotShift("01/01/2099", 1.0, 0.0), SpotShift("01/01/02", 2.0, 0.0))
    assert choose_shift(rows, "2002-02-01") is rows[1]
    assert choose_shift(rows, "2098-02-01") is rows[0]


@pytest.mark.parametrize("observed", ["", "2002-06", "today", "2002-13-01"])
def test_unreadable_date_of_the_exposure_is_refused(observed: str) -> None:
    """DATE-OBS must be a date."""
    with pytest.raises(DataError, match="a date cannot be read") as caught:
        choose_shift(ROWS, observed)
    assert "DATE-OBS" in str(caught.value)


def test_unreadable_date_of_the_table_is_refused() -> None:
    """So must DATE of SPOTTAB, and the message says which."""
    with pytest.raises(DataError, match="a date cannot be read") as caught:
        choose_shift((SpotShift("June 2002", 0.0, 0.0),), "2002-06-01")
    assert "SPOTTAB" in str(caught.value)


def test_whole_shift_moves_pixels() -> None:
    """One to the right, one up: the old first pixel lies at (1, 1); outside all light passes."""
    spots = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]], np.float32)
    made = shift_spots(spots, 1.0, 1.0)
    assert np.array_equal(made.sci[1:, 1:], spots[:2, :2])
    assert (made.sci[0] == 1).all()
    assert (made.sci[:, 0] == 1).all()
    assert not made.dq.any()


def test_part_of_a_pixel_is_interpolated() -> None:
    """A quarter to the right takes a quarter of the left neighbour, half a row up likewise."""
    spots = np.array([[0.0, 1.0, 3.0], [10.0, 11.0, 13.0], [20.0, 21.0, 23.0]], np.float32)
    made = shift_spots(spots, 0.25, 0.5).sci
    assert made[1, 1] == pytest.approx(0.75 * 1 + 0.25 * 0 + 0.5 * 10)
    assert made[2, 2] == pytest.approx(0.75 * 3 + 0.25 * 1 + 0.5 * (10 + 20))


def test_right_neighbour_of_the_last_column_is_on_the_next_row() -> None:
    """A trap of the program's memory; the very last pixel is its own neighbour."""
    spots = np.array([[1.0, 2.0], [4.0, 8.0]], np.float32)
    made = shift_spots(spots, -0.5, 0.0).sci
    assert made.tolist() == [[1.5, 3.0], [6.0, 8.0]]


def test_shift_beyond_the_image_lets_all_light_pass() -> None:
    """Where no part of the spot image lies, transmission and error are 1."""
    made = shift_spots(np.zeros((3, 4), np.float32), 9.0, 0.0)
    assert (made.sci == 1).all()
    assert (made.err == 1).all()


def test_error_of_the_spots_is_a_root_and_spoils_the_flat() -> None:
    """A trap: flat 1 +- 0.01 under transmission 0.25 +- 0.5 is 0.25 +- 0.5, not +- 0.0025."""
    spots = shift_spots(np.full((2, 2), 0.25, np.float32), 0.0, 0.0)
    assert (spots.err == 0.5).all()
    flat = frozen(np.ones((2, 2)), 0.01, 4)
    spoilt, exact = multiply_flat(flat, spots), multiply_flat(flat, spots, spots_are_exact=True)
    assert (spoilt.sci == 0.25).all()
    assert spoilt.err[0, 0] == pytest.approx(np.hypot(0.5, 0.0025))
    assert np.array_equal(exact.sci, spoilt.sci)
    assert exact.err[0, 0] == pytest.approx(0.0025)
    assert (spoilt.dq == 4).all()
