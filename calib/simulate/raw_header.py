"""Headers of raw exposures, with the keywords of real ones that calibration reads."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from calib.simulate.detector import CAMERAS
from calib.simulate.pointing import SERVICED
from calib.simulate.targets import TARGETS

if TYPE_CHECKING:
    from calib.simulate.frame import Frame
    from calib.simulate.pointing import Pointing

Cards = list[tuple[str, Any, str]]

MJD_ZERO = datetime(1858, 11, 17)  # noqa: DTZ001 - the day on which MJD starts, UT

# Switches as the archive sets them for one CCD exposure without post-flash.
SWITCHES = {
    "DQICORR": "PERFORM",
    "ATODCORR": "OMIT",
    "BLEVCORR": "PERFORM",
    "BIASCORR": "PERFORM",
    "SINKCORR": "OMIT",
    "PCTECORR": "OMIT",
    "FLSHCORR": "OMIT",
    "CRCORR": "OMIT",
    "EXPSCORR": "PERFORM",
    "SHADCORR": "OMIT",
    "DARKCORR": "PERFORM",
    "FLATCORR": "PERFORM",
    "PHOTCORR": "PERFORM",
    "RPTCORR": "OMIT",
    "DRIZCORR": "OMIT",
}

# The SBC has no bias and no amplifiers; its counts are made linear instead.
SBC_SWITCHES = {
    **dict.fromkeys(SWITCHES, "OMIT"),
    **dict.fromkeys(("DQICORR", "DARKCORR", "FLATCORR", "PHOTCORR"), "PERFORM"),
    "GLINCORR": "PERFORM",
    "LFLGCORR": "PERFORM",
}

REFERENCE_KEYWORDS = (
    "BPIXTAB",
    "CCDTAB",
    "ATODTAB",
    "OSCNTAB",
    "BIASFILE",
    "FLSHFILE",
    "CRREJTAB",
    "SHADFILE",
    "DARKFILE",
    "PFLTFILE",
    "DFLTFILE",
    "LFLTFILE",
    "SATUFILE",
    "IMPHTTAB",
    "IDCTAB",
    "DGEOFILE",
    "MDRIZTAB",
    "CFLTFILE",
    "SPOTTAB",
)

# Of one camera only.
EXTRA_REFERENCE_KEYWORDS = {
    "HRC": (),
    "WFC": ("SNKCFILE", "PCTETAB", "DRKCFILE", "D2IMFILE", "NPOLFILE"),
    "SBC": ("MLINTAB",),
}

RIGHT_ASCENSION, DECLINATION = 6.0347, -72.0876


def primary_cards(pointing: Pointing) -> Cards:
    """Return the cards of the primary header."""
    return [
        *_file_and_target(pointing),
        *_time(pointing),
        *_instrument(pointing),
        *((key, value, "calibration switch") for key, value in _switches(pointing).items()),
        *_references(pointing),
        *_rejection(),
        *_flash(pointing),
        *_electronics(pointing),
        *_membership(pointing),
    ]


def association_cards(name: str, camera: str) -> Cards:
    """Return the cards of the primary header of an association table."""
    return [
        ("NEXTEND", 1, "number of extensions"),
        ("FILENAME", f"{name}_asn.fits", "name of the file"),
        ("FILETYPE", "ASN_TABLE", "type of data"),
        ("TELESCOP", "HST", "telescope"),
        ("INSTRUME", "ACS", "instrument"),
        ("DETECTOR", camera, "detector"),
        ("ROOTNAME", name, "name of the association"),
        ("PRIMESI", "ACS", "instrument that leads"),
        ("ASN_ID", name.upper(), "association"),
        ("ASN_TAB", f"{name}_asn.fits", "association table"),
        ("ASN_PROD", False, "whether the products were made"),
    ]


def image_cards(name: str, version: int, pointing: Pointing, frame: Frame) -> Cards:
    """Return the cards of a SCI, ERR or DQ extension, other than its format."""
    ny, nx = frame.counts.shape
    unit = "UNITLESS" if name == "DQ" else "COUNTS"
    return [
        ("INHERIT", True, "inherit the primary header"),
        ("EXTNAME", name, "extension name"),
        ("EXTVER", version, "extension version number"),
        ("ROOTNAME", pointing.rootname, "name of the exposure"),
        ("EXPNAME", pointing.rootname, "name of the exposure"),
        ("DATAMIN", 0.0, "smallest value"),
        ("DATAMAX", 0.0, "largest value"),
        ("BUNIT", unit, "unit of the pixels"),
        ("CCDCHIP", frame.chip, "chip"),
        *_world_coordinates(pointing, frame),
        ("LTV1", frame.offsets[0], "offset in x to the detector"),
        ("LTV2", frame.offsets[1], "offset in y to the detector"),
        ("LTM1_1", 1.0, "sampling in x"),
        ("LTM2_2", 1.0, "sampling in y"),
        ("SIZAXIS1", nx, "columns in detector pixels"),
        ("SIZAXIS2", ny, "rows in detector pixels"),
        ("BINAXIS1", 1, "binning in x"),
        ("BINAXIS2", 1, "binning in y"),
        *(_photometry() if name == "SCI" else []),
        *_statistics(name),
    ]


def _switches(pointing: Pointing) -> dict[str, str]:
    """Return the switches: members of a CR-split or of repeats ask to be combined."""
    if pointing.camera == "SBC":
        return SBC_SWITCHES
    extra = {"FLSHCORR": "PERFORM"} if pointing.flash else {}
    if pointing.camera == "WFC" and pointing.start >= SERVICED:
        extra["SINKCORR"] = "PERFORM"
    asked = {"CR": {"CRCORR": "PERFORM"}, "RP": {"RPTCORR": "PERFORM"}}
    return SWITCHES | extra | asked.get(pointing.combines or "", {})


def _references(pointing: Pointing) -> Cards:
    keywords = REFERENCE_KEYWORDS + EXTRA_REFERENCE_KEYWORDS[pointing.camera]
    return [(key, "N/A", "reference file, not yet assigned") for key in keywords]


def _membership(pointing: Pointing) -> Cards:
    member = pointing.membership
    name = member.association if member else "NONE"
    return [
        ("ASN_ID", name.upper(), "association, if any"),
        ("ASN_TAB", f"{name}_asn.fits" if member else name, "association table, if any"),
        ("ASN_MTYP", member.type if member else "", "role in the association"),
    ]


def _together(pointing: Pointing, pattern: str) -> int:
    """Return the number of exposures that are combined in this way; 1: this one alone."""
    member = pointing.membership
    return member.exposures if member and pointing.combines == pattern else 1


def _coordinates(pointing: Pointing) -> tuple[float, float]:
    if pointing.target is None:
        return RIGHT_ASCENSION, DECLINATION
    target = TARGETS[pointing.target]
    return target.ra, target.dec


def _file_and_target(pointing: Pointing) -> Cards:
    ra, dec = _coordinates(pointing)
    chips = 2 if pointing.camera == "WFC" and not pointing.quadrant else 1
    return [
        ("NEXTEND", 3 * chips, "number of extensions"),
        ("DATE", f"{pointing.start:%Y-%m-%d}", "date of this file"),
        ("FILENAME", f"{pointing.rootname}_raw.fits", "name of the file"),
        ("FILETYPE", "SCI", "type of data"),
        ("TELESCOP", "HST", "telescope"),
        ("INSTRUME", "ACS", "instrument"),
        ("EQUINOX", 2000.0, "equinox of the coordinates"),
        ("ROOTNAME", pointing.rootname, "name of the exposure"),
        ("IMAGETYP", "EXT", "type of exposure"),
        ("PRIMESI", "ACS", "instrument that leads"),
        ("TARGNAME", pointing.target or f"SIMULATED-{pointing.field}", "name of the target"),
        ("RA_TARG", ra, "right ascension of the target (deg)"),
        ("DEC_TARG", dec, "declination of the target (deg)"),
        ("PROPOSID", 99999, "programme"),
        ("LINENUM", f"{pointing.rootname[4:6]}.001", "line of the programme"),
        ("PR_INV_L", "Simulated", "principal investigator"),
        ("PR_INV_F", "", "principal investigator"),
    ]


def _time(pointing: Pointing) -> Cards:
    begin = (pointing.start - MJD_ZERO).total_seconds() / 86400.0
    scale = CAMERAS[pointing.camera].plate_scale
    return [
        ("DATE-OBS", f"{pointing.start:%Y-%m-%d}", "UT date of the start"),
        ("TIME-OBS", f"{pointing.start:%H:%M:%S}", "UT time of the start"),
        ("EXPSTART", begin, "start (MJD)"),
        ("EXPEND", begin + pointing.seconds / 86400.0, "end (MJD)"),
        ("EXPTIME", pointing.seconds, "exposure time (s)"),
        ("DARKTIME", pointing.dark_seconds, "time for dark current (s)"),
        ("EXPFLAG", "NORMAL", "interruption of the exposure"),
        ("QUALITY", "", "remark on quality"),
        ("FGSLOCK", "FINE", "guiding"),
        ("SUNANGLE", 82.05, "angle between Sun and V1 (deg)"),
        ("PA_V3", 15.78, "position angle of V3 (deg)"),
        ("POSTARG1", pointing.offset[0] * scale, "offset of the target in x"),
        ("POSTARG2", pointing.offset[1] * scale, "offset of the target in y"),
        ("CAL_VER", "", "version of the calibration"),
    ]


def _instrument(pointing: Pointing) -> Cards:
    filter1, filter2 = CAMERAS[pointing.camera].filters[pointing.filter]
    return [
        ("OBSTYPE", "IMAGING", "type of observation"),
        ("OBSMODE", "ACCUM", "operating mode"),
        ("SCLAMP", "NONE", "lamp"),
        ("NRPTEXP", _together(pointing, "RP"), "repeated exposures"),
        ("SUBARRAY", bool(pointing.quadrant), "whether only part of the chip was read"),
        ("DETECTOR", pointing.camera, "detector"),
        ("FILTER1", filter1, "element in filter wheel 1"),
        ("FW1OFFST", 0, "offset of filter wheel 1"),
        ("FILTER2", filter2, "element in filter wheel 2"),
        ("FW2OFFST", 0, "offset of filter wheel 2"),
        ("FWSOFFST", 0, "offset of the filter wheels"),
        ("LRFWAVE", 0.0, "wavelength of a ramp filter"),
        ("APERTURE", _aperture(pointing), "aperture"),
        ("PROPAPER", _aperture(pointing), "proposed aperture"),
        ("CRSPLIT", _together(pointing, "CR"), "exposures of a cosmic-ray split"),
        ("STATFLAG", False, "whether statistics are calculated"),
        ("WRTERR", True, "whether errors are written"),
    ]


def _aperture(pointing: Pointing) -> str:
    """Return WFC1B-2K and the like for a quadrant, else the camera's name."""
    if not pointing.quadrant:
        return pointing.camera
    chip = 1 if pointing.quadrant in "AB" else 2
    return f"WFC{chip}{pointing.quadrant}-2K"


