"""What a reprocessing costs, and the words for what it runs."""

from __future__ import annotations

import pytest
from databases import ledger, template, url

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.reprocessing.costs import costs_of
from calib.reprocessing.foresight import kind_of

__all__ = ["ledger", "template", "url"]

GB = 10**9


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
