"""Upsert: new rows, known rows, none."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from calib.ledger.ledger import Ledger
from calib.ledger.schema import member
from calib.ledger.upsert import upsert

KEY = ("association", "rootname")


def row(rootname: str, kind: str, *, present: bool = True) -> dict[str, Any]:
    """Return a row of an association table."""
    return {"association": "a", "rootname": rootname, "type": kind, "present": present}


def test_new_rows_are_inserted_and_known_rows_changed(ledger: Ledger) -> None:
    """Rows whose key is there take the new values and keep their number."""

    def put(*rows: dict[str, Any]) -> list[tuple[Any, ...]]:
        ledger.write(lambda c: upsert(c, member, rows, KEY))
        query = select(member.c.id, member.c.rootname, member.c.type).order_by("rootname")
        return ledger.write(lambda c: [tuple(each) for each in c.execute(query)])

    assert put() == []
    ((number, *first),) = put(row("x", "EXP-CRJ"))
    assert first == ["x", "EXP-CRJ"]
    after = put(row("y", "EXP-CRJ"), row("x", "EXP-RPT"))
    assert [each[1:] for each in after] == [("x", "EXP-RPT"), ("y", "EXP-CRJ")]
    assert after[0][0] == number
