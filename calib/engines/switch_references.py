"""Which reference files the programs of others open for each calibration switch.

Sources: the lists that the programs check before they begin (HSTCAL 3.2: calacs ``sciflags``,
calwf3 ``getreffiles``, calstis ``sciflags`` and ``wavflags``), with the types that the CRDS rules
know (hst_1298.pmap and before). What calcos opens is in :mod:`calib.engines.calcos_references`.
A file is optional where the program goes on without one: it is required only where it is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from calib.engines.groups import combines
from calib.records import Member
from calib.switches import Switch, names_file

# STIS: SCI, ERR and DQ of each exposure are extensions of one file (STIS Data Handbook 2.2.2).
_STIS_EXTENSIONS = 3
SPECTRUM = {"OBSTYPE": "SPECTROSCOPIC"}


@dataclass(frozen=True)
class Opening:
    """Files that are opened where all conditions hold.

    Attributes
    ----------
    references
        Keywords of files without which the program stops.
    optional
        Keywords of files that it opens where one is named.
    switches
        Must all be PERFORM.
    detectors
        One of them; empty: any.
    only
        Header values by keyword, all of which must be so.
    combined
        Whether several exposures must be combined.
    """

    references: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    only: Mapping[str, str] = field(default_factory=dict)
    combined: bool = False

    def holds(self, header: Mapping[str, Any], *, combined: bool = False) -> bool:
        """Whether the files are opened for an exposure."""
        return (
            all(performs(header, name) for name in self.switches)
            and (not self.detectors or _text(header, "DETECTOR") in self.detectors)
            and all(_text(header, key) == value for key, value in self.only.items())
            and (combined or not self.combined)
        )


def opening(*switches: str, **what: Any) -> Opening:
    """Return the files of switches, all of which must be PERFORM."""
    return Opening(switches=switches, **what)


_FLATS = ("DFLTFILE", "LFLTFILE")

_ACS_CCDS = ("WFC", "HRC")

# SINKCORR and SATUFILE: calacs acsccd. ATODCORR does nothing, but a table that is named must exist.
ACS = (
    Opening(("CCDTAB",), ("OSCNTAB",), detectors=_ACS_CCDS),
    opening("DQICORR", optional=("BPIXTAB",)),
    opening("GLINCORR", references=("MLINTAB",)),
    opening("LFLGCORR", references=("MLINTAB",)),
    opening("ATODCORR", optional=("ATODTAB",)),
    opening("BIASCORR", references=("BIASFILE",)),
    opening("BLEVCORR", references=("OSCNTAB",)),
    opening("BIASCORR", "BLEVCORR", optional=("SATUFILE",)),
    opening("SINKCORR", references=("SNKCFILE",)),
    opening("CRCORR", references=("CRREJTAB",), detectors=_ACS_CCDS, combined=True),
    opening("RPTCORR", references=("CRREJTAB",), detectors=_ACS_CCDS, combined=True),
    opening("PCTECORR", references=("PCTETAB",), detectors=_ACS_CCDS),
    opening("DARKCORR", references=("DARKFILE",)),
    opening("DARKCORR", "PCTECORR", references=("DRKCFILE",), detectors=_ACS_CCDS),
    opening("FLSHCORR", references=("FLSHFILE",)),
    opening("FLATCORR", references=("PFLTFILE",), optional=(*_FLATS, "CFLTFILE", "SPOTTAB")),
    opening("SHADCORR", references=("SHADFILE",)),
    opening("PHOTCORR", references=("IMPHTTAB",)),
)

_UVIS = ("UVIS",)
_IR = ("IR",)

# The sink-pixel file belongs to DQICORR in calwf3. Of the infrared channel, CRCORR is the fit of
# the ramp of one exposure; RPTCORR combines several.
WFC3 = (
    Opening(("CCDTAB",)),
    Opening(("OSCNTAB",), detectors=_IR),
    opening("PCTECORR", references=("PCTETAB", "DRKCFILE", "BIACFILE"), detectors=_UVIS),
    opening("DQICORR", optional=("BPIXTAB",)),
    opening("DQICORR", optional=("SNKCFILE", "SATUFILE"), detectors=_UVIS),
    opening("ATODCORR", optional=("ATODTAB",), detectors=_UVIS),
    opening("BLEVCORR", references=("OSCNTAB",), detectors=_UVIS),
    opening("BIASCORR", references=("BIASFILE",), detectors=_UVIS),
    opening("FLSHCORR", references=("FLSHFILE",), detectors=_UVIS),
    opening("CRCORR", references=("CRREJTAB",), detectors=_UVIS, combined=True),
    opening("RPTCORR", references=("CRREJTAB",), combined=True),
    opening("CRCORR", references=("CRREJTAB",), detectors=_IR),
    opening("DARKCORR", references=("DARKFILE",)),
    opening("ZSIGCORR", references=("DARKFILE", "NLINFILE"), detectors=_IR),
    opening("NLINCORR", references=("NLINFILE",), detectors=_IR),
    opening("FLATCORR", references=("PFLTFILE",), optional=_FLATS),
    opening("SHADCORR", references=("SHADFILE",), detectors=_UVIS),
    opening("PHOTCORR", references=("IMPHTTAB",)),
)

_CCD = ("CCD",)
_MAMAS = ("FUV-MAMA", "NUV-MAMA")

_STIS_IMAGE = (
    Opening(("CCDTAB",), detectors=_CCD),
    opening("DQICORR", optional=("BPIXTAB",)),
    opening("GLINCORR", references=("MLINTAB",), detectors=_MAMAS),
    opening("LFLGCORR", references=("MLINTAB",), detectors=_MAMAS),
    opening("ATODCORR", optional=("ATODTAB",), detectors=_CCD),
    opening("BIASCORR", references=("BIASFILE",), detectors=_CCD),
    opening("DARKCORR", references=("DARKFILE",), optional=("TDCTAB",)),
    opening("FLATCORR", references=("PFLTFILE",), optional=_FLATS),
    opening("SHADCORR", references=("SHADFILE",), detectors=_CCD),
    opening("PHOTCORR", references=("IMPHTTAB", "APERTAB"), optional=("TDSTAB",)),
)

# Tables that place a spectrum on the detector, and those that turn counts into flux.
_RECTIFIED = ("SPTRCTAB", "APDESTAB", "DISPTAB", "INANGTAB")
_FLUX = ("PHOTTAB", "APERTAB")
_FLUX_OPTIONS = ("TDSTAB", "GACTAB")
_SCATTERED = ("CDSTAB", "ECHSCTAB", "EXSTAB", "HALOTAB", "TELTAB", "RIPTAB", "SRWTAB")

STIS = (
    *_STIS_IMAGE,
    opening("CRCORR", references=("CRREJTAB",), detectors=_CCD, combined=True),
    opening("RPTCORR", references=("CRREJTAB",), detectors=_CCD, combined=True),
    opening("WAVECORR", references=("WCPTAB", "LAMPTAB", "APDESTAB"), only=SPECTRUM),
    opening("X2DCORR", references=("SDCTAB", *_RECTIFIED), only=SPECTRUM),
    opening("X2DCORR", "FLUXCORR", references=("PCTAB", *_FLUX), only=SPECTRUM),
    opening("X2DCORR", "FLUXCORR", optional=_FLUX_OPTIONS, only=SPECTRUM),
    opening("X1DCORR", references=("XTRACTAB", "SDCTAB", "SPTRCTAB"), only=SPECTRUM),
    opening("X1DCORR", "DISPCORR", references=_RECTIFIED, only=SPECTRUM),
    opening("X1DCORR", "FLUXCORR", references=_FLUX, only=SPECTRUM),
    opening("X1DCORR", "FLUXCORR", optional=("PCTAB", *_FLUX_OPTIONS), only=SPECTRUM),
    opening("X1DCORR", "SC2DCORR", references=_SCATTERED, only=SPECTRUM),
    opening("GEOCORR", references=("IDCTAB",), only={"OBSTYPE": "IMAGING"}),
)

# The wavecal of an exposure is rectified whatever its own switches say; that of an echelle
# grating is not, and needs no SDCTAB.
STIS_WAVECAL = (
    *_STIS_IMAGE,
    Opening(("WCPTAB", "LAMPTAB", *_RECTIFIED), ("SDCTAB",)),
)

OPENINGS = {"acs": ACS, "wfc3": WFC3, "stis": STIS}


def switch_references(
    instrument: str, header: Mapping[str, Any], members: Sequence[Member] = ()
) -> tuple[str, ...]:
    """Return the reference keywords that the program of an instrument opens for an exposure.

    Parameters
    ----------
    instrument
        ``acs``, ``wfc3`` or ``stis``.
    header
        Primary header; references that it names make optional files required.
    members
        Rows of the association that the exposure is calibrated in; none: it is alone.

    Returns
    -------
    tuple of str
        Keywords in capitals, each once, in the order of the tables.
    """
    combined = _is_combined(instrument, header, members)
    return opened_by(_openings(instrument, header), header, combined=combined)


def opened_by(
    openings: Sequence[Opening], header: Mapping[str, Any], *, combined: bool = False
) -> tuple[str, ...]:
    """Return the reference keywords of a table that hold for an exposure.

    Parameters
    ----------
    openings
        What a program opens, and where.
    header
        Primary header; a switch that the program resets is not PERFORM here.
    combined
        Whether the exposure is combined with others.
    """
    keywords: list[str] = []
    for each in openings:
        if each.holds(header, combined=combined):
            keywords += each.references
            keywords += [key for key in each.optional if names_file(header, key)]
    return tuple(dict.fromkeys(keywords))


def performs(header: Mapping[str, Any], switch: str) -> bool:
    """Whether a switch is PERFORM; any other word, of whichever program, is a no."""
    return _text(header, switch) == Switch.PERFORM


def is_wavecal(header: Mapping[str, Any]) -> bool:
    """Whether an exposure of STIS is a wavelength calibration: its file name says so."""
    return _text(header, "FILENAME").endswith("_WAV.FITS")


def wavecal_of(header: Mapping[str, Any]) -> str:
    """Return the name, lower case, of the wavelength calibration that an exposure of STIS uses.

    Empty where WAVECORR is not PERFORM or WAVECAL names no file, whatever lies beside it.
    """
    if not performs(header, "WAVECORR") or not names_file(header, "WAVECAL"):
        return ""
    return PurePosixPath(str(header["WAVECAL"]).strip().rpartition("$")[2]).name.lower()


def exposures_of_stis(header: Mapping[str, Any]) -> int:
    """Return how many exposures a raw file of STIS holds (NEXTEND; one where it is absent)."""
    extensions = header.get("NEXTEND")
    return extensions // _STIS_EXTENSIONS if isinstance(extensions, int) else 1


def _openings(instrument: str, header: Mapping[str, Any]) -> tuple[Opening, ...]:
    if instrument == "stis" and is_wavecal(header):
        return STIS_WAVECAL
    return OPENINGS[instrument]


def _is_combined(instrument: str, header: Mapping[str, Any], members: Sequence[Member]) -> bool:
    return exposures_of_stis(header) > 1 if instrument == "stis" else combines(members)


def _text(header: Mapping[str, Any], keyword: str) -> str:
    return str(header.get(keyword) or "").strip().upper()
