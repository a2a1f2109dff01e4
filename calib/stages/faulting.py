"""Makes the faults happen that were asked for: in the place, and in the way, of real ones."""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import psutil

from calib.errors import ConfigError, Unavailable
from calib.programs.allowance import current_allowance
from calib.programs.tree import resident
from calib.stages.faults import Fault
from calib.stages.job import Job
from calib.stages.workfolder import private_folder

log = logging.getLogger(__name__)
R = TypeVar("R")

# Longer than any limit of a stage (72 h for skycells).
_HANG = 100 * 3600.0

# Memory is taken in steps, seconds apart, so that the watchdog sees it come; the last ones are
# not taken before it had this time to act.
_STEP = 32 << 20
_BETWEEN = 0.01
_PATIENCE = 10.0

# Memory is really taken only where the host has so many times as much free.
_ROOM = 2


def faulty(job: Job, stage: str, work: Callable[[], R]) -> R:
    """Do a stage, or let happen to it what was asked for.

    How often a fault has happened is kept in the job's work folder, which the next attempt
    finds: it passes after as many times as were asked for, whatever process runs it.

    Raises
    ------
    ConfigError
        A crash was asked for in a process that other work depends on.
    Unavailable, MemoryError, OSError
        The fault.
    """
    fault = _due(job, stage)
    if fault is None:
        return work()
    log.warning("simulated fault: %s", fault)
    if fault.kind == "corrupt-output":
        result = work()
        _cut_short(result)
        return result
    return _FAULTS[fault.kind](job, stage)


def _due(job: Job, stage: str) -> Fault | None:
    """Return the fault that happens now, and count it."""
    for fault in job.options.faults:
        if fault.stage == stage and fault.dataset in {None, job.dataset} and _count(job, fault):
            return fault
    return None


def _count(job: Job, fault: Fault) -> bool:
    """Count a fault, before it happens; tell whether it still has to."""
    path = job.folder / "faults" / f"{fault.stage}-{fault.kind}"
    done = int(path.read_text()) if path.exists() else 0
    if done < fault.times:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(done + 1))
    return done < fault.times


def _take_memory(_job: Job, _stage: str) -> NoReturn:
    """Take memory up to the limit, where the host can bear it; then it has run out."""
    allowance = current_allowance()
    limit = allowance.memory if allowance else None
    if limit is not None and _ROOM * limit < psutil.virtual_memory().available:
        _take(limit)
    message = "simulated"
    raise MemoryError(message)


def _take(limit: int) -> None:
    taken, start = [], resident()
    while resident() - start <= limit:
        taken.append(bytearray(_STEP))
        time.sleep(_BETWEEN)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:  # in Python: the watchdog stops it here
        time.sleep(_BETWEEN)


def _hang(_job: Job, _stage: str) -> NoReturn:
    time.sleep(_HANG)  # one call of C: no exception comes in
    message = "simulated hang"
    raise Unavailable(message)


def _no_network(job: Job, _stage: str) -> NoReturn:
    message = "the service does not answer (simulated)"
    raise Unavailable(message, dataset=job.dataset)


def _fill_disk(job: Job, stage: str) -> NoReturn:
    with private_folder(job.folder / stage) as folder:
        (folder / "half-written").write_bytes(bytes(1024))
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} (simulated)", str(folder))


def _crash(job: Job, _stage: str) -> NoReturn:
    from calib.stages.watch import is_disposable

    if not is_disposable():
        message = "a crash is simulated in workers only: other work depends on this process"
        raise ConfigError(message, dataset=job.dataset, expected="the runner local or tcp://")
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit(128 + signal.SIGKILL)


def _cut_short(result: Any) -> None:
    """Cut the largest file of a finished stage to half its length."""
    files = [Path(file.path) for file in result.record.files]
    if files:
        largest = max(files, key=lambda path: path.stat().st_size)
        os.truncate(largest, largest.stat().st_size // 2)


_FAULTS: dict[str, Callable[[Job, str], NoReturn]] = {
    "memory": _take_memory,
    "hang": _hang,
    "network": _no_network,
    "disk-full": _fill_disk,
    "crash": _crash,
}
