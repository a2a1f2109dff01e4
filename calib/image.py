"""One exposure in memory: pixels (SCI, ERR, DQ) and headers, never changed in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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

    def cut(self, rows: slice, columns: slice) -> Image:
        """Return a section as arrays of its own.

        Parameters
        ----------
        rows, columns
            Start and stop inside the image.
        """
        section = (rows, columns)
        return dataclasses.replace(
            self,
            sci=self.sci[section].copy(),
            err=self.err[section].copy(),
            dq=self.dq[section].copy(),
        )


@dataclass(frozen=True)
class Header(Mapping[str, Any]):
    """A FITS header that is read now and changed when the product is written.

    Parameters
    ----------
    cards
        What was read: any mapping of keywords (an astropy header keeps order, comments and
        blank lines for the product). Never written to.
    changes
        New values by keyword.
    comments
        Comments of cards that `cards` lacks.
    history
        HISTORY lines to add.
    """

    cards: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    comments: Mapping[str, str] = field(default_factory=dict)
    history: tuple[str, ...] = ()

    def __getitem__(self, keyword: str) -> Any:
        return self.changes[keyword] if keyword in self.changes else self.cards[keyword]

    def __contains__(self, keyword: object) -> bool:
        return keyword in self.changes or keyword in self.cards

    def __iter__(self) -> Iterator[str]:
        yield from self.cards
        yield from (keyword for keyword in self.changes if keyword not in self.cards)

    def __len__(self) -> int:
        return len(self.cards) + sum(keyword not in self.cards for keyword in self.changes)

    def with_values(
        self, values: Mapping[str, Any], comments: Mapping[str, str] | None = None
    ) -> Header:
        """Return a header with these values."""
        return dataclasses.replace(
            self,
            changes={**self.changes, **values},
            comments={**self.comments, **(comments or {})},
        )

    def with_history(self, *lines: str) -> Header:
        """Return a header with more HISTORY lines."""
        return dataclasses.replace(self, history=self.history + lines)


@dataclass(frozen=True)
class Imset:
    """One image set: pixels and the headers of its three extensions.

    Attributes
    ----------
    version
        EXTVER of the three extensions.
    """

    image: Image
    sci: Header
    err: Header
    dq: Header
    version: int = 1
