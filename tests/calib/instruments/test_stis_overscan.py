"""Where the overscan of a STIS CCD image lies."""

from __future__ import annotations

import pytest

from calib.instruments.stis_overscan import find_overscan
from calib.steps.section import Region

FULL = (1044, 1062)


@pytest.mark.parametrize(
    ("amplifier", "region", "section", "rows"),
    [
        ("A", Region(0, 1024, 19, 1043), (1046, 1060), (1024, 1043)),
        ("B", Region(0, 1024, 19, 1043), (1, 15), (1024, 1043)),
        ("C", Region(20, 1044, 19, 1043), (1046, 1060), (0, 19)),
        ("D", Region(20, 1044, 19, 1043), (1, 15), (0, 19)),
    ],
)
def test_full_frame(
    amplifier: str, region: Region, section: tuple[int, int], rows: tuple[int, int]
) -> None:
    """19 columns on both sides, 20 rows far from the amplifier, 15 columns for the level."""
    found = find_overscan(amplifier, FULL, (1, 1))
    assert found is not None
    assert (found.region, found.bias_sections, found.virtual_y) == (region, (section,), rows)
    assert found.virtual_x == (19, 1042)
    assert found.has_virtual


def test_subarray_of_all_columns_has_no_virtual_overscan() -> None:
    """A column is lost at each edge: 18 are left, and 14 of them tell the level."""
    found = find_overscan("D", (64, 1060), (1, 1))
    assert found is not None
    assert found.region == Region(0, 64, 18, 1042)
    assert found.bias_sections == ((0, 13),)
    assert not found.has_virtual


@pytest.mark.parametrize(
    ("bins", "shape", "region", "section"),
    [
        ((2, 2), (522, 532), Region(10, 522, 11, 522), (1, 7)),
        ((4, 4), (261, 271), Region(5, 261, 11, 266), (1, 7)),
        ((1, 2), (522, 1054), Region(10, 522, 11, 1035), (1, 7)),
        ((2, 1), (1044, 532), Region(20, 1044, 11, 522), (1, 7)),
    ],
)
def test_binned_frame_loses_pixels_that_see_both(
    bins: tuple[int, int], shape: tuple[int, int], region: Region, section: tuple[int, int]
) -> None:
    """511 or 255 columns of sky are left of 1024 binned by 2 or 4, read by amplifier D."""
    found = find_overscan("D", shape, bins)
    assert found is not None
    assert (found.region, found.bias_sections) == (region, (section,))


@pytest.mark.parametrize(
    ("shape", "bins"),
    [
        ((100, 100), (1, 1)),
        ((64, 1059), (1, 1)),
        ((1030, 1062), (1, 1)),
        ((1044, 1061), (1, 1)),
        ((400, 500), (2, 2)),
    ],
    ids=["acquisition", "columns", "rows", "columns of a frame", "binned subarray"],
)
def test_image_without_overscan(shape: tuple[int, int], bins: tuple[int, int]) -> None:
    """Too small for it: the level of the CCD table is subtracted."""
    assert find_overscan("D", shape, bins) is None
