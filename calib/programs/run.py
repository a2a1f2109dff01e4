"""Runs an external program: its own folder, environment, limits and log, and a clean end."""

from __future__ import annotations

import errno
import functools
import logging
import os
import resource
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from calib.errors import (
    ARCHIVE,
    CHILD_MEMORY,
    SYSTEM_MEMORY,
    ConfigError,
    EngineError,
    HstflowError,
    OutOfMemory,
    TimedOut,
    Unavailable,
)
from calib.programs.allowance import Allowance, current_allowance
from calib.programs.full_disk import why_disk_full
from calib.programs.out_of_memory import count_kills, why_out_of_memory
from calib.programs.tail import Relay, last_lines, last_words
from calib.programs.tree import born, descendants, resident, signal_tree

log = logging.getLogger(__name__)

# A program that was asked to stop (SIGTERM) may tidy up for so long, seconds.
GRACE = 5.0

# How often a running program is looked at, seconds: its memory, its output, its time; first
# after a short time, that of a short program.
_PERIOD = 0.2
_FIRST = 0.01

# ru_maxrss is in kilobytes on Linux (getrusage(2)) and in bytes on macOS.
_RSS_UNIT = 1 if os.uname().sysname == "Darwin" else 1024

# The shell sets the limits and becomes the program: no window in which it runs without them,
# and no code between fork and exec, which threads forbid. No core dumps: they fill the disk.
_LIMITED = 'ulimit -c 0; ulimit -v "$0" && exec "$@"'
_UNLIMITED = 'ulimit -c 0; exec "$@"'

# Becomes the program, which the kernel kills when this process is gone (prctl(2),
# PR_SET_PDEATHSIG): kill -9, or the system out of memory, leave no time to end it. util-linux 2.33.
_BOUND = ("setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True)
class ProgramRun:
    """How a program ran.

    Attributes
    ----------
    arguments
        Program and arguments.
    wall, cpu
        Seconds; CPU of the program and the children it waited for.
    peak_rss
        Bytes of memory of its process tree, as sampled; 0 where it was too short for that.
    log
        File with its output.
    """

    arguments: tuple[str, ...]
    wall: float
    cpu: float
    peak_rss: int
    log: Path


@dataclass
class _Running:
    """A program at work, and what was seen of it."""

    process: subprocess.Popen[bytes]
    relay: Relay
    started: float
    timeout: float | None
    own_peak: int
    peak: int = 0
    seen: dict[int, float] = field(default_factory=dict)

    def look(self) -> None:
        """Note all processes of the program, and what memory they hold at once."""
        pid = self.process.pid
        found = {*descendants(pid)}
        found |= self.left(found)
        self.seen = {each: begun for each in found if (begun := born(each)) is not None}
        self.peak = max(self.peak, sum(map(resident, {pid, *found})))

    def left(self, family: Collection[int]) -> set[int]:
        """Return those seen before that are there and not in the family any more, with theirs."""
        away = [each for each in self.seen if each not in family]
        there = [each for each in away if born(each) == self.seen[each]]
        return {number for each in there for number in (each, *descendants(each))}

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program's group, and to whatever has left it."""
        pid = self.process.pid
        left = self.left({*descendants(pid)})
        signal_tree(pid, number)
        for each in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each, number)

    def peak_with(self, usage: resource.struct_rusage) -> int:
        """Return the peak, with what the system counted where that is not our own.

        A process that becomes another program keeps the peak of before (getrusage(2) does not
        say so): that of this process, from which it was split off.
        """
        counted = usage.ru_maxrss * _RSS_UNIT
        return max(self.peak, counted if counted > self.own_peak else 0)

    def is_late(self) -> bool:
        return self.timeout is not None and time.monotonic() - self.started > self.timeout


