"""Where the headers of exposures come from: files, JSON as crds has it, a CRDS server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import Any

from calib.errors import BESTREFS, ConfigError, ContextError, CorruptFile, NotFound, Unavailable
from calib.references import library
from calib.references.changes import ContextChanges, ExposureHeader
from calib.references.exposure import read_headers
from calib.references.profile import CrdsProfile

# Headers of one call where the server does not say how many it gives (crds' own number).
_PART = 5000

# What the names of association tables end in.
_TABLE = "_asn.fits"

# In the rules, but nothing that takes exposures (bestrefs.py: instruments.remove).
_NO_EXPOSURES = frozenset({"synphot", "all", "system"})

# What a server says where nobody computed a transition (crds/misc/query_affected.py).
_NOT_COMPUTED = "No precomputed affected datasets results exist"


@dataclass(frozen=True)
class StoredResult:
    """What a server computed for a change of context.

    Attributes
    ----------
    datasets
        Names of what is affected, lower case, in name order.
    status
        Exit status of its bestrefs run; not 0: it had errors.
    errors
        Summary of the errors.
    """

    datasets: tuple[str, ...]
    status: int = 0
    errors: str = ""


def headers_of_files(paths: Iterable[Path]) -> Iterator[ExposureHeader]:
    """Yield the headers of exposures in FITS files.

    The dataset is the association where the header names one (ASN_ID), else the exposure. A
    file that is not FITS is an exposure with a problem.

    Raises
    ------
    NotFound, ConfigError
        There is no such file, or it is an association table, which has no header of an
        exposure; told before the first is read.
    """
    wanted = list(paths)
    for path in wanted:
        if not path.is_file():
            raise NotFound("no such file", path=path)
        if path.name.endswith(_TABLE):
            message = "an association table is no exposure"
            raise ConfigError(message, path=path, expected="the files of its exposures")
    return map(_of_file, wanted)


def _of_file(path: Path) -> ExposureHeader:
    try:
        exposure = read_headers(path)
    except CorruptFile as error:
        name = path.name.partition("_")[0].lower()
        return ExposureHeader(name, name, problem=str(error))
    association = exposure.text.get("ASN_ID", "").strip().lower()
    is_named = association not in {"", "none", "n/a"}
    name = exposure.rootname
    return ExposureHeader(association if is_named else name, name, exposure.text)


def headers_of_json(path: Path) -> Iterator[ExposureHeader]:
    """Yield the headers of a file in the form of ``crds bestrefs --load-pickles``.

    One object ``{"DATASET:EXPOSURE": {KEYWORD: VALUE}}`` a line, read as they are needed; or one
    object for the whole file, on any number of lines. The first part of the name is what is to
    be processed again.

    Raises
    ------
    NotFound, CorruptFile
        There is no such file, or it is not JSON of this form.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                found = _line(path, line, number)
                if found is None:
                    yield from _headers(path, _whole(path))
                    return
                yield from _headers(path, found)
    except UnicodeDecodeError as error:
        message = f"the headers are not text: {error}"
        raise CorruptFile(message, path=path) from error
    except OSError as error:
        raise NotFound(f"the headers cannot be read: {error.strerror}", path=path) from error


def headers_of_server(profile: CrdsProfile, changes: ContextChanges) -> Iterator[ExposureHeader]:
    """Yield the headers that a server has of exposures that a change may affect.

    Only of instruments whose rules changed, since the earliest date that matters.

    Raises
    ------
    ConfigError
        The profile has no server.
    Unavailable, ContextError
        The server does not answer, or refuses.
    """
    earliest: dict[str, str | None] = {}
    for change in changes.types:
        known = earliest.get(change.instrument, change.since)
        both = change.since is not None and known is not None
        earliest[change.instrument] = min(str(change.since), str(known)) if both else None
    return headers_of_instruments(profile, changes.new, earliest)


def headers_of_instruments(
    profile: CrdsProfile, context: str, since: Mapping[str, str | None]
) -> Iterator[ExposureHeader]:
    """Yield the headers that a server has of the exposures of instruments.

    Parameters
    ----------
    profile
        CRDS server and cache.
    context
        The context whose rules match with the headers.
    since
        By instrument: exposures before are left out; None: all are wanted.

    Raises
    ------
    ConfigError, Unavailable, ContextError
        As :func:`headers_of_server`.
    """
    _need_server(profile)
    with _asking(profile):
        part = max(1, int(library.server_info(profile).get("max_headers_per_rpc", _PART)))
    for instrument, date in since.items():
        if instrument not in _NO_EXPOSURES:
            names = iter(_names(profile, context, instrument, date))
            while wanted := list(islice(names, part)):
                found = _fetched(profile, context, wanted)
                yield from _parts(found)
                yield from _not_sent(wanted, found)


