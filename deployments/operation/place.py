"""The folder of `hstflow up`: who is up there, where its programs answer, their logs.

A lock of the operating system says who is up: it ends with the process, however that ends, so
no number of a process that is long gone keeps anybody out. Imports nothing heavy: commands that
look for a Prefect server ask here first.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from calib.errors import GENERIC, ConfigError, Unavailable
from calib.programs.tree import born

FOLDER = "up"
LOCK = "up.lock"
STATE = "up.json"
LOGS = "logs"

# Who asks whether it is up holds the lock for an instant: it is asked for again for so long.
GLANCE = 1.0  # seconds
PAUSE = 0.02

# A new database of Prefect is 5 MB with its write-ahead log, and a campaign of 1,000 datasets with
# a task for each stage adds 90 MB.
MB = 1e6
LEAST_FREE = 100 * MB

# For the owner alone: the file says where servers listen, and their password.
PRIVATE = 0o600


@dataclass(frozen=True)
class Standing:
    """What is up at a home.

    Attributes
    ----------
    pid, host
        The process `hstflow up`, and where it runs.
    home
        Its PREFECT_HOME.
    prefect
        URL of the API of its Prefect server; None: it has none, or not yet.
    pages
        What people open, by name: ``prefect``, ``dashboard``, ``dask``.
    runner
        Address of its Dask scheduler, for ``--runner``.
    dask
        Variables with which a client finds the certificates of the scheduler.
    roles
        State of each program by name.
    ready
        Whether everything answered.
    born
        When the process was started, by the clock of :func:`born`: its number may be another's
        later.
    auth, password
        ``USER:PASSWORD`` that the Prefect server and the dashboard ask for; None: nothing.
    """

    pid: int
    host: str
    home: str
    prefect: str | None = None
    pages: dict[str, str] = field(default_factory=dict)
    runner: str | None = None
    dask: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    ready: bool = False
    born: float | None = None
    auth: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return what programs may want to know, as ``--json`` says it."""
        found = asdict(self)
        return {
            **found,
            "environment": self.environment,
            "logs": str(Path(self.home, FOLDER, LOGS)),
        }

    @property
    def environment(self) -> dict[str, str]:
        """What leads the commands of another terminal here."""
        return {**self.server, **self.dask}

    @property
    def server(self) -> dict[str, str]:
        """What leads them to the Prefect server alone."""
        if self.prefect is None:
            return {}
        auth = {"PREFECT_API_AUTH_STRING": self.auth} if self.auth else {}
        return {"PREFECT_API_URL": self.prefect, **auth}


def home_of(environ: Mapping[str, str]) -> Path:
    """Return PREFECT_HOME as Prefect finds it."""
    return Path(environ.get("PREFECT_HOME") or "~/.prefect").expanduser().absolute()


class Place:
    """The folder `up` below a PREFECT_HOME.

    Parameters
    ----------
    home
        PREFECT_HOME: what two servers must not share.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / FOLDER
        self.logs = self.folder / LOGS

    def prepare(self) -> None:
        """Make the folder, and see that what is up can work there.

        Raises
        ------
        ConfigError
            It cannot be written.
        Unavailable
            The disk is full, or nearly so.
        """
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise ConfigError(
                f"PREFECT_HOME cannot be written: {error.strerror}",
                path=self.home,
                expected="a folder of your own",
            ) from error
        if free < LEAST_FREE:
            raise Unavailable(
                "the disk is full: Prefect's database and the logs need room",
                path=self.home,
                expected=f"{LEAST_FREE / MB:.0f} MB free",
                found=f"{free / MB:.0f} MB",
                code=GENERIC,
            )

    @contextmanager
    def held(self) -> Iterator[IO[str]]:
        """Be the only one that is up here.

        Yields
        ------
        file
            What holds the lock: whoever inherits it holds it too.

        Raises
        ------
        Unavailable
            Another is; the message says where.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("a+") as lock:
            self._take(lock)
            try:
                yield lock
            finally:
                (self.folder / STATE).unlink(missing_ok=True)

    def _take(self, lock: IO[str]) -> None:
        deadline = time.monotonic() + GLANCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise self._taken() from error
                time.sleep(PAUSE)
            else:
                return

    def refuse_second(self) -> None:
        """Say early what `held` would say, before ports are looked for and libraries imported.

        Raises
        ------
        Unavailable
            Another is up here.
        """
        if self._is_held():
            raise self._taken()

    def say(self, standing: Standing) -> None:
        """Write down what is up, whole or not at all."""
        path = self.folder / f".{STATE}"
        path.touch(PRIVATE)
        path.write_text(json.dumps(asdict(standing), indent=2) + "\n", encoding="utf-8")
        path.replace(self.folder / STATE)

    def standing(self) -> Standing | None:
        """Return what is up here; None: nothing is, whatever a file of an earlier one says."""
        if not self._is_held():
            return None
        try:
            text = (self.folder / STATE).read_text(encoding="utf-8")
            found = Standing(**json.loads(text))
        except (OSError, ValueError, TypeError):
            return None  # it is about to say so, or another version's
        # A killed one whose programs are being ended still holds the lock, and is up no more.
        return found if found.host != socket.gethostname() or _is_there(found) else None

    def _is_held(self) -> bool:
        try:
            lock = (self.folder / LOCK).open()
        except OSError:  # it is not there, or another's: `prepare` says what is wrong with it
            return False
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    def _taken(self) -> Unavailable:
        found = self.standing()
        if found is None:
            return Unavailable(
                "another `hstflow up` starts or ends here", path=self.home, code=GENERIC
            )
        where = ", ".join(f"{name} {page}" for name, page in found.pages.items())
        return Unavailable(
            f"hstflow is up here already: pid {found.pid} on {found.host}; {where}",
            path=self.home,
            expected="`hstflow up --status`, `--stop`, or another PREFECT_HOME",
            code=GENERIC,
        )


def _is_there(found: Standing) -> bool:
    return found.born is not None and born(found.pid) == found.born


def variables_of_what_is_up(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what leads a command to the server that `hstflow up` runs on this home and host.

    For commands that would start a private server otherwise: it would use the same database,
    and two servers on one SQLite file lock each other out.
    """
    found = _standing_here(environ)
    return found.server if found else {}


def certificates_of_what_is_up(environ: Mapping[str, str], runner: str) -> dict[str, str]:
    """Return what a client of a Dask scheduler needs, where it is that of the `hstflow up` here."""
    found = _standing_here(environ)
    return found.dask if found and found.runner == runner else {}


def _standing_here(environ: Mapping[str, str]) -> Standing | None:
    found = Place(home_of(environ)).standing()
    return found if found is not None and found.host == socket.gethostname() else None


def this_standing(place: Place) -> Standing:
    """Return what this process says first: that it is here."""
    pid = os.getpid()
    return Standing(pid=pid, host=socket.gethostname(), home=str(place.home), born=born(pid))
