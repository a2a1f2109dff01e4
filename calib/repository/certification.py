"""From a reference file of the user's own to what a calibration collection keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib.caldp import REFERENCE_FOLDERS
from calib.errors import ConfigError
from calib.fetch.integrity import check_extension_count
from calib.fitsfile import opened
from calib.ledger.calibrations import ANY, NOT_A_FILE, Certification
from calib.references.files import sha1_of
from calib.references.keywords import keyword_of, reference_keywords


@dataclass(frozen=True)
class Wanted:
    """What a person says of files to be certified; what is None their headers say.

    Attributes
    ----------
    keyword
        Reference keyword.
    instrument, detector
        In any case; the detector may be ``any``.
    begins, ends
        Dates, from `begins` (included) to `ends` (excluded); None is open.
    """

    keyword: str | None = None
    instrument: str | None = None
    detector: str | None = None
    begins: str | None = None
    ends: str | None = None


def certification_of(name: str, wanted: Wanted) -> Certification:
    """Return what to certify of a file: it is read, and must be what it is certified for.

    Parameters
    ----------
    name
        Its path, or ``file:PATH``.
    wanted
        What a person says of it.

    Raises
    ------
    NotFound, CorruptFile
        The file cannot be read.
    ConfigError
        The header says something else than was asked for, or says nothing and nothing was
        asked for; or the name is not that of a file.
    """
    place = _place(name)
    header = _header(place)
    instrument = _instrument(place, header, wanted.instrument)
    return Certification(
        instrument=instrument,
        detector=_detector(place, header, wanted.detector),
        keyword=_keyword(place, header, instrument, wanted.keyword),
        reference=place.name,
        sha1=sha1_of(place),
        uri=f"file:{place}",
        begins_at=wanted.begins,
        ends_at=wanted.ends,
    )


def _place(name: str) -> Path:
    if name.startswith("s3:"):
        raise ConfigError(NOT_A_FILE, expected="a path; download the object first", found=name)
    # Links are not followed: what a link leads to may move, and the name is that of the link.
    return Path(name.removeprefix("file:")).expanduser().absolute()


def _header(path: Path) -> Mapping[str, Any]:
    with opened(path) as hdus:
        check_extension_count(path, hdus)  # reads every header: a file cut short is found
        header: Mapping[str, Any] = hdus[0].header.copy()
    return header


def _instrument(path: Path, header: Mapping[str, Any], asked: str | None) -> str:
    found = _agreed(path, "INSTRUME", _text(header, "INSTRUME"), (asked or "").upper()).lower()
    if found not in REFERENCE_FOLDERS:
        raise ConfigError(
            "the instrument of the reference is not known",
            path=path,
            expected=f"INSTRUME, or --instrument, of {', '.join(REFERENCE_FOLDERS).upper()}",
            found=found.upper() or "neither",
        )
    return found


def _detector(path: Path, header: Mapping[str, Any], asked: str | None) -> str:
    in_header = _text(header, "DETECTOR").upper()
    if asked is None or in_header in {"", ANY.upper()}:
        found = in_header or (asked or "").upper()
    else:
        found = _agreed(path, "DETECTOR", in_header, asked)
    return "" if found == ANY.upper() else found


def _keyword(path: Path, header: Mapping[str, Any], instrument: str, asked: str | None) -> str:
    filetype = _text(header, "FILETYPE") or _text(header, "REFTYPE")
    of_header = keyword_of(instrument, filetype) or ""
    known = reference_keywords(instrument)
    found = _agreed(path, f"type (FILETYPE {filetype})", of_header, (asked or "").upper())
    if not found:
        raise ConfigError(
            "the header does not say for which keyword the reference is",
            path=path,
            expected="FILETYPE as CRDS knows it, or --keyword",
            found=filetype or "no FILETYPE",
        )
    if known and found not in known:
        raise ConfigError(
            f"not a reference keyword of {instrument.upper()}",
            path=path,
            expected=", ".join(sorted(known)),
            found=found,
        )
    return found


def _agreed(path: Path, what: str, in_header: str, asked: str) -> str:
    """Return what both say, or what one says where the other says nothing."""
    said, wanted = in_header.upper(), asked.upper()
    if said and wanted and said != wanted:
        raise ConfigError(
            f"the reference is for something else: its {what} is not what was asked for",
            path=path,
            expected=wanted,
            found=said,
        )
    return said or wanted


def _text(header: Mapping[str, Any], keyword: str) -> str:
    value = header.get(keyword)
    return str(value).strip() if isinstance(value, str) else ""
