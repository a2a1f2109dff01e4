"""Certifying references of the user's own for ranges of dates, as functions on a transaction.

In one collection no two references for the same instrument, detector and keyword are valid at
one moment, so that an exposure has one answer. The questions are in
:mod:`calib.ledger.calibrations`, which needs no SQLAlchemy.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from calib.errors import ConfigError
from calib.ledger.calibrations import NOT_A_FILE, Certification, unknown
from calib.ledger.collections import ensure_collection
from calib.ledger.dates import parse_date
from calib.ledger.holdings import CALIBRATION
from calib.ledger.schema import collection as collections
from calib.ledger.schema import validity as validities
from calib.records import utc_now
from calib.stores.uri import parse_uri

# Instruments and detectors as in headers (ACS, NUV-MAMA). A FITS keyword has up to 8 letters
# (FITS standard 4.0, section 4.1.2.1); `jref$` and a file name of 63 fill one card (4.2.1.1).
_FORMS = {
    "instrument": re.compile(r"[a-z][a-z0-9]{0,7}", re.ASCII),
    "detector": re.compile(r"([A-Z0-9][A-Z0-9-]{0,31})?", re.ASCII),
    "keyword": re.compile(r"[A-Z][A-Z0-9_-]{0,7}", re.ASCII),
    "reference": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,62}", re.ASCII),
    "sha1": re.compile(r"[0-9a-f]{40}", re.ASCII),
}

_Range = tuple[str | None, str | None]


def certify(
    connection: Connection,
    collection: str,
    certifications: Iterable[Certification],
    *,
    note: str | None = None,
) -> int:
    """Enter references with the dates for which they are valid; all of them, or none.

    The same again changes nothing, except that a file that lies elsewhere now is looked for
    there.

    Parameters
    ----------
    collection
        Made if it is new.
    certifications
        Dates in any form that :func:`calib.ledger.dates.parse_date` reads.
    note
        About the collection; None keeps what is there.

    Returns
    -------
    int
        How many are new.

    Raises
    ------
    ConfigError
        A name, date or URI cannot be used, a run or another kind of collection has the name,
        or two references would be valid at once: the message names both.
    """
    wanted = [_checked(each) for each in certifications]
    ensure_collection(connection, collection, CALIBRATION, note=note)
    number = _number_of(connection, collection)
    there = {row.id: _certification(row) for row in _rows(connection, number)}
    _move(connection, there, wanted)
    new = _new(collection, there.values(), wanted)
    if new:
        now = utc_now()
        rows = [{"collection_id": number, "certified_at": now, **asdict(each)} for each in new]
        connection.execute(insert(validities), rows)
        _touch(connection, number, updated_at=now)
    return len(new)


def decertify(
    connection: Connection,
    collection: str,
    *,
    keyword: str,
    begins: str | None = None,
    ends: str | None = None,
    instrument: str | None = None,
    detector: str | None = None,
) -> int:
    """Make references invalid for a range of dates: ranges are cut, also in two.

    Parameters
    ----------
    keyword
        Reference keyword.
    begins, ends
        From `begins` (included) to `ends` (excluded); None is open.
    instrument, detector
        Only references of these; None: of all. An empty detector: those for any detector.

    Returns
    -------
    int
        How many certifications were cut or removed.

    Raises
    ------
    ConfigError
        There is no such collection, the range is none, or a reference in it is certified for
        any detector and one detector was named: a part of it cannot be cut out.
    """
    begins, ends = _checked_range(begins, ends)
    number = _number_of(connection, collection)
    wanted = {"keyword": keyword.upper()}
    if instrument is not None:
        wanted["instrument"] = instrument.lower()
    rows = [
        row
        for row in _rows(connection, number, **wanted)
        if _overlap((row.begins_at, row.ends_at), (begins, ends))
    ]
    cut = [row for row in rows if detector is None or row.detector == detector.upper()]
    if detector and any(row.detector == "" for row in rows):
        raise ConfigError(
            "a reference in this range is certified for any detector, not for one",
            expected="a range without it, or all detectors",
            found=next(str(_certification(row)) for row in rows if row.detector == ""),
        )
    for row in cut:
        _cut(connection, row, (begins, ends))
    if cut:
        _touch(connection, number, updated_at=utc_now())
    return len(cut)


def _checked(each: Certification) -> Certification:
    """Bring a certification into the form of the ledger, or refuse it."""
    begins, ends = _checked_range(each.begins_at, each.ends_at)
    found = replace(
        each,
        instrument=each.instrument.lower(),
        detector=each.detector.upper(),
        keyword=each.keyword.upper(),
        uri=_checked_uri(each),
        begins_at=begins,
        ends_at=ends,
    )
    for name, form in _FORMS.items():
        if not form.fullmatch(getattr(found, name)):
            raise ConfigError(
                f"not a usable {name}", expected=form.pattern, found=repr(getattr(found, name))
            )
    return found


def _checked_range(begins: str | None, ends: str | None) -> _Range:
    first = None if begins is None else parse_date(begins)
    end = None if ends is None else parse_date(ends)
    if first is not None and end is not None and first >= end:
        message = "a range of dates ends after it begins"
        raise ConfigError(message, expected=f"an end after {first}", found=end)
    return first, end


def _checked_uri(each: Certification) -> str:
    source = parse_uri(each.uri)
    if source.scheme != "file":
        raise ConfigError(
            NOT_A_FILE,
            expected="file:/PATH; copy the object to a shared folder first",
            found=each.uri,
        )
    path = Path(source.location)
    if not path.is_absolute() or path.name != each.reference:
        raise ConfigError(
            "a certified reference is named by its whole path",
            expected=f"file:/PATH/{each.reference}",
            found=each.uri,
        )
    return f"file:{path}"


def _new(
    collection: str, known: Collection[Certification], wanted: Iterable[Certification]
) -> list[Certification]:
    """Return what is not known yet; refuse what overlaps something else."""
    content = {_content(each) for each in known}
    rivals: dict[tuple[str, str], list[Certification]] = defaultdict(list)
    for each in known:
        rivals[each.instrument, each.keyword].append(each)
    new = []
    for each in wanted:
        if _content(each) in content:
            continue
        others = rivals[each.instrument, each.keyword]
        _refuse_clash(collection, each, others)
        others.append(each)
        content.add(_content(each))
        new.append(each)
    return new


def _content(each: Certification) -> Certification:
    """Return what makes a certification the same, wherever the file lies."""
    return replace(each, uri="")


def _refuse_clash(collection: str, new: Certification, others: Iterable[Certification]) -> None:
    for each in others:
        if not ("" in {each.detector, new.detector} or each.detector == new.detector):
            continue
        if _overlap((each.begins_at, each.ends_at), (new.begins_at, new.ends_at)):
            raise ConfigError(
                f"two references of {collection} would be valid at once: decertify one first, "
                "or choose other dates",
                expected=f"dates that do not overlap those of {each}",
                found=str(new),
            )


def _overlap(one: _Range, other: _Range) -> bool:
    """Tell whether two half-open ranges share a moment."""
    return _before(one[0], other[1]) and _before(other[0], one[1])


def _before(begins: str | None, ends: str | None) -> bool:
    return begins is None or ends is None or begins < ends


def _move(
    connection: Connection, there: dict[int, Certification], wanted: Sequence[Certification]
) -> None:
    """Look for files where they lie now."""
    places = {_content(each): each.uri for each in wanted}
    for number, each in there.items():
        uri = places.get(_content(each), each.uri)
        if uri != each.uri:
            row = update(validities).where(validities.c.id == number)
            connection.execute(row.values(uri=uri))


def _cut(connection: Connection, row: Row[Any], cut: _Range) -> None:
    """Leave of a range what lies before and after the cut."""
    begins, ends = cut
    left = []
    if begins is not None and _before(row.begins_at, begins):
        left.append((row.begins_at, begins))
    if ends is not None and _before(ends, row.ends_at):
        left.append((ends, row.ends_at))
    connection.execute(delete(validities).where(validities.c.id == row.id))
    for first, end in left:
        values = {**row._mapping, "begins_at": first, "ends_at": end}  # noqa: SLF001 - SQLAlchemy's name for a row as a mapping
        values.pop("id")
        connection.execute(insert(validities), values)


def _certification(row: Row[Any]) -> Certification:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's name for a row as a mapping
    return Certification(**{name: values[name] for name in Certification.__dataclass_fields__})


def _rows(connection: Connection, number: int, **wanted: str) -> Sequence[Row[Any]]:
    query = select(validities).filter_by(collection_id=number, **wanted)
    return connection.execute(query.order_by(validities.c.id)).all()


def _touch(connection: Connection, number: int, **values: str) -> None:
    connection.execute(update(collections).where(collections.c.id == number).values(values))


def _number_of(connection: Connection, name: str) -> int:
    """Return the number of a collection that nobody else can change before we end."""
    query = select(collections).where(collections.c.name == name).with_for_update()
    found = connection.execute(query).one_or_none()
    if found is None or found.kind != CALIBRATION:
        raise unknown(name, found.kind if found is not None else None)
    return int(found.id)
