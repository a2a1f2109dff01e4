"""Which exposures were calibrated with a reference."""

from __future__ import annotations

from small_registry import ALONE, ASSOCIATION, BIAS, EXPOSURES, fill
from sqlalchemy import update

from calib.ledger.ledger import Ledger
from calib.ledger.published_contexts import (
    base_contexts,
    current_contexts,
    newest_context,
    usual_context,
)
from calib.ledger.reference_usage import usage_of
from calib.ledger.schema import run


def test_by_name_and_by_checksum(ledger: Ledger) -> None:
    """Each use once, also where name and checksum are asked for."""
    fill(ledger)
    found = ledger.ask(lambda rows: usage_of(rows, [BIAS, "b" * 40]))
    assert [(each.dataset, each.exposure) for each in found] == [
        *((ASSOCIATION, f"{name}_raw.fits") for name in EXPOSURES),
        (ALONE, f"{ALONE}_raw.fits"),
    ]
    assert {(each.keyword, each.sha1, each.run) for each in found} == {("BIASFILE", "b" * 40, "r1")}
    assert ledger.ask(lambda rows: usage_of(rows, [BIAS], current=True)) == found[2:]


def test_contexts_of_what_is_current(ledger: Ledger) -> None:
    """The newest is what the last publication was made on; counts are by context."""
    assert ledger.ask(newest_context) is None
    fill(ledger)
    assert ledger.ask(newest_context) == "hst_1.pmap"
    assert ledger.ask(current_contexts) == {"hst_1.pmap": 2}


def test_what_has_to_leave_its_context(ledger: Ledger) -> None:
    """The usual context is that of the newest product, else that of the most others."""
    assert ledger.ask(lambda rows: usual_context(rows, "hst_2.pmap")) is None
    fill(ledger)
    assert ledger.ask(lambda rows: usual_context(rows, "hst_2.pmap")) == "hst_1.pmap"
    assert ledger.ask(lambda rows: usual_context(rows, "hst_1.pmap")) is None
    ledger.write(lambda c: c.execute(update(run).where(run.c.name == "r1").values(context="hst_0")))
    assert ledger.ask(lambda rows: usual_context(rows, "hst_1.pmap")) == "hst_0"
    assert ledger.ask(base_contexts) == ["hst_0", "hst_1.pmap"]
