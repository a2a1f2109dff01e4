"""What the columns of the ledger can hold, looked at before anything is written.

SQLite takes any text and most numbers; PostgreSQL refuses all rows of a statement for one
value. What fits here fits both, so that a ledger can move from one to the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, Table
from sqlalchemy.types import TypeEngine

from calib.errors import ArchiveError

Rows = Iterable[tuple[Table, Mapping[str, Any]]]

# Characters of a value that a message shows.
_SHOWN = 40


class _Fault(NamedTuple):
    what: str
    expected: str
    found: str


def refuse_unfit(dataset: str, rows: Rows) -> None:
    """Refuse a value that no column holds, before it stops the rows of others.

    Parameters
    ----------
    dataset
        Whose rows they are, for the message.
    rows
        Tables, and values by column.

    Raises
    ------
    ArchiveError
        A text is too long, or has a character that is none; a number is too large, or none.
    """
    for table, row in rows:
        for name, value in row.items():
            fault = _fault_of(value, table.c[name].type)
            if fault is not None:
                raise ArchiveError(
                    f"the ledger cannot hold this: {table.name}.{name} {fault.what}",
                    dataset=dataset,
                    expected=fault.expected,
                    found=fault.found,
                )


def _fault_of(value: object, kind: TypeEngine[Any]) -> _Fault | None:
    if isinstance(value, str):
        return _fault_of_text(value, getattr(kind, "length", None))
    if isinstance(value, float) and not math.isfinite(value):
        return _Fault("is no number", "a finite number", repr(value))
    if isinstance(value, int) and isinstance(kind, Integer):
        bits = 63 if isinstance(kind, BigInteger) else 31
        if not -(2**bits) <= value < 2**bits:
            return _Fault("is too large", f"{bits} bits", str(value)[:_SHOWN])
    return None


def _fault_of_text(value: str, longest: int | None) -> _Fault | None:
    if longest is not None and len(value) > longest:
        found = f"{len(value)} characters: {value[:_SHOWN]!r}..."
        return _Fault("is too long", f"{longest} characters", found)
    # Half a pair of UTF-16, as JSON may have it, is no character.
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return _Fault("has a character that is none", "text", repr(value[:_SHOWN]))
    return None
