"""Makers of small associations: two or more tiny exposures of one field, with cosmic rays."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from factories import make_raw, make_references, make_request, make_sky, write_table

from calib.association import read_rows
from calib.engines.protocol import CalibrationRequest
from calib.records import InputFile

ASN = "j8zz01010"
PRODUCT = "j8zz01011"
MEMBERS = ("j8zz01aaq", "j8zz01abq")
PAIR = ((MEMBERS[0], "EXP-CRJ"), (MEMBERS[1], "EXP-CRJ"), (PRODUCT, "PROD-CRJ"))
REPEATS = ((MEMBERS[0], "EXP-RPT"), (MEMBERS[1], "EXP-RPT"), (PRODUCT, "PROD-RPT"))

REJECTION_ROW = {
    "CRSPLIT": 2,
    "MEANEXP": 1000.0,
    "SCALENSE": 3.0,
    "INITGUES": "min",
    "SKYSUB": "mode",
    "CRSIGMAS": "6.5,5.5,4.5",
    "CRRADIUS": 1.5,
    "CRTHRESH": 0.75,
    "BADINPDQ": 39,
    "CRMASK": True,
}
# Raw rows and columns of the planted cosmic rays, one per exposure.
HITS = ((5, 15), (25, 40))
# What HST writes into members of a CR split beside what a single exposure has.
HEADER = {
    "CRCORR": "PERFORM",
    "EXPEND": 52500.6,
    "NEXTEND": 3,
    "ASN_ID": ASN.upper(),
    "ASN_MTYP": "EXP-CRJ",
}

Rows = Sequence[tuple[str, str]]


def make_rejection_table(folder: Path, *rows: Mapping[str, Any], pedigree: str = "GROUND") -> Path:
    """Write a CRREJTAB; each row is that of a CR split of two with changes."""
    values = [{**REJECTION_ROW, **row} for row in rows or ({},)]
    masks = [bool(row["CRMASK"]) for row in values]
    path = write_table(
        folder / "crrejtab.fits",
        [{key: value for key, value in row.items() if key != "CRMASK"} for row in values],
        pedigree=pedigree,
    )
    with fits.open(path, mode="update") as hdus:
        columns = hdus[1].columns + fits.Column("CRMASK", "L", array=masks)
        hdus[1] = fits.BinTableHDU.from_columns(columns)
    return path


def make_pair_references(folder: Path, *rows: Mapping[str, Any]) -> dict[str, Path | str | None]:
    """Write the references of a tiny association."""
    made = make_references(folder)
    files: dict[str, Path | str | None] = {
        key: path for key, path in made.items() if key not in {"FLSHFILE", "DFLTFILE"}
    }
    return {**files, "CRREJTAB": make_rejection_table(folder, *rows)}


def hit_sky(number: int) -> np.ndarray:
    """Return raw pixels of the tiny sky with other noise and, in the first two, a cosmic ray."""
    sky = make_sky(seed=20 + number)
    if number < len(HITS):
        sky[HITS[number]] += 5000
    return sky


def make_association(folder: Path, rows: Rows, absent: Iterable[str] = ()) -> Path:
    """Write an association table; products and `absent` members are not present."""
    gone = set(absent)
    present = [not kind.startswith("PROD") and name not in gone for name, kind in rows]
    columns = [
        fits.Column("MEMNAME", "14A", array=[name.upper() for name, _ in rows]),
        fits.Column("MEMTYPE", "14A", array=[kind for _, kind in rows]),
        fits.Column("MEMPRSNT", "L", array=present),
    ]
    primary = fits.PrimaryHDU()
    primary.header["INSTRUME"] = "ACS"
    path = folder / f"{ASN}_asn.fits"
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(path, overwrite=True)
    return path


def associate(
    folder: Path,
    references: Mapping[str, Path | str | None],
    rows: Rows = PAIR,
    *settings: str,
    headers: Sequence[Mapping[str, Any]] = ({}, {}),
    pixels: Sequence[np.ndarray] | None = None,
    **header: Any,
) -> CalibrationRequest:
    """Write a table and its exposures, and return what the engine is asked.

    `header` goes into all exposures, `headers` into one each.
    """
    table = make_association(folder, rows)
    names = [name for name, kind in rows if not kind.startswith("PROD")]
    requests = []
    for number, name in enumerate(names):
        own = headers[number] if number < len(headers) else {}
        sky = hit_sky(number) if pixels is None else pixels[number]
        values = {**HEADER, "ROOTNAME": name, **header, **own}
        raw = make_raw(folder, sky, **values)
        requests.append(make_request(raw, references, folder / "out", settings))
    files = [describe(table, "asn"), *(part.inputs.files[0] for part in requests)]
    first = requests[0]
    association = read_rows(ASN, [(name, kind, True) for name, kind in rows])
    return dataclasses.replace(
        first,
        dataset=ASN,
        inputs=dataclasses.replace(
            first.inputs, dataset=ASN, files=tuple(files), members=association.members
        ),
        references=dataclasses.replace(
            first.references, exposures=tuple(part.references.exposures[0] for part in requests)
        ),
    )


def describe(path: Path, suffix: str) -> InputFile:
    """Return the record of an input file."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    root = path.name.partition("_")[0]
    return InputFile(path.name, str(path), digest, len(content), suffix, root)
