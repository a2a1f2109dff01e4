"""`hstflow affected`: what a change of context means for exposures and datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from calib.errors import DONE, ConfigError
from calib.references.changes import AffectedExposure, ExposureHeader
from deployments.cli.affected_report import Found, as_json, print_names, print_report
from deployments.cli.console import Flag, expand_names, print_json
from deployments.cli.progress import counted

if TYPE_CHECKING:
    from calib.ledger.reports import Rows
    from calib.references.header_sources import StoredResult
    from calib.references.profile import CrdsProfile

Processes = Annotated[
    int, Parameter(name=("--processes", "-n"), validator=validators.Number(gte=1))
]
ListFlag = Annotated[bool, Parameter(name="--list", negative=())]

_NOTHING = "nothing was processed here yet: the ledger knows no exposure"


@dataclass(frozen=True)
class AffectedFlags:
    """Options of `hstflow affected`.

    Attributes
    ----------
    headers
        JSON of headers as `crds bestrefs --load-pickles` takes it.
    from_ledger
        Every exposure that was processed here, with the header that selected its references.
        Without --old those of current products alone, each from the context it was made on.
    from_server
        Exposures that the CRDS server knows: instruments that changed, since the date that
        matters.
    source
        Compare with the references that the headers name (with --from-ledger: that the current
        products were made with) instead of an older context.
    server_list
        Show what the server computed for this change of context, and how ours differs.
    undefined
        Count "no match" and "no such type" as different from "no file needed", as the server does.
    processes
        How many processes look.
    profile
        onsite, offsite, cloud, or a TOML file; by default HSTFLOW_PROFILE, else what CRDS_PATH
        and CRDS_SERVER_URL say, else offsite.
    details
        Show every exposure with its old and new references.
    names_only
        Print the names of the datasets alone, one a line: a list for `hstflow campaign submit`.
    json
        Write JSON to stdout.
    """

    headers: Path | None = None
    from_ledger: Flag = False
    from_server: Flag = False
    source: Flag = False
    server_list: Flag = False
    undefined: Flag = False
    processes: Processes = 1
    profile: str | None = None
    details: Flag = False
    names_only: ListFlag = False
    json: Flag = False


@dataclass(frozen=True)
class _Wanted:
    """What is compared: exposures of one source, on two contexts or on one and the headers."""

    profile: CrdsProfile
    old: str | None
    new: str
    files: tuple[Path, ...]
    flags: AffectedFlags

    @property
    def sources(self) -> list[str]:
        """The sources of headers that were named."""
        named = {
            "FILES": self.files,
            "--headers": self.flags.headers,
            "--from-ledger": self.flags.from_ledger,
            "--from-server": self.flags.from_server,
        }
        return [name for name, value in named.items() if value]

    @property
    def is_current(self) -> bool:
        """Whether each current product is compared from the context that it was made on."""
        return self.old is None and self.flags.from_ledger and not self.flags.source


@dataclass
class _Tally:
    """How many exposures were looked at."""

    number: int = field(default=0)

    def count(self, headers: Iterator[ExposureHeader]) -> Iterator[ExposureHeader]:
        """Pass exposures on, and count them."""
        for header in headers:
            self.number += 1
            yield header


def affected(
    *files: str,
    old: str | None = None,
    new: str | None = None,
    flags: Annotated[AffectedFlags | None, Parameter(name="*")] = None,
) -> int:
    """List the datasets whose references differ between two contexts.

    For example: `hstflow affected --from-ledger --old hst_0728.pmap --new hst_0729.pmap`.
    The answer is that of `crds bestrefs --old-context --new-context --print-affected`. A changed
    exposure marks its association, and the visits and skycells that the ledger knows were made
    from it. Where it cannot be told, the dataset is listed with the problem.

    Parameters
    ----------
    files
        FITS files of exposures, or @FILE with one name a line.
    old
        The older context, such as hst_0728.pmap. May be left out with --from-ledger.
    new
        The newer context; by default the operational one.
    """
    flags = flags or AffectedFlags()
    wanted = _wanted(files, old, new, flags)
    found = _find(wanted)
    if flags.server_list:
        found.stored, found.asked_server = _stored(wanted), True
    if flags.json:
        print_json(as_json(found))
    elif flags.names_only:
        print_names(found)
    else:
        print_report(found, details=flags.details)
    return DONE


def _wanted(
    files: tuple[str, ...], old: str | None, new: str | None, flags: AffectedFlags
) -> _Wanted:
    from calib.references.context import resolve_context
    from calib.references.profile import load_profile
    from tasks.settings import load_settings

    place = load_profile(flags.profile or load_settings().profile, os.environ)
    paths = tuple(Path(name) for name in expand_names(files))
    _check_question(old, flags)
    before = resolve_context(old, place) if old else None
    after = resolve_context(new or "hst-operational", place)
    wanted = _Wanted(place, before, after, paths, flags)
    _check_sources(wanted)
    if before == after:
        message = "nothing changes: both contexts are the same"
        raise ConfigError(message, expected="--old CONTEXT and --new CONTEXT", found=after)
    return wanted


def _check_question(old: str | None, flags: AffectedFlags) -> None:
    is_open = not old and flags.from_ledger and not flags.server_list
    if flags.source == bool(old) and (flags.source or not is_open):
        found = "both" if old else "neither"
        raise ConfigError("compared with what?", expected="--old CONTEXT or --source", found=found)
    if flags.source and (flags.server_list or flags.from_server):
        message = "--source compares what headers name; the server is asked about two contexts"
        raise ConfigError(message, expected="--old CONTEXT", found="--source")


def _check_sources(wanted: _Wanted) -> None:
    expected = "one of FILES, --headers F.json, --from-ledger, --from-server"
    given = wanted.sources
    if len(given) > 1:
        raise ConfigError("several sources of exposures", expected=expected, found=", ".join(given))
    if not given and not wanted.flags.server_list:
        raise ConfigError("no exposures to compare", expected=expected, found="none")


def _find(wanted: _Wanted) -> Found:
    from calib.ledger.location import ledger_url
    from calib.ledger.reading import open_reader
    from calib.references.comparison import context_changes
    from calib.reprocessing.selection import select_datasets

    changes = context_changes(wanted.profile, wanted.old, wanted.new) if wanted.old else None
    found = Found(wanted.old, wanted.new, changes=changes)
    with ExitStack() as stack:
        rows = stack.enter_context(open_reader(ledger_url(os.environ)))
        if wanted.is_current:
            _compare_current(wanted, found, rows)
            return found
        if wanted.sources:
            tally = _Tally()
            read, total = _headers(wanted, found, rows)
            shown = counted(tally.count(read), "exposures", total)
            found.exposures = list(_compared(wanted, shown))
            found.compared = tally.number
        found.selection = select_datasets(found.exposures, rows)
    return found


def _compare_current(wanted: _Wanted, found: Found, rows: Rows | None) -> None:
    from calib.ledger.published_contexts import elsewhere
    from calib.reprocessing.current import compare_current, select_current

    if rows is None:
        raise ConfigError(_NOTHING)
    tally = _Tally()
    affected = compare_current(
        wanted.profile,
        wanted.new,
        rows,
        processes=wanted.flags.processes,
        undefined_matters=wanted.flags.undefined,
        passed=lambda headers: counted(tally.count(headers), "exposures", None),
    )
    found.exposures = list(affected)
    found.compared = tally.number
    found.bases = elsewhere(rows, wanted.new)
    found.selection = select_current(found.exposures, wanted.new, rows)


def _headers(
    wanted: _Wanted, found: Found, rows: Rows | None
) -> tuple[Iterator[ExposureHeader], int | None]:
    """Return the exposures, and how many there are where that is known."""
    from calib.references.header_sources import (
        headers_of_files,
        headers_of_json,
        headers_of_server,
    )

    if wanted.files:
        return headers_of_files(wanted.files), len(wanted.files)
    if wanted.flags.headers:
        return headers_of_json(wanted.flags.headers), None
    if wanted.flags.from_server and found.changes is not None:
        return headers_of_server(wanted.profile, found.changes), None
    if rows is None:
        raise ConfigError(_NOTHING)
    from calib.ledger.exposure_headers import count_recorded
    from calib.reprocessing.ledger_headers import headers_of_ledger

    return headers_of_ledger(rows, references=wanted.flags.source), count_recorded(rows)


def _compared(wanted: _Wanted, headers: Iterator[ExposureHeader]) -> Iterator[AffectedExposure]:
    from calib.references.comparison import compare_contexts, compare_source

    compare = (
        partial(compare_source, wanted.profile, wanted.new)
        if wanted.old is None
        else partial(compare_contexts, wanted.profile, wanted.old, wanted.new)
    )
    flags = wanted.flags
    return compare(headers, processes=flags.processes, undefined_matters=flags.undefined)


def _stored(wanted: _Wanted) -> StoredResult | None:
    from calib.references.header_sources import stored_result

    return stored_result(wanted.profile, str(wanted.old), wanted.new)
