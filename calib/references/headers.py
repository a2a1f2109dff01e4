"""Reference names in FITS headers: reading them, finding the files, writing them.

A header names a reference as ``jref$m4r1753rj_bia.fits``: a logical folder, which programs
look up in the environment variable of that name, and a file (ACS Data Handbook 3.2).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.caldp import REFERENCE_FOLDERS
from calib.errors import ConfigError, MissingReference
from calib.fitsfile import primary_header, update_primary_header
from calib.records import ExposureReferences, References, ReferenceUse
from calib.references.exposure import ExposureHeaders, read_headers
from calib.references.files import NOT_APPLICABLE, NOT_FOUND, find_file, sha1_of
from calib.references.library import crds_version
from calib.references.problems import Problem, describe_differences, describe_problems

# Context recorded where the names come from headers without CRDS_CTX, or with several.
FROM_HEADER = "header"

_LOGICAL = re.compile(r"(?P<prefix>[ijlonu]ref)\$(?P<name>.+)", re.IGNORECASE)
_CONTEXT_COMMENT = "CRDS context that chose the references"
_VERSION_COMMENT = "version of the crds library"


def reference_name(value: object) -> str:
    """Return the file name in a header value, upper-case ``N/A`` for none, '' for blank."""
    text = str(value or "").strip()
    logical = _LOGICAL.fullmatch(text)
    name = logical["name"].strip() if logical else text
    return NOT_APPLICABLE if name.upper() == NOT_APPLICABLE else name


def references_from_headers(
    files: Sequence[Path],
    folders: Sequence[Path],
    environ: Mapping[str, str],
    *,
    required: Callable[[Mapping[str, Any]], tuple[str, ...]],
    custom: Mapping[str, Path] | None = None,
    checksums: bool = True,
) -> References:
    """Find the references that headers name, without CRDS rules.

    Parameters
    ----------
    files
        Exposures (FITS files).
    folders
        Folders to look in first (``--references``).
    environ
        The environment: then comes the logical folder of the name (iref, jref, oref, lref),
        then ``$CRDS_PATH/references/hst/INSTRUMENT`` and ``$CRDS_PATH/references/hst``.
    required
        Returns, for the headers of an exposure, the reference keywords that its PERFORM
        switches open.
    custom
        Paths of files to use whatever the header says, by keyword.
    checksums
        Whether to work out the sha1 of each file, which reads them all: for the record of
        what was used.

    Returns
    -------
    calib.records.References
        Its context is the CRDS_CTX of the headers if all agree, else ``header``. A name
        whose file is not found has no path.

    Raises
    ------
    MissingReference
        Required references are not named, or not found; the message has all of them and
        where they were looked for.
    ConfigError
        A custom file does not exist.
    NotFound, CorruptFile
        An exposure cannot be read.
    """
    paths = {key.upper(): Path(path) for key, path in (custom or {}).items()}
    absent = [f"{key}={path}" for key, path in paths.items() if not path.is_file()]
    if absent:
        raise ConfigError("no such reference file", expected="a file", found=", ".join(absent))
    exposures = [read_headers(path) for path in files]
    found = [
        _find(
            exposure,
            required(exposure.header),
            paths,
            _Folders(exposure, folders, environ),
            checksums=checksums,
        )
        for exposure in exposures
    ]
    _raise_missing([problem for _, problems in found for problem in problems])
    chosen = tuple(references for references, _ in found)
    return References(_context(exposures), crds_version(), chosen, describe_differences(chosen))


def update_headers(
    path: str | Path,
    exposure: ExposureReferences,
    context: str,
    others: Mapping[str, Any] | None = None,
) -> None:
    """Write chosen references into the primary header of a (scratch copy of a) file.

    Every type listed gets ``jref$name`` (or iref, oref, lref) or ``N/A``; one without a
    match stays as it is. CRDS_CTX and CRDS_VER say who chose, unless the names came from
    headers. Nothing behind the primary header changes, so pixels stay as they are stored
    (BZERO included), and the file is replaced in one step.

    Parameters
    ----------
    path, exposure, context
        The file, its references, and who chose them.
    others
        Further cards: values, or (value, comment), by keyword.

    Raises
    ------
    NotFound, CorruptFile
        The file cannot be read.
    """
    instrument = ExposureHeaders(Path(path), primary_header(path)).instrument
    cards: dict[str, tuple[str, str] | str] = {
        use.keyword: header_value(use, instrument)
        for use in exposure.references
        if use.name != NOT_FOUND
    }
    if context != FROM_HEADER:
        cards["CRDS_CTX"] = (context, _CONTEXT_COMMENT)
        cards["CRDS_VER"] = (crds_version(), _VERSION_COMMENT)
    update_primary_header(Path(path), {**cards, **(others or {})})


def header_value(use: ReferenceUse, instrument: str) -> str:
    """Return a reference as headers write it."""
    if use.name == NOT_APPLICABLE:
        return NOT_APPLICABLE
    return f"{REFERENCE_FOLDERS[instrument]}${use.name}"


class _Folders:
    """The places where a reference of one exposure may lie, in order."""

    def __init__(
        self, exposure: ExposureHeaders, folders: Sequence[Path], environ: Mapping[str, str]
    ) -> None:
        prefix = REFERENCE_FOLDERS[exposure.instrument]
        self._given = list(folders)
        self._environ = environ
        self._prefix = prefix
        self._cache = []
        if cache := environ.get("CRDS_PATH"):
            root = Path(cache) / "references" / "hst"
            self._cache = [root / exposure.instrument, root]

    def of(self, value: object) -> list[Path]:
        """Return the folders for a header value; its own logical folder counts."""
        logical = _LOGICAL.fullmatch(str(value).strip())
        variable = logical["prefix"].lower() if logical else self._prefix
        named = self._environ.get(variable)
        return [*self._given, *([Path(named)] if named else []), *self._cache]


def _find(
    exposure: ExposureHeaders,
    required: tuple[str, ...],
    custom: Mapping[str, Path],
    folders: _Folders,
    *,
    checksums: bool,
) -> tuple[ExposureReferences, list[Problem]]:
    uses, problems = [], []
    for keyword in dict.fromkeys((*_reference_keywords(exposure), *required, *custom)):
        use = _use(exposure, keyword, custom, folders)
        use = dataclasses.replace(use, required=keyword in required)
        if use.path is not None and checksums:
            use = dataclasses.replace(use, sha1=sha1_of(Path(use.path)))
        if use.required and not use.present:
            problems.append(_problem(exposure, use, folders))
        elif use.name:
            uses.append(use)
    return ExposureReferences(exposure.path.name, tuple(uses)), problems


def _reference_keywords(exposure: ExposureHeaders) -> list[str]:
    """Return the keywords with a logical folder in their value, or N/A in a ...FILE/...TAB."""
    return [
        keyword
        for keyword, value in exposure.header.items()
        if isinstance(value, str)
        and (
            _LOGICAL.fullmatch(value.strip())
            or (keyword.endswith(("FILE", "TAB")) and reference_name(value) == NOT_APPLICABLE)
        )
    ]


def _use(
    exposure: ExposureHeaders, keyword: str, custom: Mapping[str, Path], folders: _Folders
) -> ReferenceUse:
    if keyword in custom:
        own = custom[keyword].resolve()
        return ReferenceUse(keyword, own.name, str(own))
    value = exposure.header.get(keyword)
    name = reference_name(value)
    path = find_file(folders.of(value), name) if name not in {"", NOT_APPLICABLE} else None
    if path is None:
        return ReferenceUse(keyword, name)
    return ReferenceUse(keyword, path.resolve().name, str(path.resolve()))


def _problem(exposure: ExposureHeaders, use: ReferenceUse, folders: _Folders) -> Problem:
    if use.name in {"", NOT_APPLICABLE}:
        text = f"the header names none ({use.name or 'blank or absent'})"
    else:
        places = [str(folder) for folder in folders.of(exposure.header[use.keyword])]
        text = f"{use.name} is not in {', '.join(places) or 'any folder (none was given)'}"
    return Problem(exposure.path.name, use.keyword, text)


def _raise_missing(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    files = sorted({problem.file for problem in problems})
    raise MissingReference(
        f"references that calibration opens are missing: {'; '.join(describe_problems(problems))}",
        dataset=files[0].partition("_")[0] if len(files) == 1 else None,
        expected="the files in a folder given with --references, in jref/iref/oref/lref, or in "
        "$CRDS_PATH/references/hst",
    )


def _context(exposures: Sequence[ExposureHeaders]) -> str:
    contexts = {str(exposure.header.get("CRDS_CTX", "")).strip() for exposure in exposures}
    return contexts.pop() or FROM_HEADER if len(contexts) == 1 else FROM_HEADER
