"""What to do about failures, as commands: the same on a terminal and on a page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from calib.campaigns.retries import classes_of
from calib.ledger.campaign_reports import Failure

# What gets a dataset further by class of its error; the rest is for a person to look at.
_MORE_MEMORY = classes_of("memory")
_MORE_TIME = classes_of("time")
_AGAIN = (*classes_of("again"), "ReferenceUnavailable", "ArchiveError")


def next_steps(campaign: str, failures: Sequence[Failure]) -> list[str]:
    """Return what to do about failures: commands, each with why."""
    name = shlex.quote(campaign)
    steps = dict.fromkeys(_step(name, each) for each in failures)
    return [*steps]


def _step(name: str, failure: Failure) -> str:
    again = f"hstflow campaign rescue {name}"
    if failure.state != "error":
        when = "once what is awaited has come" if failure.state == "blocked" else "if wanted"
        return f"{again} --state {failure.state}   ({when})"
    again += f" --class {shlex.quote(failure.error_class or '')}"
    if failure.error_class in _MORE_MEMORY:
        return f"{again} --rung GB   (with more memory)"
    if failure.error_class in _MORE_TIME:
        return f"{again} --timeout-scale 4   (with four times the time)"
    if failure.error_class in _AGAIN:
        return f"{again}   (once the service or the place is there again)"
    return f"hstflow status {failure.dataset}   (what is wrong with it, then {again})"
