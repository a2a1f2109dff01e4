"""prefect.yaml: found, read, checked before use; and forms in which nothing is unexplained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from calib.errors import ConfigError
from deployments.cli.deploy import WORKER_LIMIT
from deployments.cli.up import UpFlags
from deployments.deploying.described import Description, own_file, read_description
from deployments.deploying.wishes import (
    Wishes,
    parse_limits,
    parse_settings,
    wished_for,
    with_parameters,
)

ROOT = Path(__file__).parents[3]
NAMES = {
    *("process-dataset", "campaign", "campaign-chunk", "campaign-resume", "context-watch"),
    *("reprocess", "nightly-verify", "retry-transient", "watch-campaigns", "pause-campaign"),
}


@pytest.fixture(scope="module")
def described() -> Description:
    """Return what the project's own file describes."""
    return read_description(own_file())


def fields_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return every parameter, and every option in a group of them."""
    yield from schema["properties"].items()
    for group, content in schema.get("definitions", {}).items():
        for name, field in content.get("properties", {}).items():
            yield f"{group}.{name}", field


def test_own_file_is_that_of_the_repository(described: Description) -> None:
    """There is one file; all of its deployments have the version of the package."""
    assert described.path == ROOT / "prefect.yaml"
    assert {each.name for each in described.deployments} == NAMES
    assert {each.fields["version"] for each in described.deployments} == {version("hstflow")}


def test_every_parameter_is_explained_and_has_its_place(described: Description) -> None:
    """No field of a form lacks a title, a description or a place; none has a name for a title."""
    lacking = [
        f"{each.name}: {name}"
        for each in described.deployments
        for name, field in fields_of(each.schema)
        if not (field.get("title") and field.get("description")) or "position" not in field
    ]
    plain = [
        f"{each.name}: {name}"
        for each in described.deployments
        for name, field in each.schema["properties"].items()
        if field["title"] == name
    ]

    assert lacking == []
    assert plain == []


def test_numbers_of_forms_are_bounded(described: Description) -> None:
    """A number that a person types has a bound below at least, but for priorities."""
    free = [
        name
        for each in described.deployments
        for name, field in fields_of(each.schema)
        for kind in [field, *field.get("anyOf", [])]
        if kind.get("type") in {"integer", "number"}
        and not {"minimum", "exclusiveMinimum"} & {*kind}
    ]

    assert {*free} == {"CampaignOptions.priority"}


def test_queues_are_described(described: Description) -> None:
    """Each deployment's queue has a priority; no two have the same."""
    used = {each.fields["work_queue_name"] for each in described.deployments}
    priorities = [queue["priority"] for queue in described.queues.values()]

    assert used == {*described.queues}
    assert len({*priorities}) == len(priorities)


def test_no_run_waits_for_a_slot_of_others(described: Description) -> None:
    """Each deployment has a limit; the workers that we start have room for all of them."""
    limits = {each.name: each.fields["concurrency_limit"] for each in described.deployments}
    unit = (ROOT / "deployments" / "profiles" / "hstflow-worker.service").read_text()
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    command = compose["services"]["worker"]["command"]
    rooms = {
        "unit": int(unit.split("--limit ")[1].split()[0]),
        "compose": int(command[command.index("--limit") + 1]),
        "up": UpFlags().limit,
        "deploy": WORKER_LIMIT,
    }

    assert None not in limits.values()
    assert described.slots == sum(limits.values())
    assert {name: room for name, room in rooms.items() if room < described.slots} == {}


def test_queues_have_no_limit_of_their_own(described: Description) -> None:
    """One counts the runs of a host that went down for ever: two, and no campaign ever began."""
    assert [name for name, each in described.queues.items() if "concurrency_limit" in each] == []


