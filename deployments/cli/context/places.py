"""What the commands of `hstflow context` share: the profile, and what its source says."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from calib.errors import HstflowError
from calib.references.profile import CrdsProfile, load_profile

SETTING = "HSTFLOW_PROFILE"


def profile_of(name: str | None) -> CrdsProfile:
    """Return the profile that was named, or the one of the settings.

    Raises
    ------
    ConfigError
        It is none.
    """
    return load_profile(name or os.environ.get(SETTING) or None, os.environ)


@dataclass(frozen=True)
class Heard:
    """What the source of rules said.

    Attributes
    ----------
    info
        Its words: of now, or of the last time where it does not answer.
    source
        Its address; None where nothing can be asked.
    seconds
        How long it took to answer; None: it was not asked, or did not answer.
    error
        Why it did not answer.
    """

    info: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    seconds: float | None = None
    error: str | None = None

    @property
    def is_now(self) -> bool:
        """Whether it answered now."""
        return self.seconds is not None


def ask(profile: CrdsProfile, *, server: bool) -> Heard:
    """Ask the server or bucket what it has; nothing is written.

    Parameters
    ----------
    server
        False: only look at what the cache knows.

    Raises
    ------
    ConfigError
        The cache's server_config is damaged.
    """
    from calib.references.server_config import cached_info

    place = profile.rules_uri or profile.references_uri
    source = place or (None if profile.offline else profile.server_url)
    if not server or source is None:
        return Heard(cached_info(profile), source)
    try:
        return _ask(profile, source)
    except HstflowError as error:
        return Heard(cached_info(profile), source, error=str(error))


def _ask(profile: CrdsProfile, source: str) -> Heard:
    from calib.references.library import ask_server, session
    from calib.references.origins import StoreOrigin

    if profile.has_store:
        begun = time.monotonic()
        return Heard(StoreOrigin(profile).info(), source, time.monotonic() - begun)
    with session(profile):  # imports the library, which is not the server's time
        begun = time.monotonic()
        return Heard(ask_server(profile, again=True), source, time.monotonic() - begun)
