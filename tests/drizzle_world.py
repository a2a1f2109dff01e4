"""Calibrated exposures of a star field, with the references of a drizzle: WFC3/IR, small.

The numbers are simple: a plain sky, a few square stars at known places on the sky, dithered by
whole pixels. What AstroDrizzle makes of them is known without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from associations import describe
from astropy.io import fits
from standin_programs import make_program, put_first_on_path

from calib.association import read_rows
from calib.engines.protocol import CalibrationRequest
from calib.engines.stage2 import Stage2Plan
from calib.engines.stage2_run import drizzle
from calib.records import ExposureReferences, Products, RawInputs, References, ReferenceUse
from calib.stores.store import product_file

SIZE = 160  # pixels on a side
SCALE = 0.13  # arcsec in a pixel, as WFC3/IR has it
SKY = 1.0  # electrons/s in a pixel
STAR = 50.0  # electrons/s in each of its 9 pixels
EXPTIME = 100.0  # s
ROOTS = ("ib3y01a0q", "ib3y01a1q", "ib3y01a2q")
TABLE = "ib3y01010"
DITHERS = ((0, 0), (5, 3), (-4, 6))  # pixels
PLAN = Stage2Plan(wanted=True, version="3.11.0", astrometry="off")
PARAMETERS, DISTORTION = "w3m18525i_mdz.fits", "w3m18525i_idc.fits"

# What the real program does, as far as files go: coordinates into every calibrated exposure, a
# drizzled image of each kind, headerlets, a trailer that is appended to, a log that is left.
DRIZZLES = """
root=${3%_*}
for file in *_flt.fits *_flc.fits; do
  [ -e "$file" ] || continue
  LC_ALL=C sed -i "s/TARGNAME= 'ANY /TARGNAME= 'NEW /" "$file"
  cp "$file" "${file%.fits}_hlet.fits"
done
for file in *_flt.fits; do cp "$file" "${root}_drz.fits"; done
for file in *_flc.fits; do [ -e "$file" ] && cp "$file" "${root}_drc.fits"; done
echo "drizzled $3 with astrometry $ASTROMETRY_APPLY_APRIORI, $OMP_NUM_THREADS thread" \
  | tee -a "$root.tra"