def run_program(
    arguments: Sequence[str],
    *,
    folder: Path,
    log_file: Path,
    environment: Mapping[str, str | None] | None = None,
    timeout: float | None = None,
    memory: int | None = None,
) -> ProgramRun:
    """Run a program to its end; whatever happens, nothing that was seen of it is left running.

    The program leads a process group of its own. Its children are ended with it, also those that
    have left the group, and those whose parents were gone before, if they were seen in time: the
    program is looked at five times a second, more often at first.

    It is entered with the attempt at work (:func:`calib.programs.allowance.current_allowance`): a
    time limit, a memory limit or a cancellation of the job ends it with all its children. Its
    output goes to `log_file`, and line by line to the job's log.

    An exit code of 0 is not believed: whoever calls checks that the products are there.

    Parameters
    ----------
    arguments
        Program and arguments; never a shell's text.
    folder
        Working folder of the program, which it has for itself.
    log_file
        Where its output goes (both streams); appended to.
    environment
        Variables for the program alone, beside ours; None: it does not get ours of this name.
    timeout
        Seconds; None: the job's limits hold.
    memory
        Bytes of address space of each process of the program; None: what the job is granted.

    Raises
    ------
    ConfigError
        There is no such program, or it cannot be started.
    OutOfMemory
        It ran out of memory (31), or the system had none to start it (34).
    TimedOut
        It ran for longer than `timeout`.
    Unavailable
        It says that the disk is full (25): there may be room later.
    EngineError
        It ended with another exit code than 0; with its last lines.
    HstflowError
        The job was ended meanwhile: cancelled, over its time or memory.
    """
    allowance = current_allowance()
    limit = memory if memory is not None else (allowance.memory if allowance else None)
    command = _found(arguments)
    kills = count_kills()
    with _held(allowance):
        running = _start(command, folder, log_file, environment, limit)
        running.timeout = timeout
        try:
            with _entered(allowance, running.process.pid):
                _watch(running, allowance)
        finally:
            usage = _end(running)
    return _judged(running, tuple(arguments), usage, limit=limit, kills=count_kills() - kills)