def _rejection() -> Cards:
    return [
        ("MEANEXP", 0.0, "exposure time of the rejection parameters"),
        ("SCALENSE", 0.0, "scale noise"),
        ("INITGUES", "", "first guess of the combined image"),
        ("SKYSUB", "", "how the sky is found"),
        ("SKYSUM", 0.0, "sky of all exposures"),
        ("CRSIGMAS", "", "rejection levels"),
        ("CRRADIUS", 0.0, "rejection radius (pixels)"),
        ("CRTHRESH", 0.0, "rejection threshold in that radius"),
        ("BADINPDQ", 0, "input flags to leave out"),
        ("REJ_RATE", 0.0, "pixels hit per second"),
        ("CRMASK", False, "whether inputs are flagged"),
    ]


def _flash(pointing: Pointing) -> Cards:
    status = "SUCCESSFUL" if pointing.flash else "NOT PERFORMED"
    return [
        ("FLASHDUR", pointing.flash, "length of the post-flash (s)"),
        ("FLASHCUR", "LOW" if pointing.flash else "OFF", "current of the post-flash"),
        ("FLASHSTA", status, "whether the post-flash succeeded"),
        ("SHUTRPOS", "A", "position of the shutter"),
    ]


def _electronics(pointing: Pointing) -> Cards:
    if pointing.camera == "SBC":
        return [("CCDAMP", "N/A", "no amplifiers"), ("CCDGAIN", 1.0, "none")]
    wide = pointing.camera == "WFC"
    readout = "CLAMP" if pointing.start >= SERVICED else ""
    return [
        ("CCDAMP", (pointing.quadrant or "ABCD") if wide else "C", "amplifiers in use"),
        ("CCDGAIN", 2.0 if wide else 2, "commanded gain"),
        *((f"CCDOFST{amp}", 3, "commanded bias offset") for amp in "ABCD"),
        *((f"ATODGN{amp}", 0.0, "gain (electrons/DN)") for amp in "ABCD"),
        *((f"READNSE{amp}", 0.0, "read noise (electrons)") for amp in "ABCD"),
        *((f"BIASLEV{amp}", 0.0, "bias level (DN)") for amp in "ABCD"),
        *([("JWROTYPE", readout, "way of reading out")] if wide else []),
    ]


