"""Inputs of the golden cases: raw exposures, associations and references, byte for byte.

The products of HSTCAL on exactly these inputs are known, so an engine can be judged by them:
crops are kept in ``tests/golden``. The bytes depend on the streams of
:class:`numpy.random.Generator` and on the cards that astropy writes by itself; they are the
same with and without AVX512.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calib.errors import ConfigError
from calib.simulate.golden_files import primary, write_association, write_hdus
from calib.simulate.golden_pixels import Pixels, Random, scene
from calib.simulate.golden_raws import (
    BIAS_LEVEL,
    OVERHEAD,
    REFERENCE_NAMES,
    SBC_REFERENCE_NAMES,
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
WFC_FULL = Chips(nx=4144, ny=2068, trim_x=24, trim_y=20, numbers=(1, 2))
WFC_2K = Chips(nx=2072, ny=2068, trim_x=0, trim_y=0, numbers=(2,))
SBC = Chips(nx=1024, ny=1024, trim_x=0, trim_y=0, numbers=(1,))
HRC = Chips(nx=1062, ny=1044, trim_x=19, trim_y=20, numbers=(1,))

_CORNER = {"NX": 152, "NY": 64}
_LEFT_2K = {"NX": 2072, "NY": 2068, "TRIMX1": 24, "BIASSECTA1": 18, "BIASSECTA2": 24}
_RIGHT_2K = {"NX": 2072, "NY": 2068, "TRIMX2": 24, "BIASSECTB1": 2049, "BIASSECTB2": 2055}

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
    "ref_acs_sbc": ReferenceSet(detector="SBC", chips=SBC, seed=14, amplifiers=(), filter="F125LP"),
    "ref_acs_wfc": ReferenceSet(
        detector="WFC",
        chips=WFC_FULL,
        seed=12,
        amplifiers=("ABCD", "A", "B", "C", "D"),
        filter="F606W",
        overscans=(
            _LEFT_2K | {"CCDAMP": "A", "CCDCHIP": 1, "TRIMY1": 20},
            _RIGHT_2K | {"CCDAMP": "B", "CCDCHIP": 1, "TRIMY1": 20},
            _LEFT_2K | {"CCDAMP": "C", "CCDCHIP": 2, "TRIMY2": 20},
            _RIGHT_2K | {"CCDAMP": "D", "CCDCHIP": 2, "TRIMY2": 20},
        ),
        trailed_charge=True,
    ),
}

# What nearly every exposure asks for; sink pixels are WFC's.
_STEPS = ("DQICORR", "BLEVCORR", "BIASCORR", "DARKCORR", "FLATCORR", "PHOTCORR", "EXPSCORR")
_WFC_STEPS = (*_STEPS, "SINKCORR")

_FLASH: dict[str, Any] = {"FLASHDUR": 1.4, "FLASHSTA": "SUCCESSFUL", "FLASHCUR": "MED"}

# Parameters of PCTECORR as the archive sets them before calibration.
_TRAILED_CHARGE: dict[str, Any] = {
    "PCTENSMD": 0,
    "PCTETRSH": -10.0,
    "PCTENFOR": 5,
    "PCTENPAR": 7,
    "PCTETLEN": 60,
    "PCTERNOI": 4.25,
    "FIXROCR": 1,
    "PCTEFRAC": 0.0,
    "CTE_NAME": "",
    "CTE_VER": "",
    "CTEDATE0": 0.0,
    "CTEDATE1": 0.0,
}


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
        One of :data:`CASES` or :data:`LARGE_CASES`. The references of the large ones take
        1.0 GB.
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
    cases = CASES | LARGE_CASES
    if name not in cases:
        message = "no such golden case"
        raise ConfigError(message, expected=" ".join(cases), found=repr(name))
    reference_name, write = cases[name]
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
        **_FLASH,
    )
    write_wfc_raw(folder, np.random.default_rng(21 + offset), WFC_TINY, WfcExposure(cards))


def _write_tiny_before_sm4(folder: Path, offset: int) -> None:
    """Write a frame of 2003, whose bias level is fitted by a line and drifts along rows."""
    cards = raw_cards("jt0002aaq", "WFC", perform=_STEPS, **_full_frame(52800.5))
    rng = np.random.default_rng(22 + offset)
    write_wfc_raw(folder, rng, WFC_TINY, WfcExposure(cards, drift=4.0))


def _write_tiny_subarray(folder: Path, offset: int) -> None:
    """Write a subarray of amplifier C with its columns of overscan at the left."""
    rng = np.random.default_rng(23 + offset)
    counts = _read_out_subarray(rng, WFC_CORNER, cosmic_rays=20)
    _write_subarray(folder, "jt0003aaq", counts, aperture="WFC2-MRAMPQ", offset_y=-40)


def _write_2k_subarray(folder: Path, offset: int) -> None:
    """Write a quadrant with its overscans at the left and above, whose bias level shifts."""
    rng = np.random.default_rng(33 + offset)
    counts = _read_out_subarray(rng, WFC_2K, cosmic_rays=800)
    counts[2048:, :] = BIAS_LEVEL["C"] + rng.normal(0, 2, (20, WFC_2K.nx))
    _write_subarray(folder, "jf0003aaq", counts, aperture="WFC2C-2K", offset_y=0)


def _read_out_subarray(rng: Random, chips: Chips, *, cosmic_rays: int) -> Pixels:
    charge = draw_chip(rng, chips, 300.0, cosmic_rays=cosmic_rays)
    counts = read_out(rng, chips, 2, charge, amplifiers="C")
    counts[:, :24] = BIAS_LEVEL["C"] + rng.normal(0, 2, (chips.ny, 24))
    return counts


def _write_subarray(
    folder: Path, root: str, counts: Pixels, *, aperture: str, offset_y: int
) -> None:
    cards = raw_cards(
        root,
        "WFC",
        perform=_WFC_STEPS,
        SUBARRAY=True,
        CCDAMP="C",
        APERTURE=aperture,
        EXPTIME=300.0,
        DARKTIME=300.0 + OVERHEAD["WFC"],
    )
    hdus = [primary(cards), *raw_hdus(1, counts, root, 2, (24, offset_y))]
    write_hdus(folder / f"{root}_raw.fits", hdus)


def _write_tiny_association(folder: Path, offset: int) -> None:
    """Write three frames of one sky for cosmic-ray rejection."""
    rng = np.random.default_rng(24 + offset)
    skies = {chip: scene(rng, WFC_TINY.shape, stars=10, sky=25.0) for chip in (1, 2)}
    seeds = {f"jt0004a{letter}q": 240 + offset + k for k, letter in enumerate("abc")}
    exposure = WfcExposure({"JWROTYPE": "CLAMP"}, skies=skies, cosmic_rays=60)
    _write_wfc_association(folder, WFC_TINY, seeds, exposure)


def _write_full_association(folder: Path, offset: int) -> None:
    """Write two frames of one sky for cosmic-ray rejection, of full size."""
    rng = np.random.default_rng(34 + offset)
    skies = {chip: scene(rng, WFC_FULL.shape, stars=900, sky=25.0) for chip in (1, 2)}
    seeds = {f"jf0004a{letter}q": 340 + offset + k for k, letter in enumerate("ab")}
    exposure = WfcExposure({"JWROTYPE": "DS_INT"}, skies=skies, cosmic_rays=1500)
    _write_wfc_association(folder, WFC_FULL, seeds, exposure)


def _write_wfc_association(
    folder: Path, chips: Chips, seeds: Mapping[str, int], exposure: WfcExposure
) -> None:
    """Write exposures, each with the seed of its noise, and their table."""
    roots = list(seeds)
    association = f"{roots[0][:6]}010"
    for number, (root, seed) in enumerate(seeds.items()):
        cards = raw_cards(
            root,
            "WFC",
            perform=(*_WFC_STEPS, "CRCORR"),
            **_full_frame(58000.1 + 0.01 * number),
            **_membership(association, len(roots)),
        )
        one = replace(exposure, cards={**cards, **exposure.cards})
        write_wfc_raw(folder, np.random.default_rng(seed), chips, one)
    rows = _rejection_rows(roots, f"{association[:-1]}1")
    write_association(folder, association, "WFC", rows)


def _write_full(folder: Path, offset: int) -> None:
    """Write a full frame: bias shift, cross-talk, destriping, sinks, post-flash."""
    cards = raw_cards(
        "jf0001aaq",
        "WFC",
        perform=(*_WFC_STEPS, "FLSHCORR"),
        **_full_frame(58000.123, readout="DS_INT"),
        **_FLASH,
    )
    write_wfc_raw(folder, np.random.default_rng(31 + offset), WFC_FULL, WfcExposure(cards))


def _write_full_trailed(folder: Path, offset: int) -> None:
    """Write a full frame that asks for the correction of trailed charge as well."""
    cards = raw_cards(
        "jf0002aaq",
        "WFC",
        perform=(*_WFC_STEPS, "PCTECORR"),
        references={**REFERENCE_NAMES, "PCTETAB": "cte", "DRKCFILE": "drc"},
        **_full_frame(58000.123, readout="DS_INT"),
        **_TRAILED_CHARGE,
    )
    write_wfc_raw(folder, np.random.default_rng(32 + offset), WFC_FULL, WfcExposure(cards))


def _write_sbc(folder: Path, offset: int) -> None:
    """Write counts of the far-UV detector: no bias, no read noise, no cosmic rays."""
    root, seconds = "js0001aaq", 1000.0
    rng = np.random.default_rng(51 + offset)
    counts = rng.poisson(scene(rng, SBC.shape, stars=120, sky=1.0, brightest=2e4))
    cards = raw_cards(
        root,
        "SBC",
        perform=("DQICORR", "GLINCORR", "LFLGCORR", "DARKCORR", "FLATCORR", "PHOTCORR"),
        references=SBC_REFERENCE_NAMES,
        CCDAMP="N/A",
        CCDGAIN=1.0,
        EXPTIME=seconds,
        JWROTYPE="",
    )
    hdus = raw_hdus(1, counts, root, 1, (0, 0))
    hdus[0].header["GLOBRATE"] = float(counts.sum() / seconds)
    write_hdus(folder / f"{root}_raw.fits", [primary(cards), *hdus])


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


def _full_frame(start: float, readout: str = "CLAMP") -> dict[str, Any]:
    seconds = 500.0
    return {
        "NEXTEND": 6,
        "EXPTIME": seconds,
        "EXPSTART": start,
        "EXPEND": start + seconds / 86400.0,
        "DARKTIME": seconds + OVERHEAD["WFC"],
        "JWROTYPE": readout,
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
_Cases = dict[str, tuple[str, Callable[[Path, int], None]]]
CASES: _Cases = {
    "acs_wfc_tiny": ("ref_acs_wfc_tiny", _write_tiny),
    "acs_wfc_tiny_presm4": ("ref_acs_wfc_tiny", _write_tiny_before_sm4),
    "acs_wfc_tiny_sub": ("ref_acs_wfc_tiny", _write_tiny_subarray),
    "acs_wfc_tiny_asn": ("ref_acs_wfc_tiny", _write_tiny_association),
    "acs_hrc_asn": ("ref_acs_hrc", _write_hrc_association),
    "acs_sbc": ("ref_acs_sbc", _write_sbc),
}

# Of full size, for benchmarks.
LARGE_CASES: _Cases = {
    "acs_wfc_full": ("ref_acs_wfc", _write_full),
    "acs_wfc_full_cte": ("ref_acs_wfc", _write_full_trailed),
    "acs_wfc_sub2k": ("ref_acs_wfc", _write_2k_subarray),
    "acs_wfc_asn": ("ref_acs_wfc", _write_full_association),
}
