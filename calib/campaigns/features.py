"""What a dataset looks like before it is calibrated: CALCLOUD's nine features.

From the primary headers and the sizes of its exposures; from its name alone where nothing was
fetched yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calib.cost_model import Features
from calib.ids import DatasetId
from calib.records import RawInputs

__all__ = ["Features", "class_of", "features_of", "features_of_files", "typical_features"]

INSTRUMENT_NUMBERS = {"acs": 0, "cos": 1, "stis": 2, "wfc3": 3}
LARGE_CCDS = frozenset({"WFC", "UVIS"})
MB = 10**6

# Raw files of one full frame, 10^6 bytes, from the sizes of the detectors (instrument handbooks):
# two chips of 4144 x 2068 (ACS) or 4206 x 2070 (WFC3) in 16 bits; STIS 1062 x 1044 in 16 bits;
# COS time-tag events, often tens of MB. The largest mode of an instrument counts: a name does
# not tell the detector, and one rung too high costs less than a failed attempt.
FRAME_MB = {"acs": 34.4, "wfc3": 35.0, "cos": 40.0, "stis": 10.0}

# Of a visit or skycell the calibrated exposures are the inputs: SCI and ERR of 4 bytes and DQ of 2
# for each of 4096 x 4096 pixels (an FLC of CALDP's tests: 168 MB).
CALIBRATED_MB = 168.0

# Exposures where nothing is known: an association has most often two to four (two of CR-SPLIT,
# four of a dither box); a visit some ten; a skycell cell collects the exposures of many visits.
ASSOCIATION_FILES = 4
VISIT_FILES = 12
SKYCELL_FILES = 60


def class_of(dataset: DatasetId) -> str:
    """Return what is learned together: the instrument, or ``svm`` or ``mvm``."""
    return dataset.instrument if dataset.kind == "ipst" else dataset.kind


def features_of(
    headers: Sequence[Mapping[str, Any]], sizes: Sequence[int], dataset: DatasetId
) -> Features:
    """Return the features of a dataset from its exposures.

    Parameters
    ----------
    headers
        Primary headers of the exposures.
    sizes
        Bytes of their files.
    dataset
        Its name, which tells associations and the instrument.

    Returns
    -------
    Features
        A flag is set where any exposure has it. Without a header: :func:`typical_features`,
        with the sizes where there are any.
    """
    if not headers:
        typical = typical_features(dataset)
        if not sizes:
            return typical
        return replace(typical, n_files=len(sizes), total_mb=sum(sizes) / MB)
    instrument = dataset.instrument
    if instrument not in INSTRUMENT_NUMBERS:
        instrument = str(headers[0].get("INSTRUME", "")).strip().lower()
    return Features(
        n_files=len(sizes),
        total_mb=sum(sizes) / MB,
        drizcorr=_performs(headers, "DRIZCORR"),
        pctecorr=_performs(headers, "PCTECORR"),
        crsplit=max(_crsplit(header) for header in headers),
        subarray=max(_flag(header.get("SUBARRAY")) for header in headers),
        detector=max(int(_word(h.get("DETECTOR")) in LARGE_CCDS) for h in headers),
        dtype=int(dataset.is_association),
        instr=INSTRUMENT_NUMBERS.get(instrument, 0),
    )


def features_of_files(inputs: RawInputs, dataset: DatasetId) -> Features:
    """Return the features of fetched inputs: headers are read from their files.

    Raises
    ------
    NotFound, CorruptFile
        An exposure is not there any more, or is not FITS.
    """
    from calib.fitsfile import primary_header

    exposures = inputs.exposures or inputs.images
    headers = [primary_header(each.path) for each in exposures]
    return features_of(headers, [each.size for each in exposures], dataset)


def typical_features(dataset: DatasetId) -> Features:
    """Return what a dataset looks like as far as its name tells, rather too large."""
    files = {"svm": VISIT_FILES, "mvm": SKYCELL_FILES}.get(dataset.kind, 1)
    instrument = "acs" if dataset.kind == "mvm" else dataset.instrument
    if dataset.is_association:
        files = ASSOCIATION_FILES
    is_large = instrument in {"acs", "wfc3"}
    return Features(
        n_files=files,
        total_mb=files * (FRAME_MB[instrument] if dataset.kind == "ipst" else CALIBRATED_MB),
        drizcorr=int(is_large),
        pctecorr=int(is_large),
        crsplit=2 if dataset.is_association else 1,
        subarray=0,
        detector=int(is_large),
        dtype=int(dataset.is_association),
        instr=INSTRUMENT_NUMBERS[instrument],
    )


def _performs(headers: Iterable[Mapping[str, Any]], keyword: str) -> int:
    return max(int(_word(header.get(keyword)) == "PERFORM") for header in headers)


def _crsplit(header: Mapping[str, Any]) -> int:
    """Return 0 for none, 1 for one exposure, 2 for more: what calcloud makes of CRSPLIT."""
    value = header.get("CRSPLIT")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value == 1) if value in {0, 1} else 2


def _flag(value: Any) -> int:
    return int(value is True or _word(value) in {"T", "TRUE"})


def _word(value: Any) -> str:
    return value.strip().upper() if isinstance(value, str) else ""
