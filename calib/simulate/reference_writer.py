"""Writing reference files of one camera: images of its chips, tables, and the cards they need.

Error and flag extensions with one value everywhere hold no pixels (NAXIS=0 with NPIX1, NPIX2,
PIXVALUE), as in raw files, to keep them small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.fitsfile import write_atomically
from calib.simulate.constant import constant_image
from calib.simulate.detector import Camera, Detector

USEAFTER = "Jan 01 2002 00:00:00"

# As long as the DESCRIP of real references, which is filled up so.
_DESCRIPTION = "Simulated reference for trying out software; not for science -----------"

Draw = Callable[[Detector], npt.NDArray[Any]]


@dataclass(frozen=True)
class Reference:
    """A reference file made: its CRDS type (lower case) and path."""

    type: str
    path: Path


@dataclass(frozen=True)
class Planes:
    """What SCI, ERR and DQ of each chip are made of.

    Attributes
    ----------
    sci
        Draws the pixels of a chip.
    err
        The same for all pixels.
    dq
        Draws the flags; None: there are none.
    raw
        Whether the image has the overscans.
    unit
        BUNIT of SCI and ERR.
    """

    sci: Draw
    err: float = 0.0
    dq: Draw | None = None
    raw: bool = False
    unit: str = "UNITLESS"


@dataclass(frozen=True)
class ReferenceWriter:
    """Writes the references of one camera into one folder.

    Attributes
    ----------
    folder
        Where to.
    chips
        Of the camera, in order of EXTVER.
    first
        Number of the first file's name; those of cameras differ by hundreds.
    """

    folder: Path
    chips: Sequence[Detector]
    first: int = 0

    @property
    def camera(self) -> Camera:
        """Whose references these are."""
        return self.chips[0].camera

    def image(
        self, kind: str, number: int, filetype: str, planes: Planes, **keys: Any
    ) -> Reference:
        """Write an image reference: SCI, ERR, DQ of each chip."""
        hdus: list[Any] = []
        for version, chip in enumerate(self.chips, 1):
            hdus += _imset(version, chip, planes)
        return self._write(kind, number, filetype, hdus, keys)

    def table(
        self,
        kind: str,
        number: int,
        filetype: str,
        rows: Sequence[Mapping[str, Any]],
        **keys: Any,
    ) -> Reference:
        """Write a table reference: one row per mapping; the keys go into its header."""
        columns = [
            fits.Column(name=key, format=_format(value), array=np.array([r[key] for r in rows]))
            for key, value in rows[0].items()
        ]
        table = fits.BinTableHDU.from_columns(columns)
        table.header.update(keys)
        return self._write(kind, number, filetype, [table], {})

    def tables(
        self, kind: str, number: int, filetype: str, tables: Sequence[Any], **keys: Any
    ) -> Reference:
        """Write a reference with several tables."""
        return self._write(kind, number, filetype, tables, keys)

    def _write(
        self, kind: str, number: int, filetype: str, hdus: Sequence[Any], keys: Mapping[str, Any]
    ) -> Reference:
        path = self.folder / f"z{self.first + number:07d}j_{SUFFIXES[kind]}.fits"
        primary = fits.PrimaryHDU()
        primary.header.update(
            {
                "TELESCOP": "HST",
                "INSTRUME": "ACS",
                "DETECTOR": self.camera.name,
                "FILENAME": path.name,
                "FILETYPE": filetype,
                "USEAFTER": USEAFTER,
                "PEDIGREE": "GROUND",
                "DESCRIP": _DESCRIPTION,
                "NEXTEND": len(hdus),
                **keys,
            }
        )
        primary.header["COMMENT"] = "made by the simulator of hstflow"
        write_atomically(fits.HDUList([primary, *hdus]), path)
        return Reference(kind, path)


# Of file names, by CRDS type.
SUFFIXES = {
    "biasfile": "bia",
    "bpixtab": "bpx",
    "ccdtab": "ccd",
    "crrejtab": "crr",
    "darkfile": "drk",
    "flshfile": "fls",
    "imphttab": "imp",
    "mlintab": "lin",
    "oscntab": "osc",
    "pfltfile": "pfl",
    "satufile": "sat",
    "snkcfile": "snk",
}


def _imset(version: int, chip: Detector, planes: Planes) -> list[Any]:
    geometry = chip.geometry
    shape = geometry.raw_shape if planes.raw else geometry.shape
    hdus = [
        fits.ImageHDU(planes.sci(chip), name="SCI"),
        constant_image("ERR", planes.err, shape),
        fits.ImageHDU(planes.dq(chip), name="DQ") if planes.dq else constant_image("DQ", 0, shape),
    ]
    x, y = geometry.offsets(raw=planes.raw)
    for hdu in hdus:
        unit = "UNITLESS" if hdu.name == "DQ" else planes.unit
        hdu.header.update({"EXTVER": version, "CCDCHIP": chip.chip, "BUNIT": unit})
        hdu.header.update({"LTV1": x, "LTV2": y, "LTM1_1": 1.0, "LTM2_2": 1.0})
    return hdus


def _format(value: object) -> str:
    """Return the column format of a value; text is as wide as ACS tables have it at most."""
    if isinstance(value, bool):
        return "L"
    if isinstance(value, int):
        return "J"
    return "E" if isinstance(value, float) else "20A"
