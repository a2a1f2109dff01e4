"""Comparisons of products: made one at a time beside the requests, and kept by their checksums."""

from __future__ import annotations

import hashlib
import logging
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path
from pydantic import ValidationError

from calib.errors import ArchiveError, HstflowError
from calib.ledger.products import Product
from calib.programs.run import run_program
from calib.records import from_json, to_json
from deployments.dashboard.comparison_order import RESULT, SIDES, Comparison, Order, picture_name

LOGGER = logging.getLogger(__name__)

# Changes whenever the numbers do that a comparison has: kept ones are not shown any more then.
_FORM = "1"

# Seconds and bytes of address space of one comparison. An image set is compared at a time: some
# ten arrays of float64, so that 6 GB are enough for 50 million pixels, six chips of ACS/WFC.
_TIMEOUT = 180.0
_MEMORY = 6 * 10**9

# Pairs that wait at once; who asks for more is told to ask again.
_MOST_WAITING = 64

# Comparisons that are kept; each has some 1 MB of pictures.
_MOST_KEPT = 200

# Seconds for which a failure is told before it is tried again, and how many are remembered.
_FAILED_FOR = 600.0
_MOST_FAILED = 256

_PART = ".part-"

_UNEXPECTED = "the comparison ended unexpectedly: the log of the dashboard says why"


@dataclass(frozen=True)
class Waiting:
    """A comparison that is being made, or will be; `is_full` says to ask again later."""

    is_full: bool = False


@dataclass(frozen=True)
class Failed:
    """Why there is no comparison."""

    why: str


class Comparisons:
    """Compares products beside the requests.

    Parameters
    ----------
    folder
        Where comparisons are kept; by default a folder of the user's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or user_cache_path("hstflow") / "differences"
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting: queue.Queue[tuple[str, Order]] = queue.Queue(_MOST_WAITING)
        self._known: set[str] = set()
        self._failed: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._thread: threading.Thread | None = None

    def get(self, old: Product, new: Product) -> Comparison | Waiting | Failed:
        """Return a comparison; one that is not there is begun beside."""
        if old.sha256 is None or new.sha256 is None:
            return Failed("no checksum was taken of one of the two")
        key = key_of(old.sha256, new.sha256)
        found = self._read(key)
        if found is not None:
            return found
        with self._lock:
            until, why = self._failed.get(key, (0.0, ""))
            if time.monotonic() < until:
                return Failed(why)
            return self._enter(key, Order(old, new, new.instrument or old.instrument or ""))

    def picture(self, old: str, new: str, version: int, side: str) -> bytes | None:
        """Return a picture of a comparison that is kept, by the checksums; None without one."""
        if side not in SIDES:
            return None
        try:
            return (self._folder / key_of(old, new) / picture_name(version, side)).read_bytes()
        except OSError:
            return None

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is being compared; tell whether it came to that in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._known, seconds)

    def _read(self, key: str) -> Comparison | None:
        try:
            return _read_comparison(self._folder / key)
        except (OSError, ValidationError):
            return None

    def _enter(self, key: str, order: Order) -> Waiting:
        if self._thread is None:  # at first, and after one that met the unexpected
            self._thread = threading.Thread(target=self._work, name="comparisons", daemon=True)
            self._thread.start()
        if key in self._known:
            return Waiting()
        try:
            self._waiting.put_nowait((key, order))
        except queue.Full:
            return Waiting(is_full=True)
        self._known.add(key)
        return Waiting()

    def _work(self) -> None:
        """Compare one pair after the other; what is unexpected ends this thread, but is told."""
        while True:
            key, order = self._waiting.get()
            why: str | None = _UNEXPECTED
            try:
                self._compare(key, order)
                why = None
            except (HstflowError, OSError) as error:
                LOGGER.warning("%s", error)
                why = _said(error)
            finally:
                self._finish(key, why)

    def _finish(self, key: str, why: str | None) -> None:
        """Note how a comparison ended; after the unexpected the next one gets a new thread."""
        with self._idle:
            if why is not None:
                self._failed[key] = (time.monotonic() + _FAILED_FOR, why)
            while len(self._failed) > _MOST_FAILED:
                self._failed.popitem(last=False)
            if why == _UNEXPECTED:
                self._thread = None
            self._known.discard(key)
            self._idle.notify_all()

    def _compare(self, key: str, order: Order) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tidy()
        with tempfile.TemporaryDirectory(prefix=_PART, dir=self._folder) as name:
            part, beside = Path(name) / "result", Path(name) / "work"
            part.mkdir()
            beside.mkdir()
            run_comparison(order, part, beside)
            if (
                self._read(key) is None
            ):  # what is there cannot be read: rename leaves a folder that is in the way
                shutil.rmtree(self._folder / key, ignore_errors=True)
            with suppress(OSError):  # another dashboard has made the same meanwhile
                part.rename(self._folder / key)
            if self._read(key) is None:
                raise ArchiveError("the comparison cannot be kept", path=self._folder / key)

    def _tidy(self) -> None:
        """Remove the oldest comparisons, and what a process left that was killed."""
        kept = [each for each in self._folder.iterdir() if not each.name.startswith(_PART)]
        for old in sorted(kept, key=_age, reverse=True)[_MOST_KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
        for part in self._folder.glob(f"{_PART}*"):
            if time.time() - _age(part) > 10 * _TIMEOUT:
                shutil.rmtree(part, ignore_errors=True)


def run_comparison(order: Order, part: Path, beside: Path) -> Comparison:
    """Compare in a process of its own.

    Parameters
    ----------
    order
        What to compare.
    part, beside
        Empty folders: for the result, and for the work.

    Raises
    ------
    HstflowError
        It took too long or too much memory, or came to nothing.
    """
    order_file = beside / "order.json"
    order_file.write_text(to_json(order), encoding="utf-8")
    run_program(
        [sys.executable, "-m", "deployments.dashboard.comparing", str(order_file), str(part)],
        folder=beside,
        log_file=beside / "comparing.log",
        environment={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        timeout=_TIMEOUT,
        memory=_MEMORY,
    )
    try:
        return _read_comparison(part)
    except (OSError, ValidationError) as error:
        message = "the comparison wrote nothing that can be read"
        raise ArchiveError(message, dataset=order.new.dataset) from error


def key_of(old: str, new: str) -> str:
    """Return the name under which a comparison is kept: checksums of a ledger are any text."""
    return hashlib.sha256(f"{_FORM} {old} {new}".encode()).hexdigest()


def _said(error: HstflowError | OSError) -> str:
    """Return what readers are told: no path of this machine."""
    if isinstance(error, HstflowError):
        return error.message
    return error.strerror or type(error).__name__


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # it goes just now
        return 0.0


def _read_comparison(folder: Path) -> Comparison:
    return from_json(Comparison, (folder / RESULT).read_bytes())
