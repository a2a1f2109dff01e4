"""A bench on which one thing of a golden case is spoilt at a time: raws, references, table."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from associations import describe
from astropy.io import fits

from calib.association import read_rows
from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest
from calib.errors import HstflowError
from calib.records import (
    ExposureReferences,
    Member,
    Products,
    RawInputs,
    References,
    ReferenceUse,
)
from calib.simulate.golden import GoldenCase
from calib.switches import parse_overrides

TINY, OLD, SUB, ASN, SBC = (
    *("acs_wfc_tiny", "acs_wfc_tiny_presm4", "acs_wfc_tiny_sub", "acs_wfc_tiny_asn"),
    "acs_sbc",
)
DATASETS = {
    TINY: "jt0001aaq",
    OLD: "jt0002aaq",
    SUB: "jt0003aaq",
    ASN: "jt0004010",
    SBC: "js0001aaq",
}
INPUT, STAGE1, ARCHIVE, BESTREFS = 21, 23, 25, 27  # exit codes
SOME = (slice(30, 33), slice(40, 44))  # 12 pixels, in overscan and science region alike


@dataclasses.dataclass
class Bench:
    """Copies of the raws of a case, and its references, which are copied when they are changed.

    Attributes
    ----------
    folder
        Own folder: `in`, `references`, `out`.
    dataset
        Exposure or association.
    references
        Files by keyword; ``N/A`` names none, None names one that lies nowhere.
    """

    folder: Path
    dataset: str
    references: dict[str, Path | str | None]

    @property
    def output(self) -> Path:
        """Folder of the products."""
        return self.folder / "out"

    @property
    def raws(self) -> list[Path]:
        """Raw exposures in name order."""
        return sorted((self.folder / "in").glob("*_raw.fits"))

    @property
    def left(self) -> list[str]:
        """Names of all files of the output but trailers, hidden ones too."""
        found = self.output.iterdir() if self.output.is_dir() else ()
        return sorted(path.name for path in found if path.suffix != ".tra")

    def own(self, keyword: str) -> Path:
        """Return a copy of a reference that may be changed."""
        source = self.references[keyword]
        assert isinstance(source, Path)
        if source.parent != self.folder / "references":
            source = Path(shutil.copy(source, self.folder / "references"))
            self.references[keyword] = source
        return source

    @contextmanager
    def reference(self, keyword: str) -> Iterator[fits.HDUList]:
        """Open a copy of a reference, and write it again."""
        with rewriting(self.own(keyword)) as hdus:
            yield hdus

    @contextmanager
    def raw(self, number: int = 0) -> Iterator[fits.HDUList]:
        """Open a raw exposure, and write it again."""
        with rewriting(self.raws[number]) as hdus:
            yield hdus

    def set_header(self, number: int | None = None, **values: Any) -> None:
        """Set cards of the primary header of one raw or of all; None leaves the value blank."""
        for place in range(len(self.raws)) if number is None else [number]:
            with self.raw(place) as hdus:
                for keyword, value in values.items():
                    hdus[0].header[keyword] = value

    def request(self, *settings: str, threads: int = 1) -> CalibrationRequest:
        """Return what the engine is asked; nobody has verified the inputs before."""
        tables = sorted((self.folder / "in").glob("*_asn.fits"))
        files = [describe(path, "asn") for path in tables]
        files += [describe(path, "raw") for path in self.raws]
        uses = tuple(_use(keyword, path) for keyword, path in self.references.items())
        inputs = RawInputs(self.dataset, "file", tuple(files), _members(self.dataset, tables))
        chosen = tuple(ExposureReferences(file.name, uses) for file in inputs.exposures)
        return CalibrationRequest(
            dataset=self.dataset,
            inputs=inputs,
            references=References("hst_9001.pmap", "14", chosen),
            output=self.output,
            overrides=parse_overrides(settings),
            threads=threads,
        )

    def calibrate(
        self, *settings: str, engine: NativeEngine | None = None, threads: int = 1
    ) -> Products:
        """Calibrate natively, with the recipes that are installed where nothing is said."""
        return (engine or NativeEngine()).calibrate(self.request(*settings, threads=threads))


Change = Callable[[Bench], None]
MakeBench = Callable[..., Bench]  # a case and changes


def set_up(case: GoldenCase, folder: Path) -> Bench:
    """Return a bench with copies of the raws of a case."""
    shutil.copytree(case.inputs, folder / "in")
    (folder / "references").mkdir()
    header = fits.getheader(next(case.inputs.glob("*_raw.fits")))
    names = {key: str(header[key]) for key in header if str(header[key]).startswith("jref$")}
    references: dict[str, Path | str | None] = {
        key: case.references / name.removeprefix("jref$") for key, name in names.items()
    }
    return Bench(folder, DATASETS[case.name], references)


def _use(keyword: str, path: Path | str | None) -> ReferenceUse:
    if path == "N/A":
        return ReferenceUse(keyword, "N/A")
    name = path.name if isinstance(path, Path) else f"{keyword.lower()}.fits"
    return ReferenceUse(keyword, name, path and str(path))


def _members(dataset: str, tables: list[Path]) -> tuple[Member, ...]:
    rows = fits.getdata(tables[0]) if tables else ()
    named = [(row["MEMNAME"], row["MEMTYPE"], row["MEMPRSNT"]) for row in rows]
    return read_rows(dataset, named).members if named else ()


@contextmanager
def rewriting(path: Path) -> Iterator[fits.HDUList]:
    """Open a file, and write it again with what was changed."""
    with fits.open(path, memmap=False, lazy_load_hdus=False) as hdus:
        yield hdus
        hdus.writeto(path, overwrite=True, output_verify="silentfix")


def name_nothing(keyword: str) -> Change:
    """Let the keyword be N/A."""
    return lambda bench: bench.references.__setitem__(keyword, "N/A")


def lose(keyword: str) -> Change:
    """Let the file lie nowhere."""
    return lambda bench: bench.references.__setitem__(keyword, None)


def make_placeholder(keyword: str) -> Change:
    """Write PEDIGREE DUMMY."""

    def change(bench: Bench) -> None:
        with bench.reference(keyword) as hdus:
            hdus[0].header["PEDIGREE"] = "DUMMY 18/11/2002"

    return change


def cut_row(keyword: str) -> Change:
    """Take the last row off every image of a reference."""

    def change(bench: Bench) -> None:
        with bench.reference(keyword) as hdus:
            for hdu in hdus[1:]:
                if hdu.data is None:
                    hdu.header["NPIX2"] -= 1
                else:
                    hdu.data = hdu.data[:-1]

    return change


def set_reference_cards(keyword: str, **cards: Any) -> Change:
    """Set cards of all extensions of a reference."""

    def change(bench: Bench) -> None:
        with bench.reference(keyword) as hdus:
            for hdu in hdus[1:]:
                hdu.header.update(cards)

    return change


def drop_reference_chip(keyword: str, chip: int) -> Change:
    """Leave one chip of a reference out."""

    def change(bench: Bench) -> None:
        with bench.reference(keyword) as hdus:
            for hdu in list(hdus[1:]):
                if hdu.header["CCDCHIP"] == chip:
                    hdus.remove(hdu)

    return change


def truncate_reference(keyword: str, share: float) -> Change:
    """Leave the first part of a file."""

    def change(bench: Bench) -> None:
        path = bench.own(keyword)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return change


def fill_reference(keyword: str, value: float, part: tuple[slice, slice] | None = None) -> Change:
    """Set pixels of the first SCI of a reference."""

    def change(bench: Bench) -> None:
        with bench.reference(keyword) as hdus:
            hdus["SCI", 1].data[part or ...] = value

    return change


def set_columns(keyword: str, **values: Any) -> Change:
    """Set columns of a table."""

    def change(bench: Bench) -> None:
        with bench.reference(keyword) as hdus:
            for column, value in values.items():
                hdus[1].data[column] = value

    return change


def empty_table(keyword: str) -> Change:
    """Take all rows out of a table."""

    def change(bench: Bench) -> None:
        with bench.reference(keyword) as hdus:
            hdus[1].data = hdus[1].data[:0]

    return change


def set_cards(number: int | None = None, **values: Any) -> Change:
    """Set cards of the primary header of one raw or of all."""
    return lambda bench: bench.set_header(number, **values)


def set_extension_cards(**cards: Any) -> Change:
    """Set cards of all extensions of the first raw."""

    def change(bench: Bench) -> None:
        with bench.raw() as hdus:
            for hdu in hdus[1:]:
                hdu.header.update(cards)

    return change


def drop_extensions(*names: str) -> Change:
    """Take extensions out of the first raw, such as ``SCI,1``."""

    def change(bench: Bench) -> None:
        with bench.raw() as hdus:
            for hdu in list(hdus[1:]):
                if f"{hdu.name},{hdu.ver}" in names:
                    hdus.remove(hdu)

    return change


def drop_chip_of_raw(bench: Bench) -> None:
    """Leave one chip in the first raw, and no card that says there were two."""
    drop_extensions("SCI,2", "ERR,2", "DQ,2")(bench)
    bench.set_header(0, NEXTEND=3)


def shorten_chip(bench: Bench) -> None:
    """Let the second chip of the first raw have four rows less."""
    with bench.raw() as hdus:
        hdus["SCI", 2].data = hdus["SCI", 2].data[:-4].copy()
        for name in ("ERR", "DQ"):
            hdus[name, 2].header["NPIX2"] -= 4


def truncate_raw(share: float) -> Change:
    """Leave the first part of the first raw."""

    def change(bench: Bench) -> None:
        content = bench.raws[0].read_bytes()
        bench.raws[0].write_bytes(content[: int(len(content) * share)])

    return change


def swap_image_sets(bench: Bench) -> None:
    """Put chip 1 first in every raw."""
    for path in bench.raws:
        with fits.open(path, memmap=False, lazy_load_hdus=False) as hdus:
            for hdu in hdus[1:]:
                hdu.ver = 3 - hdu.ver
            swapped = fits.HDUList([hdus[0], *hdus[4:], *hdus[1:4]])
            swapped.writeto(path, overwrite=True)


def flag_everything(*numbers: int) -> Change:
    """Flag all pixels of some raws, or of all, as bad (4)."""

    def change(bench: Bench) -> None:
        for number in numbers or range(len(bench.raws)):
            with bench.raw(number) as hdus:
                for hdu in hdus[1:]:
                    if hdu.name == "DQ":
                        hdu.header["PIXVALUE"] = 4

    return change


def spoil_raw(part: tuple[slice, slice] | None = None) -> Change:
    """Make raw pixels NaN in the first raw, whose SCI become 32-bit floats for that."""

    def change(bench: Bench) -> None:
        with bench.raw() as hdus:
            for place, hdu in enumerate(hdus):
                if hdu.name == "SCI":
                    pixels = hdu.data.astype(np.float32)
                    pixels[part or ...] = np.nan
                    header = hdu.header.copy()
                    for keyword in ("BZERO", "BSCALE"):
                        header.remove(keyword, ignore_missing=True)
                    hdus[place] = fits.ImageHDU(pixels, header)

    return change


def replace_raw(number: int, case: GoldenCase, **cards: Any) -> Change:
    """Put the exposure of another case in place of one."""

    def change(bench: Bench) -> None:
        path = bench.raws[number]
        shutil.copy(next(case.inputs.glob("*_raw.fits")), path)
        bench.set_header(number, ROOTNAME=path.name.partition("_")[0], **cards)

    return change


def table_of(bench: Bench) -> Path:
    """Return the association table."""
    return next((bench.folder / "in").glob("*_asn.fits"))


def refuse(bench: Bench, kind: type[HstflowError], code: int, match: str) -> HstflowError:
    """Calibrate, and return the error; nothing but logs may be left, and these say it."""
    with pytest.raises(kind, match=match) as caught:
        bench.calibrate()
    error = caught.value
    assert type(error) is kind
    assert error.code == code
    assert error.dataset
    assert bench.left == []
    return error
