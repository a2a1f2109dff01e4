"""`hstflow deploy` on a real server: all of prefect.yaml, twice, and what an upgrade changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaos import ROOT

from deployments.cli.main import run
from deployments.deploying.memory import read_memory
from deployments.deploying.server import Server, open_server

pytestmark = pytest.mark.prefect

DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.fixture
def told(prefect_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Point this process at the server of the tests, and take away what it deploys."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    url = prefect_environment["PREFECT_API_URL"]
    monkeypatch.setenv("PREFECT_API_URL", url)
    with temporary_settings({PREFECT_API_URL: url}), open_server() as server:
        clear(server)
        yield server
        clear(server)


def clear(server: Server) -> None:
    """Take away what is deployed, also by other tests, and what is remembered of it."""
    for kind in ("deployments", "automations"):
        for each in server.tell("POST", f"/{kind}/filter", {}):
            server.tell("DELETE", f"/{kind}/{each['id']}")
    if server.get("/variables/name/hstflow_deployed") is not None:
        server.tell("DELETE", "/variables/name/hstflow_deployed")


def steps(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[str]]:
    """Run `hstflow deploy`; return what it says of each action, KIND NAME."""
    capsys.readouterr()
    assert run(["deploy", *words, "--pool", "told", "--json"]) == 0
    found: dict[str, list[str]] = {}
    for step in json.loads(capsys.readouterr().out)["steps"]:
        found.setdefault(step["action"], []).append(f"{step['kind']} {step['name']}")
    return found


def automation_of(told: Server) -> dict[str, Any]:
    """Return the automation that starts a reprocessing; each is there once."""
    found = {each["name"]: each for each in told.tell("POST", "/automations/filter", {})}
    assert sorted(found) == ["hst-campaign-failing-pause", "hst-crds-context-changed"]
    return found["hst-crds-context-changed"]


def test_deployed_twice_changes_nothing_twice(
    told: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an operator paused, switched off, added or set stays; nothing is there twice."""
    first = steps(capsys, "--set", "campaign.how.chunk_size=200")
    watch = told.get("/deployments/name/context-watch/context-watch") or {}
    path = f"/deployments/{watch['id']}"
    told.tell("PATCH", f"{path}/schedules/{watch['schedules'][0]['id']}", {"active": False})
    hourly = {"schedule": {"cron": "5 * * * *", "timezone": "UTC"}, "active": True}
    told.tell("POST", f"{path}/schedules", [hourly])
    told.tell("PATCH", path, {"parameters": {"patience": 3}})
    automation = automation_of(told)
    told.tell("PATCH", f"/automations/{automation['id']}", {"enabled": False})

    again = steps(capsys)
    after = told.get("/deployments/name/context-watch/context-watch") or {}
    campaign = told.get("/deployments/name/campaign/campaign") or {}

    assert len([each for each in first["create"] if each.startswith("deployment ")]) == len(
        DEPLOYMENTS
    )
    assert {*again} == {"keep"}
    shown = {(each["schedule"]["cron"], each["active"]) for each in after["schedules"]}
    assert shown == {("*/15 * * * *", False), ("5 * * * *", True)}
    assert after["parameters"] == {"patience": 3}
    assert campaign["parameters"] == {"how": {"chunk_size": 200}}
    automation = automation_of(told)
    assert (automation["name"], automation["enabled"]) == ("hst-crds-context-changed", False)
    queues = told.tell("POST", "/work_pools/told/queues/filter", {})
    places = {each["name"]: each["priority"] for each in queues}
    assert places["interactive"] < places["campaign"] < places["upkeep"]

    assert len(steps(capsys, "--remove", "--yes")["delete"]) == len(DEPLOYMENTS) + 2
    assert told.tell("POST", "/deployments/filter", {}) == []
    assert told.tell("POST", "/automations/filter", {}) == []
    assert read_memory(told) == {}


