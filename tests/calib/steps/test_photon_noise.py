"""Errors of counted photons."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen

from calib.steps.photon_noise import initialise_error_of_counts, is_without_error


@pytest.mark.parametrize(
    ("counts", "error"),
    [(0, 1), (0.5, 1), (1, 1), (2, np.sqrt(np.float32(2))), (1e4, 100), (-9.7, 3), (-0.9, 1)],
)
def test_error_is_root_of_the_counts_and_at_least_one(counts: float, error: float) -> None:
    """The error is max(1, sqrt(SCI)); of a negative value the whole part counts as positive."""
    assert initialise_error_of_counts(frozen([[counts]])).err[0, 0] == np.float32(error)


def test_nan_has_error_one() -> None:
    """NaN is not greater than 1."""
    assert initialise_error_of_counts(frozen([[np.nan]])).err[0, 0] == 1


def test_only_empty_errors_are_filled() -> None:
    """One error that is not 0 means that they have been filled; NaN is not 0."""
    assert is_without_error(frozen(np.ones((2, 2))))
    assert not is_without_error(frozen(np.ones((2, 2)), [[0, 0], [0, 0.1]]))
    assert not is_without_error(frozen(np.ones((2, 2)), [[0, 0], [0, np.nan]]))
