"""What asks for a reprocessing besides a new context."""

from __future__ import annotations

import pytest
from databases import ledger, template, url
from small_registry import ALONE, ASSOCIATION, BIAS, EXPOSURES, fill

from calib.errors import ConfigError
from calib.fetch import FetchOptions
from calib.fetch.observations import ObservationQuery
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.reprocessing.sources import select_listed, select_queried, select_users

__all__ = ["ledger", "template", "url"]


def test_a_list_is_taken_as_it_is() -> None:
    """Each name once, visits after exposures; no association is put in place of a member."""
    names = ["acs_8bt_05", EXPOSURES[0], ASSOCIATION, EXPOSURES[0]]
    found = select_listed(map(parse_dataset, names)).marks
    assert [(each.dataset.name, each.wave) for each in found] == [
        (ASSOCIATION, 1),
        (EXPOSURES[0], 1),
        ("acs_8bt_05", 2),
    ]


def test_only_current_products_count_as_users(ledger: Ledger) -> None:
    """The association's current run was not made with the file; the exposure's was."""
    fill(ledger)
    found = ledger.ask(lambda rows: select_users([f"jref${BIAS}"], rows))
    assert [(each.dataset.name, dict(each.changes)) for each in found.marks] == [
        (ALONE, {"BIASFILE": (BIAS, None)})
    ]


def test_a_reference_that_nothing_used_is_told(ledger: Ledger) -> None:
    """A misspelt name plans no empty campaign; neither does a ledger that is not there."""
    with pytest.raises(ConfigError, match=r"no current product.*nobody_drk"):
        ledger.ask(lambda rows: select_users(["nobody_drk.fits"], rows))
    with pytest.raises(ConfigError, match="no current product"):
        select_users([BIAS], None)


def test_observations_become_the_datasets_that_hold_them(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that MAST lists alone are made again with their association."""
    fill(ledger)
    answer = [*EXPOSURES, ALONE, "u2440101t"]
    monkeypatch.setattr("calib.fetch.observations.find_datasets", lambda *_: answer)
    query = ObservationQuery(proposal=9025)
    found = ledger.ask(lambda rows: select_queried(query, FetchOptions(), rows))
    assert [each.dataset.name for each in found.marks] == [ASSOCIATION, ALONE]
    assert [*found.strange] == ["u2440101t"]


def test_an_empty_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proposal that MAST does not know plans nothing."""
    monkeypatch.setattr("calib.fetch.observations.find_datasets", lambda *_: [])
    with pytest.raises(ConfigError, match="no observation like that"):
        select_queried(ObservationQuery(proposal=1), FetchOptions(), None)
