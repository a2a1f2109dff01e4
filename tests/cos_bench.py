"""A folder in which the engine calcos works, with a program that behaves like calcos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cos_world as cos
import numpy as np
import pytest
from astropy.io import fits
from standin_programs import make_calcos, put_first_on_path

from calib.engines.calcos import CalcosEngine
from calib.engines.protocol import CalibrationRequest
from calib.records import Member, Products

TAG, OTHER_TAG, PEAK = "la8q99abq", "la8q99acq", "la8q99adq"
ASSOCIATION = "la8q99010"
MEMBERS = (
    Member(TAG, "EXP-FP", present=True),
    Member(OTHER_TAG, "EXP-FP", present=True),
    Member(ASSOCIATION, "PROD-FP", present=False),
)
_SMALL = ([300, 301], [400, 401])


# The smallest FITS file: one block of header.
_EMPTY = fits.PrimaryHDU().header.tostring().encode()


@dataclass
class World:
    """A folder with references and raws, and calcos on PATH.

    Attributes
    ----------
    folder
        Its output is the folder ``out``.
    references
        Paths by keyword.
    raws, others
        Files that were added: exposures; tables and what lies beside them.
    members
        Rows of the table.
    """

    folder: Path
    references: dict[str, Path]
    raws: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    members: tuple[Member, ...] = ()

    @property
    def output(self) -> Path:
        """Folder of the products."""
        return self.folder / "out"

    def program(self, **what: str) -> None:
        """Replace calcos by one that does something else."""
        make_calcos(self.folder / "bin", **what)

    def tag(self, root: str, suffix: str = "rawtag", **header: Any) -> None:
        """Add a file of two events."""
        self.raws.append(cos.write_events(self.folder / f"{root}_{suffix}.fits", *_SMALL, **header))

    def spectrum(self, root: str, **header: Any) -> None:
        """Add a spectrum of two events."""
        self.tag(root, **{**cos.SPECTRUM, **header})

    def acquisition(self, root: str, kind: str = "ACQ/PEAKXD") -> None:
        """Add an acquisition that is no image."""
        self.raws.append(cos.write_acquisition(self.folder / f"{root}_rawacq.fits", kind))

    def image(self, root: str, suffix: str, **header: Any) -> None:
        """Add an accumulated image of a few pixels."""
        path = self.folder / f"{root}_{suffix}.fits"
        self.raws.append(cos.write_image(path, np.ones((2, 2)), **header))

    def association(self, members: tuple[Member, ...] = MEMBERS) -> None:
        """Add a table."""
        self.others.append(cos.write_table(self.folder / f"{ASSOCIATION}_asn.fits", members))
        self.members = members

    def request(self, *settings: str) -> CalibrationRequest:
        """Return what is asked for."""
        return cos.make_request(
            self.raws, self.references, self.output, settings, self.others, self.members
        )

    def calibrate(self, *settings: str) -> Products:
        """Calibrate everything that was added."""
        return CalcosEngine().calibrate(self.request(*settings))

    @property
    def calls(self) -> list[str]:
        """Arguments of each call of calcos."""
        path = self.folder / "bin" / "calls.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def made(self) -> set[str]:
        """What lies in the output, logs apart."""
        found = {path.name for path in self.output.iterdir()} if self.output.exists() else set()
        return {name for name in found if not name.endswith((".log", ".tra"))}


def set_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Write references, which the program does not open, and put it on PATH."""
    (folder / "references").mkdir()
    paths = {key: folder / "references" / f"made_{key.lower()}.fits" for key in cos.REFERENCES}
    for path in paths.values():
        path.write_bytes(_EMPTY)
    made = World(folder, paths)
    made.program()
    put_first_on_path(folder / "bin", monkeypatch)
    return made
