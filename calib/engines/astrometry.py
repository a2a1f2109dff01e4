"""How drizzled images are put on the sky: the ASTROMETRY_* variables of drizzlepac, typed.

Sources: drizzlepac 3.11 (runastrodriz: ASTROMETRY_APPLY_APRIORI, ASTROMETRY_COMPUTE_APOSTERIORI)
and stwcs (updatewcs.astrometry_utils: ASTROMETRY_STEP_CONTROL, ASTROMETRY_SERVICE_URL).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from calib.errors import Unavailable

AstrometryMode = Literal["auto", "off", "apriori", "aposteriori", "full"]
MODES: tuple[AstrometryMode, ...] = get_args(AstrometryMode)

# Where stwcs asks for solutions of the archive, unless the variable names another service.
SERVICE = "https://mast.stsci.edu/portal/astrometryDB/"
SERVICE_VARIABLE = "ASTROMETRY_SERVICE_URL"

# How stwcs says that the service did not answer; it goes on without the solutions of the archive.
_NO_SERVICE = re.compile(r"AstrometryDB (?:service unavailable|not available|connection failed)")

# A service that has not taken a connection by then is not there, seconds.
_PATIENCE = 3.0


@dataclass(frozen=True)
class Astrometry:
    """What drizzlepac is told.

    Attributes
    ----------
    apriori
        Take the solutions that the archive has for the exposures.
    aposteriori
        Align the images to a catalogue of stars (Gaia).
    """

    apriori: bool
    aposteriori: bool

    @property
    def name(self) -> str:
        """``off``, ``apriori``, ``aposteriori`` or ``full``."""
        return next(mode for mode, settings in _SETTINGS.items() if settings == self)

    def environment(self) -> dict[str, str]:
        """Return the variables; each is set, so that those of this process do not count."""
        return {
            "ASTROMETRY_STEP_CONTROL": _switch(self.apriori),
            "ASTROMETRY_APPLY_APRIORI": _switch(self.apriori),
            "ASTROMETRY_COMPUTE_APOSTERIORI": _switch(self.aposteriori),
        }


_SETTINGS = {
    "off": Astrometry(apriori=False, aposteriori=False),
    "apriori": Astrometry(apriori=True, aposteriori=False),
    "aposteriori": Astrometry(apriori=False, aposteriori=True),
    "full": Astrometry(apriori=True, aposteriori=True),
}

# How a note begins that says which alignment was not to be had.
ASTROMETRY_NOTE = "astrometry: "


def astrometry_of(mode: AstrometryMode, environ: Mapping[str, str]) -> tuple[Astrometry, str]:
    """Return the settings of a mode, and what a person should know about them.

    Parameters
    ----------
    mode
        ``auto``: full where the service answers, else off.
    environ
        Where the address of the service is looked up.
    """
    if mode != "auto":
        return _SETTINGS[mode], ""
    address = environ.get(SERVICE_VARIABLE) or SERVICE
    if is_reachable(address):
        return _SETTINGS["full"], ""
    note = (
        f"{ASTROMETRY_NOTE}off, since {urlsplit(address).hostname or address} does not answer; "
        "--astrometry full makes the dataset again where it does"
    )
    return _SETTINGS["off"], note


def unanswered(mode: AstrometryMode, settings: Astrometry, said: str) -> str:
    """Say that solutions of the archive were not to be had; empty where they were, or not asked.

    Programs go on without them and end as if all were well.

    Parameters
    ----------
    mode, settings
        What was asked for, and what came of it.
    said
        The log of the program.

    Raises
    ------
    Unavailable
        They were asked for by name.
    """
    if not settings.apriori or not _NO_SERVICE.search(said):
        return ""
    text = f"{ASTROMETRY_NOTE}the service of the archive did not answer"
    if mode == "auto":
        return f"{text}; drizzled without its solutions"
    raise Unavailable(text, expected=f"an answer, or --astrometry off instead of {mode}")


def is_reachable(address: str) -> bool:
    """Tell whether the host of a URL takes connections."""
    parts = urlsplit(address)
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
        with socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE):
            return True
    except (OSError, ValueError):
        return False


def _switch(value: bool) -> str:
    return "on" if value else "off"
