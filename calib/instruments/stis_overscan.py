"""Where the overscan of a STIS CCD image lies: by its size, binning and amplifier.

The chip has 1024 x 1024 pixels. Seen from amplifier A, 19 columns of overscan come before them
in a row and 19 after them, and 20 rows of virtual overscan above; B, C and D see the mirror
image. A subarray loses one pixel at each edge, and has all 1024 columns or no overscan; a
binned image has pixels that are part overscan, part sky. Sources: STIS Data Handbook 3.4.2,
figure 3.3; calstis findover, stissizes.h.
"""

from __future__ import annotations

from dataclasses import dataclass

from calib.steps.bias_level import Overscan
from calib.steps.section import Region

SIDE = 1024  # rows and columns that see the sky
SERIAL = 19  # columns of overscan at each side
VIRTUAL = 20  # rows of virtual overscan of a full frame
LOST = 1  # columns that a subarray lacks at each edge

BINS = (1, 2, 4)

# First and last column of the trailing overscan that the bias level is taken from, counted from
# 0, as amplifier A sees them: full frame; subarray; binned along y alone, and by 2 and 4 along x.
FULL_SECTION = (1046, 1060)
SUBARRAY_SECTION = (1046, 1059)
BINNED_SECTIONS = {1: (1046, 1052), 2: (524, 530), 4: (263, 269)}


@dataclass(frozen=True)
class _Layout:
    """Columns before and after the science pixels, rows above them, and the bias section."""

    left: int
    right: int
    above: int
    section: tuple[int, int]


def find_overscan(amplifier: str, shape: tuple[int, int], bins: tuple[int, int]) -> Overscan | None:
    """Return science pixels, bias section and virtual overscan; None for an image without.

    Parameters
    ----------
    amplifier
        A, B, C or D.
    shape
        Raw rows and columns.
    bins
        Detector pixels per image pixel along x and y: 1, 2 or 4.

    Returns
    -------
    calib.steps.bias_level.Overscan or None
        None where the image is too small to have overscan.
    """
    ny, nx = shape
    layout = _layout(ny, nx, bins)
    if layout is None:
        return None
    left, right, section = layout.left, layout.right, layout.section
    if amplifier in "BD":  # read from the other side
        left, right = right, left
        section = nx - 1 - section[1], nx - 1 - section[0]
    below = layout.above if amplifier in "CD" else 0
    region = Region(below, ny - layout.above + below, left, nx - right)
    rows = (0, below - 1) if below else (region.y1, ny - 1)
    return Overscan(region, (section,), (region.x0, region.x1 - 1), rows)


def _layout(ny: int, nx: int, bins: tuple[int, int]) -> _Layout | None:
    """Return the layout as amplifier A sees it; None where the sizes do not leave room for it."""
    if bins != (1, 1):
        return _binned(ny, nx, bins)
    if ny <= SIDE:
        edge = SERIAL - LOST
        fits = nx - 2 * edge >= SIDE
        return _Layout(edge, edge, 0, SUBARRAY_SECTION) if fits else None
    above = ny - SIDE
    fits = nx - 2 * SERIAL >= SIDE and above >= VIRTUAL
    return _Layout(SERIAL, SERIAL, VIRTUAL, FULL_SECTION) if fits else None


def _binned(ny: int, nx: int, bins: tuple[int, int]) -> _Layout | None:
    """Return the layout of a binned image, without the columns that see both."""
    by_x, by_y = bins
    left = SERIAL if by_x == 1 else (SERIAL + 1) // by_x
    columns = SIDE if by_x == 1 else SIDE // by_x - 1
    right, above = nx - columns - left, ny - SIDE // by_y
    if right < 0 or above < 0:
        return None
    return _Layout(left, right, above, BINNED_SECTIONS[by_x])