def test_changed_file_changes_what_it_says_alone(
    told: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Another cron and another match are updates of the two; a schedule stays paused."""
    steps(capsys, "--no-schedules")
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    by_name = {each["name"]: each for each in described["deployments"]}
    by_name["nightly-verify"]["schedules"][0]["cron"] = "0 5 * * *"
    by_name["reprocess"]["triggers"][0]["match"] = {"prefect.resource.id": "other"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(described))

    dry = steps(capsys, "--file", str(path), "--dry-run")
    wet = steps(capsys, "--file", str(path))

    changed = ["automation hst-crds-context-changed", "schedule nightly-verify/nightly"]
    assert sorted(dry["update"]) == sorted(wet["update"]) == changed
    assert {*steps(capsys, "--file", str(path))} == {"keep"}
    nightly = told.get("/deployments/name/nightly-verify/nightly-verify") or {}
    (schedule,) = nightly["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 5 * * *", False)
    automation = automation_of(told)
    assert automation["trigger"]["match"] == {"prefect.resource.id": "other"}


def without(folder: Path) -> str:
    """Return a prefect.yaml in which the upkeep has no schedule and no trigger."""
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for each in described["deployments"]:
        each.pop("schedules", None)
        each.pop("triggers", None)
    path = folder / "older.yaml"
    path.write_text(yaml.safe_dump(described))
    return str(path)


def running_schedules(told: Server) -> dict[str, bool]:
    """Return whether each schedule that has a name runs."""
    return {
        str(each["slug"]): each["active"]
        for deployment in told.tell("POST", "/deployments/filter", {})
        for each in deployment["schedules"]
    }


def test_what_a_newer_file_drops_stands_still_and_can_come_back(
    told: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Schedules are paused and automations off, but for an operator's; the old file undoes it."""
    steps(capsys)
    watch = told.get("/deployments/name/context-watch/context-watch") or {}
    hourly = {"schedule": {"cron": "5 * * * *", "timezone": "UTC"}, "active": True, "slug": "mine"}
    told.tell("POST", f"/deployments/{watch['id']}/schedules", [hourly])
    before = running_schedules(told)

    dropped = steps(capsys, "--file", without(tmp_path))
    after, automation = running_schedules(told), automation_of(told)
    steps(capsys)

    assert all(before.values())
    assert [name for name, is_active in after.items() if is_active] == ["mine"]
    assert "schedule context-watch/quarterly" in dropped["update"]
    assert "automation hst-crds-context-changed" in dropped["update"]
    assert automation["enabled"] is False
    assert running_schedules(told) == before


def test_schedules_are_paused_and_go_on(told: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """--no-schedules stays until --schedules; a plain deploy changes nothing of it."""
    steps(capsys, "--no-schedules")
    paused = running_schedules(told)
    steps(capsys)
    still = running_schedules(told)
    steps(capsys, "--schedules")

    assert set(paused.values()) == set(still.values()) == {False}
    assert set(running_schedules(told).values()) == {True}


def limit_of(told: Server, name: str) -> int:
    """Return how many runs of a deployment the server allows."""
    found = told.get(f"/deployments/name/{name}/{name}") or {}
    return int(found["global_concurrency_limit"]["limit"])


def test_more_at_once_stays_and_queues_lose_their_limits(
    told: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A limit that was asked for outlives the next deploy, another file changes the others."""
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for each in described["deployments"]:
        if each["name"] in {"campaign", "campaign-chunk"}:
            each["concurrency_limit"]["limit"] = 3
    described["definitions"]["work_queues"]["campaign"]["concurrency_limit"] = 1
    older = tmp_path / "older.yaml"
    older.write_text(yaml.safe_dump(described))

    steps(capsys, "--file", str(older), "--at-once", "campaign-chunk=16")
    first = limit_of(told, "campaign"), limit_of(told, "campaign-chunk")
    queue = told.get("/work_pools/told/queues/campaign") or {}
    assert (first, queue["concurrency_limit"]) == ((3, 16), 1)

    steps(capsys)
    queue = told.get("/work_pools/told/queues/campaign") or {}
    assert (limit_of(told, "campaign"), limit_of(told, "campaign-chunk")) == (2, 16)
    assert queue["concurrency_limit"] is None
    assert {*steps(capsys)} == {"keep"}


def test_what_is_lost_is_shown_before_and_after(
    told: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parameters that no longer go, and deployments that are gone, are notes of the command."""
    words = ["deploy", "--pool", "told"]
    assert run([*words, "--set", "campaign.output_uri=s3://a/b"]) == 0
    campaign = told.get("/deployments/name/campaign/campaign") or {}
    old = {"output_uri": "s3://a/b", "how": {"workers": 2, "old_name": 1}}
    change = {"parameters": old, "enforce_parameter_schema": False}
    told.tell("PATCH", f"/deployments/{campaign['id']}", change)
    new = {"name": "renamed", "flow_id": campaign["flow_id"]}
    renamed = told.tell("POST", "/deployments/", new)
    memory = read_memory(told)
    memory["renamed"] = memory["campaign"]
    told.tell("PATCH", "/variables/name/hstflow_deployed", {"value": memory})
    capsys.readouterr()

    for more in (["--dry-run"], []):
        assert run([*words, *more]) == 0
        said = capsys.readouterr()
        assert "note: deployment campaign/campaign: how.old_name=1 is left out" in said.err
        assert "note: deployment renamed: is in prefect.yaml no more" in said.err
    told.tell("DELETE", f"/deployments/{renamed['id']}")
    campaign = told.get("/deployments/name/campaign/campaign") or {}
    assert campaign["parameters"] == {"output_uri": "s3://a/b", "how": {"workers": 2}}
    assert run(["deploy", "campaign", "--remove"]) == 0
    assert "note: deployment campaign/campaign: had output_uri" in capsys.readouterr().err


def test_form_of_the_server_explains_every_parameter(
    told: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """The schema that the pages get has title and description of every field."""
    steps(capsys)
    found = told.tell("POST", "/deployments/filter", {})

    lacking = [
        f"{each['name']}: {name}"
        for each in found
        for group in (
            each["parameter_openapi_schema"],
            *each["parameter_openapi_schema"].get("definitions", {}).values(),
        )
        for name, field in group.get("properties", {}).items()
        if not (field.get("title") and field.get("description"))
    ]

    assert len(found) == len(DEPLOYMENTS)
    assert lacking == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch"], "no such deployment"),
        (["--set", "campaign.how.workers=0"], "how.workers"),
        (["--set", "nosuch.a=1"], "no such deployment"),
        (["campaign", "--set", "reprocess.name=x"], "not deployed now"),
        (["--type", "docker"], "needs image"),
        (["--image", "x"], "no variable image"),
        (["--file", "nowhere.yaml"], "not a prefect.yaml"),
        (["--at-once", "nosuch=2"], "no such deployment"),
        (["--at-once", "campaign=0"], "not a limit"),
    ],
)
def test_bad_words_change_nothing(
    told: Server, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """All is checked before anything is changed."""
    assert run(["deploy", "--pool", "bad", *words]) == 2

    assert said in capsys.readouterr().err
    assert told.get("/work_pools/bad") is None
    assert told.tell("POST", "/deployments/filter", {}) == []
