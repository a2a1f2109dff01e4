"""Which datasets MAST has of a proposal, an instrument or some dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from calib.errors import ConfigError
from calib.fetch.mast import find_observations
from calib.fetch.options import FetchOptions
from calib.ids import INSTRUMENT_BY_LETTER, RETIRED_BY_LETTER

EXPECTED = "proposal=NUMBER,instrument=NAME,dates=FIRST..LAST (one of them, or more)"

_INSTRUMENTS = tuple(sorted(INSTRUMENT_BY_LETTER.values()))
_MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)

# First letters of HST's names: the portal lists products of visits (hst_9025_...) beside them.
_LETTERS = frozenset(INSTRUMENT_BY_LETTER) | frozenset(RETIRED_BY_LETTER)
_NAME_LENGTH = 9


@dataclass(frozen=True)
class ObservationQuery:
    """What observations are asked for; what is None does not matter.

    Attributes
    ----------
    proposal
        Number of the proposal.
    instrument
        ``acs``, ``cos``, ``stis`` or ``wfc3``.
    since, until
        Between which times they began, the second not included.
    """

    proposal: int | None = None
    instrument: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def criteria(self) -> dict[str, Any]:
        """Return what MAST's Observations are asked with."""
        asked: dict[str, Any] = {"obs_collection": "HST"}
        if self.proposal is not None:
            asked["proposal_id"] = str(self.proposal)
        if self.instrument is not None:
            asked["instrument_name"] = f"{self.instrument.upper()}*"
        if self.since is not None and self.until is not None:
            asked["t_min"] = [(each - _MJD_ZERO) / _DAY for each in (self.since, self.until)]
        return asked


_DAY = timedelta(days=1)


def parse_query(text: str) -> ObservationQuery:
    """Read a query: ``proposal=9025,instrument=acs,dates=2002-04-01..2002-04-30``.

    Dates are days or times in UTC (``2002-04-12T18:00``); the whole of the last day counts.

    Raises
    ------
    ConfigError
        A word is not known or said twice, a value cannot be used, or nothing is asked.
    """
    given: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, mark, value = part.partition("=")
        key = key.strip().lower()
        if not mark or not value.strip() or key not in _READERS or key in given:
            raise ConfigError("not a query of MAST", expected=EXPECTED, found=repr(part))
        given[key] = value.strip()
    if not given:
        raise ConfigError("the query asks for nothing", expected=EXPECTED, found=repr(text))
    asked: dict[str, Any] = {}
    for key, value in given.items():
        asked |= _READERS[key](value)
    return ObservationQuery(**asked)


def find_datasets(query: ObservationQuery, options: FetchOptions) -> list[str]:
    """Return the names of the exposures and associations that MAST has, in lower case.

    Those of retired instruments are among them: what can be calibrated is another question.

    Raises
    ------
    Unavailable, Proprietary
        As :func:`calib.fetch.mast.find_observations`.
    """
    rows = find_observations(query.criteria(), options)
    names = {str(row.get("obs_id", "")).lower() for row in rows}
    return sorted(n for n in names if len(n) == _NAME_LENGTH and n[0] in _LETTERS)


def _proposal(value: str) -> Mapping[str, Any]:
    if not (value.isascii() and value.isdigit()):
        raise ConfigError("not the number of a proposal", expected="such as 9025", found=value)
    return {"proposal": int(value)}


def _instrument(value: str) -> Mapping[str, Any]:
    if value.lower() not in _INSTRUMENTS:
        expected = ", ".join(_INSTRUMENTS)
        raise ConfigError("there is no such instrument", expected=expected, found=value)
    return {"instrument": value.lower()}


def _dates(value: str) -> Mapping[str, Any]:
    first, mark, last = value.partition("..")
    since, until = _time(first), _end(last if mark else first)
    if since >= until:
        message = "the dates end before they begin" if since > until else "there is no time between"
        expected = "FIRST..LAST, such as 2002-04-12T10:00..2002-04-12T11:00"
        raise ConfigError(message, expected=expected, found=value)
    return {"since": since, "until": until}


def _end(text: str) -> datetime:
    """Return a time, or the end of a day."""
    found = _time(text)
    if not _is_day(text):
        return found
    try:
        return found + _DAY
    except OverflowError as error:  # the last day that there is
        raise ConfigError("not a date", expected="one before 9999-12-31", found=text) from error


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        expected = "such as 2002-04-12 or 2002-04-12T18:00"
        raise ConfigError("not a date", expected=expected, found=repr(text)) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_READERS = {"proposal": _proposal, "instrument": _instrument, "dates": _dates}
