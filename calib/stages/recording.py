"""Opens and closes every stage run in the ledger, with what it cost, once for all stages."""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calib.errors import HstflowError
from calib.ledger.ledger import Attempt, Ledger, StageMetrics, open_ledger
from calib.stages.job import Job
from calib.stages.joblog import stage_name

log = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 30.0


_ledgers: dict[str, Ledger] = {}
_opening = threading.Lock()


def ledger_of(url: str) -> Ledger:
    """Return the ledger at a URL; opened once per process."""
    with _opening:
        if url not in _ledgers:
            _ledgers[url] = open_ledger(url)
        return _ledgers[url]


def close_ledgers() -> None:
    """Close the ledgers that this process has opened; the next use opens them again."""
    with _opening:
        while _ledgers:
            _ledgers.popitem()[1].close()


@dataclass
class StageEnd:
    """How a stage run ends; the stage may say that it used what was there."""

    state: str = "done"

    def note(self, *, reused: bool) -> None:
        """Note that the stage was finished by an earlier attempt."""
        self.state = "reused" if reused else "done"


@contextmanager
def recorded(job: Job, attempt: Attempt, stage: str) -> Iterator[StageEnd]:
    """Record a stage run: opened before, closed after, also when it fails."""
    ledger = ledger_of(job.ledger)
    number = ledger.open_stage(attempt, stage)
    stop, end = _Stopwatch(), StageEnd()
    with stage_name(stage):
        log.info("started")
        try:
            yield end
        except BaseException as error:
            ledger.close_stage(number, "error", metrics=stop.read(), error=_one_line(error))
            raise
        ledger.close_stage(number, end.state, metrics=stop.read(), error=None)
        log.info("finished in %.2f s", stop.read().wall)


@contextmanager
def beating(job: Job, attempt: Attempt) -> Iterator[None]:
    """Tell the ledger now and then that this attempt is alive, for hosts that cannot see us."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                ledger_of(job.ledger).heartbeat(attempt)
            except HstflowError as error:
                log.warning("heartbeat not written: %s", error)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Stopwatch:
    """Wall clock, CPU of this process and its children, peak memory, since it was made."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = _cpu_seconds()
        self._io = _io_bytes()

    def read(self) -> StageMetrics:
        bytes_in, bytes_out = (now - then for now, then in zip(_io_bytes(), self._io, strict=True))
        return StageMetrics(
            wall=time.perf_counter() - self._wall,
            cpu=_cpu_seconds() - self._cpu,
            peak_rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
        )


def _cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _io_bytes() -> tuple[int, int]:
    """Return bytes read and written by system calls; zeros where the system does not tell."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0, 0
    counters = dict(line.split(": ") for line in lines)
    return int(counters["rchar"]), int(counters["wchar"])


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
