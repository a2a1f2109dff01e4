"""References that a reprocessing waits for, and what it costs."""

from __future__ import annotations

import pytest
from databases import ledger, template, url
from small_registry import ALONE, ASSOCIATION, BIAS, fill

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessings import NewMark
from calib.reprocessing.costs import costs_of
from calib.reprocessing.foresight import kind_of, needed_references

__all__ = ["ledger", "template", "url"]

GB = 10**9


def marked(name: str, wave: int = 1, left_out: str | None = None) -> NewMark:
    """Return a mark: another bias, two other darks, and a flat that is not needed any more."""
    changes = {
        "BIASFILE": (BIAS, "y_bia.fits"),
        "DARKFILE": (None, "y_drk.fits"),
        "DARKFILE 2": (None, "Z_DRK.fits"),
        "PFLTFILE": ("x_pfl.fits", "N/A"),
        "MDRIZTAB": ("x_mdz.fits", "NOT FOUND n/a"),
        "IDCTAB/stage 2": ("x_idc.fits", "y_idc.fits"),
    }
    return NewMark(parse_dataset(name), wave, changes, left_out=left_out)


def test_only_what_is_opened_is_awaited(ledger: Ledger) -> None:
    """The exposure was calibrated with a bias and without a dark: its new darks are not awaited.

    Of the association nothing is known (its current run was found again): all of its are.
    """
    fill(ledger)
    alone = ledger.ask(lambda rows: needed_references([marked(ALONE)], rows))
    assert alone == {"y_bia.fits"}
    every = ledger.ask(lambda rows: needed_references([marked(ASSOCIATION)], rows))
    assert every == {"y_bia.fits", "y_drk.fits", "z_drk.fits"}
    assert needed_references([marked(ALONE)], None) == every


def test_references_of_the_user_are_not_awaited() -> None:
    """Where a person gives the dark, that of the rules is not opened."""
    assert needed_references([marked(ALONE)], None, ["DARKFILE"]) == {"y_bia.fits"}


def test_what_is_not_run_awaits_nothing() -> None:
    """Neither datasets that are left out nor visits, whose members name the references."""
    every = [marked("l8bt05njq", left_out="no engine"), marked("acs_8bt_05", 2)]
    assert needed_references(every, None) == set()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("j8bt05njq", "acs exposure"),
        ("iaaj01010", "wfc3 association"),
        ("acs_8bt_05", "acs visit"),
        ("skycell-p2381x06y09", "skycell"),
    ],
)
def test_kinds_have_words(name: str, kind: str) -> None:
    """What people call a dataset."""
    assert kind_of(parse_dataset(name)) == kind


def test_waves_follow_each_other() -> None:
    """A wave takes as long as its longest dataset at least; workers share the rest."""
    one = [(parse_dataset("j8bt05njq"), 1)]
    many = [(parse_dataset(f"j8bt{n:04d}q"), 1) for n in range(100)]
    visit = [(parse_dataset("acs_8bt_05"), 2)]
    rungs = (2 * GB, 64 * GB)
    single = costs_of(one, None, workers=8, rungs=rungs)
    assert single.wall_seconds == single.cpu_seconds > 0
    shared = costs_of(many, None, workers=8, rungs=rungs)
    assert shared.wall_seconds == pytest.approx(shared.cpu_seconds / 8)
    both = costs_of([*many, *visit], None, workers=8, rungs=rungs)
    alone = costs_of(visit, None, workers=8, rungs=rungs)
    assert both.wall_seconds == pytest.approx(shared.wall_seconds + alone.wall_seconds)
    assert sum(both.rungs.values()) == 101


def test_nothing_costs_nothing(ledger: Ledger) -> None:
    """An empty plan has no time and no memory."""
    found = ledger.ask(lambda rows: costs_of([], rows, workers=2, rungs=()))
    assert (found.cpu_seconds, found.wall_seconds, found.rungs) == (0, 0, {})
