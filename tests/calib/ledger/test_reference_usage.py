"""Which exposures were calibrated with a reference."""

from __future__ import annotations

from small_registry import ALONE, ASSOCIATION, BIAS, EXPOSURES, fill

from calib.ledger.ledger import Ledger
from calib.ledger.published_contexts import current_contexts, newest_context
from calib.ledger.reference_usage import usage_of


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