def _world_coordinates(pointing: Pointing, frame: Frame) -> Cards:
    """Return the coordinates; an offset moves the reference pixel, which stays on the target."""
    ra, dec = _coordinates(pointing)
    names = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
    matrix = zip(names, CAMERAS[pointing.camera].cd_matrix, strict=True)
    return [
        ("WCSAXES", 2, "number of axes"),
        ("CRPIX1", frame.target[0], "reference pixel in x"),
        ("CRPIX2", frame.target[1], "reference pixel in y"),
        ("CRVAL1", ra, "right ascension there (deg)"),
        ("CRVAL2", dec, "declination there (deg)"),
        ("CTYPE1", "RA---TAN", "projection"),
        ("CTYPE2", "DEC--TAN", "projection"),
        *((key, value, "plate scale and orientation") for key, value in matrix),
        ("ORIENTAT", 15.5, "position angle of y (deg)"),
        ("RA_APER", ra, "right ascension of the aperture"),
        ("DEC_APER", dec, "declination of the aperture"),
        ("PA_APER", 15.5, "position angle of the aperture (deg)"),
        ("VAFACTOR", 1.0, "velocity aberration"),
    ]


def _photometry() -> Cards:
    return [
        ("PHOTMODE", "", "observation mode"),
        ("PHOTFLAM", 0.0, "inverse sensitivity"),
        ("PHOTZPT", 0.0, "zero point"),
        ("PHOTPLAM", 0.0, "pivot wavelength (Angstrom)"),
        ("PHOTBW", 0.0, "bandwidth (Angstrom)"),
        ("NCOMBINE", 1, "exposures combined"),
    ]


def _statistics(name: str) -> Cards:
    cards: Cards = [("SDQFLAGS", 31743, "serious data quality flags")]
    if name == "DQ":
        return cards
    names = ["GOODMIN", "GOODMAX", "GOODMEAN"]
    if name == "SCI":
        names += ["SNRMIN", "SNRMAX", "SNRMEAN", "MEANDARK", "MEANBLEV", "MEANFLSH", "SOFTERRS"]
    cards.append(("NGOODPIX", 0, "good pixels"))
    return cards + [(key, 0.0, "filled in by calibration") for key in names]
