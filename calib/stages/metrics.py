"""What a stage costs: wall clock, CPU, peak memory of the process tree, bytes, disk."""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path

from calib.ledger.ledger import StageMetrics
from calib.programs.allowance import Allowance
from calib.programs.tree import HAS_PROC, resident

_SELF = Path("/proc/self")

# "5" resets the peak of the resident memory of a process (proc(5), clear_refs; Linux 4.0).
_RESET_PEAK = "5"

_measuring: set[Meter] = set()
_lock = threading.Lock()


class Meter:
    """Measures one stage, from the moment it is made until it is read.

    A process that does one stage at a time is measured exactly. Where threads do several at
    once (the runner ``threads``), CPU is that of the thread alone, and memory and bytes are
    those of the whole process: upper bounds of what the stage used.

    Parameters
    ----------
    folder
        Where the stage leaves its files.
    allowance
        Whose programs count; None: there are none.
    """

    def __init__(self, folder: Path, allowance: Allowance | None = None) -> None:
        self._folder = folder
        self._allowance = allowance
        self._is_alone = _begin(self)
        if allowance is not None:
            allowance.take_peak()
        self._wall = time.perf_counter()
        self._cpu = (_cpu_seconds(), time.thread_time())
        self._io = _io_bytes()

    def read(self) -> StageMetrics:
        """Return what the stage has cost."""
        with _lock:
            _measuring.discard(self)
        io = _io_bytes()
        return StageMetrics(
            wall=time.perf_counter() - self._wall,
            cpu=self._cpu_spent(),
            peak_rss=self._peak(),
            bytes_in=None if io is None or self._io is None else io[0] - self._io[0],
            bytes_out=None if io is None or self._io is None else io[1] - self._io[1],
            disk=bytes_in(self._folder),
        )

    def share(self) -> None:
        """Note that another stage is at work in this process."""
        self._is_alone = False

    def _cpu_spent(self) -> float:
        process, thread = self._cpu
        if self._is_alone:
            return _cpu_seconds() - process
        return time.thread_time() - thread

    def _peak(self) -> int:
        """Return the peak of this process, or of its programs beside what it held then."""
        programs = 0 if self._allowance is None else self._allowance.take_peak()
        return max(_peak_of_process(), programs + resident() if programs else 0)


def bytes_in(folder: Path) -> int | None:
    """Return the bytes of the files in a folder, at any depth; None where there is none."""
    if not folder.is_dir():
        return None
    return sum(each.lstat().st_size for each in folder.rglob("*") if not each.is_dir())


def _begin(meter: Meter) -> bool:
    """Enter a meter; tell whether it is the only one, in which case the peak begins anew."""
    with _lock:
        for other in _measuring:
            other.share()
        is_alone = not _measuring
        if is_alone:
            _reset_peak()
        _measuring.add(meter)
    return is_alone


def _reset_peak() -> None:
    try:
        (_SELF / "clear_refs").write_text(_RESET_PEAK)
    except OSError:  # another system, or a container that does not allow it
        return


def _peak_of_process() -> int:
    """Return the peak since it was reset; what is held now where the system does not tell."""
    if not HAS_PROC:
        return resident()
    for line in (_SELF / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resident()


def _cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _io_bytes() -> tuple[int, int] | None:
    """Return bytes read and written by system calls, of children that have ended too."""
    try:
        lines = (_SELF / "io").read_text().splitlines()
    except OSError:
        return None
    counters = dict(line.split(": ") for line in lines)
    return int(counters["rchar"]), int(counters["wchar"])
