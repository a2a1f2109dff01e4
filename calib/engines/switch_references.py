"""Which reference files the programs of others open for each calibration switch.

Sources: the lists that the programs check before they begin (HSTCAL 3.2: calacs ``sciflags``,
calwf3 ``getreffiles``, calstis ``sciflags`` and ``wavflags``; calcos 3.6 ``missingRefFiles``), with
the types that the CRDS rules know (hst_1298.pmap and before). A file is optional where the
program goes on without one: it is required only where it is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from calib.engines.groups import combines
from calib.instruments.reference_set import NO_FILE
from calib.records import Member
from calib.switches import Switch

# STIS: SCI, ERR and DQ of each exposure are extensions of one file (STIS Data Handbook 2.2.2).
_STIS_EXTENSIONS = 3
_SPECTRA = "SPECTROSCOPIC"


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
    obstype
        OBSTYPE; empty: any.
    combined
        Whether several exposures must be combined.
    """

    references: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    obstype: str = ""
    combined: bool = False

    def holds(self, header: Mapping[str, Any], *, combined: bool) -> bool:
        """Whether the files are opened for an exposure."""
        return (
            all(performs(header, name) for name in self.switches)
            and (not self.detectors or _text(header, "DETECTOR") in self.detectors)
            and self.obstype in {"", _text(header, "OBSTYPE")}
            and (combined or not self.combined)
        )


def _for(*switches: str, **what: Any) -> Opening:
    return Opening(switches=switches, **what)


_FLATS = ("DFLTFILE", "LFLTFILE")

_ACS_CCDS = ("WFC", "HRC")

# SINKCORR and SATUFILE: calacs acsccd. ATODCORR does nothing, but a table that is named must exist.
ACS = (
    Opening(("CCDTAB",), ("OSCNTAB",), detectors=_ACS_CCDS),
    _for("DQICORR", optional=("BPIXTAB",)),
    _for("GLINCORR", references=("MLINTAB",)),
    _for("LFLGCORR", references=("MLINTAB",)),
    _for("ATODCORR", optional=("ATODTAB",)),
    _for("BIASCORR", references=("BIASFILE",)),
    _for("BLEVCORR", references=("OSCNTAB",)),
    _for("BIASCORR", "BLEVCORR", optional=("SATUFILE",)),
    _for("SINKCORR", references=("SNKCFILE",)),
    _for("CRCORR", references=("CRREJTAB",), detectors=_ACS_CCDS, combined=True),
    _for("RPTCORR", references=("CRREJTAB",), detectors=_ACS_CCDS, combined=True),
    _for("PCTECORR", references=("PCTETAB",), detectors=_ACS_CCDS),
    _for("DARKCORR", references=("DARKFILE",)),
    _for("DARKCORR", "PCTECORR", references=("DRKCFILE",), detectors=_ACS_CCDS),
    _for("FLSHCORR", references=("FLSHFILE",)),
    _for("FLATCORR", references=("PFLTFILE",), optional=(*_FLATS, "CFLTFILE", "SPOTTAB")),
    _for("SHADCORR", references=("SHADFILE",)),
    _for("PHOTCORR", references=("IMPHTTAB",)),
)

_UVIS = ("UVIS",)
_IR = ("IR",)

# The sink-pixel file belongs to DQICORR in calwf3. Of the infrared channel, CRCORR is the fit of
# the ramp of one exposure; RPTCORR combines several.
WFC3 = (
    Opening(("CCDTAB",)),
    Opening(("OSCNTAB",), detectors=_IR),
    _for("PCTECORR", references=("PCTETAB", "DRKCFILE", "BIACFILE"), detectors=_UVIS),
    _for("DQICORR", optional=("BPIXTAB",)),
    _for("DQICORR", optional=("SNKCFILE", "SATUFILE"), detectors=_UVIS),
    _for("ATODCORR", optional=("ATODTAB",), detectors=_UVIS),
    _for("BLEVCORR", references=("OSCNTAB",), detectors=_UVIS),
    _for("BIASCORR", references=("BIASFILE",), detectors=_UVIS),
    _for("FLSHCORR", references=("FLSHFILE",), detectors=_UVIS),
    _for("CRCORR", references=("CRREJTAB",), detectors=_UVIS, combined=True),
    _for("RPTCORR", references=("CRREJTAB",), combined=True),
    _for("CRCORR", references=("CRREJTAB",), detectors=_IR),
    _for("DARKCORR", references=("DARKFILE",)),
    _for("ZSIGCORR", references=("DARKFILE", "NLINFILE"), detectors=_IR),
    _for("NLINCORR", references=("NLINFILE",), detectors=_IR),
    _for("FLATCORR", references=("PFLTFILE",), optional=_FLATS),
    _for("SHADCORR", references=("SHADFILE",), detectors=_UVIS),
    _for("PHOTCORR", references=("IMPHTTAB",)),
)

_CCD = ("CCD",)
_MAMAS = ("FUV-MAMA", "NUV-MAMA")

_STIS_IMAGE = (
    Opening(("CCDTAB",), detectors=_CCD),
    _for("DQICORR", optional=("BPIXTAB",)),
    _for("GLINCORR", references=("MLINTAB",), detectors=_MAMAS),
    _for("LFLGCORR", references=("MLINTAB",), detectors=_MAMAS),
    _for("ATODCORR", optional=("ATODTAB",), detectors=_CCD),
    _for("BIASCORR", references=("BIASFILE",), detectors=_CCD),
    _for("DARKCORR", references=("DARKFILE",), optional=("TDCTAB",)),
    _for("FLATCORR", references=("PFLTFILE",), optional=_FLATS),
    _for("SHADCORR", references=("SHADFILE",), detectors=_CCD),
    _for("PHOTCORR", references=("IMPHTTAB", "APERTAB"), optional=("TDSTAB",)),
)

