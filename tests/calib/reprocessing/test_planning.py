"""A reprocessing planned on the simulated observatory, and entered in a ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from databases import ledger, template, url

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.campaigns import set_plan
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import Reprocessing, marks, reprocessings
from calib.ledger.reprocessings import NewMark
from calib.records import from_json
from calib.references.changes import AffectedExposure, ReferenceChange
from calib.reprocessing.planning import Asked, Planned, enter, plan_reprocessing
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request

__all__ = ["ledger", "template", "url"]

ABSENT = ReferenceChange("DARKFILE", "a_drk.fits", "absent_drk.fits")
TABLE = ReferenceChange("IDCTAB", "a_idc.fits", "n/a", stage2_only=True)


@pytest.fixture
def asked(observatory: Observatory, url: str, tmp_path: Path) -> Asked:
    """Return a question about the newer context."""
    request = Request(
        source="file:raw",
        output="file:out",
        profile=observatory.profile,
        work="work",
        ledger=url,
    )
    old, new = observatory.contexts
    plan = CampaignPlan(request, workers=4)
    return Asked("july", old, new, "context", plan, {"source": "test"})


def affected(name: str, *changes: ReferenceChange) -> AffectedExposure:
    """Return an affected exposure, or association."""
    return AffectedExposure(name, name, parse_dataset(name).instrument, changes)


EVERY = (
    affected("j8bt05njq", ABSENT, TABLE),
    affected("j8bt06o6q", TABLE),
    affected("l8bt05njq", ABSENT),
)


def entered(ledger: Ledger, name: str = "july") -> Reprocessing:
    """Return a reprocessing as the ledger has it."""
    return ledger.ask(lambda rows: reprocessings(rows, name))[0]


def test_what_is_foreseen(asked: Asked) -> None:
    """Counts, costs, what is missing, what is left out, and canaries."""
    planned = plan_reprocessing(asked, EVERY)
    found = planned.foresight
    assert (found.datasets, found.to_run, found.stage2_only) == (3, 2, 1)
    assert found.kinds == {"acs exposure": 2, "cos exposure": 1}
    assert [dataclasses.astuple(each) for each in found.types] == [
        ("acs", "DARKFILE", 1, 0),
        ("acs", "IDCTAB", 2, 2),
        ("cos", "DARKFILE", 1, 0),
    ]
    why = "no engine calibrates COS: calcos is not on PATH (pip install 'hstflow[cos]')"
    assert found.left_out == {why: 1}
    assert found.missing_references == ("absent_drk.fits",)
    assert found.missing_rules == ()
    assert sum(found.rungs.values()) == found.to_run
    assert 0 < found.wall_seconds < found.cpu_seconds
    assert {each.dataset.name for each in planned.marks if each.is_canary} == {
        "j8bt05njq",
        "j8bt06o6q",
    }


def test_rules_that_are_missing_are_told(asked: Asked) -> None:
    """A context that the cache does not have can be planned, and says what is awaited."""
    planned = plan_reprocessing(dataclasses.replace(asked, new="hst_9876.pmap"), EVERY)
    assert planned.foresight.missing_rules == ("hst_9876.pmap",)


def test_visits_and_skycells_are_left_out_and_stay(asked: Asked) -> None:
    """No engine makes them yet: they are marked, and say so; nothing is timed for them."""
    names = ("j8bt05njq", "acs_8bt_05", "skycell-p2381x06y09")
    given = [NewMark(parse_dataset(name), wave) for wave, name in enumerate(names, 1)]
    planned = plan_reprocessing(asked, given)
    assert [each.left_out is None for each in planned.marks] == [True, False, False]
    assert planned.foresight.kinds == {"acs exposure": 1, "acs visit": 1, "skycell": 1}


def test_a_list_has_canaries_too(asked: Asked) -> None:
    """No type changes that is known: two of each kind run first, none that is left out."""
    names = [f"j8bt0{n}njq" for n in range(4)] + ["j8bt05010", "l8bt05njq"]
    planned = plan_reprocessing(asked, [NewMark(parse_dataset(name), 1) for name in names])
    canaries = [each.dataset.name for each in planned.marks if each.is_canary]
    assert canaries == ["j8bt00njq", "j8bt01njq", "j8bt05010"]
    none = plan_reprocessing(dataclasses.replace(asked, per_type=0), planned.marks)
    assert not any(each.is_canary for each in none.marks)


def test_what_is_entered_comes_back(asked: Asked, ledger: Ledger) -> None:
    """Frozen on the new context with absolute places; the ledger's URL is not in it."""
    planned = plan_reprocessing(asked, EVERY)
    assert enter(planned, "me@here") == "july"
    one = entered(ledger)
    assert (one.state, one.trigger, one.origin) == ("planned", "context", {"source": "test"})
    request = from_json(CampaignPlan, one.plan).request
    assert (request.context, request.campaign, request.ledger) == (asked.new, "july", "")
    assert request.source == f"file:{Path('raw').absolute()}"
    assert request.work == str(Path("work").absolute())
    assert one.foresight["missing_references"] == ["absent_drk.fits"]
    assert one.foresight["graph"]["nodes"]
    found = ledger.ask(lambda rows: marks(rows, one.id))
    assert [each.dataset for each in found] == ["j8bt05njq", "j8bt06o6q", "l8bt05njq"]
    assert [*found[0].changes] == ["DARKFILE", "IDCTAB/stage 2"]


