"""Dates as people and headers write them, in the one text form that sorts."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from calib.errors import ConfigError

EXPECTED = "a date such as 2004, 2004-06, 2004-06-01 or 2004-06-01T12:30:00 (UTC)"

_FORM = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"([T ](?P<time>\d\d:\d\d(:\d\d(\.\d{1,6})?)?)(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def parse_date(text: str) -> str:
    """Return a date as ``2004-06-01T00:00:00``, with a fraction of seconds where there is one.

    Such texts sort as times, and compare with the start of an exposure as the ledger has it.

    Parameters
    ----------
    text
        ``2004``, ``2004-06``, ``2004-06-01``, ``2004-06-01T12:30``, ``2004-06-01 12:30:00.5``;
        what is left out is the first. UTC, unless a zone (``Z``, ``+02:00``) follows the time.

    Raises
    ------
    ConfigError
        The text is another, or there is no such day or time.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigError("not a date", expected=EXPECTED, found=repr(text))
    day = f"{found['year']}-{found['month'] or '01'}-{found['day'] or '01'}"
    try:
        moment = datetime.fromisoformat(f"{day}T{found['time'] or '00:00'}{found['zone'] or ''}")
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"no such date: {error}", expected=EXPECTED, found=repr(text)) from error
    whole, dot, fraction = moment.replace(tzinfo=None).isoformat().partition(".")
    # Without its last zeros a fraction sorts as text, and none is less than any.
    return f"{whole}{dot}{fraction.rstrip('0')}"