# Tables that place a spectrum on the detector, and those that turn counts into flux.
_RECTIFIED = ("SPTRCTAB", "APDESTAB", "DISPTAB", "INANGTAB")
_FLUX = ("PHOTTAB", "APERTAB")
_FLUX_OPTIONS = ("TDSTAB", "GACTAB")
_SCATTERED = ("CDSTAB", "ECHSCTAB", "EXSTAB", "HALOTAB", "TELTAB", "RIPTAB", "SRWTAB")

STIS = (
    *_STIS_IMAGE,
    _for("CRCORR", references=("CRREJTAB",), detectors=_CCD, combined=True),
    _for("RPTCORR", references=("CRREJTAB",), detectors=_CCD, combined=True),
    _for("WAVECORR", references=("WCPTAB", "LAMPTAB", "APDESTAB"), obstype=_SPECTRA),
    _for("X2DCORR", references=("SDCTAB", *_RECTIFIED), obstype=_SPECTRA),
    _for("X2DCORR", "FLUXCORR", references=("PCTAB", *_FLUX), obstype=_SPECTRA),
    _for("X2DCORR", "FLUXCORR", optional=_FLUX_OPTIONS, obstype=_SPECTRA),
    _for("X1DCORR", references=("XTRACTAB", "SDCTAB", "SPTRCTAB"), obstype=_SPECTRA),
    _for("X1DCORR", "DISPCORR", references=_RECTIFIED, obstype=_SPECTRA),
    _for("X1DCORR", "FLUXCORR", references=_FLUX, obstype=_SPECTRA),
    _for("X1DCORR", "FLUXCORR", optional=("PCTAB", *_FLUX_OPTIONS), obstype=_SPECTRA),
    _for("X1DCORR", "SC2DCORR", references=_SCATTERED, obstype=_SPECTRA),
    _for("GEOCORR", references=("IDCTAB",), obstype="IMAGING"),
)

# The wavecal of an exposure is rectified whatever its own switches say; that of an echelle
# grating is not, and needs no SDCTAB.
STIS_WAVECAL = (
    *_STIS_IMAGE,
    Opening(("WCPTAB", "LAMPTAB", *_RECTIFIED), ("SDCTAB",)),
)

# calcos leaves out BADTCORR, TDSCORR and the walk corrections where no file is named.
COS = (
    Opening(optional=("HVTAB",)),
    _for("FLATCORR", references=("FLATFILE",)),
    _for("HVDSCORR", references=("HVDSTAB",)),
    _for("BRSTCORR", references=("BRSTTAB",)),
    _for("BADTCORR", optional=("BADTTAB",)),
    _for("DQICORR", references=("BPIXTAB",), optional=("GSAGTAB", "SPOTTAB")),
    _for("DEADCORR", references=("DEADTAB",)),
    _for("TEMPCORR", references=("BRFTAB",)),
    _for("PHACORR", references=("PHATAB",), optional=("PHAFILE",)),
    _for("GEOCORR", references=("GEOFILE",)),
    _for("DGEOCORR", references=("DGEOFILE",)),
    _for("XWLKCORR", optional=("XWLKFILE",)),
    _for("YWLKCORR", optional=("YWLKFILE",)),
    _for("WAVECORR", references=("LAMPTAB", "WCPTAB", "DISPTAB"), obstype=_SPECTRA),
    _for("X1DCORR", references=("XTRACTAB", "DISPTAB"), optional=("SPWCSTAB",)),
    _for("FLUXCORR", references=("FLUXTAB",), obstype=_SPECTRA),
    _for("FLUXCORR", "TDSCORR", optional=("TDSTAB",), obstype=_SPECTRA),
    _for("TRCECORR", references=("TRACETAB",)),
    _for("ALGNCORR", references=("PROFTAB",)),
)

# XTRCTALG of COS that has a table of its own.
_TWO_ZONES = Opening(("TWOZXTAB",))

OPENINGS = {"acs": ACS, "wfc3": WFC3, "stis": STIS, "cos": COS}


def switch_references(
    instrument: str, header: Mapping[str, Any], members: Sequence[Member] = ()
) -> tuple[str, ...]:
    """Return the reference keywords that the program of an instrument opens for an exposure.

    Parameters
    ----------
    instrument
        ``acs``, ``wfc3``, ``stis`` or ``cos``.
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
    keywords: list[str] = []
    for opening in _openings(instrument, header):
        if opening.holds(header, combined=combined):
            keywords += opening.references
            keywords += [key for key in opening.optional if names_file(header, key)]
    return tuple(dict.fromkeys(keywords))


def performs(header: Mapping[str, Any], switch: str) -> bool:
    """Whether a switch is PERFORM; any other word, of whichever program, is a no."""
    return _text(header, switch) == Switch.PERFORM


def names_file(header: Mapping[str, Any], keyword: str) -> bool:
    """Whether a keyword names a file: not absent, blank or N/A."""
    return _text(header, keyword) not in NO_FILE


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
    if instrument == "cos" and _text(header, "XTRCTALG") == "TWOZONE":
        return (*COS, _TWO_ZONES)
    return OPENINGS[instrument]


def _is_combined(instrument: str, header: Mapping[str, Any], members: Sequence[Member]) -> bool:
    return exposures_of_stis(header) > 1 if instrument == "stis" else combines(members)


def _text(header: Mapping[str, Any], keyword: str) -> str:
    return str(header.get(keyword) or "").strip().upper()
