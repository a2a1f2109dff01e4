"""How a session of a campaign ends: for people, and as the state of its flow run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from prefect.client.schemas.objects import State, StateType
from prefect.states import Completed, Failed

from calib.ledger.campaign_reports import Campaign, Failure
from calib.ledger.states import FINISHED
from flows.tally import failure_text

# States of a failure; the others of the ledger's failures were cancelled by somebody.
_FAILED = ("error", "blocked")


@dataclass(frozen=True)
class Result:
    """How a session of a campaign ended.

    Attributes
    ----------
    outcome
        ``completed``, ``failed``, ``paused`` or ``cancelled``; ``interrupted`` is raised.
    message
        One line for people: ``20 of 200 failed: 12 OutOfMemory, 8 NotFound; first ...``.
    counts
        Datasets of the campaign by state, from the ledger.
    """

    outcome: str
    message: str
    counts: dict[str, int]


def result_of(
    found: Campaign, failures: Sequence[Failure], wanted: str, remarks: Iterable[str]
) -> Result:
    """Return how a session ended.

    Parameters
    ----------
    found, failures
        The campaign as it is now.
    wanted
        What its operator wanted last.
    remarks
        What else is to be said.
    """
    counts = dict(found.counts)
    left = found.total - sum(counts.get(state, 0) for state in FINISHED)
    if left == 0:
        return Result("completed", _joined(_all(found), remarks), counts)
    outcome = {"pause": "paused", "cancel": "cancelled"}.get(wanted, "failed")
    return Result(outcome, _joined(_some(found, failures, left), remarks), counts)


def state_of(result: Result) -> State[Any]:
    """Return the state in which the flow run ends."""
    if result.outcome == "completed":
        return Completed(message=result.message)
    if result.outcome == "failed":
        return Failed(message=result.message)
    # Prefect's own Paused is no end of a flow run: it would wait for an answer in its page.
    return State(type=StateType.CANCELLED, name=result.outcome.capitalize(), message=result.message)


def errors_in(failures: Iterable[Failure]) -> Counter[str]:
    """Return how many failed, by class of error."""
    errors: Counter[str] = Counter()
    for each in failures:
        if each.state in _FAILED:
            errors[str(each.error_class or each.state)] += each.number
    return errors


def _all(found: Campaign) -> str:
    return f"all {found.total} datasets are finished: {_counts(found)}"


def _some(found: Campaign, failures: Sequence[Failure], left: int) -> str:
    """Say why datasets are not finished: all of them failed, or some never came so far."""
    errors = errors_in(failures)
    if not errors:
        return f"{left} of {found.total} datasets are not finished: {_counts(found)}"
    first = next(each for each in failures if each.state in _FAILED)
    why = failure_text(errors, (first.dataset, first.reason or "no reason is known"))
    failed = f"{errors.total()} of {found.total} failed: {why}; {_counts(found)}"
    others = left - errors.total()
    return f"{failed}; {others} more are not finished" if others else failed


def _counts(found: Campaign) -> str:
    return ", ".join(f"{number} {state}" for state, number in found.counts.items())


def _joined(text: str, remarks: Iterable[str]) -> str:
    return "; ".join((text, *remarks))
