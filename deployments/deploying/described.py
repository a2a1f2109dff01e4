"""What prefect.yaml says, read and checked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.events import DeploymentEventTrigger
from prefect.utilities.callables import parameter_schema
from prefect.utilities.templating import apply_values
from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError

from calib.errors import ConfigError
from deployments.deploying.version import installed

NAME = "prefect.yaml"

# Keys of a deployment that are known here: another one would be passed over in silence.
_KEYS = {
    *("name", "entrypoint", "version", "description", "tags", "parameters", "schedules"),
    *("concurrency_limit", "triggers", "work_pool"),
}
_SCHEDULE_KEYS = {"cron", "timezone", "slug", "active", "day_or", "parameters"}


class _Queue(BaseModel):
    model_config = ConfigDict(extra="forbid")

    priority: PositiveInt
    concurrency_limit: PositiveInt | None = None
    description: str = ""


@dataclass(frozen=True)
class Described:
    """One deployment.

    Attributes
    ----------
    name, flow, entrypoint
        Its name, that of its flow, and where the flow is.
    fields
        What the server is told besides: description, version, tags, queue, limit...
    schema
        Of the parameters of the flow.
    parameters
        Values for them.
    schedules
        As the server takes them, by slug.
    triggers
        Automations, by name, without the deployment that they start.
    """

    name: str
    flow: str
    entrypoint: str
    fields: Mapping[str, Any]
    schema: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    triggers: Mapping[str, DeploymentEventTrigger] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As Prefect names it: FLOW/DEPLOYMENT."""
        return f"{self.flow}/{self.name}"


@dataclass(frozen=True)
class Description:
    """All that a prefect.yaml describes; queues by name with priority and description."""

    path: Path
    deployments: Sequence[Described]
    queues: Mapping[str, Mapping[str, Any]]
    limits: Mapping[str, int]

    @property
    def slots(self) -> int:
        """How many runs a worker has to be able to run, so that none waits for those of others."""
        return sum(each.fields["concurrency_limit"] or 1 for each in self.deployments)


def own_file() -> Path:
    """Return prefect.yaml of the installed package, or of the clone that is installed.

    Raises
    ------
    ConfigError
        It is in neither place.
    """
    package = Path(__file__).parents[1]
    for path in (package / NAME, package.parent / NAME):
        if path.is_file():
            return path
    raise ConfigError(f"the installed package has no {NAME}", path=package / NAME)


def read_description(path: Path) -> Description:
    """Read and check a prefect.yaml.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it cannot work: the message says which deployment.
    """
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        deployments = [*told["deployments"]]
        definitions = told.get("definitions") or {}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"not a {NAME}: {error}", path=path) from error
    described = [_described(each, path) for each in deployments]
    names = [each.name for each in described]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError("two deployments have one name", path=path, found=name)
    queues, limits = definitions.get("work_queues") or {}, definitions.get("limits") or {}
    try:
        TypeAdapter(dict[str, _Queue]).validate_python(queues)
        TypeAdapter(dict[str, PositiveInt]).validate_python(limits)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"definitions: {where}: {first['msg']}", path=path) from error
    return Description(path, described, queues, limits)


def check_parameters(name: str, flow: Flow[..., Any], values: Mapping[str, Any]) -> None:
    """Refuse values that the flow would refuse when it is started at night.

    Raises
    ------
    ConfigError
        There is no such parameter, or it does not take the value.
    """
    import inspect

    known = inspect.signature(flow.fn, eval_str=True).parameters
    for each, value in values.items():
        if each not in known:
            expected = ", ".join(known) or "no parameters"
            raise ConfigError(f"{name} has no parameter {each}", expected=expected)
        try:
            TypeAdapter(known[each].annotation).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (each, *first["loc"])))
            raise ConfigError(
                f"{name}: parameter {where}: {first['msg']}", found=repr(value)
            ) from error


def flow_of(entrypoint: str) -> Flow[..., Any]:
    """Return the flow that a module path names.

    Raises
    ------
    ConfigError
        There is none.
    """
    module, _, name = entrypoint.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"no such flow: {error}", found=entrypoint) from error
    if not isinstance(found, Flow):
        raise ConfigError("not a flow", found=entrypoint)
    return found


def _described(told: Mapping[str, Any], path: Path) -> Described:
    try:
        return _checked(told)
    except ConfigError as error:
        message = f"deployment {told.get('name', '?')}: {error}"
        raise ConfigError(message, path=path) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"deployment {_name_of(told)}: {type(error).__name__}: {error}"
        raise ConfigError(message, path=path) from error


def _name_of(told: object) -> str:
    return str(told.get("name", "?")) if isinstance(told, Mapping) else repr(told)


def _checked(told: Mapping[str, Any]) -> Described:
    if unknown := {*told} - _KEYS:
        raise ConfigError("not understood", found=", ".join(sorted(unknown)))
    triggers = told.get("triggers") or []
    values = apply_values({**told, "triggers": None}, {"package": installed()})
    flow = flow_of(values["entrypoint"])
    parameters = values.get("parameters") or {}
    check_parameters(values["name"], flow, parameters)
    limit = values.get("concurrency_limit") or {}
    fields = {
        "version": values.get("version"),
        "description": (values.get("description") or flow.description or "").strip(),
        "tags": sorted(values.get("tags") or []),
        "work_pool_name": values["work_pool"]["name"],
        "work_queue_name": values["work_pool"]["work_queue_name"],
        "concurrency_limit": limit.get("limit"),
        "collision_strategy": limit.get("collision_strategy"),
    }
    return Described(
        name=values["name"],
        flow=flow.name,
        entrypoint=values["entrypoint"],
        fields=fields,
        schema=parameter_schema(flow.fn).model_dump(exclude_unset=True),
        parameters=parameters,
        schedules={each["slug"]: _schedule(each) for each in values.get("schedules") or []},
        triggers={each["name"]: DeploymentEventTrigger(**each) for each in triggers},
    )


def _schedule(told: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := {*told} - _SCHEDULE_KEYS:
        raise ConfigError("not understood of a schedule", found=", ".join(sorted(unknown)))
    cron = CronSchedule(
        cron=told["cron"], timezone=told.get("timezone", "UTC"), day_or=told.get("day_or", True)
    )
    return {
        "slug": told["slug"],
        "active": told.get("active", True),
        "schedule": cron.model_dump(mode="json"),
        "parameters": told.get("parameters") or {},
    }
