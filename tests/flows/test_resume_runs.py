"""Runs of `campaign-resume` on a real server: one for a campaign, a dead one replaced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Crashed, Running

from calib.ledger.campaign_reports import Campaign, CampaignSession
from flows import open_runs as runs_module
from flows.resume_runs import ensure_resumed

pytestmark = pytest.mark.prefect

LONG, NOW = timedelta(hours=1), timedelta(0)
NAMES = ("campaign-resume", "campaign")


def campaign_of(name: str, heartbeat: datetime | None = None) -> Campaign:
    """Return a campaign whose last session, if any, gave its last sign then."""
    session = None
    if heartbeat is not None:
        when = heartbeat.isoformat()
        session = CampaignSession(1, "gone", 1, 0.0, "", None, when, when, when, "failed", None)
    return Campaign(1, name, "hst_0001.pmap", 0, "run", "", {"a": 1}, session, {"submitted": 1})


def standin(name: str) -> Any:
    """Return a flow of that name with the parameters that runs are given."""

    @flow(name=name)
    def resume(name: str, *, unless_paused: bool = False) -> None:
        """Do nothing: nobody runs it here."""

    return resume


@pytest.fixture
def server(prefect_environment: dict[str, str]) -> Iterator[None]:
    """Point this process at the server, which has both deployments without a work pool."""
    with (
        temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}),
        get_client(sync_client=True) as client,
    ):
        made = [client.create_deployment(client.create_flow(standin(n)), n) for n in NAMES]
        yield
        for run in our_runs():
            client.delete_flow_run(run.id)
        for each in made:
            client.delete_deployment(each)


def our_runs() -> list[FlowRun]:
    """Return the runs of both deployments; the server has those of other tests, too."""
    with get_client(sync_client=True) as client:
        mine = {client.read_deployment_by_name(f"{name}/{name}").id for name in NAMES}
        return [run for run in client.read_flow_runs() if run.deployment_id in mine]


def states(name: str) -> list[str]:
    """Return the states of the runs for a campaign."""
    return sorted(str(run.state_name) for run in our_runs() if run.parameters["name"] == name)


def move(name: str, state: State[Any]) -> None:
    """Bring the run for a campaign into a state."""
    (run,) = (run for run in our_runs() if run.parameters["name"] == name)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)


def test_one_that_waits_will_do_and_other_campaigns_have_their_own(server: None) -> None:
    """Looks every four hours with no worker queue one run for each campaign, not six a day."""
    spring, autumn = campaign_of("spring"), campaign_of("autumn")

    first = ensure_resumed(spring, dead_after=NOW)
    again = [ensure_resumed(spring, dead_after=NOW) for _ in range(3)]
    other = ensure_resumed(autumn, dead_after=NOW)

    assert (first, other) == ("spring is resumed", "autumn is resumed")
    assert all("already (Scheduled)" in said for said in again)
    assert states("spring") == states("autumn") == ["Scheduled"]
    (run,) = (run for run in our_runs() if run.parameters["name"] == "spring")
    assert run.parameters == {"name": "spring", "unless_paused": True}


def test_campaign_that_a_person_started_will_do(server: None) -> None:
    """A run of the deployment `campaign` goes on with a campaign of its name."""
    run_deployment("campaign/campaign", parameters={"name": "spring"}, timeout=0)

    assert "already (Scheduled)" in ensure_resumed(campaign_of("spring"))
    assert states("spring") == ["Scheduled"]


def test_run_without_a_sign_is_buried_and_replaced(server: None) -> None:
    """Running for long and nobody in the ledger: its host went down, and it would block all."""
    ensure_resumed(campaign_of("spring"))
    move("spring", Running())

    begins = ensure_resumed(campaign_of("spring"), dead_after=LONG)
    ends = ensure_resumed(campaign_of("spring", datetime.now(UTC) + LONG), dead_after=NOW)
    dead = ensure_resumed(campaign_of("spring", datetime.now(UTC) - LONG), dead_after=NOW)

    assert "already (Running)" in begins
    assert "already (Running)" in ends
    assert dead == "spring is resumed"
    assert states("spring") == ["Crashed", "Scheduled"]


@pytest.mark.parametrize("state", [Completed(), Crashed()])
def test_one_that_has_ended_is_followed_by_another(server: None, state: State[Any]) -> None:
    """What was left behind after a run is taken up by the next."""
    ensure_resumed(campaign_of("spring"))
    move("spring", state)

    assert ensure_resumed(campaign_of("spring")) == "spring is resumed"
    assert states("spring") == sorted([str(state.name), "Scheduled"])


def test_every_page_is_looked_at(server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives a part at a time: what is in the last one counts as well."""
    monkeypatch.setattr(runs_module, "_PAGE", 2)
    names = ("a", "b", "c", "d", "e")
    for name in names:
        ensure_resumed(campaign_of(name))

    assert sorted(run.parameters["name"] for run in runs_module.open_runs(NAMES[0])) == [*names]
    assert "already" in ensure_resumed(campaign_of("e"))