def _found(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the program's full path."""
    program = shutil.which(arguments[0])
    if program is None:
        raise ConfigError("there is no such program, or it is not executable", found=arguments[0])
    return [str(Path(program).absolute()), *arguments[1:]]


def _start(
    arguments: list[str],
    folder: Path,
    log_file: Path,
    environment: Mapping[str, str | None] | None,
    limit: int | None,
) -> _Running:
    log.debug("starts %s", arguments)
    variables = {**os.environ, **(environment or {})}
    with log_file.open("ab") as output:
        size = output.tell()
        process = _popen(
            _with_limits(arguments, limit),
            arguments[0],
            lambda command: subprocess.Popen(  # noqa: S603 - a list of arguments, never a text
                command,
                cwd=folder,
                env={name: text for name, text in variables.items() if text is not None},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ),
        )
    relay = Relay(log_file, size, Path(arguments[0]).name)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    return _Running(process, relay, time.monotonic(), timeout=None, own_peak=own)


def _popen(
    command: list[str], program: str, start: Callable[[list[str]], subprocess.Popen[bytes]]
) -> subprocess.Popen[bytes]:
    try:
        return start(command)
    except OSError as error:
        if error.errno in {errno.ENOMEM, errno.EAGAIN}:
            message = f"the system has no memory to start a program: {error.strerror}"
            raise OutOfMemory(message, path=program, code=SYSTEM_MEMORY) from error
        raise ConfigError(f"cannot be started: {error.strerror}", path=program) from error


@functools.cache
def _bound() -> tuple[str, ...]:
    """Return what binds a program to the life of this process; nothing where that is not had."""
    place = shutil.which(_BOUND[0])
    if place is None:
        return ()
    command = (str(Path(place).absolute()), *_BOUND[1:])
    try:
        done = subprocess.run([*command, "/bin/sh", "-c", ":"], capture_output=True, check=False)  # noqa: S603
    except OSError:
        return ()
    return command if done.returncode == 0 else ()


def _with_limits(arguments: list[str], limit: int | None) -> list[str]:
    arguments = [*_bound(), *arguments]
    if limit is None:
        return ["/bin/sh", "-c", _UNLIMITED, "-", *arguments]
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    return ["/bin/sh", "-c", _LIMITED, str(allowed // 1024), *arguments]


def _held(allowance: Allowance | None) -> AbstractContextManager[None]:
    """Keep interrupts away: a program in whose start or end one came could be left behind."""
    return nullcontext() if allowance is None else allowance.held()


def _entered(allowance: Allowance | None, pid: int) -> AbstractContextManager[None]:
    return nullcontext() if allowance is None else allowance.program(pid)


def _watch(running: _Running, allowance: Allowance | None) -> None:
    """Look at the program now and then until it ends, or has to."""
    with _waiting(running.process.pid) as ended:
        period = _FIRST
        while not ended(period):
            period = min(_PERIOD, 2 * period)
            running.look()
            running.relay.pass_on()
            if running.is_late() or (allowance is not None and allowance.breach):
                return


@contextmanager
def _waiting(pid: int) -> Iterator[Callable[[float], bool]]:
    """Give a function that waits for the end of a child, and tells whether it has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or an old one
        yield lambda seconds: _ended_after(pid, seconds)
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        yield lambda seconds: bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _ended_after(pid: int, seconds: float) -> bool:
    """Tell whether a child has ended, which is looked at in steps of a fiftieth of a second."""
    end = time.monotonic() + seconds
    while not (ended := _has_ended(pid)) and time.monotonic() < end:
        time.sleep(0.02)
    return ended


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _end(running: _Running) -> resource.struct_rusage:
    """End what is left of a program, and return what it used.

    The program is waited for last: until then its number, and that of its group, are its own.
    """
    pid = running.process.pid
    if not _has_ended(pid):
        running.signal(signal.SIGTERM)
        _ended_after(pid, GRACE)
    running.signal(signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    running.process.returncode = os.waitstatus_to_exitcode(status)
    running.relay.finish()
    return usage


def _judged(
    running: _Running,
    arguments: tuple[str, ...],
    usage: resource.struct_rusage,
    *,
    limit: int | None,
    kills: int,
) -> ProgramRun:
    """Return how a program ran, or raise what its end means."""
    peak = running.peak_with(usage)
    _note_end(peak)
    wall = time.monotonic() - running.started
    run = ProgramRun(arguments, wall, usage.ru_utime + usage.ru_stime, peak, running.relay.path)
    code = running.process.returncode
    if code != 0 and running.is_late():
        message = f"{Path(arguments[0]).name} was ended after {running.timeout:.0f} s"
        raise TimedOut(message, path=running.relay.path)
    if code != 0:
        raise _failure(run, code, limit=limit, kills=kills)
    return run


def _note_end(peak: int) -> None:
    """Note what a program held; where the job was ended, that is how the program ended."""
    allowance = current_allowance()
    if allowance is None:
        return
    allowance.note_peak(peak)
    if allowance.breach is not None:
        raise allowance.breach


def _failure(run: ProgramRun, code: int, *, limit: int | None, kills: int) -> HstflowError:
    tail, program = last_lines(run.log), Path(run.arguments[0]).name
    reason = why_out_of_memory(code, tail, peak=run.peak_rss, limit=limit, kills=kills)
    if reason is not None:
        return OutOfMemory(
            f"{program} ran out of memory: {reason}",
            path=run.log,
            expected=None if limit is None else f"at most {limit / 1e9:.2f} GB",
            found=f"{run.peak_rss / 1e9:.2f} GB",
            code=CHILD_MEMORY,
        )
    if (reason := why_disk_full(tail)) is not None:
        message = f"{program} failed with {_named(code)}, as the disk is full: {reason}"
        return Unavailable(message, path=run.log, code=ARCHIVE)
    said = last_words(run.log) or "it said nothing"
    return EngineError(
        f"{program} failed with {_named(code)}: {said}",
        program=program,
        exit_code=code,
        log_tail=tail,
        path=run.log,
    )


def _named(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
