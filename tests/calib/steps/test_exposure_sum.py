"""Sums of repeated exposures."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen, images
from hypothesis import given, settings

from calib.errors import DataError
from calib.image import Image
from calib.steps.exposure_sum import sum_exposures


def test_values_add_errors_in_quadrature_flags_join() -> None:
    """1 + 2 + 4 with errors 2, 3 and 6: 7 +- 7; flags of all."""
    made = sum_exposures([frozen([[s]], e, d) for s, e, d in ((1, 2, 1), (2, 3, 4), (4, 6, 256))])
    assert (made.sci[0, 0], made.err[0, 0], made.dq[0, 0]) == (7, 7, 261)


@settings(max_examples=25)
@given(first=images(), second=images(), third=images())
def test_sum_is_taken_in_order_in_32_bits(first: Image, second: Image, third: Image) -> None:
    """The running sum rounds after each exposure, as the program's does; inputs stay."""
    made = sum_exposures([first, second, third])
    assert np.array_equal(made.sci, first.sci + second.sci + third.sci)
    assert (made.err >= np.max([i.err for i in (first, second, third)], axis=0) * 0.999999).all()


def test_nan_stays() -> None:
    """A NaN in one exposure is one in the sum."""
    assert np.isnan(sum_exposures([frozen([[1.0]]), frozen([[np.nan]])]).sci[0, 0])


def test_one_exposure_is_no_sum() -> None:
    """The program stops there too."""
    with pytest.raises(DataError, match="too few"):
        sum_exposures([frozen([[1.0]])])


def test_exposures_of_different_size_are_refused() -> None:
    """Pixels must belong to each other."""
    with pytest.raises(DataError, match="differ in size"):
        sum_exposures([frozen([[1.0]]), frozen([[1.0, 2.0]])])
