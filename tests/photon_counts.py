"""Makers of small SBC exposures and their references: 8 x 6 pixels, 1000 counts/s in all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from associations import ASN, describe, make_association
from astropy.io import fits
from factories import BAD_ROW, make_raw, make_request, write_image, write_photometry, write_table

from calib.association import read_rows
from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest
from calib.instruments.acs_sbc import RECIPE
from calib.records import Products

SHAPE = (6, 8)
SECONDS = 100.0
RATE = 1000.0
LINEARITY_ROW = {
    "DETECTOR": "SBC",
    "GLOBAL_LIMIT": 2e5,
    "LOCAL_LIMIT": 20.0,
    "TAU": 1e-5,
    "EXPAND": 1.0,
    "PEDIGREE": "GROUND",
    "DESCRIP": "row of a tiny MAMA",
}
BAD_RUN = {**BAD_ROW, "PIX1": 3, "PIX2": 5}  # two rows of column 3, the third lies above
SWITCHES = {
    **dict.fromkeys(
        ("DQICORR", "GLINCORR", "LFLGCORR", "DARKCORR", "FLATCORR", "PHOTCORR"), "PERFORM"
    ),
    **dict.fromkeys(("BIASCORR", "BLEVCORR", "CRCORR", "RPTCORR", "EXPSCORR", "FLSHCORR"), "OMIT"),
}
# What the primary header of an SBC raw has, and what it lacks beside a CCD.
PRIMARY: dict[str, Any] = {
    "DETECTOR": "SBC",
    "FILTER1": "F125LP",
    "FILTER2": "N/A",
    "EXPTIME": SECONDS,
    "EXPEND": 52500.6,
    **dict.fromkeys(("CCDAMP", "CCDGAIN", "DARKTIME", "FLASHDUR", "FLASHSTA")),
    **SWITCHES,
}
Files = dict[str, Path | str | None]


def make_counts() -> np.ndarray:
    """Return raw counts: 0 to 47 row by row, and one pixel of 5000, far above 20 counts/s."""
    counts = np.arange(48.0).reshape(SHAPE)
    counts[4, 5] = 5000
    return counts


def make_count_references(folder: Path, **changes: Mapping[str, Any]) -> Files:
    """Write all references of the small SBC; `changes` as for factories.make_references."""
    dark = {"sci": np.full(SHAPE, 0.01), "err": 0.001, "dq": 0, "ltv": 0.0}
    flat = {"sci": np.full(SHAPE, 0.5), "err": 0.01, "dq": 0, "ltv": 0.0}
    flags = np.zeros(SHAPE, np.int16)
    flags[2, 2] = 64
    made: Files = {}
    for keyword, values in (("DARKFILE", {**dark, "dq": flags}), ("PFLTFILE", flat)):
        path = folder / f"{keyword.lower()}.fits"
        made[keyword] = write_image(path, **{**values, **changes.get(keyword, {})})
    for keyword, row in (("BPIXTAB", BAD_RUN), ("MLINTAB", LINEARITY_ROW)):
        values = {**row, **changes.get(keyword, {})}
        pedigree = values.pop("file_pedigree", "GROUND")
        made[keyword] = write_table(folder / f"{keyword.lower()}.fits", [values], pedigree)
    made["IMPHTTAB"] = write_photometry(folder / "imphttab.fits", mode="acs,sbc,f125lp,mjd#")
    return made


def make_count_raw(folder: Path, rate: float | None = RATE, **header: Any) -> Path:
    """Write a raw SBC exposure; a header value of None removes the keyword."""
    path = make_raw(folder, make_counts(), **{**PRIMARY, **header})
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus[1:]:
            hdu.header["LTV1"] = 0.0
        if rate is not None:
            hdus["SCI"].header["GLOBRATE"] = rate
    return path


def calibrate_counts(
    folder: Path, files: Files, *settings: str, rate: float | None = RATE, **header: Any
) -> Products:
    """Calibrate a small SBC exposure."""
    request = make_request(make_count_raw(folder, rate, **header), files, folder / "out", settings)
    return NativeEngine([RECIPE]).calibrate(request)


def associate_counts(
    folder: Path,
    files: Files,
    rows: Sequence[tuple[str, str]],
    headers: Sequence[Mapping[str, Any]],
) -> CalibrationRequest:
    """Write an association table and its SBC exposures, and return what the engine is asked."""
    table = make_association(folder, rows)
    names = [name for name, kind in rows if not kind.startswith("PROD")]
    parts = [
        make_request(make_count_raw(folder, ROOTNAME=name, **header), files, folder / "out")
        for name, header in zip(names, headers, strict=True)
    ]
    first = parts[0]
    inputs = dataclasses.replace(
        first.inputs,
        dataset=ASN,
        files=(describe(table, "asn"), *(part.inputs.files[0] for part in parts)),
        members=read_rows(ASN, [(name, kind, True) for name, kind in rows]).members,
    )
    references = dataclasses.replace(
        first.references, exposures=tuple(part.references.exposures[0] for part in parts)
    )
    return dataclasses.replace(first, dataset=ASN, inputs=inputs, references=references)
