"""What `hstflow deploy` told the server last time, kept there as a variable.

By it the command knows its own schedules, automations and limits from those of an operator, also
when a newer prefect.yaml does not have them any more. (Labels of a deployment cannot be changed:
Prefect 3.8.8 refuses them in an update.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deployments.deploying.described import Described
from deployments.deploying.server import Server
from deployments.deploying.steps import Step, telling

NAME = "hstflow_deployed"

# Of one deployment: names of schedules and automations, and its limit; None: nothing is known.
Memory = Mapping[str, Any] | None


def read_memory(server: Server) -> dict[str, Any]:
    """Return what was told last time, by deployment; empty where nobody knows."""
    found = server.get(f"/variables/name/{NAME}")
    value = found["value"] if found else {}
    if isinstance(value, str):  # somebody edited it in the pages, which give text
        try:
            value = json.loads(value)
        except ValueError:
            value = {}
    return value if isinstance(value, dict) else {}


def memory_step(
    server: Server,
    memory: Mapping[str, Any],
    told: Iterable[Described] = (),
    removed: Iterable[Described] = (),
) -> Step:
    """Return the step that keeps in mind what is told now.

    Parameters
    ----------
    server, memory
        Where, and what was told last time.
    told, removed
        Deployments as prefect.yaml has them, and those that are taken away.
    """
    gone = {each.name for each in removed}
    new = {name: each for name, each in memory.items() if name not in gone}
    new |= {each.name: _entry(each) for each in told}
    if new == memory:
        return Step("variable", NAME, "keep")
    if server.get(f"/variables/name/{NAME}") is None:
        do = telling(server, "POST", "/variables/", {"name": NAME, "value": new})
        return Step("variable", NAME, "create", (), do)
    do = telling(server, "PATCH", f"/variables/name/{NAME}", {"value": new})
    return Step("variable", NAME, "update", (), do)


def limit_of(
    told: Described, known: Mapping[str, Any] | None, memory: Memory, asked: int | None
) -> int | None:
    """Return how many runs a deployment may have at once.

    What is asked for now, else what an operator set before, else that of prefect.yaml.
    """
    if asked is not None:
        return asked
    own: int | None = told.fields["concurrency_limit"]
    if known is None or memory is None:
        return own
    limit: int | None = (known.get("global_concurrency_limit") or {}).get("limit")
    return own if limit == memory["limit"] else limit


def had_schedule(memory: Memory, slug: str) -> bool:
    """Tell whether a schedule is ours; where nobody knows, those are that have a name."""
    return bool(slug) if memory is None else slug in memory["schedules"]


def had_trigger(memory: Memory, name: str) -> bool:
    """Tell whether an automation is ours; where nobody knows, all are."""
    return memory is None or name in memory["triggers"]


def dropped_schedules(
    told: Described, known: Mapping[str, Any], memory: Memory
) -> Iterator[Mapping[str, Any]]:
    """Yield our schedules on the server that prefect.yaml does not have any more."""
    for each in known["schedules"]:
        slug = each.get("slug") or ""
        if slug not in told.schedules and had_schedule(memory, slug):
            yield each


def dropped_automations(
    told: Described, found: Mapping[str, Mapping[str, Any]], memory: Memory
) -> Iterator[Mapping[str, Any]]:
    """Yield our automations that prefect.yaml does not have any more.

    Parameters
    ----------
    told, memory
        The deployment, as prefect.yaml has it now and had it before.
    found
        The automations that have to do with it, by name.
    """
    for name in memory["triggers"] if memory else ():
        if name in found and name not in told.triggers:
            yield found[name]


def _entry(told: Described) -> dict[str, Any]:
    return {
        "schedules": sorted(told.schedules),
        "triggers": sorted(told.triggers),
        "limit": told.fields["concurrency_limit"],
    }
