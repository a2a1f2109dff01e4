"""What steps hand to each other: one exposure with its headers and references."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from calib.errors import DataError, MissingReference, UnsupportedMode
from calib.fitsfile import Exposure, read_exposure, write_exposure
from calib.image import Header, Image, Imset
from calib.instruments.acs_tables import CcdParameters, OverscanRow
from calib.instruments.reference_set import ReferenceSet
from calib.steps.section import Offset, PixelMapping, cut_reference, find_offset
from calib.switches import Switch, read_keyword, read_switch


class ReferencePart(NamedTuple):
    """Part of a reference image, and where it lies in the whole."""

    image: Image
    offset: Offset


def single(value: float) -> float | None:
    """Return a number as calacs writes it: a 32-bit float with eight digits.

    NaN and infinity cannot stand in a FITS header: None leaves the value blank.
    """
    return float(f"{np.float32(value):.7E}") if math.isfinite(value) else None


@dataclass(frozen=True)
class ExposureState:
    """One exposure between two steps; never changed in place.

    The pixels and headers round-trip through FITS (:func:`save_state`, :func:`load_state`);
    `ccd` and `overscan` are found again in the tables by the preparing steps.

    Attributes
    ----------
    dataset, path
        Name of the exposure and file it was read from, for messages.
    primary, imsets
        Headers and pixels.
    references
        Reference files by keyword.
    ccd, overscan
        Rows of the CCD and overscan tables; None before they are read, or where no overscan
        row fits.
    notes
        HISTORY lines of the running step.
    warnings
        What a user should know about the product, of all steps.
    skipped
        Why the running step was not done; None where it was.
    """

    dataset: str
    path: str
    primary: Header
    imsets: tuple[Imset, ...]
    references: ReferenceSet
    ccd: CcdParameters | None = None
    overscan: OverscanRow | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def imset(self) -> Imset:
        """The only image set.

        Raises
        ------
        UnsupportedMode
            There are several.
        """
        if len(self.imsets) != 1:
            raise UnsupportedMode(
                "this recipe takes exposures with one image set",
                dataset=self.dataset,
                path=self.path,
                expected=1,
                found=len(self.imsets),
            )
        return self.imsets[0]

    @property
    def image(self) -> Image:
        """Pixels of the only image set."""
        return self.imset.image

    @property
    def ccd_row(self) -> CcdParameters:
        """Row of the CCD table.

        Raises
        ------
        DataError
            It has not been read.
        """
        if self.ccd is None:
            raise DataError("the CCD table has not been read", dataset=self.dataset)
        return self.ccd

    @property
    def serious(self) -> int:
        """Mask of serious flags (SDQFLAGS)."""
        return int(read_keyword(self.imset.sci, "SDQFLAGS"))

    @property
    def chip(self) -> int:
        """CCDCHIP."""
        return int(read_keyword(self.imset.sci, "CCDCHIP"))

    @property
    def pixel_mapping(self) -> PixelMapping:
        """Mapping from detector to image pixels."""
        return pixel_mapping(self.imset.sci)

    def value(self, keyword: str) -> Any:
        """Return a value of the primary header, or its default for old raws."""
        return read_keyword(self.primary, keyword)

    def switch(self, keyword: str) -> Switch:
        """Return a switch of the primary header."""
        return read_switch(self.primary, keyword)

    def reference(self, keyword: str) -> ReferencePart:
        """Return the part of a reference image that belongs to the exposure.

        Raises
        ------
        MissingReference
            No file is named, or it has another chip or binning, or is too small.
        """
        file = self.references.image(keyword, self.chip)
        shape, whole = self.image.shape, file.image.shape
        try:
            offset = find_offset(self.pixel_mapping, pixel_mapping(file.header), shape, whole)
        except MissingReference as error:
            error.path = str(self.references.path(keyword))
            error.message = f"{keyword}: {error.message}"
            raise
        return ReferencePart(cut_reference(file.image, offset, shape), offset)

    def with_image(self, image: Image) -> ExposureState:
        """Return the state with other pixels."""
        return self._with_imset(dataclasses.replace(self.imset, image=image))

    def with_primary(
        self, values: Mapping[str, Any], comments: Mapping[str, str] | None = None
    ) -> ExposureState:
        """Return the state with values in the primary header."""
        return dataclasses.replace(self, primary=self.primary.with_values(values, comments))

    def with_science(
        self, values: Mapping[str, Any], comments: Mapping[str, str] | None = None
    ) -> ExposureState:
        """Return the state with values in the SCI header."""
        imset = self.imset
        return self._with_imset(
            dataclasses.replace(imset, sci=imset.sci.with_values(values, comments))
        )

    def with_headers(self, names: tuple[str, ...], values: Mapping[str, Any]) -> ExposureState:
        """Return the state with values in some of the headers ``sci err dq``."""
        imset = self.imset
        changed: dict[str, Any] = {name: getattr(imset, name).with_values(values) for name in names}
        return self._with_imset(dataclasses.replace(imset, **changed))

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

    def _with_imset(self, imset: Imset) -> ExposureState:
        return dataclasses.replace(self, imsets=(imset,))


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
    """Return the mapping from detector to image pixels of an extension header."""
    ltv1, ltv2, ltm1, ltm2 = (
        float(read_keyword(header, keyword)) for keyword in ("LTV1", "LTV2", "LTM1_1", "LTM2_2")
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
