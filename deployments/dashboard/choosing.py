"""Which datasets somebody wants rescued: read from an address or a form, found in the ledger."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calib.campaigns.operating import campaigns_of
from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import (
    UNFINISHED,
    Campaign,
    FoundJob,
    JobSelection,
    find_jobs,
)
from calib.ledger.reports import Rows

# Names that an address or a form takes: 64 kB of it.
MOST_DATASETS = 3_000

_CODES = range(256)


@dataclass(frozen=True)
class Selection:
    """What is to be rescued; what is empty or None is any.

    Attributes
    ----------
    campaign, states, error_class, code, instruments, datasets
        As for `hstflow campaign rescue`.
    """

    campaign: str | None = None
    states: tuple[str, ...] = ()
    error_class: str | None = None
    code: int | None = None
    instruments: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return it in the words of an address or a form."""
        return {
            "state": list(self.states),
            "class": self.error_class,
            "code": self.code,
            "instrument": list(self.instruments),
            "dataset": list(self.datasets),
        }

    def pairs(self) -> list[tuple[str, str]]:
        """Return its fields one by one, without empty ones."""
        found: list[tuple[str, str]] = []
        for name, value in self.fields().items():
            values = value if isinstance(value, list) else [value]
            found += [(name, str(each)) for each in values if each is not None]
        return found

    def command(self, *more: str) -> str:
        """Return the command that does the same."""
        words = ["hstflow", "campaign", "rescue", *([self.campaign] if self.campaign else [])]
        words += self.datasets
        options = {"class": self.error_class, "code": self.code}
        words += [f"--state={each}" for each in self.states]
        words += [f"--{name}={value}" for name, value in options.items() if value is not None]
        words += [f"--instrument={each}" for each in self.instruments]
        return shlex.join([*words, *more])


@dataclass(frozen=True)
class Chosen:
    """What a selection finds.

    Attributes
    ----------
    jobs
        Those that would be rescued.
    campaigns
        Theirs, by name.
    others
        How many are of no campaign: `hstflow process` takes them up.
    """

    jobs: Sequence[FoundJob]
    campaigns: Mapping[str, Campaign]
    others: int = 0
    counts: Counter[tuple[str, str, str | None, int | None]] = field(default_factory=Counter)

    @property
    def seen(self) -> str:
        """When the last of them changed: what changes later was not seen."""
        return max((job.updated_at for job in self.jobs), default="")

    @property
    def rungs(self) -> list[int]:
        """Memory rungs that all of the campaigns have, bytes."""
        ladders = [frozenset(each.plan.get("rungs", ())) for each in self.campaigns.values()]
        return sorted(frozenset.intersection(*ladders)) if ladders else []


def read_selection(every: Callable[[str], Sequence[str]], campaign: str | None = None) -> Selection:
    """Read a selection.

    Parameters
    ----------
    every
        Gives all values of a field of an address or form.
    campaign
        That of the address.

    Raises
    ------
    ConfigError
        A value cannot be one, or nothing says what is to be rescued.
    """
    states = _listed(every("state"))
    wrong = [each for each in states if each not in UNFINISHED]
    if wrong:
        raise ConfigError(
            "such datasets are not rescued", expected=", ".join(UNFINISHED), found=wrong[0]
        )
    names = _listed(every("dataset"))
    if len(names) > MOST_DATASETS:
        raise ConfigError("too many names", expected=f"up to {MOST_DATASETS}", found=len(names))
    classes = [each for each in every("class") if each]
    found = Selection(
        campaign=campaign,
        states=states,
        error_class=classes[-1] if classes else None,
        code=_code(every("code")),
        instruments=_listed(every("instrument")),
        datasets=tuple(dict.fromkeys(parse_dataset(name).name for name in names)),
    )
    if found == Selection():
        expected = "datasets, or a state, class, code or instrument"
        raise ConfigError("say what is to be rescued", expected=expected)
    return found


def choose(rows: Rows, wanted: Selection, *, seen: str | None = None) -> Chosen:
    """Find what is to be rescued.

    Parameters
    ----------
    rows, wanted
        The ledger, and what is wanted.
    seen
        Only what has not changed since; None: all.
    """
    found = find_jobs(
        rows,
        JobSelection(
            campaign=wanted.campaign,
            states=wanted.states or UNFINISHED,
            instruments=wanted.instruments,
            datasets=wanted.datasets,
            error_class=wanted.error_class,
            code=wanted.code,
        ),
    )
    if seen is not None:
        found = [job for job in found if job.updated_at <= seen]
    mine = campaigns_of(rows, found, wanted.campaign)
    jobs = [job for job in found if job.campaign in mine]
    counts = Counter((job.campaign, job.state, job.error_class, job.code) for job in jobs)
    return Chosen(jobs, mine, len(found) - len(jobs), counts)


def _listed(values: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a field that may be repeated, or have commas."""
    words = (word.strip() for value in values for word in value.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _code(values: Sequence[str]) -> int | None:
    text = values[-1] if values else ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) in _CODES):  # noqa: PLR2004
        raise ConfigError("not an exit code", expected="0 to 255", found=repr(text))
    return int(text)
