"""The retry table: which failures of a dataset are followed by another attempt, and with what.

It is data. What may pass within seconds was tried again by the stage already
(:mod:`calib.stages.policy`); this table is about whole attempts of a job in a campaign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from calib.campaigns.rungs import next_rung, rung_for, usable
from calib.errors import (
    CHILD_MEMORY,
    CONTAINER_MEMORY,
    OUR_MEMORY,
    SYSTEM_MEMORY,
    TIMED_OUT,
)
from calib.grants import Grant, Retry

# As CALCLOUD: a job that was killed at its limit gets one more chance.
_MORE_TIME = 2.0

_GB = 10**9


@dataclass(frozen=True)
class RetryRule:
    """One line of the retry table.

    Attributes
    ----------
    kind
        ``memory``, ``time`` or ``again``; retries are counted by it.
    classes, codes
        Names of error classes and exit codes that it is for: either is enough.
    most
        How often; None: as often as there is a larger rung.
    delays
        Seconds to wait before the first, second... retry; the last one for all that follow.
    change
        What the next attempt is granted, for people.
    """

    kind: str
    classes: tuple[str, ...]
    codes: tuple[int, ...]
    most: int | None
    delays: tuple[float, ...]
    change: str


# What is not here ends the job: data, settings, engines and the archive give the same answer
# again, a missing reference blocks, and what an operator cancelled stays so.
RULES = (
    RetryRule(
        kind="memory",
        classes=("OutOfMemory", "WorkerLost", "MemoryError"),
        codes=(CHILD_MEMORY, OUR_MEMORY, CONTAINER_MEMORY, SYSTEM_MEMORY),
        most=None,
        delays=(0.0,),
        change="next memory rung",
    ),
    RetryRule(
        kind="time",
        classes=("TimedOut",),
        codes=(TIMED_OUT,),
        most=1,
        delays=(0.0,),
        change="twice the time",
    ),
    # A service that does not come back within a minute is often back within a quarter of an hour.
    RetryRule(
        kind="again",
        classes=("Unavailable", "TransientError"),
        codes=(),
        most=3,
        delays=(60.0, 300.0, 900.0),
        change="the same",
    ),
    # The system took the worker's machine back; what was finished is still in the work folder.
    RetryRule(
        kind="again",
        classes=("Interrupted",),
        codes=(),
        most=3,
        delays=(0.0,),
        change="the same",
    ),
)


def decide(error_class: str, code: int, grant: Grant, need: int | None = None) -> Retry | None:
    """Say what follows a failed attempt.

    Parameters
    ----------
    error_class, code
        Name of the error's class, and its exit code.
    grant
        What the attempt was granted, and how often the job was tried again before.
    need
        Bytes of memory that are known to be needed: rungs below are passed over.

    Returns
    -------
    Retry or None
        None: the job ends with this error.
    """
    rule = rule_for(error_class, code)
    if rule is None:
        return None
    done = grant.retries.get(rule.kind, 0)
    most = grant.most.get(rule.kind, rule.most)
    if most is not None and done >= most:
        return None
    change = _CHANGES[rule.kind](grant, need)
    if change is None:
        return None
    granted, said = change
    retries = {**grant.retries, rule.kind: done + 1}
    delay = rule.delays[min(done, len(rule.delays) - 1)] * grant.delay_scale
    reason = f"{said}{f' in {delay:.0f} s' if delay else ''}"
    return Retry(rule.kind, reason, delay, replace(granted, retries=retries))


def rule_for(error_class: str, code: int) -> RetryRule | None:
    """Return the line of the table for an error; None where there is none."""
    named = (rule for rule in RULES if error_class in rule.classes)
    coded = (rule for rule in RULES if code in rule.codes)
    return next(named, None) or next(coded, None)


def classes_of(kind: str) -> tuple[str, ...]:
    """Return the names of the errors that are followed by a retry of a kind."""
    return tuple(name for rule in RULES if rule.kind == kind for name in rule.classes)


def table() -> list[tuple[str, str, str, str]]:
    """Return the table for people: errors, how often, the waits between, what changes."""
    return [
        (
            ", ".join([*rule.classes, *map(str, rule.codes)]),
            {None: "up to the largest rung", 1: "once"}.get(rule.most, f"{rule.most} times"),
            ", ".join(f"{delay:g} s" for delay in rule.delays) if any(rule.delays) else "none",
            rule.change,
        )
        for rule in RULES
    ]


def limit_all(most: int) -> dict[str, int]:
    """Return how often a job may be tried again by kind, where its manifest says so."""
    return {rule.kind: most for rule in RULES}


def _climb(grant: Grant, need: int | None) -> tuple[Grant, str] | None:
    memory = next_rung(grant.memory or 0, grant.rungs)
    if memory is None:
        return None
    if need is not None and need > usable(memory):  # a ladder without such a rung: its last one
        memory = rung_for(need, grant.rungs) or grant.rungs[-1]
        return replace(grant, memory=memory), f"the rung that is needed, {memory / _GB:g} GB"
    return replace(grant, memory=memory), f"next rung, {memory / _GB:g} GB"


def _wait_longer(grant: Grant, _need: int | None) -> tuple[Grant, str]:
    scale = grant.time_scale * _MORE_TIME
    return replace(grant, time_scale=scale), f"again with {scale:g} times the time"


def _repeat(grant: Grant, _need: int | None) -> tuple[Grant, str]:
    return grant, "again"


_CHANGES: dict[str, Callable[[Grant, int | None], tuple[Grant, str] | None]] = {
    "memory": _climb,
    "time": _wait_longer,
    "again": _repeat,
}
