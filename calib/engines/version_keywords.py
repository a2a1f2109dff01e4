"""What the primary headers of exposures say of the software around the engine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from calib.caldp import UNDEFINED_VERSION, VERSION_COMMENTS, VERSION_KEYWORDS
from calib.errors import ConfigError

# Characters of a text that fit into one card (FITS standard 4.0, section 4.2.1.1).
LONGEST = 68

# The keyword that CALDP writes its own version into.
_OURS = "AWSDPVER"


def version_keywords(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the version keywords of every exposure, and so of its products.

    Parameters
    ----------
    environment
        Variables of the same names: the dataset's own over those of the process. CALCLOUD
        sets them for its jobs.

    Returns
    -------
    dict
        CSYS_VER (image or installation of the programs), AWSDPVER (what processes, as
        CALDP has its own version there) and AWSYSVER (what manages the processing). Where
        nobody says, or says nothing, AWSDPVER is ``hstflow VERSION`` and the others are
        ``UNDEFINED``.

    Raises
    ------
    ConfigError
        A value does not fit into a card of a FITS header.
    """
    defaults = {_OURS: f"hstflow {version('hstflow')}"}
    return {
        keyword: _checked(keyword, environment.get(keyword, "").strip())
        or defaults.get(keyword, UNDEFINED_VERSION)
        for keyword in VERSION_KEYWORDS
    }


def version_cards(versions: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return version keywords with their comments, always in one order, as cards of a header."""
    return {
        keyword: (versions[keyword], VERSION_COMMENTS[keyword])
        for keyword in VERSION_KEYWORDS
        if keyword in versions
    }


def _checked(keyword: str, value: str) -> str:
    is_text = value.isascii() and (value.isprintable() or not value)
    if not is_text or len(value) + value.count("'") > LONGEST:
        expected = f"printable ASCII, up to {LONGEST} characters"
        raise ConfigError(f"{keyword} is no text for a header", expected=expected, found=value)
    return value
