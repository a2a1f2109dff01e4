"""Makers of small exposures, references and requests, shared by tests.

A tiny HRC: 62 x 44 raw pixels, overscan of 9 columns on both sides and 12 rows at the top, so
44 x 32 science pixels. The tables made here say so.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest
from calib.image import Image
from calib.instruments.acs_recipes import HRC
from calib.records import (
    ExposureReferences,
    InputFile,
    Products,
    RawInputs,
    References,
    ReferenceUse,
)
from calib.switches import parse_overrides

NX, NY = 62, 44
TRIM_X, TRIM_Y = (9, 9), (0, 12)
SHAPE = (32, 44)  # rows and columns of the science pixels
GAIN, READ_NOISE, BIAS = 2.0, 4.0, 1000.0
ROOT = "j8zz01aaq"

CCD_ROW = {
    "CCDAMP": "C",
    "CCDCHIP": 1,
    "CCDGAIN": 2.0,
    "BINAXIS1": 1,
    "BINAXIS2": 1,
    **{f"CCDOFST{amp}": 3 for amp in "ABCD"},
    **{f"CCDBIAS{amp}": BIAS for amp in "ABCD"},
    **{f"ATODGN{amp}": GAIN for amp in "ABCD"},
    **{f"READNSE{amp}": READ_NOISE for amp in "ABCD"},
    "AMPX": 0,
    "AMPY": 0,
    "ATODSAT": 65534,
    "SATURATE": 84700.0,
    "OVRHFLS": 3.5,
    "OVRHUFLS": 0.5,
    "PEDIGREE": "GROUND",
    "DESCRIP": "row of a tiny HRC",
}
OSCN_ROW = {
    "CCDAMP": "C",
    "CCDCHIP": 1,
    "BINX": 1,
    "BINY": 1,
    "NX": NX,
    "NY": NY,
    "TRIMX1": 9,
    "TRIMX2": 9,
    "TRIMY1": 0,
    "TRIMY2": 12,
    "VX1": 13,
    "VX2": 50,
    "VY1": 34,
    "VY2": 43,
    "BIASSECTA1": 3,
    "BIASSECTA2": 9,
    "BIASSECTB1": 54,
    "BIASSECTB2": 60,
}
BAD_ROW = {
    "CCDAMP": "N/A",
    "CCDCHIP": 1,
    "CCDGAIN": -999.0,
    "PIX1": 5,
    "PIX2": 7,
    "LENGTH": 3,
    "AXIS": 2,
    "VALUE": 16,
}
REFERENCE_ROWS: Mapping[str, Mapping[str, Any]] = {
    "CCDTAB": CCD_ROW,
    "OSCNTAB": OSCN_ROW,
    "BPIXTAB": BAD_ROW,
}
SWITCHES = {
    **dict.fromkeys(("DQICORR", "BIASCORR", "BLEVCORR", "DARKCORR", "FLATCORR"), "PERFORM"),
    **dict.fromkeys(("PHOTCORR", "EXPSCORR"), "PERFORM"),
    **dict.fromkeys(("ATODCORR", "FLSHCORR", "CRCORR", "SHADCORR", "RPTCORR"), "OMIT"),
}
PRIMARY = {
    "TELESCOP": "HST",
    "INSTRUME": "ACS",
    "DETECTOR": "HRC",
    "ROOTNAME": ROOT,
    "IMAGETYP": "EXT",
    "TARGNAME": "NGC104",
    "OBSTYPE": "IMAGING",
    "OBSMODE": "ACCUM",
    "SUBARRAY": False,
    "EXPTIME": 100.0,
    "EXPSTART": 52500.5,
    "DARKTIME": 102.0,
    "FLASHDUR": 0.0,
    "FLASHSTA": "NOT PERFORMED",
    "FILTER1": "F555W",
    "FILTER2": "CLEAR2S",
    "CCDAMP": "C",
    "CCDGAIN": 2,
    "CAL_VER": "",
    **SWITCHES,
}
MAPPING = {"LTV1": 9.0, "LTV2": 0.0, "LTM1_1": 1.0, "LTM2_2": 1.0}

NUMBERS = st.floats(-1e4, 1e4, width=32)
ERRORS = st.just(0.0) | st.floats(0.0009765625, 1e3, width=32)  # squares of less vanish
FLAGS = st.sampled_from((0, 1, 4, 16, 64, 256, 512, 2048, 8192, 16384, -32768))


def arrays(elements: st.SearchStrategy[Any], kind: type, shape: tuple[int, int] = (4, 5)) -> Any:
    """Return a strategy of arrays."""
    return hnp.arrays(kind, shape, elements=elements)


@st.composite
def images(draw: Any, shape: tuple[int, int] = (4, 5), unit: str = "ELECTRONS") -> Image:
    """Return a strategy of images whose arrays cannot be written to."""
    sci = draw(arrays(NUMBERS, np.float32, shape))
    err = draw(arrays(ERRORS, np.float32, shape))
    return frozen(sci, err, draw(arrays(FLAGS, np.int16, shape)), unit)


def frozen(sci: Any, err: Any = 0, dq: Any = 0, unit: str = "ELECTRONS") -> Image:
    """Return an image of read-only arrays; numbers are spread over the shape of `sci`."""
    shape = np.shape(sci)
    made = []
    for value, kind in ((sci, np.float32), (err, np.float32), (dq, np.int16)):
        array = np.broadcast_to(np.asarray(value, kind), shape).copy()
        array.flags.writeable = False
        made.append(array)
    return Image(*made, unit=unit)


def make_references(folder: Path, **changes: Mapping[str, Any]) -> dict[str, Path]:
    """Write all references of the tiny HRC and return their paths by keyword.

    Keywords of `changes` are reference keywords: for tables the values of their row, for
    images ``sci``, ``err``, ``dq``, ``chip``, ``ltv``; for both ``pedigree``.
    """
    for keyword, content in _unchanged_references().items():
        path = folder / f"{keyword.lower()}.fits"
        if keyword in changes:
            _write_reference(path, keyword, changes[keyword])
        else:
            path.write_bytes(content)
    return {keyword: folder / f"{keyword.lower()}.fits" for keyword in _unchanged_references()}


@functools.cache
def _unchanged_references() -> Mapping[str, bytes]:
    """Return the files of all references: astropy takes 80 ms to write them, a copy takes none."""
    keywords = (*_reference_pixels(), *REFERENCE_ROWS, "IMPHTTAB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.fits"
        return {keyword: _write_reference(path, keyword, {}).read_bytes() for keyword in keywords}


def _write_reference(path: Path, keyword: str, changes: Mapping[str, Any]) -> Path:
    if keyword == "IMPHTTAB":
        return write_photometry(path, **changes)
    if keyword in REFERENCE_ROWS:
        values = {**REFERENCE_ROWS[keyword], **changes}
        return write_table(path, [values], pedigree=values.pop("pedigree", "GROUND"))
    sci, err, dq = _reference_pixels()[keyword]
    ltv = 9.0 if keyword in {"BIASFILE", "SATUFILE"} else 0.0  # those have the overscan
    return write_image(path, **{"sci": sci, "err": err, "dq": dq, "ltv": ltv, **changes})


def _reference_pixels() -> dict[str, tuple[Any, Any, Any]]:
    rng = np.random.default_rng(5)
    science, raw = SHAPE, (NY, NX)
    return {
        "BIASFILE": (rng.normal(0, 0.5, raw), 0.2, rng.choice([0, 0, 0, 128], raw)),
        "DARKFILE": (rng.normal(0.01, 0.002, science), 0.001, rng.choice([0, 0, 16], science)),
        "FLSHFILE": (rng.normal(10, 0.1, science), 0.02, 0),
        "PFLTFILE": (_flat(rng), 0.002, 0),
        "DFLTFILE": (np.full(science, 1.01), 0, 0),
        "SATUFILE": (np.full(raw, 60000.0), 0, 0),
    }


def _flat(rng: np.random.Generator) -> np.ndarray:
    flat = rng.normal(1, 0.01, SHAPE)
    flat[3, 4] = 0
    return flat


def write_image(
    path: Path,
    sci: np.ndarray,
    *,
    err: Any = 0,
    dq: Any = 0,
    chip: int = 1,
    ltv: float = 0.0,
    pedigree: str = "GROUND",
) -> Path:
    """Write a reference image with one image set."""
    header = {"LTV1": ltv, "LTV2": 0.0, "LTM1_1": 1.0, "LTM2_2": 1.0, "CCDCHIP": chip}
    hdus = [_primary({"PEDIGREE": pedigree, "DESCRIP": "tiny"})]
    for name, data, kind in (("SCI", sci, "f4"), ("ERR", err, "f4"), ("DQ", dq, "i2")):
        array = np.broadcast_to(np.asarray(data, kind), np.shape(sci)).copy()
        hdus.append(fits.ImageHDU(array, fits.Header(header), name=name, ver=1))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def write_table(path: Path, rows: list[Mapping[str, Any]], pedigree: str = "GROUND") -> Path:
    """Write a reference table."""
    columns = []
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        kind = {"U": "30A", "i": "J", "f": "E"}[values.dtype.kind]
        columns.append(fits.Column(name, kind, array=values))
    hdus = [
        _primary({"PEDIGREE": pedigree, "DESCRIP": "tiny"}),
        fits.BinTableHDU.from_columns(columns),
    ]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def write_photometry(
    path: Path,
    *,
    mode: str = "acs,hrc,f555w,mjd#",
    extrapolate: bool = True,
    pedigree: str = "GROUND",
) -> Path:
    """Write an IMPHTTAB of one mode whose values double from MJD 52000 to 53000."""
    header = {"PARNUM": 1, "PHOTZPT": -21.1, "EXTRAP": extrapolate, "PEDIGREE": pedigree}
    hdus = [_primary({**header, "DESCRIP": "tiny"})]
    for keyword, value in (("PHOTFLAM", 2e-19), ("PHOTPLAM", 5356.0), ("PHOTBW", 357.0)):
        columns = [
            fits.Column("OBSMODE", "40A", array=[mode]),
            fits.Column("DATACOL", "12A", array=[keyword + "1"]),
            fits.Column(keyword, "D", array=[value]),
            fits.Column("NELEM1", "J", array=[2]),
            fits.Column("PAR1NAMES", "10A", array=["MJD#"]),
            fits.Column("PAR1VALUES", "2D", array=[[52000.0, 53000.0]]),
            fits.Column(keyword + "1", "2D", array=[[value, 2 * value]]),
        ]
        hdus.append(fits.BinTableHDU.from_columns(columns, name=keyword))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def make_raw(folder: Path, pixels: np.ndarray | None = None, **header: Any) -> Path:
    """Write a raw exposure as HST does: 16-bit SCI, constant ERR and DQ.

    A header value of None removes the keyword.
    """
    sci = make_sky() if pixels is None else pixels
    values = {key: value for key, value in {**PRIMARY, **header}.items() if value is not None}
    ny, nx = sci.shape
    constant = {"NPIX1": nx, "NPIX2": ny, "PIXVALUE": 0}
    extension = {**MAPPING, "CRPIX1": 31.0, "CRPIX2": 16.0, "SDQFLAGS": 31743, "BUNIT": "COUNTS"}
    hdus = [
        _primary(values),
        fits.ImageHDU(np.rint(sci).astype(np.uint16), fits.Header(extension), name="SCI", ver=1),
        fits.ImageHDU(header=fits.Header({**extension, **constant}), name="ERR", ver=1),
        fits.ImageHDU(header=fits.Header({**extension, **constant}), name="DQ", ver=1),
    ]
    hdus[2].header["BITPIX"] = -32
    hdus[3].header["BITPIX"] = 16
    path = folder / f"{values.get('ROOTNAME', ROOT)}_raw.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def make_sky(seed: int = 3) -> np.ndarray:
    """Return raw DN: bias with noise, a sloping sky, a bright star and one saturated sample."""
    rng = np.random.default_rng(seed)
    raw = BIAS + rng.normal(0, 2, (NY, NX))
    raw[:32, 9:53] += 50 + np.arange(44) * 0.5
    raw[10:13, 20:23] += 30000
    raw[20, 30] = 65535
    return raw


def _primary(values: Mapping[str, Any]) -> fits.PrimaryHDU:
    return fits.PrimaryHDU(header=fits.Header(dict(values)))


def make_request(
    raw: Path,
    references: Mapping[str, Path | str | None],
    output: Path,
    settings: Iterable[str] = (),
) -> CalibrationRequest:
    """Return what the engine is asked; a reference ``N/A`` names none, None lies nowhere."""
    uses = tuple(
        ReferenceUse(keyword, "N/A")
        if path == "N/A"
        else ReferenceUse(keyword, f"{keyword.lower()}.fits", path and str(path))
        for keyword, path in references.items()
    )
    root = raw.name.partition("_")[0]
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    file = InputFile(raw.name, str(raw), digest, raw.stat().st_size, "raw", root)
    return CalibrationRequest(
        dataset=root,
        inputs=RawInputs(root, "file", (file,)),
        references=References("hst_9001.pmap", "14", (ExposureReferences(raw.name, uses),)),
        output=output,
        overrides=parse_overrides(settings),
    )


def calibrate_tiny(
    folder: Path,
    files: Mapping[str, Any],
    *settings: str,
    engine: NativeEngine | None = None,
    pixels: np.ndarray | None = None,
    **header: Any,
) -> Products:
    """Calibrate a tiny raw with these references; header values of None are absent."""
    raw = make_raw(folder, pixels, **header)
    request = make_request(raw, files, folder / "out", settings)
    return (engine or NativeEngine([HRC])).calibrate(request)


def read_product(products: Products) -> tuple[np.ndarray, np.ndarray, np.ndarray, fits.Header]:
    """Return SCI, ERR, DQ and primary header of a product."""
    with fits.open(products.files[0].path) as hdus:
        return hdus["SCI"].data, hdus["ERR"].data, hdus["DQ"].data, hdus[0].header
