"""What a flow run of `reprocess` was asked for: compared, named and entered."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from calib.errors import ConfigError
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import reprocessings, seen_contexts
from calib.ledger.reprocessings import advance, see_context
from calib.references.changes import AffectedExposure
from calib.reprocessing.selection import Selection
from calib.simulate.observatory import Observatory
from calib.stages.recording import close_ledgers
from flows import reprocessing_plan
from flows.parameters import CampaignOptions, ReprocessOptions
from flows.reprocessing_plan import Wanted, enter_wanted

OF_A_DEPLOYMENT = SimpleNamespace(deployment=SimpleNamespace(id="some"))
OF_NONE = SimpleNamespace(deployment=SimpleNamespace(id=None))


@pytest.mark.parametrize("place", ["file:.", "file:out", "out", "."])
def test_folder_of_the_run_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is removed with the run; a person's own folder is another thing."""
    monkeypatch.setattr(reprocessing_plan, "runtime", OF_A_DEPLOYMENT)
    with pytest.raises(ConfigError, match="a place for its products that lasts"):
        reprocessing_plan._refuse_lost_output(place)

    monkeypatch.setattr(reprocessing_plan, "runtime", OF_NONE)
    reprocessing_plan._refuse_lost_output(place)


@pytest.mark.parametrize("place", ["file:/data/out", "file:///data/out", "s3://bucket/hst", "/o"])
def test_place_that_lasts_is_taken(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute folders and buckets are there afterwards."""
    monkeypatch.setattr(reprocessing_plan, "runtime", OF_A_DEPLOYMENT)
    reprocessing_plan._refuse_lost_output(place)


@pytest.fixture
def books(observatory: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Return the empty ledger of the settings."""
    url = f"sqlite:///{tmp_path / 'plans.db'}"
    settings = {"HSTFLOW_LEDGER": url, "HSTFLOW_WORK": str(tmp_path / "work")}
    for name, value in {**observatory.environ, **settings}.items():
        monkeypatch.setenv(name, value)
    return open_ledger(url)


def wanted(observatory: Observatory, old: str, new: str, **asked: Any) -> Wanted:
    """Return what a run for a change of context is asked for."""
    places = f"file:{observatory.raws}", "file:/data/out"
    return Wanted(old, new, None, *places, ReprocessOptions(**asked), CampaignOptions())


def test_no_transaction_is_open_while_contexts_are_compared(
    books: Ledger, observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others write meanwhile is seen; as many processes compare as were asked for."""
    told = {}

    def compare(_: object, new: str, rows: Rows, **how: Any) -> Iterable[AffectedExposure]:
        told.update(how)
        assert seen_contexts(rows) == []
        books.write(lambda c: see_context(c, "server", new))
        assert len(seen_contexts(rows)) == 1
        return iter(())

    monkeypatch.setattr(reprocessing_plan, "compare_current", compare)
    enter_wanted(wanted(observatory, *observatory.contexts, processes=2))
    assert told == {"otherwise": observatory.contexts[0], "processes": 2}
    close_ledgers()


def test_change_that_comes_again_after_a_way_back_has_a_name_of_its_own(
    books: Ledger, observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is entered once, whoever asks how often."""
    nothing = Selection(())
    monkeypatch.setattr(reprocessing_plan, "_select_changed", lambda *_: nothing)
    old, new = observatory.contexts
    for change, name in (
        ((old, new), "9001-9002"),
        ((new, old), "9002-9001"),
        ((old, new), "9001-9002-2"),
    ):
        assert enter_wanted(wanted(observatory, *change)) == name
        assert enter_wanted(wanted(observatory, *change)) == name
        books.write(lambda c, name=name: advance(c, name, "finished", who="test"))
    assert len(books.ask(reprocessings)) == 3
    close_ledgers()
