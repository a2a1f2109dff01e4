"""References that a reprocessing waits for."""

from __future__ import annotations

from databases import ledger, template, url
from small_registry import ALONE, ASSOCIATION, BIAS, fill

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessings import NewMark
from calib.reprocessing.awaited import awaited_references

__all__ = ["ledger", "template", "url"]


def marked(name: str, wave: int = 1, left_out: str | None = None) -> NewMark:
    """Return a mark: another bias, two other darks, and a flat that is not needed any more."""
    changes = {
        "BIASFILE": (BIAS, "y_bia.fits"),
        "DARKFILE": (None, "y_drk.fits"),
        "DARKFILE 2": (None, "Z_DRK.fits"),
        "PFLTFILE": ("x_pfl.fits", "N/A"),
        "MDRIZTAB": ("x_mdz.fits", "NOT FOUND n/a"),
        "CRREJTAB": ("x_crr.fits", "OMIT"),
        "IDCTAB/stage 2": ("x_idc.fits", "y_idc.fits"),
    }
    return NewMark(parse_dataset(name), wave, changes, left_out=left_out)


def test_only_what_is_opened_is_awaited(ledger: Ledger) -> None:
    """The exposure was calibrated with a bias and without a dark: its new darks are not awaited.

    Of the association nothing is known (its current run was found again): all of its are.
    """
    fill(ledger)
    alone = ledger.ask(lambda rows: awaited_references([marked(ALONE)], rows))
    assert alone == {"y_bia.fits"}
    every = ledger.ask(lambda rows: awaited_references([marked(ASSOCIATION)], rows))
    assert every == {"y_bia.fits", "y_drk.fits", "z_drk.fits"}
    assert awaited_references([marked(ALONE)], None) == every


def test_references_of_the_user_are_not_awaited() -> None:
    """Where a person gives the dark, that of the rules is not opened."""
    assert awaited_references([marked(ALONE)], None, ["darkfile"]) == {"y_bia.fits"}


def test_what_is_not_run_awaits_nothing() -> None:
    """Neither datasets that are left out nor visits, whose members name the references."""
    every = [marked("l8bt05njq", left_out="no engine"), marked("acs_8bt_05", 2)]
    assert awaited_references(every, None) == set()
