"""`hstflow context sync`: rules, and the references that exposures need, into the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import BESTREFS, DONE, ConfigError, CorruptFile, TransientError
from calib.references.profile import CrdsProfile
from calib.references.pushing import require_server
from deployments.cli.console import (
    Flag,
    Several,
    count_text,
    err,
    expand_names,
    out,
    print_json,
    size_text,
)
from deployments.cli.context.places import profile_of
from deployments.cli.progress import following

if TYPE_CHECKING:
    from calib.references.changes import ExposureHeader
    from calib.references.syncing import Synced


@dataclass
class _Work:
    """What is to be brought, and what came."""

    profile: CrdsProfile
    contexts: list[str]
    rules: Synced
    needed: set[str] = field(default_factory=set)
    references: Synced | None = None


def sync(
    *contexts: str,
    files: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None,
    datasets: Several = None,
    references: Several = None,
    profile: str | None = None,
    push: str | None = None,
    json: Flag = False,
) -> int:
    """Bring rules, and the references that exposures need, into the cache.

    Every file that comes is compared with the size and sha1 that the server names. Of those that
    are there, rules are compared so, too, and references with the size only: `hstflow context
    verify --references` reads them. A damaged one is fetched again; the others stay, so that a
    stopped synchronisation goes on where it was. Exit code 27 if anything cannot be had.

    Parameters
    ----------
    contexts
        Contexts, or @FILE with one a line; by default the one that is used, and the operational
        one.
    files
        Exposures (FITS files), or @FILE: the references that the contexts choose for them.
    datasets
        Names of datasets that the ledger knows, or @FILE: the references for their exposures.
    references
        Names of references, or @FILE.
    profile
        onsite, offsite, cloud, or a TOML file; by default as for `hstflow context show`.
    push
        Tell the server afterwards which context is in use here, under this key; not where
        references could not be had.
    json
        Write JSON to stdout.
    """
    place = profile_of(profile)
    if push:
        require_server(place)  # before hours of downloads
    wanted = _contexts(expand_names(contexts), place)
    headers = [*_of_files(_paths(files)), *_of_datasets(expand_names(datasets or ()))]
    work = _bring(place, wanted, headers, expand_names(references or ()))
    pushed = _push(work, push) if push else None
    if json:
        _print_json(work, pushed)
    else:
        _print(work, push, pushed)
    return BESTREFS if work.references and work.references.failed else DONE


def _contexts(names: Sequence[str], profile: CrdsProfile) -> list[str]:
    from calib.references.context import operational_context, resolve_context
    from calib.references.origins import origin_of

    origin_of(profile).close()  # a cache that nothing can be brought into is refused first
    if names:
        return list(dict.fromkeys(resolve_context(name, profile) for name in names))
    return list(dict.fromkeys((resolve_context(None, profile), operational_context(profile))))


def _paths(files: Sequence[str] | None) -> list[Path]:
    return [Path(name) for name in expand_names(files or ())]


def _of_files(paths: Sequence[Path]) -> Iterator[ExposureHeader]:
    from calib.references.header_sources import headers_of_files

    for found in headers_of_files(paths):
        if found.problem is not None:
            raise CorruptFile(found.problem)
        yield found


def _of_datasets(names: Sequence[str]) -> list[ExposureHeader]:
    from calib.ledger.exposure_headers import headers_of_datasets
    from calib.ledger.location import hide_credentials, ledger_url
    from calib.ledger.reading import open_reader
    from calib.references.changes import ExposureHeader

    if not names:
        return []
    url, lower = ledger_url(os.environ), [name.lower() for name in names]
    with open_reader(url) as rows:
        known = [] if rows is None else list(headers_of_datasets(rows, lower))
    unknown = sorted(set(lower) - {each.dataset for each in known})
    if unknown:
        raise ConfigError(
            "the ledger has no header of datasets that were never processed: name their files",
            path=hide_credentials(url),
            expected="--files FILE...",
            found=", ".join(unknown),
        )
    return [ExposureHeader(e.dataset, e.exposure, e.header, e.context) for e in known]


def _bring(
    profile: CrdsProfile,
    contexts: list[str],
    headers: Sequence[ExposureHeader],
    names: Sequence[str],
) -> _Work:
    from calib.references.readiness import references_needed
    from calib.references.syncing import sync_references, sync_rules

    with following("rules") as progress:
        work = _Work(profile, contexts, sync_rules(profile, contexts, progress=progress))
    work.needed = set(names)
    for context in contexts if headers else ():
        work.needed |= references_needed(profile, context, headers)
    if work.needed:
        with following("references") as progress:
            text = ", ".join(contexts)
            work.references = sync_references(profile, text, work.needed, progress=progress)
    return work


def _push(work: _Work, key: str) -> str | None:
    """Report the context; what was brought stays, and is shown, if the server refuses."""
    from calib.references.pushing import push_context

    if work.references and work.references.failed:
        err.print("the server was not told, because references are missing")
        return None
    try:
        return push_context(work.profile, key, work.contexts[0])
    except TransientError:
        err.print("the cache is synchronised, but the server was not told")
        raise


def _print_json(work: _Work, pushed: str | None) -> None:
    print_json(
        {
            "profile": work.profile.name,
            "cache": str(work.profile.cache),
            "contexts": work.contexts,
            "rules": _record(work.rules),
            "references": _record(work.references) if work.references else None,
            "needed": sorted(work.needed),
            "pushed": pushed,
        }
    )


def _record(synced: Synced) -> dict[str, Any]:
    return {**asdict(synced), "failed": dict(synced.failed)}


def _print(work: _Work, key: str | None, pushed: str | None) -> None:
    out.print(f"cache       {escape(str(work.profile.cache))}", soft_wrap=True)
    out.print(f"contexts    {', '.join(work.contexts)}", soft_wrap=True)
    out.print(f"rules       {_amounts(work.rules)}")
    if work.references is not None:
        out.print(f"references  {_amounts(work.references)}")
        for name, why in work.references.failed:
            out.print(f"  [red]{name}[/red]: {escape(why)}", soft_wrap=True)
    if pushed:
        out.print(f"told        the server, as {escape(str(key))}: {pushed}")


def _amounts(synced: Synced) -> str:
    came = f"{count_text(len(synced.brought), 'file')} came ({size_text(synced.bytes)})"
    failed = f", [red]{len(synced.failed)} cannot be had[/red]" if synced.failed else ""
    return f"{came}, {synced.present} were there{failed}"
