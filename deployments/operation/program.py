"""A program that runs: its process, its log, how often it died, what it is doing now."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal

import psutil

from calib.errors import COMMAND
from deployments.operation.ports import is_free
from deployments.operation.processes import has_ended, listening, listens, runs_of, tell
from deployments.operation.role import DAY, Patience, Role

State = Literal["waiting", "starting", "ready", "done", "ailing", "again", "failed", "stopped"]

# What others that come after it may build on.
STANDING = frozenset({"ready", "done", "ailing"})

LOOK_STARTING = 0.3  # seconds between two looks at a program that is starting
LOOK_READY = 5.0  # and at one that answered
LOG_LIMIT = 20_000_000  # bytes; then the log becomes NAME.log.1, and begins anew
STARTED = "== started "  # begins what each process writes into the log
TAIL = 5  # lines of a log that a message quotes
TAIL_BYTES = 4_000
PAUSE = 0.1
TERM_PATIENCE = 10.0  # seconds after SIGTERM, and again after a second one


class Program:
    """A role, and the process that plays it.

    Parameters
    ----------
    role
        What to run.
    logs
        Folder of the logs.
    patience
        When to start it again.
    """

    def __init__(self, role: Role, logs: Path, patience: Patience) -> None:
        self.role = role
        self.log = logs / f"{role.name}.log"
        self.patience = patience
        self.state: State = "waiting"
        self.note = ""
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths: deque[float] = deque()
        self._answered = False
        self._listener: int | None = None
        self._started = self._next = self._heard = 0.0

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return self._process.pid if self.is_alive and self._process else None

    @property
    def is_alive(self) -> bool:
        """Whether a process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, now: float) -> None:
        """Start it; without a command it is only looked at."""
        self.state, self.note, self._started, self._next = "starting", "", now, now
        self._heard = now
        if self.role.command:
            self._begin(now)

    def step(self, now: float) -> None:
        """See how it is, and start it again when its time has come."""
        if self.state in {"waiting", "done", "failed", "stopped"}:
            return
        if self.state == "again":
            if now >= self._next:
                self.restarts += 1
                self.start(now)
        elif self.role.command and not self.is_alive:
            self._ended(now)
        elif now >= self._next and not self.role.is_step:
            self._look(now)
        elif self.role.is_step and now - self._started > self.role.start_limit:
            self._give_up(f"did not end within {self.role.start_limit:.0f} s")

    def stop(self, hurries: Callable[[], bool]) -> None:
        """Ask it to end, ask again, kill it.

        Parameters
        ----------
        hurries
            Tells whether nobody wants to wait any more.
        """
        process, self._process = self._process, None
        if self.state not in {"done", "failed"}:
            self.state, self.note = "stopped", ""
        if process is None or process.poll() is not None:
            return
        if self.role.tells_runs:
            _end_runs(process, self.role.patience, hurries)
        process.terminate()
        if _ends([process], TERM_PATIENCE, hurries):
            return
        process.terminate()  # a Prefect worker was seen to survive the first by twenty minutes
        if not _ends([process], TERM_PATIENCE, hurries):
            process.kill()
            process.wait()

    def tail(self) -> str:
        """Return the last lines that its last process wrote, on one line."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:
            return ""
        last = text.rpartition(STARTED)[2].partition("\n")[2] if STARTED in text else text
        return " / ".join(line.strip() for line in last.splitlines()[-TAIL:] if line.strip())

    def trim_log(self) -> None:
        """Put a log that has become large aside; the program goes on writing into the same file.

        On a full disk there is no room for the copy: then it is emptied without one.
        """
        try:
            if self.log.stat().st_size > LOG_LIMIT:
                _put_aside(self.log)
                os.truncate(self.log, 0)
        except OSError:
            return  # it is not there, or not ours any more: no reason to end anything

    def _begin(self, now: float) -> None:
        """Start the process; a system that has no room for it now may have some later."""
        try:
            self._process = self._open()
        except OSError as error:
            self._process = None
            self._died(now, f"cannot be started: {error}")

    def _open(self) -> subprocess.Popen[bytes]:
        with _log_to(self.log) as out:
            return subprocess.Popen(  # noqa: S603 - argument lists of deployments.operation.roles
                self.role.command,
                env=dict(self.role.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for us, who stop them in their order
            )

    def _look(self, now: float) -> None:
        answers = self.role.look() and self._is_ours()
        if answers:
            self.state, self.note, self._answered, self._heard = "ready", "", True, now
        elif self.state in {"ready", "ailing"}:
            self._silent(now)
        elif self._listens_elsewhere():
            self._replace(now, f"port {self.role.port} was taken from it")
        elif now - self._started > self.role.start_limit:
            self._late(now)
        if self.state in {"starting", "ready", "ailing"}:
            self._next = now + (LOOK_READY if answers else LOOK_STARTING)

    def _is_ours(self) -> bool:
        """Tell whether it is this process that answers, and no other program at its port."""
        pid, port = self.pid, self.role.port
        if pid is None or port is None:
            return not self.role.command or pid is not None
        if pid != self._listener and listens(pid, port):
            self._listener = pid
        return pid == self._listener

    def _listens_elsewhere(self) -> bool:
        """Tell whether it has another port than its own: Dask takes any where one is taken."""
        pid, port = self.pid, self.role.port
        if pid is None or port is None:
            return False
        found = listening(pid)
        return bool(found) and port not in found

    def _late(self, now: float) -> None:
        """Give up what never answered; what did once is tried again."""
        why = f"did not answer within {self.role.start_limit:.0f} s"
        if self._answered:
            self._replace(now, why)
        else:
            self._give_up(why)

    def _silent(self, now: float) -> None:
        """Say that it does not answer, and start it again where that lasts and is its own fault."""
        self.state, self.note = "ailing", "does not answer"
        silence = now - self._heard
        if not self.role.command or silence <= self.patience.silence:
            return
        if self.role.is_hung():
            self._replace(now, f"did not answer for {silence:.0f} s")
        else:
            self._heard = now

    def _replace(self, now: float, why: str) -> None:
        """End a process that hangs.

        It is not asked: it hears nothing, and a worker that does would end its flow runs, which
        go on without it.
        """
        self._kill()
        self._died(now, why)

    def _ended(self, now: float) -> None:
        code = self._process.returncode if self._process else 0
        if self.role.is_step and code == 0:
            self.state = "done"
        elif self.role.is_step and code == COMMAND:
            self._give_up(_said(code))  # nothing but the operator can change it
        else:
            self._died(now, _said(code))

    def _died(self, now: float, said: str) -> None:
        """Note a death, and when to start it again, if at all."""
        self._deaths.append(now)
        while self._deaths[0] < now - DAY:
            self._deaths.popleft()
        late = sum(each >= now - self.patience.window for each in self._deaths)
        most = self.patience.most if self._answered else self.patience.most_unseen
        if late >= most:
            self._give_up(f"{said}, {late} times: no further try")
            return
        if len(self._deaths) >= self.patience.most_a_day:
            self._give_up(f"{said}, {len(self._deaths)} times within a day: no further try")
            return
        wait = self.patience.wait(late)
        self.state, self._next = "again", now + wait
        self.note = f"{said}; again in {wait:.0f} s"

    def _give_up(self, why: str) -> None:
        self._kill()
        port = self.role.port
        if port and not is_free(port):
            why += f"; another program listens at port {port}"
        self.state, self.note = "failed", why

    def _kill(self) -> None:
        if self.is_alive and self._process:
            self._process.kill()
            self._process.wait()


def _put_aside(log: Path) -> None:
    """Keep a log beside itself as far as there is room."""
    kept = log.with_suffix(".log.1")
    try:
        shutil.copyfile(log, kept)
    except OSError:
        kept.unlink(missing_ok=True)  # half of it would fill the disk for nothing


@contextmanager
def _log_to(path: Path) -> Iterator[IO[bytes]]:
    """Open a log and note the start; where nothing can be written, what is said is lost."""
    with ExitStack() as stack:
        try:
            out = stack.enter_context(path.open("ab", buffering=0))
            out.write(time.strftime(f"{STARTED}%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()).encode())
        except OSError:
            out = stack.enter_context(Path(os.devnull).open("ab", buffering=0))
        yield out


def _said(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with {code}"


def _end_runs(
    process: subprocess.Popen[bytes], patience: float, hurries: Callable[[], bool]
) -> None:
    """Let the flow runs of a worker end by themselves, before it is told: it would kill them.

    Meanwhile the worker is held, or it would begin the next ones.
    """
    process.send_signal(signal.SIGSTOP)
    try:
        runs = runs_of(process.pid)
        tell(runs, signal.SIGTERM)
        _ends(runs, patience, hurries)
    finally:
        process.send_signal(signal.SIGCONT)


def _ends(
    processes: Sequence[subprocess.Popen[bytes] | psutil.Process],
    patience: float,
    hurries: Callable[[], bool],
) -> bool:
    """Tell whether processes end in time."""
    deadline = time.monotonic() + patience
    while any(map(_runs, processes)):
        if hurries() or time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def _runs(process: subprocess.Popen[bytes] | psutil.Process) -> bool:
    if isinstance(process, subprocess.Popen):
        return process.poll() is None
    return not has_ended(process)
