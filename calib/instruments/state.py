"""What steps hand to each other: one exposure with its headers and references."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from calib.errors import DataError, MissingReference
from calib.fitsfile import Exposure, ReferenceImage, read_exposure, write_exposure
from calib.image import Float, Header, Image, Imset
from calib.instruments.acs_tables import CcdParameters, OverscanRow
from calib.instruments.reference_set import ReferenceSet
from calib.steps.section import Offset, PixelMapping, find_offset
from calib.switches import Switch, read_keyword, read_number, read_switch


@dataclass(frozen=True)
class ReferencePart:
    """Part of a reference image that belongs to an exposure; rows are read when wanted.

    Attributes
    ----------
    image, offset
        The whole, and where the part lies in it.
    width
        Columns of the part.
    """

    image: ReferenceImage
    offset: Offset
    width: int

    def rows(self, first: int, end: int) -> Image:
        """Return SCI, ERR and DQ of some rows of the part."""
        whole = self.image.rows(first + self.offset.y, end + self.offset.y)
        if whole.shape[1] == self.width:
            return whole
        return whole.cut(slice(None), slice(self.offset.x, self.offset.x + self.width))

    def signal(self, first: int, end: int) -> Float:
        """Return SCI alone of some rows of the part."""
        whole = self.image.signal(first + self.offset.y, end + self.offset.y)
        part = whole[:, self.offset.x : self.offset.x + self.width]
        return np.ascontiguousarray(part)


def single(value: float) -> float | None:
    """Return a number as calacs writes it: a 32-bit float with eight digits.

    NaN and infinity cannot stand in a FITS header: None leaves the value blank.
    """
    return float(f"{np.float32(value):.7E}") if math.isfinite(value) else None


def double(value: float) -> float:
    """Return a 64-bit number as calacs writes it: with thirteen digits."""
    return float(f"{value:.12E}")


@dataclass(frozen=True)
class ExposureState:
    """One exposure between two steps; never changed in place.

    The pixels and headers round-trip through FITS (:func:`save_state`, :func:`load_state`);
    `ccds` and `overscans` are found again in the tables by the preparing steps.

    Attributes
    ----------
    dataset, path
        Name of the exposure and file it was read from, for messages.
    primary, imsets
        Headers and pixels; the image sets in order of EXTVER (WFC: chip 2, chip 1).
    references
        Reference files by keyword.
    ccds, overscans
        Rows of the CCD and overscan tables by image set; empty before they are read. None
        where no overscan row fits.
    shapes
        Sizes by image set that the pixels will have when the pending row-wise steps are done;
        empty where none changes them.
    notes
        HISTORY lines of the running step.
    warnings
        What a user should know about the product, of all steps.
    skipped
        Why the running step was not done; None where it was.
    threads
        Image sets that may be computed at once. Nothing depends on it.
    """

    dataset: str
    path: str
    primary: Header
    imsets: tuple[Imset, ...]
    references: ReferenceSet
    ccds: tuple[CcdParameters, ...] = ()
    overscans: tuple[OverscanRow | None, ...] = ()
    shapes: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: str | None = None
    threads: int = 1

    @property
    def chips(self) -> tuple[Chip, ...]:
        """The image sets, one by one."""
        return tuple(Chip(self, index) for index in range(len(self.imsets)))

    @property
    def images(self) -> tuple[Image, ...]:
        """Pixels of the image sets."""
        return tuple(imset.image for imset in self.imsets)

    def value(self, keyword: str) -> Any:
        """Return a value of the primary header, or its default for old raws."""
        return read_keyword(self.primary, keyword)

    def number(self, keyword: str) -> float:
        """Return a number of the primary header, or its default for old raws."""
        return read_number(self.primary, keyword)

    def switch(self, keyword: str) -> Switch:
        """Return a switch of the primary header."""
        return read_switch(self.primary, keyword)

    def with_imsets(self, imsets: Sequence[Imset]) -> ExposureState:
        """Return the state with other image sets."""
        return dataclasses.replace(self, imsets=tuple(imsets))

    def with_images(self, images: Sequence[Image]) -> ExposureState:
        """Return the state with other pixels."""
        pairs = zip(self.imsets, images, strict=True)
        return self.with_imsets([dataclasses.replace(imset, image=image) for imset, image in pairs])

    def with_primary(
        self, values: Mapping[str, Any], comments: Mapping[str, str] | None = None
    ) -> ExposureState:
        """Return the state with values in the primary header."""
        return dataclasses.replace(self, primary=self.primary.with_values(values, comments))

    def with_science(
        self,
        values: Sequence[Mapping[str, Any]],
        comments: Mapping[str, str] | None = None,
    ) -> ExposureState:
        """Return the state with values in the SCI headers, one mapping per image set."""
        return self.with_imsets(
            [
                dataclasses.replace(imset, sci=imset.sci.with_values(own, comments))
                for imset, own in zip(self.imsets, values, strict=True)
            ]
        )

    def with_headers(
        self, names: tuple[str, ...], values: Sequence[Mapping[str, Any]]
    ) -> ExposureState:
        """Return the state with values in some headers ``sci err dq``, one mapping per imset."""
        imsets = []
        for imset, own in zip(self.imsets, values, strict=True):
            changed: dict[str, Any] = {
                name: getattr(imset, name).with_values(own) for name in names
            }
            imsets.append(dataclasses.replace(imset, **changed))
        return self.with_imsets(imsets)

    def with_history(self, *lines: str) -> ExposureState:
        """Return the state with HISTORY lines in the primary header."""
        return dataclasses.replace(self, primary=self.primary.with_history(*lines))

    def with_notes(self, *lines: str) -> ExposureState:
        """Return the state with HISTORY lines that belong to the running step."""
        return dataclasses.replace(self, notes=self.notes + lines)

    def warn(self, line: str) -> ExposureState:
        """Return the state with a HISTORY line that is also told to the user."""
        return dataclasses.replace(self, notes=(*self.notes, line), warnings=(*self.warnings, line))

    def skip(self, reason: str) -> ExposureState:
        """Return the state with the running step marked as not done."""
        return dataclasses.replace(self, skipped=reason)

    def renamed(self, dataset: str) -> ExposureState:
        """Return the state under another name."""
        return dataclasses.replace(self, dataset=dataset)


@dataclass(frozen=True)
class Chip:
    """One image set of an exposure, with what belongs to it.

    Attributes
    ----------
    state, index
        The exposure, and which of its image sets.
    """

    state: ExposureState
    index: int

    @property
    def imset(self) -> Imset:
        """Pixels and headers."""
        return self.state.imsets[self.index]

    @property
    def image(self) -> Image:
        """Pixels."""
        return self.imset.image

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, after the pending row-wise steps."""
        return self.state.shapes[self.index] if self.state.shapes else self.image.shape

    @property
    def number(self) -> int:
        """CCDCHIP."""
        return int(read_number(self.imset.sci, "CCDCHIP"))

    @property
    def serious(self) -> int:
        """Mask of serious flags (SDQFLAGS)."""
        return int(read_number(self.imset.sci, "SDQFLAGS"))

    @property
    def mapping(self) -> PixelMapping:
        """Mapping from detector to image pixels."""
        return pixel_mapping(self.imset.sci)

    @property
    def ccd(self) -> CcdParameters:
        """Row of the CCD table.

        Raises
        ------
        DataError
            It has not been read.
        """
        if not self.state.ccds:
            raise DataError("the CCD table has not been read", dataset=self.state.dataset)
        return self.state.ccds[self.index]

    @property
    def overscan(self) -> OverscanRow | None:
        """Row of the overscan table; None where there is none, or it has not been read."""
        return self.state.overscans[self.index] if self.state.overscans else None

    def reference(self, keyword: str) -> ReferencePart:
        """Find the part of a reference image that belongs to the image set.

        Raises
        ------
        MissingReference
            No file is named, or it has another chip or binning, or is too small.
        """
        try:
            image = self.state.references.image(keyword, self.number)
            offset = find_offset(self.mapping, pixel_mapping(image.header), self.shape, image.shape)
        except MissingReference as error:
            error.path = str(self.state.references.path(keyword))
            error.message = f"{keyword}: {error.message}"
            raise
        return ReferencePart(image, offset, self.shape[1])


