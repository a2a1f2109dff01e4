"""The work pool with its queues, and the limits of the server: what is to be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from calib.errors import ConfigError
from deployments.deploying.described import Description
from deployments.deploying.pools import base_job_template, refuse_incomplete, with_variables
from deployments.deploying.server import Server
from deployments.deploying.steps import Step, differences, telling


@dataclass(frozen=True)
class Pool:
    """The work pool that is wanted: its name, kind, and values of variables of its template."""

    name: str
    kind: str = "process"
    variables: Mapping[str, Any] = field(default_factory=dict)


def pool_steps(server: Server, pool: Pool, told: Description, queues: set[str]) -> Iterator[Step]:
    """Yield what the pool and its queues need.

    Raises
    ------
    ConfigError
        The pool is of another type, or its type is not known.
    """
    known = server.get(f"/work_pools/{quote(pool.name)}")
    if known is None:
        template = with_variables(base_job_template(pool.kind), pool.variables)
        refuse_incomplete(template)
        new = {"name": pool.name, "type": pool.kind, "base_job_template": template}
        said = (f"type {pool.kind}",)
        yield Step(
            "work pool", pool.name, "create", said, telling(server, "POST", "/work_pools/", new)
        )
    elif known["type"] != pool.kind:
        message = f"the work pool {pool.name} is there, and of another type"
        raise ConfigError(
            message, expected=f"--type {known['type']}, or another --pool", found=pool.kind
        )
    else:
        yield _pool_update(server, pool, known)
    # In this order: the server moves those that are there out of the way of a new one.
    for name in sorted(queues, key=lambda each: told.queues.get(each, {}).get("priority", 0)):
        yield _queue_step(server, pool.name, name, told.queues.get(name, {}), is_new=known is None)


def _pool_update(server: Server, pool: Pool, known: Mapping[str, Any]) -> Step:
    """Give variables of a pool that is there the values that are asked for, and keep the rest."""
    template = with_variables(known["base_job_template"], pool.variables)
    if template == known["base_job_template"]:
        return Step("work pool", pool.name, "keep")
    path = f"/work_pools/{quote(pool.name)}"
    do = telling(server, "PATCH", path, {"base_job_template": template})
    return Step(
        "work pool",
        pool.name,
        "update",
        tuple(f"{name}: {value!r}" for name, value in pool.variables.items()),
        do,
    )


def _queue_step(
    server: Server, pool: str, name: str, wanted: Mapping[str, Any], *, is_new: bool
) -> Step:
    path = f"/work_pools/{quote(pool)}/queues"
    wanted = {"concurrency_limit": None, **wanted}  # one of an earlier prefect.yaml is taken away
    known = None if is_new else server.get(f"{path}/{quote(name)}")
    title = f"{pool}/{name}"
    if known is None:
        said = (f"priority {wanted['priority']}",) if "priority" in wanted else ()
        do = telling(server, "POST", f"{path}/", {"name": name, **wanted})
        return Step("queue", title, "create", said, do)
    changes = differences(known, wanted)
    if not changes:
        return Step("queue", title, "keep")
    do = telling(server, "PATCH", f"{path}/{quote(name)}", dict(wanted))
    return Step("queue", title, "update", changes, do)


def limit_steps(server: Server, limits: Mapping[str, int]) -> Iterator[Step]:
    """Create limits that are not there; campaigns and operators set them to other numbers."""
    for name, number in limits.items():
        known = server.get(f"/v2/concurrency_limits/{quote(name)}")
        if known is not None:
            yield Step("limit", name, "keep")
            continue
        new = {"name": name, "limit": number, "active": True}
        do = telling(server, "POST", "/v2/concurrency_limits/", new)
        yield Step("limit", name, "create", (str(number),), do)
