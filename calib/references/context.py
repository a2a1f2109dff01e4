"""Which CRDS context: the version of the rules that choose references."""

from __future__ import annotations

import re

from calib.errors import ConfigError, ContextError
from calib.references import library
from calib.references.profile import CrdsProfile

_NAME = re.compile(r"hst_[0-9]{4,5}\.pmap", re.ASCII)

# Names that CRDS itself accepts for the context that the archive uses now.
OPERATIONAL_NAMES = frozenset({"latest", "operational", "hst-latest", "hst-operational"})


def resolve_context(explicit: str | None, profile: CrdsProfile) -> str:
    """Return the name of the context to use, such as ``hst_0729.pmap``.

    Parameters
    ----------
    explicit
        What the user asked for. None: what the profile is pinned to (CRDS_CONTEXT), else
        the server's operational context. ``hst-operational`` and ``hst-latest`` ask for
        the latter in any case.
    profile
        Server and cache. Without a server, the operational context is the one that the
        cache was last synchronised with (``config/hst/server_config``).

    Raises
    ------
    ContextError
        The name is no context, or there is no such context in the cache and no server to
        ask; the message names those there are. Also where no default is known.
    Unavailable
        The server does not answer and the cache knows no default.
    """
    wanted = explicit or profile.context
    name = _operational(profile) if wanted is None or wanted in OPERATIONAL_NAMES else wanted
    if not _NAME.fullmatch(name):
        raise ContextError(
            "not the name of a CRDS context",
            expected="a name such as hst_0729.pmap, or hst-operational",
            found=repr(name),
        )
    if not profile.can_fill and not (profile.mappings / name).is_file():
        raise library.unknown_context(profile, name)
    return name


def list_contexts(profile: CrdsProfile) -> list[str]:
    """Return the contexts in the cache, oldest first (empty where there is no cache)."""
    return library.cached_contexts(profile)


def _operational(profile: CrdsProfile) -> str:
    if not profile.offline:
        library.forget()
    try:
        with library.session(profile):
            info = library.server_info(profile)
    except ConfigError as error:
        raise ContextError(error.message, path=error.path, expected=error.expected) from error
    name = info.get("operational_context")
    if not isinstance(name, str):
        raise ContextError("CRDS names no operational context", path=profile.server_config)
    return name
