"""Which CRDS context: the version of the rules that choose references."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any, Literal

from calib.errors import ConfigError, ContextError, TransientError
from calib.references import library
from calib.references.pins import pinned
from calib.references.profile import CrdsProfile
from calib.references.syncing import refresh_info

log = logging.getLogger(__name__)

_NAME = re.compile(r"hst_[0-9]{4,5}\.pmap", re.ASCII)

# Names that CRDS itself accepts for the context that the archive uses now.
OPERATIONAL_NAMES = frozenset({"latest", "operational", "hst-latest", "hst-operational"})


@dataclass(frozen=True)
class Standing:
    """The context that is used where none is named.

    Attributes
    ----------
    context
        Its name.
    why
        ``profile`` (CRDS_CONTEXT or the profile's file), ``pin``, ``fallback`` or
        ``operational``.
    """

    context: str
    why: Literal["profile", "pin", "fallback", "operational"]


def resolve_context(
    explicit: str | None, profile: CrdsProfile, *, fallback: str | None = None
) -> str:
    """Return the name of the context to use, such as ``hst_0729.pmap``.

    Parameters
    ----------
    explicit
        What the user asked for. None: what the profile is pinned to (CRDS_CONTEXT, or its
        file), else the user's pin (:mod:`calib.references.pins`), else `fallback`, else the
        server's operational context. ``hst-operational`` and ``hst-latest`` ask for
        the latter in any case.
    profile
        Server and cache. Without a server, the operational context is the one that the
        cache was last synchronised with (``config/hst/server_config``).
    fallback
        What a whole installation has agreed on.

    Raises
    ------
    ContextError
        The name is no context, or there is no such context in the cache and no server to
        ask; the message names those there are. Also where no default is known.
    ConfigError
        The user's pins cannot be read.
    Unavailable
        The server does not answer and the cache knows no default.
    """
    wanted = explicit or pinned_context(profile) or fallback
    name = operational_context(profile) if wanted in {None, *OPERATIONAL_NAMES} else str(wanted)
    return check_context(name, profile)


def standing_context(profile: CrdsProfile, *, fallback: str | None = None) -> Standing:
    """Return the context that is used where none is named, and why that one.

    Raises
    ------
    ContextError, ConfigError, Unavailable
        As :func:`resolve_context`.
    """
    name = resolve_context(None, profile, fallback=fallback)
    own, pin = profile.context, pinned(profile)
    if own is not None:
        return Standing(name, "operational" if own in OPERATIONAL_NAMES else "profile")
    if pin is not None:
        return Standing(name, "pin")
    return Standing(name, "operational" if fallback in {None, *OPERATIONAL_NAMES} else "fallback")


def pinned_context(profile: CrdsProfile) -> str | None:
    """Return what the profile or the user has pinned; None: nothing.

    Raises
    ------
    ConfigError
        The user's pins cannot be read.
    """
    if profile.context:
        return profile.context
    pin = pinned(profile)
    return None if pin is None else pin.context


def check_context(name: str, profile: CrdsProfile) -> str:
    """Return a name unchanged where it is a context's, and one that can be had.

    Raises
    ------
    ContextError
        It is no context, or it is not in a cache that nothing can be brought into.
    """
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


def operational_context(profile: CrdsProfile) -> str:
    """Return the context that the archive uses now: what the server, or the cache, says.

    Raises
    ------
    ContextError
        Nobody says.
    Unavailable
        The server does not answer and the cache knows no default.
    """
    try:
        info = _said(profile)
    except ConfigError as error:
        raise ContextError(error.message, path=error.path, expected=error.expected) from error
    name = info.get("operational_context")
    if not isinstance(name, str):
        raise ContextError("CRDS names no operational context", path=profile.server_config)
    return name


def _said(profile: CrdsProfile) -> dict[str, Any]:
    """Ask the server or the bucket; one that is away is believed as of last time."""
    if profile.has_store and profile.can_fill:
        try:
            return refresh_info(profile)
        except TransientError as error:
            if not profile.server_config.is_file():
                raise
            log.warning("%s: what it said last is used", error)
    if not profile.offline:
        library.forget()
        with library.session(profile):
            return library.server_info(profile)
    return library.server_info(profile)