def _not_sent(wanted: Iterable[str], found: Mapping[str, Any]) -> Iterator[ExposureHeader]:
    """Yield what the server has listed and then sent no header of: nothing is passed over."""
    sent = {name.lower() for name in found}
    sent |= {name.partition(":")[0] for name in sent}
    for name in wanted:
        dataset, _, exposure = name.partition(":")
        if name.lower() not in sent:
            problem = "the server lists it, and sent no header"
            yield ExposureHeader(dataset, exposure or dataset, problem=problem)


def stored_result(profile: CrdsProfile, old: str, new: str) -> StoredResult | None:
    """Return what the server computed for a change of context; None where nothing yet.

    Raises
    ------
    ConfigError, Unavailable, ContextError
        As :func:`headers_of_server`.
    """
    _need_server(profile)
    with _asking(profile):
        from crds.client import api
        from crds.core import exceptions

        try:
            answer = api.get_affected_datasets(library.OBSERVATORY, old, new)
        except exceptions.CrdsError as error:
            if _NOT_COMPUTED in str(error):
                return None
            raise
    found = _dictionary(answer, profile)
    names = {str(name).partition(":")[0].lower() for name in found.get("affected_ids") or ()}
    said = str(found.get("bestrefs_status") or 0)
    status = int(said) if said.isdigit() else 1
    return StoredResult(tuple(sorted(names)), status, str(found.get("bestrefs_err_summary", "")))


def _need_server(profile: CrdsProfile) -> None:
    if profile.offline:
        raise ConfigError(
            f"the profile {profile.name} has no CRDS server to ask",
            expected="--profile offsite, or CRDS_SERVER_URL",
            found=profile.server_url,
        )


@contextmanager
def _asking(profile: CrdsProfile) -> Iterator[None]:
    """Use the client of the library; its errors become ours."""
    with library.session(profile):
        from crds.core import exceptions

        try:
            yield
        except exceptions.CrdsError as error:
            if isinstance(error.__cause__, OSError):
                message = f"the CRDS server does not answer: {error}"
                raise Unavailable(message, path=profile.server_url, code=BESTREFS) from error
            message = f"the CRDS server refuses: {error}"
            raise ContextError(message, path=profile.server_url) from error
        except (OSError, HTTPException, ValueError, TypeError) as error:
            # The client lets these through: a page of a proxy in place of JSON, half an answer.
            message = f"what the CRDS server answers cannot be read: {error}"
            raise Unavailable(message, path=profile.server_url, code=BESTREFS) from error


def _names(profile: CrdsProfile, context: str, instrument: str, since: str | None) -> Iterable[str]:
    with _asking(profile):
        from crds.client import api

        return sorted(map(str, api.get_dataset_ids(context, instrument, since)))


def _fetched(profile: CrdsProfile, context: str, names: list[str]) -> dict[str, Any]:
    with _asking(profile):
        from crds.client import api

        return _dictionary(api.get_dataset_headers_by_id(context, names), profile)


def _dictionary(answer: Any, profile: CrdsProfile) -> dict[str, Any]:
    """Refuse an answer of another form.

    Raises
    ------
    Unavailable
        A proxy or another version of the service has answered.
    """
    if not isinstance(answer, dict):
        raise Unavailable(
            "what the CRDS server answers cannot be read",
            path=profile.server_url,
            expected="names and values",
            found=repr(answer)[:80],
            code=BESTREFS,
        )
    return answer


def _line(path: Path, line: str, number: int) -> Any:
    """Return the object of a line; None where the first line alone is no object."""
    try:
        return json.loads(line)
    except ValueError as error:
        if number == 1:
            return None
        message = f"line {number} of the headers is not JSON: {error}"
        raise CorruptFile(message, path=path) from error


def _whole(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptFile(f"the headers are not JSON: {error}", path=path) from error


def _headers(path: Path, found: Any) -> Iterator[ExposureHeader]:
    if not isinstance(found, dict) or not all(isinstance(v, dict | str) for v in found.values()):
        raise CorruptFile(
            "not the headers of exposures",
            path=path,
            expected='{"DATASET:EXPOSURE": {"KEYWORD": "VALUE", ...}}',
            found=str(found)[:60],
        )
    return _parts(found)


def _parts(found: Mapping[str, Any]) -> Iterator[ExposureHeader]:
    """Take names apart; text instead of a header is the error of who made the file."""
    for name, header in found.items():
        dataset, _, exposure = name.partition(":")
        if isinstance(header, dict):
            texts = {key.upper(): str(value) for key, value in header.items()}
            yield ExposureHeader(dataset, exposure or dataset, texts)
        else:
            yield ExposureHeader(dataset, exposure or dataset, problem=str(header))
