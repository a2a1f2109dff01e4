"""Readout amplifiers of a CCD chip: which columns each one reads, and its numbers.

Steps know nothing of amplifiers: what differs between them is given as one value per column
(:meth:`Readout.per_column`). Sources: ACS Data Handbook 2.3 and 3.4.5; calacs getccdtab.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calib.errors import DataError
from calib.image import Float, Image


@dataclass(frozen=True)
class Amplifier:
    """One amplifier.

    Attributes
    ----------
    name
        A, B, C or D.
    gain, read_noise
        Electrons per DN; electrons. As 32-bit numbers, like those of the table.
    default_level
        Bias level [electrons] where there is no overscan.

    Raises
    ------
    DataError
        Gain or read noise are NaN, infinite, zero or negative.
    """

    name: str
    gain: float
    read_noise: float
    default_level: float = 0.0

    def __post_init__(self) -> None:
        for value, what, unit in (
            (self.gain, "gain", "electrons per DN"),
            (self.read_noise, "read noise", "electrons"),
        ):
            if not (math.isfinite(value) and value > 0):
                raise DataError(
                    f"the {what} of amplifier {self.name} is not usable",
                    expected=f"{unit} > 0",
                    found=value,
                )


@dataclass(frozen=True)
class Readout:
    """The amplifiers of one chip.

    Attributes
    ----------
    amplifiers
        One or two, the left one first.
    boundary
        First column of the right one: the number of columns where there is only a left one,
        0 where there is only a right one.

    Raises
    ------
    DataError
        There is no amplifier, or more than two.
    """

    amplifiers: tuple[Amplifier, ...]
    boundary: int

    def __post_init__(self) -> None:
        if len(self.amplifiers) not in {1, 2}:
            raise DataError(
                "a chip is read by one or two amplifiers", found=[a.name for a in self.amplifiers]
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Letters of the amplifiers, left to right."""
        return tuple(amplifier.name for amplifier in self.amplifiers)

    def spans(self, nx: int) -> Iterator[tuple[Amplifier, slice]]:
        """Yield each amplifier with its columns, for `nx` columns in all."""
        if len(self.amplifiers) == 1:
            yield self.amplifiers[0], slice(0, nx)
        else:
            yield self.amplifiers[0], slice(0, self.boundary)
            yield self.amplifiers[1], slice(self.boundary, nx)

    def per_column(self, attribute: str, nx: int) -> Float:
        """Return a number of the amplifier (``gain``, ``read_noise``) for each column.

        Returns
        -------
        numpy.ndarray
            Shape (nx,), float32.
        """
        values = np.empty(nx, np.float32)
        for amplifier, columns in self.spans(nx):
            values[columns] = getattr(amplifier, attribute)
        return values


def find_boundary(amp_x: int, ltv1: float, nx: int) -> int:
    """Return the first column of the right-hand amplifier.

    Source: calacs (AMPX of the CCD table, moved by a leading overscan). Where the boundary
    lies in the trailing overscan or beyond, all columns are the left one's (nx); 0 means that
    all are the right one's.

    Parameters
    ----------
    amp_x
        AMPX of the CCD table, counted in science pixels.
    ltv1
        LTV1 of the image: columns of leading overscan; below 0 in subarrays.
    nx
        Columns of the image.
    """
    boundary = amp_x + max(int(ltv1), 0)
    if boundary >= nx - int(ltv1) or amp_x >= nx:
        return nx
    return boundary


def of_columns(values: npt.ArrayLike, image: Image) -> Float:
    """Return values per column as a loop over this image takes them.

    Parameters
    ----------
    values
        Shape (nx,), or one number for all columns.

    Raises
    ------
    DataError
        Another shape.
    """
    _, nx = image.shape
    given = np.asarray(values, np.float32)
    if given.shape not in {(), (nx,)}:
        raise DataError(
            "there must be one value per column", expected=f"{nx} values", found=given.shape
        )
    return np.ascontiguousarray(np.broadcast_to(given, nx))