[ -e "$iref/w3m18525i_mdz.fits" ] || exit 3
[ "$1 $2" = "-n 1" ] && [ $# = 3 ] || exit 4
true
"""
NOT_VIABLE = 'echo "[ERROR   ] No valid data found in input exposures." | tee -a "${3%_*}.tra"'

# What AstroDrizzle, updatewcs and runastrodriz look up besides what every raw has.
_PRIMARY: dict[str, Any] = {
    "TELESCOP": "HST",
    "INSTRUME": "WFC3",
    "DETECTOR": "IR",
    "FILTER": "F160W",
    "APERTURE": "IR",
    "EXPTIME": EXPTIME,
    "PROPOSID": 1,
    "LINENUM": "01.001",
    "EXPSTART": 56000.0,
    "EXPEND": 56000.0 + EXPTIME / 86400,
    "DATE-OBS": "2012-03-14",
    "TIME-OBS": "00:00:00",
    "TARGNAME": "ANY",
    "RA_TARG": 150.0,
    "DEC_TARG": 2.0,
    "PA_V3": 0.0,
    "POSTARG1": 0.0,
    "POSTARG2": 0.0,
    "CCDGAIN": 2.5,
    **{f"ATODGN{amp}": 2.5 for amp in "ABCD"},
    **{f"READNSE{amp}": 20.0 for amp in "ABCD"},
    "SUBARRAY": False,
    "SAMP_SEQ": "SPARS25",
    "NSAMP": 10,
    "EXPFLAG": "NORMAL",
    "MTFLAG": "F",
    "DRIZCORR": "PERFORM",
    "FLATCORR": "COMPLETE",
    "FLASHDUR": 0.0,
    "SCALENSE": 0.0,
    "INITGUES": "minimum",
    "D2IMFILE": "N/A",
    "NPOLFILE": "N/A",
    "MDRIZTAB": f"iref${PARAMETERS}",
    "IDCTAB": f"iref${DISTORTION}",
}


def write_exposure(
    folder: Path, root: str, dither: tuple[int, int] = (0, 0), **cards: Any
) -> tuple[Path, Path]:
    """Write a raw and what calibration makes of it; return both.

    Parameters
    ----------
    dither
        Where the sky is shifted to, pixels in x and y.
    cards
        Of the primary header.
    """
    paths = folder / f"{root}_raw.fits", folder / f"{root}_flt.fits"
    for path in paths:
        hdus = _exposure(root, dither)
        hdus[0].header.update(FILENAME=path.name, **cards)
        hdus.writeto(path)
    return paths


def star_pixels() -> tuple[slice, slice]:
    """Return where the star is in an exposure without dither: it is centred on CRVAL."""
    middle = SIZE // 2 - 1
    return slice(middle - 1, middle + 2), slice(middle - 1, middle + 2)


def _exposure(root: str, dither: tuple[int, int]) -> fits.HDUList:
    dx, dy = dither
    noise = np.random.default_rng(sum(map(ord, root))).normal(0, 0.05, (SIZE, SIZE))
    image = (SKY + noise).astype(np.float32)
    rows, columns = star_pixels()
    image[rows.start + dy : rows.stop + dy, columns.start + dx : columns.stop + dx] += STAR
    primary = fits.PrimaryHDU()
    primary.header.update({**_PRIMARY, "ROOTNAME": root, "NEXTEND": 5})
    shape, one = (SIZE, SIZE), np.ones((SIZE, SIZE))
    return fits.HDUList(
        [
            primary,
            fits.ImageHDU(image, _science(root, dx, dy), name="SCI", ver=1),
            fits.ImageHDU((0.05 * one).astype(np.float32), name="ERR", ver=1),
            fits.ImageHDU(np.zeros(shape, np.int16), name="DQ", ver=1),
            fits.ImageHDU((10 * one).astype(np.int16), name="SAMP", ver=1),
            fits.ImageHDU((EXPTIME * one).astype(np.float32), name="TIME", ver=1),
        ]
    )


def _science(root: str, dx: int, dy: int) -> fits.Header:
    degrees = SCALE / 3600
    return fits.Header(
        {
            "CRPIX1": SIZE / 2,  # updatewcs puts that of the IDCTAB here: dithers are in CRVAL
            "CRPIX2": SIZE / 2,
            "CRVAL1": 150.0 + degrees * dx / np.cos(np.radians(2.0)),
            "CRVAL2": 2.0 - degrees * dy,
            "CTYPE1": "RA---TAN",
            "CTYPE2": "DEC--TAN",
            "CD1_1": -degrees,
            "CD1_2": 0.0,
            "CD2_1": 0.0,
            "CD2_2": degrees,
            "BUNIT": "ELECTRONS/S",
            "ORIENTAT": 0.0,
            "LTV1": 0.0,
            "LTV2": 0.0,
            "LTM1_1": 1.0,
            "LTM2_2": 1.0,
            "CCDCHIP": 1,
            "NGOODPIX": SIZE * SIZE,
            "EXPNAME": root,
            "SAMPNUM": 10,
            "MEANDARK": 0.0,
            "MEANBLEV": 0.0,
            "VAFACTOR": 1.0,
            "PHOTFLAM": 1e-20,
            "PHOTPLAM": 15400.0,
            "PHOTZPT": -21.1,
            "PHOTMODE": "WFC3 IR F160W",
            "RA_APER": 150.0,
            "DEC_APER": 2.0,
            "PA_APER": 0.0,
        }
    )


def write_references(folder: Path) -> dict[str, Path]:
    """Write the table of drizzle parameters and one of a distortion that is none."""
    return {
        "MDRIZTAB": _write_parameters(folder / PARAMETERS),
        "IDCTAB": _write_distortion(folder / DISTORTION),
    }


def _write_parameters(path: Path) -> Path:
    """One image: drizzled as it is. More: cosmic rays are looked for."""
    several = np.array([False, True])
    steps = ("driz_separate", "median", "blot", "driz_cr")
    columns = [
        fits.Column("filter", "12A", array=["ANY", "ANY"]),
        fits.Column("numimages", "J", array=[1, 2]),
        fits.Column("build", "L", array=[True, True]),
        fits.Column("static", "L", array=[False, False]),
        fits.Column("subsky", "L", array=several),
        *(fits.Column(name, "L", array=several) for name in steps),
        fits.Column("final_scale", "E", array=[np.nan, np.nan]),
    ]
    return _write_table(path, columns)


def _write_distortion(path: Path) -> Path:
    plain = {"XSIZE": SIZE, "YSIZE": SIZE, "XREF": SIZE / 2, "YREF": SIZE / 2, "SCALE": SCALE}
    plain |= {"V2REF": 0.3, "V3REF": 1.1, "THETA": 0.0}
    terms = {f"{c}{i}{j}": 0.0 for c in ("CX", "CY") for i in range(1, 5) for j in range(i + 1)}
    terms |= {"CX11": SCALE, "CY10": SCALE}
    columns = [
        fits.Column("DETCHIP", "J", array=[1, 1]),
        fits.Column("DIRECTION", "8A", array=["FORWARD", "INVERSE"]),
        fits.Column("FILTER", "8A", array=["F160W", "F160W"]),
        *(fits.Column(name, "D", array=[value] * 2) for name, value in {**plain, **terms}.items()),
    ]
    return _write_table(path, columns, INSTRUME="WFC3", DETECTOR="IR", NORDER=4)


def _write_table(path: Path, columns: Sequence[fits.Column], **cards: Any) -> Path:
    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": "HST", "INSTRUME": "WFC3", **cards})
    table = fits.BinTableHDU.from_columns(columns)
    fits.HDUList([primary, table]).writeto(path)
    return path


def write_association(folder: Path, roots: Sequence[str], name: str = TABLE) -> Path:
    """Write a table of exposures that are dithered, and their product."""
    path = folder / f"{name}_asn.fits"
    names = [*(root.upper() for root in roots), name.upper()]
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("MEMNAME", "14A", array=names),
            fits.Column("MEMTYPE", "14A", array=["EXP-DTH"] * len(roots) + ["PROD-DTH"]),
            fits.Column("MEMPRSNT", "L", array=[True] * len(names)),
        ],
        name="ASN",
    )
    primary = fits.PrimaryHDU()
    primary.header.update({"INSTRUME": "WFC3", "DETECTOR": "IR", "ASN_ID": name.upper()})
    fits.HDUList([primary, table]).writeto(path)
    return path


@dataclasses.dataclass
class World:
    """A request whose exposures are calibrated already."""

    folder: Path
    request: CalibrationRequest
    products: Products

    name = "ready"
    numbers_version = "1"

    def covers(self, header: Any) -> str | None:
        """Cover everything."""

    def required_references(self, header: Any, members: Any = ()) -> tuple[str, ...]:
        """Open nothing."""
        return ()

    def calibrate(self, request: CalibrationRequest) -> Products:
        """Return what is there."""
        return self.products

    def runs(self, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put a runastrodriz that does this on PATH."""
        make_program(self.folder / "bin", "runastrodriz", body)
        put_first_on_path(self.folder / "bin", monkeypatch)

    def drizzle(self, plan: Stage2Plan = PLAN) -> Products:
        """Drizzle what is there."""
        return drizzle(self.request, self.products, plan)

    @property
    def left(self) -> list[str]:
        """Names in the folder of the products."""
        return sorted(path.name for path in self.request.output.iterdir())


def make_world(folder: Path, roots: tuple[str, ...], *, table: bool, cte: bool = False) -> World:
    """Write exposures as calibration leaves them."""
    inputs, output = folder / "in", folder / "out"
    inputs.mkdir()
    output.mkdir()
    files, members = [], ()
    for root, dither in zip(roots, DITHERS, strict=False):
        raw, flt = write_exposure(inputs, root, dither)
        files.append(describe(raw, "raw"))
        flt.rename(output / flt.name)
        if cte:
            (output / f"{root}_flc.fits").write_bytes((output / flt.name).read_bytes())
    if table:
        path = write_association(inputs, roots)
        files.insert(0, describe(path, "asn"))
        rows = [(row["MEMNAME"], row["MEMTYPE"], row["MEMPRSNT"]) for row in fits.getdata(path)]
        members = read_rows(TABLE, rows).members
    uses = tuple(
        ReferenceUse(keyword, path.name, str(path), required=True)
        for keyword, path in write_references(inputs).items()
    )
    dataset = TABLE if table else roots[0]
    log = output / f"{dataset}.tra"
    log.write_text("calibrated\n")
    made = tuple(product_file(path) for path in sorted(output.glob("*.fits")))
    raws = RawInputs(dataset, "file", tuple(files), members)
    chosen = tuple(ExposureReferences(file.name, uses) for file in raws.exposures)
    references = References("hst_9001.pmap", "14", chosen)
    request = CalibrationRequest(dataset, raws, references, output)
    return World(folder, request, Products(made, "ready", "1", log=str(log)))
