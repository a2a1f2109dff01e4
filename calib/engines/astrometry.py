"""How drizzled images are put on the sky: the ASTROMETRY_* variables of drizzlepac, typed.

Sources: drizzlepac 3.11 (runastrodriz: ASTROMETRY_APPLY_APRIORI, ASTROMETRY_COMPUTE_APOSTERIORI)
and stwcs (updatewcs.astrometry_utils: ASTROMETRY_STEP_CONTROL, ASTROMETRY_SERVICE_URL).
"""

from __future__ import annotations

import re
import threading
import time
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

# stwcs goes on without the solutions of the archive where the service does not answer at its
# third try (updatewcs.astrometry_utils.AstrometryDB.isAvailable).
_NO_SERVICE = re.compile(r"AstrometryDB (?:service unavailable!(?! Retrying)|not available)")

# A service that has not answered by then is not there, seconds; stwcs waits for as long.
_PATIENCE = 5.0

# What it has answered counts for so long, seconds: thousands of datasets ask once, and a worker
# of days notices that the network has come back.
_LIFE = 600.0

_asking = threading.Lock()
_answers: dict[str, tuple[float, bool]] = {}


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
    def name(self) -> AstrometryMode:
        """``off``, ``apriori``, ``aposteriori`` or ``full``."""
        return next(mode for mode, settings in _SETTINGS.items() if settings == self)

    def environment(self) -> dict[str, str]:
        """Return the variables; each is set, so that those of this process do not count."""
        return {
            "ASTROMETRY_STEP_CONTROL": _switch(self.apriori),
            "ASTROMETRY_APPLY_APRIORI": _switch(self.apriori),
            "ASTROMETRY_COMPUTE_APOSTERIORI": _switch(self.aposteriori),
        }


_SETTINGS: dict[AstrometryMode, Astrometry] = {
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
    address = address_of(environ)
    if answers(address):
        return _SETTINGS["full"], ""
    return _SETTINGS["off"], silence(address)


def address_of(environ: Mapping[str, str]) -> str:
    """Return where the solutions of the archive are asked for."""
    return environ.get(SERVICE_VARIABLE) or SERVICE


def silence(address: str) -> str:
    """Say that images are not aligned, since a service does not answer."""
    host = urlsplit(address).hostname or address
    again = "processing it again when it does aligns"
    return f"{ASTROMETRY_NOTE}off, since {host} does not answer; {again}"


def answers(address: str) -> bool:
    """Tell whether a service answers; this process asks it once in ten minutes."""
    with _asking:
        when, found = _answers.get(address, (0.0, False))
        if not when or time.monotonic() - when > _LIFE:
            found = is_reachable(address)
            _answers[address] = (time.monotonic(), found)
        return found


def note_silence(address: str) -> None:
    """Remember that a service has ceased to answer."""
    with _asking:
        _answers[address] = (time.monotonic(), False)


def is_silent(said: str) -> bool:
    """Tell from the log of a program that solutions of the archive were not to be had."""
    return _NO_SERVICE.search(said) is not None


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
    if not settings.apriori or not is_silent(said):
        return ""
    text = f"{ASTROMETRY_NOTE}the service of the archive did not answer"
    if mode == "auto":
        return f"{text}; drizzled without its solutions"
    raise Unavailable(text, expected=f"an answer, or --astrometry off instead of {mode}")


def is_reachable(address: str) -> bool:
    """Tell whether a service says that it is available, asked as stwcs asks it.

    A host that takes connections may have nothing behind them, and one behind a proxy takes
    none of ours.
    """
    import requests

    try:
        with requests.get(f"{address}availability", timeout=_PATIENCE) as answer:
            return answer.status_code == requests.codes.ok
    except requests.RequestException:
        return False


def _switch(value: bool) -> str:
    return "on" if value else "off"
