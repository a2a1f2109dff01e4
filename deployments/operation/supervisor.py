"""Programs started in their order, watched over, started again, and stopped in reverse order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from calib.errors import GENERIC, INTERRUPTED, TERMINATED, Unavailable
from deployments.operation.program import STANDING, Program
from deployments.operation.role import Patience, Role

TICK = 0.2  # seconds between two looks at processes, and at signals
TRIM = 60.0  # seconds between two looks at the size of logs

Listener = Callable[["Supervisor"], None]


class Supervisor:
    """Runs roles until a signal comes.

    Parameters
    ----------
    roles
        In the order of their start; they are stopped in the reverse one.
    logs
        Folder of their logs.
    changed
        Called whenever something has changed, and about every second.
    patience
        When what died is started again.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        logs: Path,
        changed: Listener = lambda _: None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self.programs = [Program(role, logs, patience) for role in roles]
        self.is_ready = False
        self.is_stopping = False
        self.trouble = ""
        self._changed = changed
        self._signals: list[int] = []
        self._trimmed = 0.0

    def run(self) -> int:
        """Start everything and stay until a signal comes, or the start fails.

        Returns
        -------
        int
            130 after SIGINT, 143 after another signal.

        Raises
        ------
        Unavailable
            A program did not start; those that did are stopped again.
        """
        with self._listening():
            try:
                while not self._signals:
                    self._step(time.monotonic())
                    self._refuse_failed_start()
                    time.sleep(TICK)
            finally:
                self.stop()
        return INTERRUPTED if self._signals[0] == signal.SIGINT else TERMINATED

    def stop(self) -> None:
        """Stop all, the last one first; a second signal kills what is left."""
        self.is_stopping = True
        with ExitStack() as stack:  # each is stopped, whatever happened to the others
            for program in self.programs:
                stack.callback(self._stop, program)

    def _stop(self, program: Program) -> None:
        program.note = "stopping" if program.is_alive else program.note
        try:
            self._tell()
        finally:
            program.stop(self._hurries)
        self._tell()

    def _tell(self) -> None:
        """Say what has changed; a full disk or a closed terminal is no reason to end programs."""
        try:
            self._changed(self)
        except OSError as error:
            self.trouble = f"the state cannot be written: {error}"
        else:
            self.trouble = ""

    def _step(self, now: float) -> None:
        standing = {each.role.name for each in self.programs if each.state in STANDING}
        for program in self.programs:
            if program.state == "waiting" and standing.issuperset(program.role.after):
                program.start(now)
            program.step(now)
        self.is_ready = self.is_ready or all(p.state in {"ready", "done"} for p in self.programs)
        if now - self._trimmed > TRIM:
            self._trimmed = now
            for program in self.programs:
                program.trim_log()
        self._tell()

    def _refuse_failed_start(self) -> None:
        """Say why what was never complete cannot become it; later failures are only told."""
        if self.is_ready:
            return
        for program in self.programs:
            if program.state == "failed":
                raise Unavailable(
                    f"{program.role.name} {program.note}: {program.tail()}",
                    path=program.log,
                    code=GENERIC,
                )

    def _hurries(self) -> bool:
        return len(self._signals) > 1

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Note signals instead of being torn out of what we do."""

        def note(number: int, _frame: FrameType | None) -> None:
            self._signals.append(number)

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
