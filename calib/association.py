"""Association tables: which exposures belong together, and what is made of them.

Pure: the functions take rows, not a path, so fetch and the engines can each read the table
with their own file handling. A table has the columns MEMNAME, MEMTYPE and MEMPRSNT (ACS Data
Handbook, section 2.2.1); types look like ``EXP-CRJ`` or ``PROD-RP2`` in ACS and WFC3 tables,
``EXP-FP`` in COS tables, ``CRSPLIT``, ``AUTO-WAVECAL`` and ``PRODUCT`` in STIS tables.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from calib.errors import ConfigError, CorruptFile, MissingMember
from calib.ids import parse_dataset
from calib.records import Member

Combination = Literal["CR", "RP", "DTH"]

# EXP-CR1, PROD-CRJ, EXP-RPT, PROD-RP2, EXP-DTH: the last character of CR and RP types is the
# position; it is letter J or T where there is one position only (HSTCAL, calacs and calwf3).
_TYPE = re.compile(r"(?P<role>EXP|PROD)-(?:(?P<kind>CR|RP)(?P<position>[0-9A-Z])|(?P<dither>DTH))")


@dataclass(frozen=True)
class Position:
    """The exposures at one pointing that are combined into one sub-product.

    Attributes
    ----------
    kind
        ``CR`` (cosmic-ray split), ``RP`` (repeated exposure) or ``DTH`` (dither pattern).
    label
        Last character of the member type (``1``, ``J``, ``T``); empty for ``DTH``.
    exposures
        Names of the exposures that are present, in table order, lower case.
    product
        Name of the sub-product, lower case; None where the table names none, which is so
        for exposures that go into a dither product one by one.
    """

    kind: Combination
    label: str
    exposures: tuple[str, ...]
    product: str | None


@dataclass(frozen=True)
class Association:
    """An association table, read.

    Attributes
    ----------
    name
        The association, lower case.
    members
        All rows in table order: names in lower case, types in upper case.
    """

    name: str
    members: tuple[Member, ...]

    @property
    def exposures(self) -> tuple[Member, ...]:
        """The rows that are inputs: every type that is not a product."""
        return tuple(m for m in self.members if not _is_product(m))

    @property
    def products(self) -> tuple[Member, ...]:
        """The rows that calibration makes (``PROD-*``, and ``PRODUCT`` in STIS tables)."""
        return tuple(m for m in self.members if _is_product(m))

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the exposures that must be there: those marked present, in table order."""
        return tuple(m.name for m in self.exposures if m.present)

    @property
    def positions(self) -> tuple[Position, ...]:
        """The groups of ACS and WFC3 exposures to combine, in the order of their first row.

        Rows of other types (COS, STIS) form no position: their programs read the table.
        """
        keys = [key for m in self.members if (key := _position(m)) is not None]
        return tuple(self._gather(kind, label) for kind, label in dict.fromkeys(keys))

    def _gather(self, kind: Combination, label: str) -> Position:
        rows = [m for m in self.members if _position(m) == (kind, label)]
        exposures = tuple(m.name for m in rows if m.present and not _is_product(m))
        product = next((m.name for m in rows if _is_product(m)), None)
        return Position(kind, label, exposures, product)


def read_rows(name: str, rows: Iterable[Sequence[Any]]) -> Association:
    """Read the rows of an association table.

    Parameters
    ----------
    name
        Name of the association, for the record and for messages.
    rows
        MEMNAME, MEMTYPE and MEMPRSNT of each row. Names and types may have any case and
        trailing blanks; old tables have ``EXP_CRJ`` for ``EXP-CRJ``. MEMPRSNT is a truth
        value or the text ``T``, ``F``, ``YES`` or ``NO``.

    Raises
    ------
    CorruptFile
        A name is not an ipppssoot (so it can be used in file names afterwards), a value
        has no meaning, or an exposure is listed twice, which would combine it with itself.
    MissingMember
        No exposure is marked present.
    """
    members = tuple(_member(name, row) for row in rows)
    association = Association(name.lower(), members)
    counts = Counter(m.name for m in association.exposures)
    if twice := sorted(n for n, count in counts.items() if count > 1):
        raise CorruptFile("association table lists an exposure twice", dataset=name, found=twice)
    if not association.required:
        raise MissingMember(
            "association table marks no exposure as present",
            dataset=name,
            expected="at least one exposure with MEMPRSNT true",
            found=[f"{m.name} {m.type}" for m in members] or "no rows",
        )
    return association


def _member(association: str, row: Sequence[Any]) -> Member:
    name, kind, present = row
    try:
        member = parse_dataset(str(name).strip())
    except ConfigError as error:
        raise CorruptFile(
            "association table names something that is no exposure",
            dataset=association,
            expected="ipppssoot such as j8bt05njq",
            found=repr(name),
        ) from error
    member_type = str(kind).strip().upper().replace("_", "-")
    return Member(member.name, member_type, _truth(association, present))


def _truth(association: str, value: Any) -> bool:
    """Read MEMPRSNT; the text "F" must not count as true."""
    text = str(value).strip().upper()
    meaning = {"TRUE": True, "T": True, "YES": True, "1": True}
    meaning |= {"FALSE": False, "F": False, "NO": False, "0": False}
    if text not in meaning:
        raise CorruptFile(
            "MEMPRSNT is no truth value", dataset=association, expected="T or F", found=repr(value)
        )
    return meaning[text]


def _is_product(member: Member) -> bool:
    return member.type.startswith("PROD")


def _position(member: Member) -> tuple[Combination, str] | None:
    match = _TYPE.fullmatch(member.type)
    if match is None:
        return None
    if match["dither"]:
        return "DTH", ""
    return ("CR" if match["kind"] == "CR" else "RP"), match["position"]
