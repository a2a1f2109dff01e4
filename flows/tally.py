"""Counts of how datasets ended, and the words for them: what the state of a flow run says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from calib.records import Outcome

GOOD = frozenset({"processed", "skipped"})

# Classes of errors that a message names, and letters of the reason of the first failure.
_CLASSES = 4
_REASON = 160


class Tally:
    """How datasets ended here."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._first: tuple[str, str] | None = None

    def note(self, outcome: Outcome | None) -> None:
        """Count the end of a dataset; None: the ledger alone knows it."""
        self.states[outcome.state if outcome else "lost"] += 1
        if outcome is not None and outcome.state in GOOD:
            return
        self.errors[(outcome.error_class or outcome.state) if outcome else "lost"] += 1
        if outcome is not None and self._first is None:
            self._first = (outcome.dataset, outcome.reason)

    @property
    def bad(self) -> int:
        """How many did not end well."""
        return self.errors.total()

    def __str__(self) -> str:
        total = self.states.total()
        if not total:
            return "nothing was left"
        text = counted(self.states)
        if not self.bad:
            return f"{total} datasets: {text}"
        return f"{self.bad} of {total} failed: {failure_text(self.errors, self._first)}; {text}"


def failure_text(errors: Mapping[str, int], first: tuple[str, str] | None) -> str:
    """Return ``12 OutOfMemory, 8 NotFound; first j8bt06niq: more than 8 GB``.

    Parameters
    ----------
    errors
        How many failed, by class of error.
    first
        Dataset and reason of the first of them; None: it is not known.
    """
    ordered = Counter(errors).most_common()
    text = ", ".join(f"{number} {name}" for name, number in ordered[:_CLASSES])
    rest = sum(number for _, number in ordered[_CLASSES:])
    text += f", {rest} others" if rest else ""
    return text if first is None else f"{text}; first {first[0]}: {_short(first[1])}"


def counted(numbers: Mapping[str, int]) -> str:
    """Return ``12 error, 188 processed``."""
    return ", ".join(f"{number} {name}" for name, number in sorted(numbers.items()))


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _REASON else f"{line[: _REASON - 3]}..."
