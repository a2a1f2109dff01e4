"""A program of `hstflow up`: how it is started, asked for its health, stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

RUN_PATIENCE = 40.0  # seconds; a campaign on Dask took 6 to say in the ledger that it stopped
DAY = 86_400.0  # seconds
START_LIMIT = 120.0  # seconds; a Prefect server took 4 to 25, with the first migration


@dataclass(frozen=True)
class Role:
    """One program.

    Attributes
    ----------
    name
        For people and for the name of its log.
    command
        Its argument list; empty: it runs elsewhere, and is only looked at.
    environment
        All its variables.
    look
        Tells whether it answers; may take two seconds at most, and raises nothing.
    port
        Port of the loopback interface at which `look` asks: an answer counts once the program
        itself, or one that it started, listens there; None: any answer does.
    address
        Where it answers, for people.
    page
        What people open in a browser; None: nothing.
    is_hung
        Tells of one that lives and has not answered for minutes whether it is to be started
        again; not where something else is the cause, or much of it works.
    after
        Names of roles that have to be ready before it is started.
    is_step
        It does its work and ends, with 0 where all went well; else it is to stay.
    tells_runs
        At the end the runs that it started are told before it is.
    patience
        Seconds that its runs have to end.
    start_limit
        Seconds in which it has to answer.
    """

    name: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    look: Callable[[], bool] = lambda: True
    port: int | None = None
    is_hung: Callable[[], bool] = lambda: True
    address: str = ""
    page: str | None = None
    after: tuple[str, ...] = ()
    is_step: bool = False
    tells_runs: bool = False
    patience: float = RUN_PATIENCE
    start_limit: float = START_LIMIT


@dataclass(frozen=True)
class Patience:
    """When a program that died is started again, and when no more.

    Attributes
    ----------
    first, longest
        Seconds of the first wait, which is doubled each time, and of the longest.
    most
        So many deaths within `window` are too many.
    most_unseen
        The same for one that has never answered: what is wrong then is no accident.
    window
        Seconds.
    most_a_day
        So many deaths within `DAY`, however far apart, are too many: one that hangs, is started
        again, answers and hangs is never found by `most`, as each silence is half a window.
    silence
        Seconds after which one that answered once, lives and does not answer is started again: a
        busy program is slow for some seconds, none was seen to be for a minute.
    """

    first: float = 1.0
    longest: float = 60.0
    most: int = 5
    most_unseen: int = 2
    window: float = 600.0
    most_a_day: int = 20
    silence: float = 300.0

    def wait(self, deaths: int) -> float:
        """Return how long to wait after so many deaths."""
        return float(min(self.longest, self.first * 2 ** min(30, max(0, deaths - 1))))
