"""Inputs of the golden cases: raw exposures, associations and references, byte for byte.

The products of HSTCAL on exactly these inputs are known, so an engine can be judged by them:
crops are kept in ``tests/golden``. The bytes depend on the streams of
:class:`numpy.random.Generator` and on the cards that astropy writes by itself; they are the
same with and without AVX512.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calib.errors import ConfigError
from calib.simulate.golden_files import primary, write_association, write_hdus
from calib.simulate.golden_pixels import scene
from calib.simulate.golden_raws import (
    BIAS_LEVEL,
    OVERHEAD,
    REFERENCE_NAMES,
    WfcExposure,
    draw_chip,
    raw_cards,
    raw_hdus,
    read_out,
    write_wfc_raw,
)
from calib.simulate.golden_references import Chips, ReferenceSet, write_references

WFC_TINY = Chips(nx=304, ny=148, trim_x=24, trim_y=20, numbers=(1, 2))
WFC_CORNER = Chips(nx=152, ny=64, trim_x=0, trim_y=0, numbers=(2,))
HRC = Chips(nx=1062, ny=1044, trim_x=19, trim_y=20, numbers=(1,))

_CORNER = {"NX": 152, "NY": 64}

REFERENCE_SETS = {
    "ref_acs_wfc_tiny": ReferenceSet(
        detector="WFC",
        chips=WFC_TINY,
        seed=11,
        amplifiers=("ABCD", "C", "B"),
        filter="F606W",
        overscans=(
            _CORNER
            | {"CCDAMP": "C", "CCDCHIP": 2, "TRIMX1": 24}
            | {"BIASSECTA1": 18, "BIASSECTA2": 24},
            _CORNER
            | {"CCDAMP": "B", "CCDCHIP": 1, "TRIMX2": 24}
            | {"BIASSECTB1": 129, "BIASSECTB2": 134},
        ),
        trailed_charge=True,
    ),
    "ref_acs_hrc": ReferenceSet(
        detector="HRC", chips=HRC, seed=13, amplifiers=("C",), filter="F555W"
    ),
}

# What nearly every exposure asks for; sink pixels are WFC's.
_STEPS = ("DQICORR", "BLEVCORR", "BIASCORR", "DARKCORR", "FLATCORR", "PHOTCORR", "EXPSCORR")
_WFC_STEPS = (*_STEPS, "SINKCORR")


@dataclass(frozen=True)
class GoldenCase:
    """Inputs of one golden case.

    Attributes
    ----------
    name
        The case.
    inputs
        Folder of raws and association tables: ``CASE/in``.
    references
        Folder of reference files, shared by the cases of a detector.
    """

    name: str
    inputs: Path
    references: Path


def write_case(name: str, folder: Path, *, seed_offset: int = 0) -> GoldenCase:
    """Write the inputs of a golden case and, where absent, its references.

    Parameters
    ----------
    name
        One of :data:`CASES`.
    folder
        Where to put ``CASE/in`` and ``ref_*``. Files of the same names are replaced, except
        references: one set serves several cases.
    seed_offset
        0 gives the inputs of the golden products; others give other pixels of the same kind.
        A folder holds cases of one offset.

    Raises
    ------
    ConfigError
        There is no such case.
    """
    if name not in CASES:
        message = "no such golden case"
        raise ConfigError(message, expected=" ".join(CASES), found=repr(name))
    reference_name, write = CASES[name]
    references = folder / reference_name
    if not references.exists():
        part = folder / f".{reference_name}.part"
        write_references(part, REFERENCE_SETS[reference_name], seed_offset=seed_offset)
        part.rename(references)
    inputs = folder / name / "in"
    write(inputs, seed_offset)
    return GoldenCase(name, inputs, references)


def _write_tiny(folder: Path, offset: int) -> None:
    """Write a frame after SM4: destriping, sinks, post-flash, pixel and delta flats."""
    cards = raw_cards(
        "jt0001aaq",
        "WFC",
        perform=(*_WFC_STEPS, "FLSHCORR"),
        references={**REFERENCE_NAMES, "DFLTFILE": "dfl"},
        **_full_frame(58000.123),
        FLASHDUR=1.4,
        FLASHSTA="SUCCESSFUL",
        FLASHCUR="MED",
    )
    write_wfc_raw(folder, np.random.default_rng(21 + offset), WFC_TINY, WfcExposure(cards))


def _write_tiny_before_sm4(folder: Path, offset: int) -> None:
    """Write a frame of 2003, whose bias level is fitted by a line and drifts along rows."""
    cards = raw_cards("jt0002aaq", "WFC", perform=_STEPS, **_full_frame(52800.5))
    rng = np.random.default_rng(22 + offset)
    write_wfc_raw(folder, rng, WFC_TINY, WfcExposure(cards, drift=4.0))


def _write_tiny_subarray(folder: Path, offset: int) -> None:
    """Write a subarray of amplifier C with its columns of overscan at the left."""
    root = "jt0003aaq"
    rng = np.random.default_rng(23 + offset)
    charge = draw_chip(rng, WFC_CORNER, 300.0, cosmic_rays=20)
    counts = read_out(rng, WFC_CORNER, 2, charge, amplifiers="C")
    counts[:, :24] = BIAS_LEVEL["C"] + rng.normal(0, 2, (WFC_CORNER.ny, 24))
    cards = raw_cards(
        root,
        "WFC",
        perform=_WFC_STEPS,
        SUBARRAY=True,
        CCDAMP="C",
        APERTURE="WFC2-MRAMPQ",
        EXPTIME=300.0,
        DARKTIME=300.0 + OVERHEAD["WFC"],
    )
    hdus = [primary(cards), *raw_hdus(1, counts, root, 2, (24, -40))]
    write_hdus(folder / f"{root}_raw.fits", hdus)


def _write_tiny_association(folder: Path, offset: int) -> None:
    """Write three frames of one sky for cosmic-ray rejection."""
    rng = np.random.default_rng(24 + offset)
    skies = {chip: scene(rng, WFC_TINY.shape, stars=10, sky=25.0) for chip in (1, 2)}
    roots = [f"jt0004a{letter}q" for letter in "abc"]
    for number, root in enumerate(roots):
        cards = raw_cards(
            root,
            "WFC",
            perform=(*_WFC_STEPS, "CRCORR"),
            **_full_frame(58000.1 + 0.01 * number),
            **_membership("jt0004010", len(roots)),
        )
        exposure = WfcExposure(cards, skies=skies, cosmic_rays=60)
        write_wfc_raw(folder, np.random.default_rng(240 + number + offset), WFC_TINY, exposure)
    write_association(folder, "jt0004010", "WFC", _rejection_rows(roots, "jt0004011"))


def _write_hrc_association(folder: Path, offset: int) -> None:
    """Write two HRC frames of one sky for cosmic-ray rejection, of full size."""
    rng = np.random.default_rng(41 + offset)
    sky = scene(rng, HRC.shape, stars=250, sky=15.0)
    roots = ["jh0001aaq", "jh0001abq"]
    for number, root in enumerate(roots):
        charge = draw_chip(rng, HRC, 200.0, sky=sky, cosmic_rays=500)
        counts = read_out(rng, HRC, 1, charge, amplifiers="C", stripe=0.2)
        cards = raw_cards(
            root,
            "HRC",
            perform=(*_STEPS, "CRCORR"),
            EXPTIME=200.0,
            EXPSTART=53000.2 + 0.01 * number,
            EXPEND=53000.203 + 0.01 * number,
            DARKTIME=200.0 + OVERHEAD["HRC"],
            CCDAMP="C",
            JWROTYPE="",
            **_membership("jh0001010", len(roots)),
        )
        hdus = [primary(cards), *raw_hdus(1, counts, root, 1, (HRC.trim_x, 0))]
        write_hdus(folder / f"{root}_raw.fits", hdus)
    write_association(folder, "jh0001010", "HRC", _rejection_rows(roots, "jh0001011"))


def _full_frame(start: float, seconds: float = 500.0) -> dict[str, Any]:
    return {
        "NEXTEND": 6,
        "EXPTIME": seconds,
        "EXPSTART": start,
        "EXPEND": start + seconds / 86400.0,
        "DARKTIME": seconds + OVERHEAD["WFC"],
        "JWROTYPE": "CLAMP",
    }


def _membership(association: str, exposures: int) -> dict[str, Any]:
    return {
        "ASN_ID": association.upper(),
        "ASN_TAB": f"{association}_asn.fits",
        "ASN_MTYP": "EXP-CRJ",
        "CRSPLIT": exposures,
    }


def _rejection_rows(roots: list[str], product: str) -> list[dict[str, str]]:
    rows = [{"MEMNAME": root.upper(), "MEMTYPE": "EXP-CRJ"} for root in roots]
    return [*rows, {"MEMNAME": product.upper(), "MEMTYPE": "PROD-CRJ"}]


# The references of each case, and what writes its inputs.
CASES: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "acs_wfc_tiny": ("ref_acs_wfc_tiny", _write_tiny),
    "acs_wfc_tiny_presm4": ("ref_acs_wfc_tiny", _write_tiny_before_sm4),
    "acs_wfc_tiny_sub": ("ref_acs_wfc_tiny", _write_tiny_subarray),
    "acs_wfc_tiny_asn": ("ref_acs_wfc_tiny", _write_tiny_association),
    "acs_hrc_asn": ("ref_acs_hrc", _write_hrc_association),
}
