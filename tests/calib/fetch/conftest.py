"""Small raw exposures and association tables, structured as the archive's are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from whole_visit import VISIT

from calib.fetch import FetchOptions, Patience, fetch_inputs
from calib.ids import parse_dataset
from calib.records import RawInputs
from calib.simulate.mast_server import MastServer

WriteRaw = Callable[..., Path]
WriteTable = Callable[..., Path]
WriteImage = Callable[..., Path]
Fetch = Callable[..., RawInputs]

QUICK = Patience(connect=2, read=2, deadline=20, tries=2, backoff=0.01)

_CALIBRATED: dict[str, dict[str, Any]] = {
    "j": {
        "INSTRUME": "ACS",
        "DETECTOR": "WFC",
        "FILTER1": "F606W",
        "FILTER2": "CLEAR2L",
        "PROPOSID": 9453,
        "EXPTIME": 500.0,
        "DATE-OBS": "2002-08-01",
    },
    "i": {
        "INSTRUME": "WFC3",
        "DETECTOR": "UVIS",
        "FILTER": "F555W",
        "PROPOSID": 11665,
        "EXPTIME": 1.0,
        "DATE-OBS": "2009-09-01",
    },
}

INSTRUMENTS = {
    "j": ("ACS", "HRC"),
    "i": ("WFC3", "UVIS"),
    "l": ("COS", "FUV"),
    "o": ("STIS", "CCD"),
}


def _constant(name: str, version: int, shape: tuple[int, int]) -> fits.ImageHDU:
    hdu = fits.ImageHDU(name=name, ver=version)
    hdu.header["BITPIX"] = 16
    hdu.header["NPIX1"], hdu.header["NPIX2"], hdu.header["PIXVALUE"] = shape[1], shape[0], 0
    return hdu


def _primary(path: Path, extensions: int) -> fits.PrimaryHDU:
    root = path.name.lower()[:9]
    instrument, detector = INSTRUMENTS[root[0]]
    cards = {
        "ROOTNAME": root,
        "INSTRUME": instrument,
        "DETECTOR": detector,
        "TELESCOP": "HST",
        "NEXTEND": extensions,
        "EXPTIME": 10.0,
        "DATE-OBS": "2002-04-13",
        "ASN_ID": "J8BT06040",
    }
    hdu = fits.PrimaryHDU()
    hdu.header.update(cards)
    return hdu


@pytest.fixture(scope="session")
def write_raw() -> WriteRaw:
    """Return a function that writes a raw exposure: image sets of SCI, ERR and DQ."""

    def write(path: Path, *, imsets: int = 1, checksum: bool = False, **cards: Any) -> Path:
        rng = np.random.default_rng(len(path.name))
        hdus = fits.HDUList([_primary(path, 3 * imsets)])
        hdus[0].header.update({k.replace("_OBS", "-OBS"): v for k, v in cards.items()})
        for version in range(1, imsets + 1):
            counts = rng.integers(2000, 2100, (8, 12)).astype(np.uint16)
            hdus.append(fits.ImageHDU(counts, name="SCI", ver=version))
            hdus.append(_constant("ERR", version, (8, 12)))
            hdus.append(_constant("DQ", version, (8, 12)))
        hdus.writeto(path, checksum=checksum, output_verify="silentfix")
        return path

    return write


@pytest.fixture(scope="session")
def write_table() -> WriteTable:
    """Return a function that writes an association table from (name, type, present) rows."""

    def write(path: Path, rows: Sequence[tuple[str, str, bool]]) -> Path:
        columns = [
            fits.Column("MEMNAME", "14A", array=[row[0] for row in rows]),
            fits.Column("MEMTYPE", "14A", array=[row[1] for row in rows]),
            fits.Column("MEMPRSNT", "L", array=[row[2] for row in rows]),
        ]
        table = fits.BinTableHDU.from_columns(columns, name="ASN")
        fits.HDUList([_primary(path, 1), table]).writeto(path)
        return path

    return write


@pytest.fixture
def association(write_raw: WriteRaw, write_table: WriteTable, tmp_path: Path) -> Path:
    """Return a folder with a complete association of two exposures, and neighbours."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    for root in ("jh0001aaq", "jh0001abq", "jh0001acq"):
        write_raw(folder / f"{root}_raw.fits")
    write_raw(folder / "jh0001aaq_flt.fits")
    rows = [
        ("JH0001AAQ", "EXP-CRJ", True),
        ("JH0001ABQ", "EXP-CRJ", True),
        ("JH0001AZQ", "EXP-CRJ", False),
        ("JH0001011", "PROD-CRJ", True),
    ]
    write_table(folder / "jh0001010_asn.fits", rows)
    (folder / "notes.txt").write_text("not FITS")
    return folder


@pytest.fixture(scope="session")
def write_image() -> WriteImage:
    """Return a function that writes a calibrated exposure as the pipeline or a mosaic names it."""

    def write(path: Path, **cards: Any) -> Path:
        root = next(part for part in path.name.lower().split("_") if part[0] in "ij")
        words = {**_CALIBRATED[root[0]], "ROOTNAME": root.ljust(9, "q"), **cards}
        names = ["SCI", "ERR", "DQ"] + ["SAMP", "TIME"] * (words["DETECTOR"] == "IR")
        hdus = fits.HDUList([fits.PrimaryHDU()])
        hdus[0].header.update({k: v for k, v in words.items() if v is not None})
        hdus[0].header["NEXTEND"] = len(names)
        for name in names:
            kind = np.int16 if name in {"DQ", "SAMP"} else np.float32
            hdus.append(fits.ImageHDU(np.ones((8, 12), kind), name=name, ver=1))
        hdus.writeto(path)
        return path

    return write


@pytest.fixture
def visit(write_image: WriteImage, tmp_path: Path) -> Path:
    """Return a folder with the visit wfc3_b46_06: UVIS with FLC and FLT, IR with FLT alone."""
    folder = tmp_path / "visit"
    folder.mkdir()
    for name in ("ib4606c5q_flc", "ib4606c5q_flt", "ib4606c6q_flc", "ib4606c6q_flt"):
        write_image(folder / f"{name}.fits")
    write_image(folder / "ib4606clq_flt.fits", DETECTOR="IR", FILTER="F160W", EXPTIME=602.9)
    write_image(folder / "ib4607aaq_flc.fits")
    (folder / "ib4606010_drz.fits").write_text("no input")
    return folder


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Return a function that fetches into a fresh folder."""
    return lambda uri, name=VISIT, **more: fetch_inputs(
        parse_dataset(name), uri, tmp_path / "out", **more
    )


@pytest.fixture
def mast(visit: Path, tmp_path: Path) -> Iterator[MastServer]:
    """Return a server of the visit."""
    (visit / "ib4606010_drz.fits").unlink()
    with MastServer(visit, {}) as server:
        yield server


@pytest.fixture
def options(mast: MastServer, tmp_path: Path) -> FetchOptions:
    """Return options for that server."""
    return FetchOptions(mast_url=mast.url, cache=tmp_path / "cache", patience=QUICK)
