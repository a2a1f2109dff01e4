"""The race guard: a reprocessing does not start before the cache holds what its context needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from calib.errors import HstflowError
from calib.references.context import resolve_context
from calib.references.profile import CrdsProfile
from calib.references.readiness import Readiness, readiness
from calib.references.syncing import sync_references, sync_rules

log = logging.getLogger(__name__)

# Asks for the context that the archive uses now, whatever the profile is pinned to.
_OPERATIONAL = "hst-operational"


def what_is_missing(profile: CrdsProfile, context: str, names: Iterable[str]) -> str | None:
    """Return what a context needs and the cache has not, and cannot get; None: it may start.

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
    if isinstance(before, Readiness) and before.ready:
        return None
    if not profile.can_fill:
        why = "is read-only" if profile.readonly else "has no server"
        return f"{before}; the cache {why}: fill it (hstflow context sync)"
    said = _bring(profile, context, wanted)
    after = _look(profile, context, wanted)
    if isinstance(after, Readiness) and after.ready:
        return None
    return f"{after}; {said}" if said else str(after)


def operational_context(profile: CrdsProfile) -> str | None:
    """Return the operational context; None where nobody can say it now."""
    try:
        return resolve_context(_OPERATIONAL, profile)
    except HstflowError as error:
        log.warning("the operational context is not known: %s", error)
        return None


def _look(profile: CrdsProfile, context: str, names: list[str]) -> Readiness | str:
    try:
        return readiness(profile, context, names)
    except HstflowError as error:  # rules that cannot be read
        return str(error)


def _bring(profile: CrdsProfile, context: str, names: list[str]) -> str:
    """Bring what is missing; return why some of it did not come."""
    try:
        sync_rules(profile, [context])
        failed = sync_references(profile, context, names).failed
    except HstflowError as error:
        return str(error)
    return "; ".join(f"{name}: {why}" for name, why in failed)
