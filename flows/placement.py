"""Which jobs may run at the same time: by memory and disk, of this host or of workers.

A job waits in the campaign's own process until its rung fits: what is handed to Dask stays
little, and a rung that exists nowhere is found out instead of waited for.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from calib.errors import ARCHIVE, OutOfMemory, Unavailable
from calib.grants import Grant

GB = 10**9
MEMORY_RESOURCE, DISK_RESOURCE = "MEM_GB", "DISK_GB"


@dataclass(frozen=True)
class Need:
    """What a job is granted, bytes; None: nothing was said, and nothing is kept for it."""

    memory: int | None = None
    disk: int | None = None

    @classmethod
    def of(cls, grant: Grant) -> Need:
        """Return what a grant needs."""
        return cls(grant.memory, grant.disk)


@dataclass(frozen=True)
class Refusal:
    """Why a need does not fit anywhere, and how such a job ends.

    Attributes
    ----------
    reason
        For people.
    error_class, code
        OutOfMemory where it is memory; Unavailable where it is disk, which may become free.
    """

    reason: str
    error_class: str
    code: int


class Placement(Protocol):
    """Says what fits, and keeps account of what runs."""

    def refresh(self) -> None:
        """Look again at what changes by itself."""

    def refusal(self, need: Need) -> Refusal | None:
        """Say why a need does not fit, whatever ends; None: it will."""

    def is_there(self, need: Need) -> bool:
        """Tell whether what is there now holds one with this need, once it is free."""

    def fits(self, need: Need) -> bool:
        """Tell whether one more with this need may start now."""

    def take(self, need: Need) -> None:
        """Note that one more runs."""

    def give_back(self, need: Need) -> None:
        """Note that one has ended."""


@dataclass
class HostPlacement:
    """One host: the sum of all grants stays within its memory and its free disk.

    Attributes
    ----------
    memory, disk
        Bytes to give away; None: not limited.
    at_once
        Jobs at the same time, those that wait for a free worker included.
    folder
        Where the disk is; None: its free space stays as it was.
    """

    memory: int | None
    disk: int | None
    at_once: int
    folder: Path | None = None
    running: int = 0
    used: Counter[str] = field(default_factory=Counter)

    def refresh(self) -> None:
        """Look at the disk again: others write there, too."""
        if self.folder is not None:
            with suppress(OSError):  # a file server that is away: what was known stays
                self.disk = shutil.disk_usage(self.folder).free

    def refusal(self, need: Need) -> Refusal | None:
        """Say why a need does not fit, whatever ends; None: it will."""
        if _above(need.memory, self.memory):
            return _no_memory(need, self.memory, "this host")
        # What runs may have written all that it was granted, and gives it back at its end.
        disk = None if self.disk is None else self.disk + self.used["disk"]
        return _no_disk(need, disk, "the work folder") if _above(need.disk, disk) else None

    def is_there(self, need: Need) -> bool:
        """Tell whether the host holds one with this need."""
        return self.refusal(need) is None

    def fits(self, need: Need) -> bool:
        """Tell whether one more with this need may start now."""
        if self.running >= self.at_once:
            return False
        memory = self.used["memory"] + (need.memory or 0)
        disk = self.used["disk"] + (need.disk or 0)
        return not (_above(memory, self.memory) or _above(disk, self.disk))

    def take(self, need: Need) -> None:
        """Note that one more runs."""
        self._change(need, 1)

    def give_back(self, need: Need) -> None:
        """Note that one has ended."""
        self._change(need, -1)

    def _change(self, need: Need, sign: int) -> None:
        self.running += sign
        self.used["memory"] += sign * (need.memory or 0)
        self.used["disk"] += sign * (need.disk or 0)


@dataclass(frozen=True)
class Offer:
    """What a Dask worker offers: threads, and resources where it names any (bytes)."""

    threads: int
    memory: int | None = None
    disk: int | None = None

    def holds(self, need: Need) -> int:
        """Return how many jobs of a need it runs at the same time."""
        wanted = ((need.memory, self.memory), (need.disk, self.disk))
        shares = [have // want for want, have in wanted if want and have is not None]
        return min([self.threads, *shares])


@dataclass
class ClusterPlacement:
    """Workers of a cluster: each need has as many in flight as workers hold, and some ahead.

    Attributes
    ----------
    offers
        What the workers offer now; empty while there are none.
    ahead
        Jobs in flight for each that can run.
    most
        How many workers there may be where their number follows the work: jobs are handed out
        as if they were there, since it is waiting jobs that make them come. 0: those that are
        there are all.
    patience
        Seconds for which a worker that is gone is waited for.
    """

    offers: Sequence[Offer]
    ahead: int
    most: int = 0
    patience: float = 0.0
    running: Counter[Need] = field(default_factory=Counter)
    _seen: Sequence[Offer] = ()
    _last: dict[Offer, float] = field(default_factory=dict)

    def see(self, offers: Sequence[Offer], now: float = 0.0) -> None:
        """Take in what the workers offer now; when that is, seconds."""
        self.offers = offers
        self._seen = offers or self._seen
        self._last |= dict.fromkeys(offers, now)
        known = self._last.items()
        self._last = {each: last for each, last in known if now - last < self.patience}

    def refresh(self) -> None:
        """Do nothing: the scheduler says what there is (:meth:`see`)."""

    def refusal(self, need: Need) -> Refusal | None:
        """Say why a need does not fit; None: it will, or there is no worker to ask.

        A worker that was there a moment ago counts: it is being started again.
        """
        if not self._offers():
            return None
        offers = [*self._offers(), *self._last]
        if self._hold(need, offers):
            return None
        most = max(offer.memory or 0 for offer in offers)
        if _above(need.memory, most) and any(offer.memory is not None for offer in offers):
            return _no_memory(need, most, "the workers")
        room = max(offer.disk or 0 for offer in offers)
        if _above(need.disk, room):
            return _no_disk(need, room, "the workers")
        return _not_together(need)

    def is_there(self, need: Need) -> bool:
        """Tell whether a worker that is there now holds one with this need."""
        return bool(self._hold(need, self._offers()))

    def fits(self, need: Need) -> bool:
        """Tell whether one more with this need may be handed to the cluster now."""
        offers = self._offers()
        if not offers:  # a few jobs make the first worker come, which says what it offers
            return bool(self.most) and self.running.total() < self.ahead
        threads = sum(offer.threads for offer in offers)
        in_all = self.running.total() < self.ahead * threads
        return in_all and self.running[need] < self.ahead * self._hold(need, self._offers())

    def take(self, need: Need) -> None:
        """Note that one more runs."""
        self.running[need] += 1

    def give_back(self, need: Need) -> None:
        """Note that one has ended."""
        self.running[need] -= 1
        if not self.running[need]:
            del self.running[need]

    def resources(self, need: Need) -> dict[str, float]:
        """Return the Dask resources that a job takes: only those that workers offer."""
        return self._named(need, self._offers())

    def _named(self, need: Need, offers: Sequence[Offer]) -> dict[str, float]:
        wanted = {}
        if need.memory and any(offer.memory is not None for offer in offers):
            wanted[MEMORY_RESOURCE] = need.memory / GB
        if need.disk and any(offer.disk is not None for offer in offers):
            wanted[DISK_RESOURCE] = need.disk / GB
        return wanted

    def _hold(self, need: Need, offers: Sequence[Offer]) -> int:
        # Where some workers name a resource, Dask gives a job that asks for it to these alone.
        named = self._named(need, offers)
        fit = [
            offer
            for offer in offers
            if (MEMORY_RESOURCE not in named or offer.memory is not None)
            and (DISK_RESOURCE not in named or offer.disk is not None)
        ]
        return sum(offer.holds(need) for offer in fit)

    def _offers(self) -> Sequence[Offer]:
        """Return what there is, and what is still to come: like the largest that was seen."""
        if not self.most or not self._seen:
            return self.offers
        largest = max(self._seen, key=lambda offer: (offer.memory or 0, offer.disk or 0))
        return [*self.offers, *[largest] * (self.most - len(self.offers))]


def offers_of(workers: Mapping[str, Mapping[str, object]]) -> list[Offer]:
    """Read what the workers of a scheduler offer (``scheduler_info()["workers"]``)."""
    return [_offer(worker) for worker in workers.values()]


def _offer(worker: Mapping[str, object]) -> Offer:
    named = worker.get("resources") or {}
    found = named if isinstance(named, Mapping) else {}
    threads = worker.get("nthreads", 1)
    return Offer(
        threads if isinstance(threads, int) else 1,
        _bytes(found.get(MEMORY_RESOURCE)),
        _bytes(found.get(DISK_RESOURCE)),
    )


def _bytes(gigabytes: object) -> int | None:
    return int(gigabytes * GB) if isinstance(gigabytes, int | float) else None


def _above(wanted: int | None, there: int | None) -> bool:
    return wanted is not None and there is not None and wanted > there


def _no_memory(need: Need, there: int | None, where: str) -> Refusal:
    reason = _too_large("memory", need.memory, there, where)
    return Refusal(reason, OutOfMemory.__name__, OutOfMemory.code)


def _no_disk(need: Need, there: int | None, where: str) -> Refusal:
    reason = _too_large("disk", need.disk, there, where)
    more = (
        "workers with more DISK_GB" if where == "the workers" else "HSTFLOW_WORK on a larger disk"
    )
    advice = f"{more}, or disk=SIZE where that is too much: campaign rescue NAME ID --disk SIZE"
    return Refusal(f"{reason} ({advice})", Unavailable.__name__, ARCHIVE)


def _not_together(need: Need) -> Refusal:
    memory, disk = ((each or 0) / GB for each in (need.memory, need.disk))
    reason = (
        f"the job needs {memory:.3g} GB of memory and {disk:.3g} GB of disk; "
        "workers offer each of the two, but none offers both"
    )
    return Refusal(reason, OutOfMemory.__name__, OutOfMemory.code)


def _too_large(what: str, wanted: int | None, there: int | None, where: str) -> str:
    return (
        f"the job needs {(wanted or 0) / GB:.3g} GB of {what}; "
        f"the most that {where} can give is {(there or 0) / GB:.3g} GB"
    )
