"""Which context the server itself calls operational, now."""

from __future__ import annotations

import logging

from calib.errors import ConfigError, ContextError, HstflowError
from calib.ids import is_later_context
from calib.references import library
from calib.references.profile import CrdsProfile

log = logging.getLogger(__name__)


def source_of(profile: CrdsProfile) -> str:
    """Return who names the operational context: a server, a bucket, or a cache without either."""
    if profile.has_store:
        return str(profile.rules_uri or profile.references_uri)
    return str(profile.cache) if profile.offline else profile.server_url


def ask_operational(profile: CrdsProfile) -> str:
    """Return the operational context as the server has it at this moment.

    :func:`calib.references.context.resolve_context` takes what the cache remembers where the
    server does not answer; for somebody who waits for a change that would be a wrong answer.
    A bucket of rules is asked as a server is, also where its cache is read-only. Without either
    it is what the cache was last synchronised with.

    Raises
    ------
    Unavailable
        The server or the bucket does not answer.
    ContextError
        It names no context, or the cache without a server does not.
    """
    info = _stored(profile) if profile.has_store else _asked(profile)
    name = info.get("operational_context")
    if not isinstance(name, str) or not name.endswith(".pmap"):
        found = repr(name)
        raise ContextError(
            "CRDS names no operational context", path=source_of(profile), found=found
        )
    return name


def later_operational(profile: CrdsProfile, context: str) -> str | None:
    """Return the operational context where it came after another one; None: it did not.

    For a word at the end of long work: where nobody can say it, as without a server, the log
    says so and the answer is None.
    """
    if profile.offline and not profile.has_store:
        return None
    try:
        found = ask_operational(profile)
    except HstflowError as error:
        log.info("the operational context is not known: %s", error)
        return None
    return found if is_later_context(found, context) else None


def _cached(profile: CrdsProfile) -> dict[str, object]:
    try:
        return library.server_info(profile)
    except ConfigError as error:
        raise ContextError(error.message, path=error.path, expected=error.expected) from error


def _asked(profile: CrdsProfile) -> dict[str, object]:
    if not profile.offline:
        return library.ask_server(profile, again=True)
    library.forget()
    with library.session(profile):
        return _cached(profile)


def _stored(profile: CrdsProfile) -> dict[str, object]:
    from calib.references.origins import StoreOrigin

    try:
        return StoreOrigin(profile).info()
    except ConfigError as error:
        raise ContextError(error.message, path=error.path, expected=error.expected) from error
