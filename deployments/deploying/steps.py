"""Changes of the server, each with what it says to people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.deploying.server import Server

_LONG = 120  # characters of two values that are shown side by side


@dataclass(frozen=True)
class Step:
    """One change of the server.

    Attributes
    ----------
    kind, name
        What is changed: work pool, queue, limit, deployment, schedule or automation.
    action
        ``create``, ``update``, ``delete``, or ``keep`` where it is as it should be.
    changes
        For people: what is different.
    do
        Makes the change.
    losses
        For people: what they had, and what is left out or stands still from now on.
    """

    kind: str
    name: str
    action: str
    changes: tuple[str, ...] = ()
    do: Callable[[], object] = field(default=lambda: None, repr=False, compare=False)
    losses: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what it says."""
        return {
            "kind": self.kind,
            "name": self.name,
            "action": self.action,
            "changes": list(self.changes),
            "losses": list(self.losses),
        }


def telling(server: Server, method: str, path: str, content: object = None) -> Callable[[], object]:
    """Return what tells the server something, once it is called."""
    return lambda: server.tell(method, path, content)


def differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words what is wanted and is not so."""
    found = []
    for key, value in wanted.items():
        old = known.get(key)
        if old == value:
            continue
        is_long = len(f"{old}{value}") > _LONG
        found.append(f"{key} is another one" if is_long else f"{key}: {old!r} -> {value!r}")
    return tuple(found)
