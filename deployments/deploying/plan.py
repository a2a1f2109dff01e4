"""What has to be done so that the server has what prefect.yaml says: nothing is changed yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from prefect.events import DeploymentEventTrigger

from calib.errors import ConfigError
from deployments.deploying.described import Described, Description
from deployments.deploying.memory import (
    Memory,
    dropped_automations,
    dropped_schedules,
    had_schedule,
    had_trigger,
    limit_of,
    memory_step,
    read_memory,
)
from deployments.deploying.pool_steps import Pool, limit_steps, pool_steps
from deployments.deploying.server import Server
from deployments.deploying.steps import Step, differences, telling
from deployments.deploying.wishes import Wishes, leaves, wished_for, with_parameters

# Names of a trigger's fields that the server gives back as they were sent.
_TRIGGER_FIELDS = (
    *("match", "match_related", "expect", "after", "for_each", "posture"),
    *("threshold", "within"),
)


def plan_deploy(
    server: Server, told: Description, chosen: Sequence[Described], wishes: Wishes, pool: Pool
) -> list[Step]:
    """Return the steps, in the order in which they are to be done.

    Parameters
    ----------
    server, told, chosen
        Where, and which of the deployments of a prefect.yaml.
    wishes
        Values for parameters, whether schedules run, how many runs at once.
    pool
        Where runs are started.

    Raises
    ------
    ConfigError
        Something cannot work: nothing has been changed.
    """
    asked = {each.name: wished_for(each, wishes) for each in chosen}
    queues = {str(each.fields["work_queue_name"]) for each in chosen}
    steps = [*pool_steps(server, pool, told, queues), *limit_steps(server, told.limits)]
    memory = read_memory(server)
    for each in chosen:
        known = server.get(_path(each))
        kept = known["parameters"] if known else {}
        wanted, lost = with_parameters(each, kept, asked[each.name])
        change = Change(wanted, known, memory.get(each.name), lost)
        steps += _deployment_steps(server, change, pool, wishes)
    return [*steps, *_forgotten(server, told, memory), memory_step(server, memory, chosen)]


def _forgotten(server: Server, told: Description, memory: Mapping[str, Any]) -> Iterator[Step]:
    """Tell of deployments of ours that prefect.yaml does not have any more; they may be wanted."""
    gone = sorted(memory.keys() - {each.name for each in told.deployments})
    asked = {"deployments": {"name": {"any_": gone}}}
    for known in server.tell("POST", "/deployments/filter", asked) if gone else ():
        said = (
            "is in prefect.yaml no more, and goes on: prefect deployment delete FLOW/NAME ends it"
        )
        yield Step("deployment", known["name"], "keep", losses=(said,))


def plan_removal(server: Server, chosen: Sequence[Described]) -> list[Step]:
    """Return the steps that take deployments off the server, with schedules and automations.

    Work pools, queues and limits stay: other deployments may use them.
    """
    memory = read_memory(server)
    steps = [s for each in chosen for s in _removal(server, each, memory.get(each.name))]
    return [*steps, memory_step(server, memory, removed=chosen)]


def _removal(server: Server, described: Described, memory: Memory) -> Iterator[Step]:
    known = server.get(_path(described))
    if known is None:
        yield Step("deployment", described.title, "keep", ("is not there",))
        return
    found = _automations(server, known["id"])
    dropped = {each["name"] for each in dropped_automations(described, found, memory)}
    for name in sorted((found.keys() & described.triggers.keys()) | dropped):
        do = telling(server, "DELETE", f"/automations/{found[name]['id']}")
        yield Step("automation", name, "delete", (), do)
    do = telling(server, "DELETE", f"/deployments/{known['id']}")
    lost = tuple(f"had {each}" for each in _parameters_said(known["parameters"]))
    yield Step("deployment", described.title, "delete", (), do, lost)


def _path(described: Described) -> str:
    return f"/deployments/name/{quote(described.flow)}/{quote(described.name)}"


@dataclass(frozen=True)
class Change:
    """A deployment as it is wanted, as the server has it, what it was told before and loses now."""

    wanted: Described
    known: Mapping[str, Any] | None
    memory: Memory
    lost: tuple[str, ...] = ()


def _deployment_steps(server: Server, change: Change, pool: Pool, wishes: Wishes) -> Iterator[Step]:
    wanted, known, memory = change.wanted, change.known, change.memory
    content = _content(wanted, pool)
    limit = limit_of(wanted, known, memory, wishes.at_once.get(wanted.name))
    content["concurrency_limit"] = limit
    automations: dict[str, dict[str, Any]] = {}
    if known is None:
        schedules = [
            {**each, "active": wishes.is_active(each, None)} for each in wanted.schedules.values()
        ]
        said, do = tuple(_said(wanted, schedules)), _creator(server, wanted, content, schedules)
        yield Step("deployment", wanted.title, "create", said, do)
    else:
        changes = _deployment_changes(known, content)
        do = telling(server, "PATCH", f"/deployments/{known['id']}", content)
        action = "update" if changes else "keep"
        yield Step("deployment", wanted.title, action, changes, do, change.lost)
        yield from _schedule_steps(server, change, known, wishes)
        automations = _automations(server, known["id"])
        for each in dropped_automations(wanted, automations, memory):
            yield _switched_off(server, each)
        for name in automations.keys() & wanted.triggers.keys():
            if not had_trigger(memory, name):  # it was dropped, and is back: we switched it off
                automations[name]["enabled"] = None
    for name, trigger in wanted.triggers.items():
        yield _automation_step(server, wanted, trigger, automations.get(name))


def _deployment_changes(known: Mapping[str, Any], content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words what is different, value by value of the parameters."""
    before = _as_told(known)
    plain = {key: value for key, value in content.items() if key != "parameters"}
    old = {f"parameters.{'.'.join(parts)}": value for parts, value in leaves(known["parameters"])}
    new = {f"parameters.{'.'.join(parts)}": value for parts, value in leaves(content["parameters"])}
    gone = dict.fromkeys(old.keys() - new.keys())
    return (*differences(before, plain), *differences(old, {**new, **gone}))


