"""What calacs.e, calwf3.e and cs0.e make of their inputs, by kind and switches.

Sources: ACS Data Handbook 3.3 and WFC3 Data Handbook 3.1 (products of single exposures and of
associations), STIS Data Handbook 3.1; HSTCAL 3.2 (``calacs``, ``calwf3``, ``calstis0``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calib.association import Association, Position
from calib.engines.switch_references import exposures_of_stis, performs

Header = Mapping[str, Any]

# Last part of the names of everything that is published; `_tmp` files never are.
SUFFIXES = frozenset({"flt", "flc", "crj", "crc", "sfl", "ima", "spt", "sx1", "x1d", "sx2", "x2d"})

# Detectors whose trailed charge is corrected.
_TRAILING = frozenset({"WFC", "UVIS"})

_FEWEST = 2  # exposures that are combined

# Steps of calstis that make a flat-fielded image.
_STIS_IMAGE = (
    *("DQICORR", "ATODCORR", "BLEVCORR", "BIASCORR", "LORSCORR", "GLINCORR", "LFLGCORR"),
    *("DARKCORR", "FLATCORR", "SHADCORR", "PHOTCORR"),
)
# Those of them that come before cosmic rays are rejected: the flt of each needs another one.
_STIS_BEFORE_REJECTION = frozenset({"DQICORR", "ATODCORR", "BLEVCORR", "BIASCORR"})


def exposure_products(root: str, header: Header) -> tuple[str, ...]:
    """Return what becomes of an exposure of ACS or WFC3 that is calibrated alone.

    Parameters
    ----------
    root
        Name of the exposure.
    header
        Primary header, with the switches of the user.
    """
    suffixes = ["flt"]
    if _corrects_trails(header):
        suffixes.append("flc")
    if _detector(header) == "IR":
        suffixes.append("ima")
    return tuple(f"{root}_{suffix}.fits" for suffix in suffixes)


def association_products(association: Association, headers: Mapping[str, Header]) -> list[str]:
    """Return what becomes of the exposures of an association of ACS or WFC3.

    Parameters
    ----------
    headers
        Primary headers by name of the exposure, lower case; of all that are present.

    Notes
    -----
    The first exposure of a position decides for all of it, as in the programs. Positions of
    one exposure, and those that name no product, are not combined.
    """
    names: list[str] = []
    for position in association.positions:
        names += _position_products(position, headers)
    for name in () if names else association.required:
        names += exposure_products(name, headers[name])
    return list(dict.fromkeys(names))


def stis_products(stem: str, header: Header) -> tuple[str, ...]:
    """Return what becomes of one raw file of STIS.

    Parameters
    ----------
    stem
        What the names begin with: ``ROOT`` for ``ROOT_raw.fits``, and ``ROOT_wav`` for
        ``ROOT_wav.fits``, of which cs0.e does not know the suffix.
    header
        Primary header, with the switches of the user.
    """
    several = exposures_of_stis(header) >= _FEWEST
    repeated = several and performs(header, "RPTCORR")
    is_ccd = _detector(header) == "CCD"
    rejected = is_ccd and (repeated or (several and performs(header, "CRCORR")))
    suffixes = [
        *_stis_images(header, rejected=rejected, summed=repeated and not is_ccd),
        *_stis_spectra(header, rejected=rejected),
    ]
    return tuple(f"{stem}_{suffix}.fits" for suffix in suffixes or ["flt"])


def _position_products(position: Position, headers: Mapping[str, Header]) -> Iterator[str]:
    present = [(name, headers[name]) for name in position.exposures]
    named = position.kind != "DTH" and position.product is not None
    combined = named and len(present) >= _FEWEST
    if combined:
        yield from _combined_products(position, present[0][1])
    if not combined or _keeps_each(present[0][1]):
        for name, header in present:
            yield from exposure_products(name, present[0][1] if combined else header)


def _combined_products(position: Position, first: Header) -> Iterator[str]:
    is_sum = position.kind == "RP" and _instrument(first) == "ACS"
    yield f"{position.product}_{'sfl' if is_sum else 'crj'}.fits"
    if not is_sum and _corrects_trails(first):
        yield f"{position.product}_crc.fits"


def _keeps_each(header: Header) -> bool:
    """Whether exposures that are combined become products too: those of SBC and IR always do."""
    return performs(header, "EXPSCORR") or _detector(header) in {"SBC", "IR"}


def _stis_images(header: Header, *, rejected: bool, summed: bool) -> Iterator[str]:
    done = {name for name in _STIS_IMAGE if performs(header, name)}
    if rejected:
        yield "crj"
    if done and not rejected:
        yield "flt"
    if rejected and performs(header, "EXPSCORR") and done - _STIS_BEFORE_REJECTION:
        yield "flt"
    if summed:
        yield "sfl"


def _stis_spectra(header: Header, *, rejected: bool) -> Iterator[str]:
    spectrum = str(header.get("OBSTYPE") or "").strip().upper() == "SPECTROSCOPIC"
    if performs(header, "X2DCORR" if spectrum else "GEOCORR"):
        yield "sx2" if rejected else "x2d"
    if spectrum and performs(header, "X1DCORR"):
        yield "sx1" if rejected else "x1d"


def _corrects_trails(header: Header) -> bool:
    return _detector(header) in _TRAILING and performs(header, "PCTECORR")


def _instrument(header: Header) -> str:
    return str(header.get("INSTRUME") or "").strip().upper()


def _detector(header: Header) -> str:
    return str(header.get("DETECTOR") or "").strip().upper()
