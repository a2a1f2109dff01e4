"""Which amplifier reads which column."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factories import frozen

from calib.errors import DataError
from calib.steps.gain import to_electrons
from calib.steps.readout import Amplifier, Readout, find_boundary

C, D = Amplifier("C", 2.0, 4.0, 100.0), Amplifier("D", 3.0, 5.0, 200.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("what", ["gain", "read_noise"])
def test_impossible_numbers_are_refused(what: str, value: float) -> None:
    """A gain or read noise of 0, below 0, NaN or infinity is said with the amplifier, not used."""
    with pytest.raises(DataError, match="of amplifier B is not usable"):
        Amplifier("B", **{"gain": 2.0, "read_noise": 4.0, what: value})


def test_two_amplifiers_share_the_columns() -> None:
    """Columns 0 and 1 have the left one's numbers, column 2 the right one's."""
    readout = Readout((C, D), 2)
    assert readout.names == ("C", "D")
    assert readout.per_column("gain", 3).tolist() == [2, 2, 3]
    assert readout.per_column("read_noise", 3).tolist() == [4, 4, 5]
    assert readout.per_column("default_level", 3).dtype == np.float32


@pytest.mark.parametrize("boundary", [0, 3])
def test_one_amplifier_has_all_columns(boundary: int) -> None:
    """Be it the left or the right one."""
    assert Readout((D,), boundary).per_column("gain", 3).tolist() == [3, 3, 3]


@pytest.mark.parametrize("amplifiers", [(), (C, D, C)])
def test_a_chip_has_one_or_two_amplifiers(amplifiers: tuple[Amplifier, ...]) -> None:
    """None and three are refused."""
    with pytest.raises(DataError, match="one or two"):
        Readout(amplifiers, 0)


@pytest.mark.parametrize(
    ("amp_x", "ltv1", "nx", "boundary"),
    [
        (2048, 24.0, 4144, 2072),  # full frame: the middle
        (128, 24.0, 304, 152),
        (4144, 24.0, 152, 152),  # left subarray: AMPX beyond the image
        (2048, 24.0, 2096, 2096),  # boundary 2072 in the trailing overscan
        (2048, 24.0, 2097, 2072),
        (0, -2072.0, 2072, 0),  # right subarray
        (0, 0.0, 2072, 0),
    ],
)
def test_boundary(amp_x: int, ltv1: float, nx: int, boundary: int) -> None:
    """AMPX moved by the leading overscan; nx where it is in the trailing one or beyond."""
    assert find_boundary(amp_x, ltv1, nx) == boundary


def test_one_value_per_column() -> None:
    """Another number of values than columns is refused; one number is for all."""
    image = frozen([[1.0, 2.0, 3.0]])
    assert to_electrons(image, np.float32(2)).sci.tolist() == [[2, 4, 6]]
    with pytest.raises(DataError, match="one value per column"):
        to_electrons(image, np.ones(2, np.float32))
