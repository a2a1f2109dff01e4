"""CALDP's and CALCLOUD's conventions, as data: what operators' scripts know by heart.

Source: caldp 0.2.28 (process.py, create_previews.py, messages.py, file_ops.py) and calcloud
0.4.48 (s3.py, io.py). Exit codes are in :mod:`calib.errors`. Suffixes are lower case and
stand between the first underscore and ``.fits``: ``raw``, ``rawtag_a``.
"""

from __future__ import annotations

from typing import Literal

from calib.ids import Kind

# A file of KEY=VALUE lines beside the inputs: the environment of the programs for this dataset.
ENVIRONMENT_FILE = "{dataset}_cal_env.txt"

# What takes the place of a suffix for that file.
ENVIRONMENT = "cal_env"
_ENVIRONMENT_ENDING = f"_{ENVIRONMENT}.txt"

# What is taken as input. CALDP's requests to the archive, and the support file (spt) of
# ACS, WFC3 and STIS where it lies beside the exposures: calacs and calwf3 make the support
# file of an association from those of its members. And the dataset's environment file.
INPUT_SUFFIXES: dict[str, frozenset[str]] = {
    "acs": frozenset({"asn", "raw", "spt", ENVIRONMENT}),
    "wfc3": frozenset({"asn", "raw", "spt", ENVIRONMENT}),
    "cos": frozenset(
        {
            "asn",
            "raw",
            "epc",
            "spt",
            "rawaccum",
            "rawaccum_a",
            "rawaccum_b",
            "rawacq",
            "rawtag",
            "rawtag_a",
            "rawtag_b",
            "pha_a",
            "pha_b",
            ENVIRONMENT,
        }
    ),
    "stis": frozenset({"asn", "raw", "epc", "tag", "wav", "spt", ENVIRONMENT}),
}

# Which of them carry an exposure: a dataset without one cannot be calibrated.
EXPOSURE_SUFFIXES: dict[str, frozenset[str]] = {
    "acs": frozenset({"raw"}),
    "wfc3": frozenset({"raw"}),
    "cos": frozenset(s for s in INPUT_SUFFIXES["cos"] if s.startswith("raw")),
    "stis": frozenset({"raw", "tag", "wav"}),
}

# STIS stores the exposures of an association as image sets of one file that bears the name
# of the association (STIS Data Handbook, section 2.2): its members have no files of their own.
EXPOSURES_UNDER_ASSOCIATION_NAME = frozenset({"stis"})

# Logical folder of each instrument's references in FITS headers, as in `jref$x_bia.fits`: programs
# look it up in the environment variable of that name (ACS Data Handbook 3.2).
REFERENCE_FOLDERS = {"acs": "jref", "wfc3": "iref", "stis": "oref", "cos": "lref"}

# Written into the primary header of every exposure, from variables of the same names: versions of
# the programs' image, of CALDP and of CALCLOUD; UNDEFINED where nobody says.
VERSION_KEYWORDS = ("CSYS_VER", "AWSDPVER", "AWSYSVER")
UNDEFINED_VERSION = "UNDEFINED"
VERSION_COMMENTS = {
    "CSYS_VER": "installation of the calibration programs",
    "AWSDPVER": "version of the data processing",
    "AWSYSVER": "version of the processing management",
}

# Pictures are made of these; the last `_` token of the name counts. CALDP's table, with crj
# for WFC3, the CTE-corrected crc, and the images of STIS, which CALDP leaves out.
IMAGE_SUFFIXES: dict[str, frozenset[str]] = {
    # sfl: CALDP has no preview of repeat-obs sums.
    "acs": frozenset({"raw", "flt", "flc", "crj", "crc", "sfl", "drz", "drc"}),
    "wfc3": frozenset({"raw", "ima", "flt", "flc", "crj", "crc", "drz", "drc"}),
    "stis": frozenset({"raw", "flt", "crj", "sx2", "x2d"}),
    "cos": frozenset(),
    "svm": frozenset({"drz", "drc"}),
    "mvm": frozenset({"drz", "drc"}),
}

# CALDP draws these with make_hst_spec_previews.
SPECTRUM_SUFFIXES: dict[str, frozenset[str]] = {
    "acs": frozenset(),
    "wfc3": frozenset(),
    "stis": frozenset({"x1d", "sx1"}),
    "cos": frozenset({"x1d", "x1dsum", "x1dsum1", "x1dsum2", "x1dsum3", "x1dsum4"}),
    "svm": frozenset(),
    "mvm": frozenset(),
}

# Which of their mosaics: all of a visit, all but those of single exposures of a skycell.
MOSAIC_LEVELS: dict[str, frozenset[str]] = {
    "svm": frozenset({"total", "filter", "exposure"}),
    "mvm": frozenset({"total", "filter"}),
}

# Longest side of the small picture in pixels: fitscut --output-size.
THUMBNAIL = 128
SKYCELL_THUMBNAIL = 512

# Not archived: tables of STIS CCD temperatures (engineering data) that only calibration needs.
DELETED_SUFFIXES: dict[str, frozenset[str]] = {"stis": frozenset({"epc"})}

MessageState = Literal["submit", "processing", "processed", "error", "terminated"]
MESSAGE_STATES: tuple[MessageState, ...] = (
    "submit",
    "processing",
    "processed",
    "error",
    "terminated",
)

# The folders of CALDP's documentation, by what the dataset has come to.
MESSAGE_FOLDERS = {
    "processed": "datasets-processed",
    "synced": "dataset-synced",
    "archived": "dataset-archived",
}


def message_name(state: MessageState, dataset: str) -> str:
    """Return the name of a flat message file; only ``processed`` bears ``.trigger``."""
    return f"{state}-{dataset}{'.trigger' if state == 'processed' else ''}"


def tarball_name(dataset: str) -> str:
    """Return the name of the archive that holds a dataset's files."""
    return f"{dataset}.tar.gz"


def suffix_of(name: str) -> str:
    """Return what stands between the first underscore and ``.fits``, lower case.

    That of the environment file is :data:`ENVIRONMENT`; empty for a name of another form.
    """
    if name.lower().partition("_")[2] == _ENVIRONMENT_ENDING[1:]:
        return ENVIRONMENT
    stem, dot, extension = name.lower().rpartition(".")
    if not dot or extension != "fits":
        return ""
    return stem.partition("_")[2]


def preview_row(kind: Kind, instrument: str) -> str:
    """Return the row of the preview tables: that of the instrument, or ``svm``, ``mvm``."""
    return instrument if kind == "ipst" else kind


def product_suffix(name: str) -> str:
    """Return the last ``_`` token before the extension, lower case: previews go by it."""
    return name.lower().rpartition(".")[0].rpartition("_")[2]