def _content(wanted: Described, pool: Pool) -> dict[str, Any]:
    fields = {k: v for k, v in wanted.fields.items() if k != "collision_strategy"}
    strategy = wanted.fields["collision_strategy"]
    return {
        **fields,
        "work_pool_name": pool.name,
        "entrypoint": wanted.entrypoint,
        "parameters": dict(wanted.parameters),
        "parameter_openapi_schema": dict(wanted.schema),
        "enforce_parameter_schema": True,
        "concurrency_options": {"collision_strategy": strategy} if strategy else None,
        "pull_steps": [],
    }


def _creator(
    server: Server, wanted: Described, content: dict[str, Any], schedules: list[dict[str, Any]]
) -> Callable[[], object]:
    def create() -> None:
        flow = server.tell("POST", "/flows/", {"name": wanted.flow})
        new = {**content, "name": wanted.name, "flow_id": flow["id"], "schedules": schedules}
        server.tell("POST", "/deployments/", new)

    return create


def _as_told(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the server knows in the words in which it was told."""
    limit = known.get("global_concurrency_limit") or {}
    options = known.get("concurrency_options") or {}
    strategy = options.get("collision_strategy")
    return {
        **known,
        "tags": sorted(known.get("tags") or []),
        "description": (known.get("description") or "").strip(),
        "concurrency_limit": limit.get("limit"),
        "concurrency_options": {"collision_strategy": strategy} if strategy else None,
        "pull_steps": known.get("pull_steps") or [],
    }


def _schedule_steps(
    server: Server, change: Change, known: Mapping[str, Any], wishes: Wishes
) -> Iterator[Step]:
    """Bring schedules up to date; one that an operator paused, or added, stays so."""
    wanted, memory = change.wanted, change.memory
    before = {each["slug"]: each for each in known["schedules"] if each.get("slug")}
    path = f"/deployments/{known['id']}/schedules"
    for slug, each in wanted.schedules.items():
        old, title = before.get(slug), f"{wanted.name}/{slug}"
        if old is None:
            new = {**each, "active": wishes.is_active(each, None)}
            do = telling(server, "POST", path, [new])
            yield Step("schedule", title, "create", (_cron(each),), do)
            continue
        # One that was dropped, and is back, was paused by us.
        new = {
            **each,
            "active": wishes.is_active(each, old if had_schedule(memory, slug) else None),
        }
        changes = _schedule_changes(old, new)
        do = telling(server, "PATCH", f"{path}/{old['id']}", new)
        yield Step("schedule", title, "update" if changes else "keep", changes, do)
    for each in dropped_schedules(wanted, known, memory):
        do = telling(server, "PATCH", f"{path}/{each['id']}", {"active": False})
        said = f"is not in prefect.yaml any more: paused ({_cron(each)})"
        if each["active"]:
            yield Step(
                "schedule", f"{wanted.name}/{each['slug']}", "update", ("paused",), do, (said,)
            )


def _schedule_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    changes = [] if _cron(old) == _cron(new) else [f"{_cron(old)} -> {_cron(new)}"]
    if old["active"] != new["active"]:
        changes.append("active" if new["active"] else "paused")
    known = {"parameters": old.get("parameters") or {}}
    return (*changes, *differences(known, {"parameters": new["parameters"]}))


def _cron(schedule: Mapping[str, Any]) -> str:
    told = schedule["schedule"]
    return f"{told.get('cron') or told} {told.get('timezone')}"


def _said(wanted: Described, schedules: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"version {wanted.fields['version']}, queue {wanted.fields['work_queue_name']}"
    for each in schedules:
        yield f"schedule {each['slug']}: {_cron(each)}{'' if each['active'] else ', paused'}"
    yield from _parameters_said(wanted.parameters)


def _parameters_said(parameters: Mapping[str, Any]) -> Iterator[str]:
    return (f"{key}: {value!r}" for key, value in parameters.items())


def _automations(server: Server, deployment: str) -> dict[str, dict[str, Any]]:
    """Return the automations that belong to a deployment, by name."""
    resource = quote(f"prefect.deployment.{deployment}")
    found = server.tell("GET", f"/automations/related-to/{resource}")
    return {each["name"]: each for each in found}


def _switched_off(server: Server, known: Mapping[str, Any]) -> Step:
    """Return the step for an automation that prefect.yaml does not have any more."""
    if not known["enabled"]:
        return Step("automation", known["name"], "keep")
    do = telling(server, "PATCH", f"/automations/{known['id']}", {"enabled": False})
    said = ("is not in prefect.yaml any more: switched off",)
    return Step("automation", known["name"], "update", ("switched off",), do, said)


def _automation_step(
    server: Server,
    wanted: Described,
    trigger: DeploymentEventTrigger,
    known: Mapping[str, Any] | None,
) -> Step:
    name = str(trigger.name)

    def told() -> dict[str, Any]:
        deployment = server.get(_path(wanted))
        if deployment is None:
            message = f"{wanted.title} is not on the server"
            raise ConfigError(message)
        trigger.set_deployment_id(deployment["id"])
        return trigger.as_automation().model_dump(mode="json")

    if known is None:
        said = (f"on {', '.join(sorted(trigger.expect))}",)
        return Step(
            "automation", name, "create", said, lambda: server.tell("POST", "/automations/", told())
        )
    new = told()
    if known["enabled"] is not None:
        new["enabled"] = known["enabled"]  # an operator may have switched it off
    changes = _trigger_changes(known, new)
    if not changes:
        return Step("automation", name, "keep")
    content = {**new}
    content.pop("owner_resource", None)
    do = telling(server, "PUT", f"/automations/{known['id']}", content)
    return Step("automation", name, "update", changes, do)


def _trigger_changes(known: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    changes = differences(known, {key: new[key] for key in ("description", "enabled")})
    before, after = known["trigger"], new["trigger"]
    for key in _TRIGGER_FIELDS:
        changes += differences({key: _sorted(before.get(key))}, {key: _sorted(after.get(key))})
    for old, wanted in zip(known["actions"], new["actions"], strict=False):
        changes += differences(old, {"parameters": wanted["parameters"]})
    return changes


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
