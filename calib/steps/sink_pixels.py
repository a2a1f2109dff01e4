"""Sink pixels: charge traps and the trails behind them get 1024 (SINKCORR).

The reference image is walked along each column in the order of the readout, beginning at the
first row read. Sources: ACS ISR 2017-01; calacs sinkDetect.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.flags import flag_if
from calib.arithmetic.sink import is_affected, sink_signal
from calib.compiled import Planes, compiled, planes, readonly
from calib.dq import AcsDq
from calib.image import Flags, Float, Image

Booleans = npt.NDArray[np.bool_]


class SinkTrail(NamedTuple):
    """What the walk along the columns carries from one block of rows to the next.

    Attributes
    ----------
    trailing
        Shape (nx,): whether the pixel passed last belongs to a sink or its trail.
    sink
        Shape (nx,), electrons: signal of the sink passed last, 0 before the first.
    """

    trailing: Booleans
    sink: Float


def begin_trail(nx: int) -> SinkTrail:
    """Return the state before the first row of `nx` columns."""
    return SinkTrail(np.zeros(nx, np.bool_), np.zeros(nx, np.float32))


def walks_down(version: int) -> bool:
    """Whether the rows are walked from the last to the first: those of chip 1.

    Parameters
    ----------
    version
        EXTVER of the image set of the SNKCFILE that belongs to the chip: calacs takes the
        first one for chip 2, whose readout is below row 0, and any other for chip 1.
    """
    return version != 1


def flag_sink_pixels(
    image: Image, sinks: Float, trail: SinkTrail, *, downward: bool
) -> tuple[Image, SinkTrail]:
    """Flag sink pixels and their trails with 1024 in a block of whole rows.

    Parameters
    ----------
    image
        In electrons, with overscan: calacs walks over it too. Flagged pixels are walked like
        others; a NaN reference ends a trail, and a trail of a NaN sink ends at once.
    sinks
        The same rows of the SNKCFILE, shape (ny, nx).
    trail
        What the block walked before left; :func:`begin_trail` for the first one.
    downward
        Walk from the last row of the block to its first. Then the blocks, too, must come from
        the top of the image to row 0.

    Returns
    -------
    Image
        With flags added; SCI and ERR are those given.
    SinkTrail
        For the next block.

    Raises
    ------
    DataError
        Image and reference differ in shape.
    """
    dq = np.empty(image.shape, np.int16)
    trailing, sink = trail.trailing.copy(), trail.sink.copy()
    reference = readonly(sinks, np.float32, image.shape)
    _flag(planes(image), reference, downward, int(AcsDq.SINK), trailing, sink, dq)
    return dataclasses.replace(image, dq=dq), SinkTrail(trailing, sink)


@compiled("void", "planes", "f4[:,:]", "b1", "i4", "out b1[:]", "out f4[:]", "out i2[:,:]")
def _flag(
    image: Planes,
    reference: Float,
    downward: bool,
    bit: int,
    trailing: Booleans,
    sink: Float,
    dq: Flags,
) -> None:
    ny, nx = image.sci.shape
    for step in range(ny):
        y = ny - 1 - step if downward else step
        for x in range(nx):
            hit = is_affected(reference[y, x], sink[x], trailing[x])
            sink[x] = sink_signal(reference[y, x], sink[x], image.sci[y, x])
            trailing[x] = hit
            dq[y, x] = flag_if(image.dq[y, x], hit, bit)
