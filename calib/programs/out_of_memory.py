"""How one sees that a program ended because memory ran out: no system says it plainly."""

from __future__ import annotations

import signal
from pathlib import Path

# What C, C++, Fortran, Python, the shell and the loader say.
SIGNS = (
    "out of memory",
    "cannot allocate memory",
    "could not allocate",
    "unable to allocate",  # numpy; CFITSIO; calacs
    "failed to allocate",
    "memory allocation failed",
    "insufficient virtual memory",  # Intel Fortran
    "memoryerror",
    "std::bad_alloc",
    "failed to map segment from shared object",
    "insufficient memory",
)

# A program that crashes while it holds this share of its limit is taken to have met it: C
# programs that do not look at what malloc returns end by a segmentation fault.
NEAR = 0.8

_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}
_CRASHED = {-number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)} | {
    128 + number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
}
_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def why_out_of_memory(
    exit_code: int, log_tail: str, *, peak: int, limit: int | None, kills: int
) -> str | None:
    """Say why the end of a program is taken for a lack of memory; None where it is not.

    Parameters
    ----------
    exit_code
        Of the program; negative: the signal that ended it, not sent by us.
    log_tail
        Its last lines.
    peak, limit
        Bytes that it held at most, and that it could hold.
    kills
        How many processes the kernel has ended for memory meanwhile (:func:`count_kills`).
    """
    if exit_code == 0:
        return None
    if kills:
        return "the kernel ended a process for memory meanwhile"
    if exit_code in _KILLED:
        return "ended by SIGKILL, as the kernel does when memory runs out"
    text = log_tail.lower()
    said = next((sign for sign in SIGNS if sign in text), None)
    if said is not None:
        return f"its log says: {said}"
    if limit is not None and exit_code in _CRASHED and peak >= NEAR * limit:
        return f"it crashed while it held {peak / limit:.0%} of its limit"
    return None


def count_kills() -> int:
    """Return how many processes of this control group the kernel has ended for memory.

    Always 0 where there are no control groups, or they do not tell.
    """
    return sum(map(_count_in, _counters()))


def _counters() -> list[Path]:
    """Return the files that may tell: of version 2, and of version 1."""
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, names, path = line.split(":", 2)
        if not names:
            found.append(_CGROUPS / path.lstrip("/") / "memory.events")
        elif "memory" in names.split(","):
            found.append(_CGROUPS / "memory" / path.lstrip("/") / "memory.oom_control")
    return found


def _count_in(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
