"""Round numbers along axes, and places on them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.preview.axes import Axis, common_power, round_ticks, tick_labels
from calib.preview.limits import Limits


@pytest.mark.parametrize(
    ("low", "high", "wanted", "labels"),
    [
        (1607, 1797, 8, "1620 1640 1660 1680 1700 1720 1740 1760 1780"),
        (-0.2, 2.9, 4, "0 1 2"),
        (0.0, 0.25, 4, "0.00 0.05 0.10 0.15 0.20 0.25"),
        (-1.0, 1.0, 4, "-1.0 -0.5 0.0 0.5 1.0"),
        (9999, 10001, 4, "9999.0 9999.5 10000.0 10000.5 10001.0"),
    ],
)
def test_round_numbers(low: float, high: float, wanted: int, labels: str) -> None:
    """Multiples of 1, 2 or 5, as many decimals as tell them apart, no minus before zero."""
    assert " ".join(tick_labels(round_ticks(Limits(low, high), wanted))) == labels


@pytest.mark.parametrize(
    ("low", "high", "power"),
    [(0, 2.9e-11, -11), (-3e-15, 1e-15, -15), (0, 250, 0), (0, 0.2, 0), (0, 3e6, 6), (0, 0, 0)],
)
def test_power_of_ten_is_left_out_of_labels(low: float, high: float, power: int) -> None:
    """Fluxes read as 1.5, not as 0.000000000015; handy numbers stay."""
    assert common_power(Limits(low, high)) == power


def test_labels_are_divided_by_the_power() -> None:
    """1.5e-14 in units of 1e-14."""
    assert tick_labels((0.0, 0.5e-14, 1e-14, 1.5e-14), -14) == ("0.0", "0.5", "1.0", "1.5")


@given(st.floats(-1e30, 1e30), st.floats(1e-6, 1e30), st.integers(1, 12))
def test_ticks_are_within_and_rise(low: float, span: float, wanted: int) -> None:
    """Never outside the axis, never a flood of them, whatever the range."""
    limits = Limits(low, low + span)
    if not limits.low < limits.high:
        return
    ticks = round_ticks(limits, wanted)
    assert len(ticks) <= 10 * wanted + 1
    slack = 1e-9 * max(abs(limits.low), abs(limits.high))
    assert all(limits.low - slack <= tick <= limits.high + slack for tick in ticks)
    assert all(a <= b for a, b in itertools.pairwise(ticks))


def test_places() -> None:
    """Linear between the edges, turned round for an axis that grows upwards, NaN nowhere."""
    axis = Axis(Limits(10, 20), 100, 0)
    assert axis.place(np.array([10.0, 12.5, 20.0, 25.0])).tolist() == [100, 75, 0, -50]
    assert axis.place(np.array([-np.inf, np.inf])).tolist() == [400, -300]
    assert np.isnan(axis.place(np.array([np.nan]))).all()
