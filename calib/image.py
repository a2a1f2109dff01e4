"""Pixels in memory: one image set (SCI, ERR, DQ) of a chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile

Float = npt.NDArray[np.float32]
Flags = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Image:
    """Science, error and data quality of one chip.

    Attributes
    ----------
    sci, err
        Shape (ny, nx), float32, in the unit of `unit`.
    dq
        Shape (ny, nx), int16, bits of :mod:`calib.dq`.
    unit
        ``COUNTS`` (DN) or ``ELECTRONS``.

    Raises
    ------
    CorruptFile
        The three arrays differ in shape, or are not two-dimensional.
    """

    sci: Float
    err: Float
    dq: Flags
    unit: str = "COUNTS"

    def __post_init__(self) -> None:
        shapes = {self.sci.shape, self.err.shape, self.dq.shape}
        if len(shapes) != 1 or self.sci.ndim != 2:  # noqa: PLR2004 - an image has two axes
            raise CorruptFile(
                "SCI, ERR and DQ of one image set differ in shape",
                expected="one shape (ny, nx)",
                found=[a.shape for a in (self.sci, self.err, self.dq)],
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (ny, nx)."""
        ny, nx = self.sci.shape
        return ny, nx