class Combination(NamedTuple):
    """Several exposures, combined.

    Attributes
    ----------
    product
        What they become.
    members
        The exposures themselves, with cosmic rays flagged where that is asked for.
    """

    product: ExposureState
    members: tuple[ExposureState, ...]


def pixel_mapping(header: Mapping[str, Any]) -> PixelMapping:
    """Return the mapping from detector to image pixels of an extension header.

    Raises
    ------
    DataError
        A keyword is no number, or a scale is not positive.
    """
    ltv1, ltv2, ltm1, ltm2 = (
        read_number(header, keyword) for keyword in ("LTV1", "LTV2", "LTM1_1", "LTM2_2")
    )
    if min(ltm1, ltm2) <= 0:
        raise DataError(
            "the scale of an image is not usable",
            expected="LTM1_1, LTM2_2 > 0",
            found=f"{ltm1:g}, {ltm2:g}",
        )
    return PixelMapping((ltv1, ltv2), (ltm1, ltm2))


def save_state(state: ExposureState, path: Path) -> None:
    """Write a state as FITS, so that a later run can go on from it."""
    write_exposure(path, Exposure(state.primary, state.imsets))


def load_state(path: str | Path, dataset: str, references: ReferenceSet) -> ExposureState:
    """Read an exposure, raw or saved by :func:`save_state`.

    Raises
    ------
    NotFound, CorruptFile
        The file is absent, or not a whole exposure.
    """
    exposure = read_exposure(path)
    return ExposureState(dataset, str(path), exposure.primary, exposure.imsets, references)
