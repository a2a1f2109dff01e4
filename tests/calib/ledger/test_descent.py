"""What hangs on exposures, as the ledger knows it."""

from __future__ import annotations

from small_registry import ALONE, ASSOCIATION, EXPOSURES, RUN, fill, process, published

from calib.ledger.descent import (
    associations_making,
    associations_of,
    known_datasets,
    made_from_datasets,
    required_keywords,
)
from calib.ledger.ledger import Ledger


def test_members_and_products_of_associations(ledger: Ledger) -> None:
    """An exposure is held; a product is made."""
    fill(ledger)
    names = [*EXPOSURES, ASSOCIATION, ALONE]
    assert ledger.ask(lambda rows: associations_of(rows, names)) == {
        name: {ASSOCIATION} for name in EXPOSURES
    }
    assert ledger.ask(lambda rows: associations_making(rows, names)) == {ASSOCIATION: {ASSOCIATION}}
    assert ledger.ask(lambda rows: known_datasets(rows, names)) == {ASSOCIATION, ALONE}


def test_what_was_made_from_files(ledger: Ledger) -> None:
    """By rootname and by bytes; the filter says what counts."""
    fill(ledger)
    ledger.ensure_run("hap", **RUN)
    process(ledger, published("hap", "acs_8bt_05", "x_drc.fits"), [f"{EXPOSURES[0]}_raw.fits"])
    found = ledger.ask(
        lambda rows: made_from_datasets(
            rows, [*EXPOSURES, ASSOCIATION], wanted=lambda name: name.startswith("acs_")
        )
    )
    assert found == {EXPOSURES[0]: {"acs_8bt_05"}, ASSOCIATION: {"acs_8bt_05"}}


def test_types_that_were_opened(ledger: Ledger) -> None:
    """Only of what is current, and made by an attempt that is known."""
    fill(ledger)
    assert ledger.ask(lambda rows: required_keywords(rows, [ASSOCIATION, ALONE])) == {
        ALONE: {"BIASFILE": True, "DARKFILE": False}
    }


def test_nothing_is_asked_of_nothing(ledger: Ledger) -> None:
    """No names, no question."""
    assert ledger.ask(lambda rows: known_datasets(rows, [])) == set()
