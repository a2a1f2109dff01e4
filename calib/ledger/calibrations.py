"""Calibration collections: references of the user's own, each valid for a range of dates.

These are the questions, on any connection that :data:`calib.ledger.reports.Rows` stands for;
:mod:`calib.ledger.validity` writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from calib.errors import ConfigError
from calib.ledger.dates import parse_date
from calib.ledger.holdings import CALIBRATION
from calib.ledger.reports import Rows

# As people write a detector that is not restricted.
ANY = "any"

NOT_A_FILE = (
    "a reference of your own must be a file that every worker can open: engines read rows of it "
    "where it lies"
)


@dataclass(frozen=True)
class Certification:
    """A reference file and the exposures that it is for.

    Attributes
    ----------
    instrument
        Lower case: ``acs``.
    detector
        Upper case: ``HRC``; empty for any.
    keyword
        Reference keyword: ``BIASFILE``.
    reference
        Name of the file.
    sha1
        Its checksum (hexadecimal) when it was certified.
    uri
        Where it lies: ``file:/PATH``.
    begins_at, ends_at
        Start of the exposures that it is for: from `begins_at` (included) to `ends_at`
        (excluded), as :func:`calib.ledger.dates.parse_date` gives them; None is open.
    """

    instrument: str
    detector: str
    keyword: str
    reference: str
    sha1: str
    uri: str
    begins_at: str | None = None
    ends_at: str | None = None

    @property
    def path(self) -> str:
        """Where the file lies on this machine."""
        return self.uri.removeprefix("file:")

    @property
    def range(self) -> str:
        """The dates, for people."""
        if self.begins_at is None and self.ends_at is None:
            return "always"
        first = "" if self.begins_at is None else f"from {shown_date(self.begins_at)}"
        end = "" if self.ends_at is None else f"before {shown_date(self.ends_at)}"
        return f"{first} {end}".strip()

    def __str__(self) -> str:
        """Say what is valid when, for people."""
        camera = f"{self.instrument.upper()} {self.detector or 'any detector'}"
        return f"{self.reference} as {self.keyword} of {camera}, {self.range}"

    def is_for(self, instrument: str | None, detector: str | None, at: str | None) -> bool:
        """Tell whether it is for an instrument, a detector and a moment; None: for some."""
        return (
            instrument in {None, self.instrument}
            and (detector is None or self.detector in {"", detector})
            and (at is None or self._has(at))
        )

    def _has(self, at: str) -> bool:
        begun = self.begins_at is None or self.begins_at <= at
        return begun and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True)
class CalibrationCollection:
    """A collection as a whole; times ISO 8601, UTC."""

    name: str
    note: str | None
    references: int
    created_at: str
    updated_at: str


_ALL = """
SELECT collection.name AS name, collection.note AS note,
  COUNT(DISTINCT validity.sha1) AS "references",
  collection.created_at AS created_at, collection.updated_at AS updated_at
FROM collection LEFT JOIN validity ON validity.collection_id = collection.id
WHERE collection.kind = :kind
GROUP BY collection.id, collection.name, collection.note, collection.created_at,
  collection.updated_at
ORDER BY collection.name
"""

_IN = """
SELECT instrument, detector, keyword, reference, sha1, uri, begins_at, ends_at
FROM calibrations WHERE calibration = :name
ORDER BY instrument, keyword, detector, COALESCE(begins_at, ''), reference
"""

_KIND_OF = "SELECT kind FROM collection WHERE name = :name"


def list_calibrations(rows: Rows) -> list[CalibrationCollection]:
    """Return all calibration collections, by name."""
    return [CalibrationCollection(**row) for row in rows(_ALL, {"kind": CALIBRATION})]


def calibrations_in(rows: Rows, collection: str) -> list[Certification]:
    """Return what is certified in a collection, by instrument, keyword, detector and date.

    Raises
    ------
    ConfigError
        There is no calibration collection of this name.
    """
    found = rows(_KIND_OF, {"name": collection})
    if [row["kind"] for row in found] != [CALIBRATION]:
        raise unknown(collection, found[0]["kind"] if found else None)
    return [Certification(**row) for row in rows(_IN, {"name": collection})]


def unknown(collection: str, kind: str | None) -> ConfigError:
    """Return the error for a name that is not a calibration collection's."""
    return ConfigError(
        "no such calibration collection",
        expected="a name that `hstflow archive calibrations` lists",
        found=collection if kind is None else f"{collection}, a {kind}",
    )


def valid_at(
    certifications: Iterable[Certification], *, instrument: str, detector: str, observed_at: str
) -> dict[str, Certification]:
    """Return those of certifications that are valid for an exposure, by keyword.

    Parameters
    ----------
    certifications
        All of one collection: for a keyword no two are valid at once.
    instrument, detector
        In any case.
    observed_at
        Start of the exposure, as :func:`calib.ledger.dates.parse_date` reads it.

    Raises
    ------
    ConfigError
        The date is none.
    """
    wanted: Any = (instrument.lower(), detector.upper(), parse_date(observed_at))
    return {each.keyword: each for each in certifications if each.is_for(*wanted)}


def shown_date(text: str) -> str:
    """Shorten a date for people: midnight is left out."""
    return text.removesuffix("T00:00:00")