def test_a_transition_is_planned_once(asked: Asked, ledger: Ledger) -> None:
    """The second trigger gets the name of the first, and writes nothing."""
    enter(plan_reprocessing(asked, EVERY), "watch")
    again = dataclasses.replace(asked, name="august")
    assert enter(plan_reprocessing(again, EVERY), "me@here") == "july"
    assert len(ledger.ask(reprocessings)) == 1


def test_lists_are_planned_as_often_as_wanted(asked: Asked, ledger: Ledger) -> None:
    """Only a change of context is done once."""
    for name in ("one", "two"):
        each = dataclasses.replace(asked, name=name, trigger="list", old=None)
        assert enter(plan_reprocessing(each, EVERY), "me@here") == name
    assert len(ledger.ask(reprocessings)) == 2


def test_nothing_affected_is_an_empty_plan(asked: Asked) -> None:
    """It can be shown, and entered by whoever wants to remember that nothing was to do."""
    planned = plan_reprocessing(asked, [])
    assert planned.foresight.datasets == 0
    assert isinstance(planned, Planned)


@pytest.mark.parametrize("name", ["x" * 92, "a/b", "adhoc", ""])
def test_names_that_its_campaigns_could_not_have(asked: Asked, name: str) -> None:
    """NAME-skycells must be a campaign's name, too."""
    with pytest.raises(ConfigError, match="not a name"):
        plan_reprocessing(dataclasses.replace(asked, name=name), EVERY)


def test_the_name_of_a_campaign_is_refused(asked: Asked, ledger: Ledger) -> None:
    """Of all that it would need; before anything is compared or written."""
    ledger.write(lambda c: set_plan(c, "july-visits", context="hst_1.pmap", plan="{}"))
    with pytest.raises(ConfigError, match=r"a campaign of this name.*july-visits"):
        plan_reprocessing(asked, EVERY)


def test_an_engine_that_is_not_there_is_refused(asked: Asked) -> None:
    """As `process` refuses it."""
    options = dataclasses.replace(asked.plan.request.options, engine="nobody")
    request = dataclasses.replace(asked.plan.request, options=options)
    plan = dataclasses.replace(asked.plan, request=request)
    with pytest.raises(ConfigError, match="no such engine"):
        plan_reprocessing(dataclasses.replace(asked, plan=plan), EVERY)
