"""What a row-wise step does: headers now, pixels later, block of rows by block of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calib.image import Image
from calib.instruments.state import ExposureState
from calib.steps.section import Region

RowFunction = Callable[[Image, int], Image]
Recorder = Callable[[ExposureState], ExposureState]


@dataclass(frozen=True)
class RowWork:
    """The work of one row-wise step on one exposure.

    Attributes
    ----------
    state
        The exposure with everything the step writes into headers before its pixels are
        computed; the pixels themselves are those of before.
    rows
        By image set: takes whole rows and the number of the first one, returns them as the
        step leaves them. Or the region to keep of each image set, where the step trims.
        Empty where no pixel changes.
    record
        Writes what was measured on the way, when all rows are done.
    downwards
        By image set: whether its rows must come from the last to the first. Empty: none.
    """

    state: ExposureState
    rows: tuple[RowFunction | Region, ...] = ()
    record: Recorder | None = None
    downwards: tuple[bool, ...] = ()
