"""Images and headers in memory."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen

from calib.errors import CorruptFile
from calib.image import Header, Image


def test_arrays_of_one_image_have_one_shape() -> None:
    """Else the message gives the three shapes."""
    with pytest.raises(CorruptFile, match=r"\(2, 2\).*\(2, 3\)"):
        Image(np.zeros((2, 2), "f4"), np.zeros((2, 3), "f4"), np.zeros((2, 2), "i2"))


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2)])
def test_an_image_has_two_axes(shape: tuple[int, ...]) -> None:
    """A line or a cube is no image."""
    with pytest.raises(CorruptFile):
        Image(np.zeros(shape, "f4"), np.zeros(shape, "f4"), np.zeros(shape, "i2"))


def test_a_cut_is_a_copy() -> None:
    """Changing a section does not change the whole; the unit stays."""
    whole = frozen(np.arange(6).reshape(2, 3))
    part = whole.cut(slice(0, 1), slice(1, 3))
    part.sci[:] = 9
    assert whole.sci.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert part.shape == (1, 2)
    assert part.unit == "ELECTRONS"


def test_header_changes_make_a_new_header() -> None:
    """What was read stays; the new one reads the new value, and knows its own keywords."""
    old = Header({"A": 1, "B": 2})
    new = old.with_values({"B": 3, "C": 4}, {"C": "new card"}).with_history("done")
    assert (old["B"], new["B"], new["C"], new.get("D")) == (2, 3, 4, None)
    assert "C" not in old
    assert "C" in new
    assert list(new) == ["A", "B", "C"]
    assert (len(old), len(new)) == (2, 3)
    assert (old.history, new.history) == ((), ("done",))
    with pytest.raises(KeyError):
        new["D"]
