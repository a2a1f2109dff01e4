"""The light that falls on a camera: the target of a pointing, or a field of stars and galaxies."""

from __future__ import annotations

from functools import lru_cache

from calib.simulate.pointing import Pointing
from calib.simulate.scene import Pixels, render_sky
from calib.simulate.targets import render_target

# Pixels around the chip that a member of an association may see.
MARGIN = 32


def render_pointing(pointing: Pointing, shape: tuple[int, int]) -> Pixels:
    """Return the light (electrons/s) that falls on the pixels, before flat and dead columns.

    Members of an association see cut-outs of one larger sky, moved by their offsets. The image
    is shared between exposures of one sky, so it cannot be written to.
    """
    least = MARGIN if pointing.membership else 0
    margin = max(least, *(abs(pixels) for pixels in pointing.offset))
    ny, nx = shape
    shape = (ny + 2 * margin, nx + 2 * margin)
    sky = _render(pointing.target, pointing.field, pointing.blueness, shape)
    x, y = margin + pointing.offset[0], margin + pointing.offset[1]
    return sky[y : y + ny, x : x + nx]


@lru_cache(maxsize=2)
def _render(target: str | None, field: int, blueness: int, shape: tuple[int, int]) -> Pixels:
    if target is None:
        light = render_sky(shape, seed=field, blueness=blueness)
    else:
        light = render_target(target, shape, seed=field, blueness=blueness)
    light.setflags(write=False)
    return light
