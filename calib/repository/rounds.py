"""The watchman's round: every night a share of the archive is compared with its manifests.

What has waited longest comes first, and a share is so large that everything is seen in a stated
number of nights. A round that is cut off loses what it has not seen, which comes first then.
What cannot be reached is no part of the share: else it would take that of all others for ever,
since it always has waited longest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import groupby
from typing import Any

from calib.archive.outputs import open_output
from calib.archive.verification import Problem
from calib.errors import HstflowError, Unavailable
from calib.ledger.ledger import Ledger
from calib.ledger.reading import open_reader
from calib.ledger.verifications import (
    Due,
    Holding,
    due_for_verification,
    holding_of,
    note_verified,
)
from calib.repository.verification import Checked, verify_repository
from calib.stores.transfer import local_path

# Publications between two entries in the ledger: what is lost when a round is cut off.
_AT_ONCE = 50


@dataclass
class Round:
    """What was seen in one night.

    Attributes
    ----------
    holding
        What there is, as it was before.
    wanted
        How many publications were to be looked at.
    seen, size
        How many were, and the bytes that the ledger knows of them.
    left
        How many were not, since the time was over.
    problems
        With output, run and dataset: (output, run, dataset, problem).
    unreached
        Outputs that did not answer, with the reason; what they hold is looked at another night.
    """

    holding: Holding
    wanted: int
    seen: int = 0
    size: int = 0
    left: int = 0
    problems: list[tuple[str, str | None, str | None, Problem]] = field(default_factory=list)
    unreached: dict[str, str] = field(default_factory=dict)

    @property
    def is_cut_off(self) -> bool:
        """Whether the time was over before the share was seen."""
        return self.left > 0


def go_round(
    ledger: Ledger,
    url: str,
    *,
    nights: int,
    deep: bool,
    limit: timedelta,
    at_once: int = 4,
) -> Round:
    """Verify the share of one night.

    Parameters
    ----------
    ledger, url
        Where it is written what was verified; and where it is read.
    nights
        In how many of them everything is seen: a share is this part of the publications, and
        of their bytes.
    deep
        Read all files and compare checksums; else presence and size.
    limit
        After how long nothing more is begun; what was begun comes to its end.
    at_once
        Publications at the same time.

    Raises
    ------
    ConfigError
        The ledger cannot be read.
    Unavailable
        The ledger cannot be written to.
    """
    end = time.monotonic() + limit.total_seconds()
    holding = ledger.ask(holding_of)
    found = Round(holding, 0)
    look = _Look(found, ledger, url, end, {"deep": deep, "at_once": at_once})
    known: set[int] = set()
    while not found.is_cut_off and (due := _next(ledger, found, nights, known)):
        known.update(each.id for each in due)
        found.wanted = found.seen + len(due)
        for first in range(0, len(due), _AT_ONCE):
            look.at(_by_place(due[first : first + _AT_ONCE]))
    return found


def _next(ledger: Ledger, found: Round, nights: int, known: AbstractSet[int]) -> list[Due]:
    """Return what the share lacks: all of it, or as much as could not be reached."""
    holding = found.holding
    number, size = (math.ceil(each / nights) for each in (holding.number, holding.size))
    number, size, beside = number - found.seen, size - found.size, [*found.unreached]
    return ledger.ask(
        partial(due_for_verification, number=number, size=size, beside=beside, known=known)
    )


def _by_place(due: Sequence[Due]) -> list[Due]:
    return sorted(due, key=lambda each: (each.output, each.run, each.dataset))


@dataclass
class _Look:
    """Looks at publications until the time is over; options are those of the verification."""

    found: Round
    ledger: Ledger
    url: str
    end: float
    options: dict[str, Any]

    def at(self, some: Sequence[Due]) -> None:
        """Verify some publications, and write down which were; the others come another night."""
        seen: dict[int, int] = {}
        for (output, run), group in groupby(some, key=lambda each: (each.output, each.run)):
            if output not in self.found.unreached:
                self._at(output, run, {each.dataset: each for each in group}, seen)
        deep = self.options["deep"]
        self.ledger.write(partial(note_verified, problems=dict(seen), deep=deep))
        self.found.seen += len(seen)

    def _at(self, output: str, run: str, due: dict[str, Due], seen: dict[int, int]) -> None:
        """Verify what is due of one run; what was seen before an output went away counts."""
        if not self._is_over():
            try:
                with closing(_checked(output, run, due, self.url, self.options)) as all_checked:
                    for checked in all_checked:
                        self._note(output, checked, due, seen)
                        if self._is_over():
                            break
            except (HstflowError, OSError) as error:  # each publication tells its own
                self.found.unreached[output] = str(error)
                return
        self.found.left += len(due) if self._is_over() else 0

    def _note(
        self, output: str, checked: Checked, due: dict[str, Due], seen: dict[int, int]
    ) -> None:
        about = [(output, checked.run, checked.dataset, problem) for problem in checked.problems]
        self.found.problems += about
        one = due.pop(checked.dataset or "", None)
        if one is not None:
            seen[one.id] = len(about)
            self.found.size += one.size

    def _is_over(self) -> bool:
        return time.monotonic() > self.end


def _checked(
    output: str, run: str, due: dict[str, Due], url: str, options: dict[str, Any]
) -> Generator[Checked]:
    folder = local_path(output)
    if folder is not None and not folder.is_dir():
        raise Unavailable("the folder of the output is not there: is it mounted?", path=output)
    with open_reader(url) as rows:
        place = open_output(output)
        yield from verify_repository(place, rows, datasets=[*due], runs=[run], **options)
