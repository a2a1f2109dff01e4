"""The race guard: a reprocessing does not start before the cache holds what its context needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from calib.errors import HstflowError
from calib.references.context import resolve_context
from calib.references.profile import CrdsProfile
from calib.references.readiness import Readiness, readiness
from calib.references.server_config import cached_catalogue
from calib.references.syncing import sync_references, sync_rules

log = logging.getLogger(__name__)

# Asks for the context that the archive uses now, whatever the profile is pinned to.
_OPERATIONAL = "hst-operational"


def what_is_missing(profile: CrdsProfile, context: str, names: Iterable[str]) -> str | None:
    """Return what a context needs and the cache has not, and cannot get; None: it may start.

    Where the cache can be filled the names are those of changed files: each is read and compared
    with its sha1, and a damaged one is fetched again. Elsewhere they are those of all files, and
    sizes are compared; `hstflow context verify --references` reads them.

    Parameters
    ----------
    profile, context
        The cache, with its server if it has one, and the context.
    names
        References that are needed.

    Returns
    -------
    str or None
        One line that names files, and why they did not come.
    """
    wanted = sorted(set(names))
    before = _look(profile, context, wanted)
    if not profile.can_fill:
        if _is_ready(before):
            return None
        why = "is read-only" if profile.readonly else "has no server"
        return f"{before}; the cache {why}: fill it (hstflow context sync)"
    doubtful = _doubtful(profile, before, wanted)
    if _is_ready(before) and not doubtful:
        return None
    said, refused = _bring(profile, context, doubtful)
    after = _look(profile, context, wanted)
    if _is_ready(after):
        return f"{context}: {said}" if refused else None
    return f"{after}; {said}" if said else str(after)


def operational_context(profile: CrdsProfile) -> str | None:
    """Return the operational context; None where nobody can say it now."""
    try:
        return resolve_context(_OPERATIONAL, profile)
    except HstflowError as error:
        log.warning("the operational context is not known: %s", error)
        return None


def _look(profile: CrdsProfile, context: str, names: list[str]) -> Readiness | str:
    """Compare presence and size, and only then what takes long: the content."""
    try:
        found = readiness(profile, context, names)
        is_worth_it = found.ready and profile.can_fill
        return readiness(profile, context, names, checked=True) if is_worth_it else found
    except HstflowError as error:  # rules that cannot be read
        return str(error)


def _is_ready(found: Readiness | str) -> bool:
    return isinstance(found, Readiness) and found.ready


def _doubtful(profile: CrdsProfile, found: Readiness | str, names: list[str]) -> list[str]:
    """Return what is missing or damaged, or not in the catalogue of the cache.

    One that is older than a reference says nothing of it: the server is asked.
    """
    if isinstance(found, str):
        return names
    known = cached_catalogue(profile)
    wrong = {*found.missing_references, *found.damaged}
    return [name for name in names if name in wrong or name not in known]


def _bring(profile: CrdsProfile, context: str, names: list[str]) -> tuple[str, bool]:
    """Bring what is missing or damaged; return why some did not come, and whether it was refused.

    It is not refused where the server does not answer at all: what is there may do.
    """
    try:
        sync_rules(profile, [context])
        failed = sync_references(profile, context, names, checked=True).failed
    except HstflowError as error:
        return str(error), False
    return "; ".join(f"{name}: {why}" for name, why in failed), bool(failed)