@pytest.mark.parametrize("text", ["", "campaign", "campaign=", "=1", "a=0", "a=-1", "a=1.5"])
def test_bad_limit_is_refused(text: str) -> None:
    """NAME=N with N from 1 and nothing else."""
    with pytest.raises(ConfigError, match="not a limit"):
        parse_limits([text])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"entrypoint": "flows.dataset.nothing"}, "no such flow"),
        ({"entrypoint": "flows.dataset.TASKS"}, "not a flow"),
        ({"schedules": [{"cron": "61 * * * *", "slug": "x"}]}, "cron"),
        ({"schedules": [{"cron": "1 * * * *"}]}, "slug"),
        ({"schedules": [{"cron": "1 * * * *", "slug": "x", "anchor": 1}]}, "anchor"),
        ({"parameters": {"nothing": 1}}, "no parameter nothing"),
        ({"parameters": {"options": {"threads": 0}}}, "options.threads"),
        ({"concurency_limit": 1}, "concurency_limit"),
        ({"work_pool": None}, "TypeError"),
        ({"name": "campaign"}, "two deployments have one name"),
    ],
)
def test_bad_deployment_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """What cannot work is said with the name of the deployment, before anything is changed."""
    told = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    told["deployments"][0].update(change)
    path = tmp_path / "prefect.yaml"
    path.write_text(yaml.safe_dump(told))

    with pytest.raises(ConfigError, match=said):
        read_description(path)


@pytest.mark.parametrize("text", ["", "deployments", "[]", "deployments: 3", "a: [", "\x00"])
def test_what_is_no_prefect_yaml_is_refused(text: str, tmp_path: Path) -> None:
    """Other files, and none, are an error of the command."""
    path = tmp_path / "prefect.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError):
        read_description(path)


def test_limits_are_numbers(tmp_path: Path) -> None:
    """A limit that is no number of slots is refused."""
    told = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    told["definitions"]["limits"]["mast-download"] = 0
    path = tmp_path / "prefect.yaml"
    path.write_text(yaml.safe_dump(told))

    with pytest.raises(ConfigError, match="mast-download"):
        read_description(path)


def test_settings_come_before_what_is_kept(described: Description) -> None:
    """What is asked wins over prefect.yaml and the server; what else the server has stays."""
    campaign = next(each for each in described.deployments if each.name == "campaign")
    wishes = Wishes(
        {
            "*": {("runner",): "tcp://s:8786", ("output_uri",): "file:/out"},
            **parse_settings(["campaign.how.chunk_size=200", "campaign.name=spring"]),
        }
    )
    known = {"how": {"workers": 8, "chunk_size": 10}, "input_uri": "s3://a/b"}

    asked = wished_for(campaign, wishes)
    found = with_parameters(campaign, known, asked)[0].parameters

    assert found == {
        "how": {"workers": 8, "chunk_size": 200, "runner": "tcp://s:8786"},
        "input_uri": "s3://a/b",
        "output_uri": "file:/out",
        "name": "spring",
    }


def test_kept_value_that_is_no_longer_taken_is_told(described: Description) -> None:
    """An option that was renamed does not silently take output_uri and runner with it."""
    campaign = next(each for each in described.deployments if each.name == "campaign")
    known = {"output_uri": "s3://a/b", "how": {"runner": "threads", "old_name": 1}, "gone": 2}

    found, lost = with_parameters(campaign, known, {})

    assert found.parameters == {"output_uri": "s3://a/b", "how": {"runner": "threads"}}
    assert [each.split(" is left out: ")[0] for each in lost] == ["how.old_name=1", "gone=2"]
    assert with_parameters(campaign, found.parameters, {}) == (found, ())


def test_kept_output_is_never_lost(described: Description) -> None:
    """One that is not taken any more is refused until another is given."""
    campaign = next(each for each in described.deployments if each.name == "campaign")

    with pytest.raises(ConfigError, match="output_uri"):
        with_parameters(campaign, {"output_uri": 3}, {})
    found, lost = with_parameters(campaign, {"output_uri": 3}, {"output_uri": "file:/out"})
    assert (found.parameters, lost) == ({"output_uri": "file:/out"}, ())


@pytest.mark.parametrize("text", ["", "campaign", "campaign=1", "campaign.=1", ".a=1", "a..b=1"])
def test_bad_setting_is_refused(text: str) -> None:
    """NAME.parameter=VALUE and nothing else."""
    with pytest.raises(ConfigError, match="not a setting"):
        parse_settings([text])
