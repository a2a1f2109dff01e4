"""What reference selection needs to know of an exposure: the cards of all its headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from calib.caldp import REFERENCE_FOLDERS
from calib.errors import CorruptFile, MissingReference


@dataclass(frozen=True)
class ExposureHeaders:
    """An exposure file and the union of its headers.

    Attributes
    ----------
    path
        The raw file.
    header
        Every card of every extension; of cards with one name the first is kept, as CRDS
        does (so the primary header wins, and NAXIS1 is that of the first image).
    """

    path: Path
    header: Mapping[str, Any]

    @property
    def rootname(self) -> str:
        """Name of the dataset, lower case; that of the file where the header has none."""
        named = str(self.header.get("ROOTNAME", "")).strip().lower()
        return named or self.path.name.partition("_")[0].lower()

    @property
    def instrument(self) -> str:
        """Name of the instrument, lower case.

        Raises
        ------
        CorruptFile
            The headers name no instrument.
        MissingReference
            The instrument is none whose references are known here.
        """
        name = str(self.header.get("INSTRUME", "")).strip().lower()
        if not name:
            message = "the headers name no instrument (INSTRUME)"
            raise CorruptFile(message, path=self.path)
        if name not in REFERENCE_FOLDERS:
            raise MissingReference(
                "no reference rules for this instrument",
                path=self.path,
                expected=", ".join(REFERENCE_FOLDERS).upper(),
                found=name.upper(),
            )
        return name

    @cached_property
    def text(self) -> dict[str, str]:
        """The header with every value as text, which is what CRDS matches with."""
        return {key: str(value) for key, value in self.header.items()}


def read_headers(path: str | Path) -> ExposureHeaders:
    """Read the headers of an exposure; its pixels are not touched.

    Raises
    ------
    NotFound, CorruptFile
        There is no such file, or it is not FITS.
    """
    from calib.fitsfile import opened  # astropy: many choose references from stored headers

    header: dict[str, Any] = {}
    with opened(path) as hdus:
        for hdu in hdus:
            for card in hdu.header.cards:
                card.verify("fix")
                if card.keyword:
                    header.setdefault(card.keyword, card.value)
    return ExposureHeaders(Path(path), header)
