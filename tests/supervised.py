"""Somebody who looks at what a supervisor says, for the tests of `hstflow up`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from deployments.operation.role import Patience, Role
from deployments.operation.supervisor import Supervisor

StandIn = Callable[..., Role]
QUICK = Patience(first=0.02, longest=0.05, most=3)
LIMIT = 20.0  # seconds for a test that goes wrong


class Operator:
    """Looks at what a supervisor says, and presses Ctrl-C when something has come true."""

    def __init__(self, when: Callable[[Supervisor], bool], number: int = signal.SIGTERM) -> None:
        self.when, self.number = when, number
        self.deadline = time.monotonic() + LIMIT
        self.seen: list[dict[str, str]] = []
        self.has_pressed = False

    def __call__(self, supervisor: Supervisor) -> None:
        """Note the states; press once."""
        now = {each.role.name: each.state for each in supervisor.programs}
        if not self.seen or self.seen[-1] != now:
            self.seen.append(dict(now))
        late = time.monotonic() > self.deadline
        if not self.has_pressed and (late or self.when(supervisor)):
            self.has_pressed = True
            os.kill(os.getpid(), self.number)
        assert not late, self.seen


def ready(supervisor: Supervisor) -> bool:
    """Tell whether all answer."""
    return supervisor.is_ready
