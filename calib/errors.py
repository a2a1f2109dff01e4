"""Everything that can go wrong, as one tree, with the exit code of each kind.

::

    HstflowError                     exit code
    ├── ConfigError                  2   bad name, URI, setting: nothing was started
    │   └── ContextError             27  the CRDS context does not exist or cannot be read
    ├── TransientError               retried with backoff
    │   ├── Unavailable              21, 22, 26 by source
    │   │   └── InOtherHands         1   a live process is at work on it
    │   ├── ReferenceUnavailable     27  named by the rules, not in the cache
    │   └── Interrupted              130, 143
    │       └── Cancelled            143  an operator took the job back
    ├── DataError                    final: trying again gives the same answer
    │   ├── NotFound                 21, 22, 26
    │   ├── Proprietary              22
    │   ├── CorruptFile              21
    │   ├── MissingMember            21
    │   ├── UnsupportedMode          23
    │   └── MissingReference         27
    ├── EngineError                  23  program, exit code, last log lines
    ├── OutOfMemory                  31, 32, 33, 34: the next memory rung
    │   └── WorkerLost               33  the process that worked on it is gone
    ├── TimedOut                     137  a stage went over its limit: once more with twice the time
    ├── PreviewError                 28  only where previews are required
    └── ArchiveError                 25  not writable, full, upload, verify

The numbers are CALDP's (caldp/exit_codes.py), so that operators' scripts keep working.
Every class pickles with its fields: errors cross Dask workers.
"""

from __future__ import annotations

from typing import Any

DONE = 0
GENERIC = 1
COMMAND = 2
INPUT = 21
MAST = 22
STAGE1 = 23
STAGE2 = 24
ARCHIVE = 25
S3_INPUT = 26
BESTREFS = 27
PREVIEWS = 28
CHILD_MEMORY = 31
OUR_MEMORY = 32
CONTAINER_MEMORY = 33
SYSTEM_MEMORY = 34
SVM = 40
MVM = 41
TIMED_OUT = 137  # 128 + SIGKILL: what CALCLOUD's killed containers end with
INTERRUPTED = 130
TERMINATED = 143


class HstflowError(Exception):
    """An expected failure, said in one message: what, where, expected and found.

    Parameters
    ----------
    message
        What is wrong, in words a user can act on.
    dataset
        The dataset concerned, where one is known.
    path
        The file or URI concerned.
    expected, found
        What was asked for and what was there instead.
    code
        Exit code; the class's own where not given.
    """

    code: int = GENERIC

    def __init__(
        self,
        message: str,
        *,
        dataset: str | None = None,
        path: object = None,
        expected: object = None,
        found: object = None,
        code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.dataset = dataset
        self.path = None if path is None else str(path)
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        details = [
            f"{name} {value}"
            for name, value in (
                ("dataset", self.dataset),
                ("file", self.path),
                ("expected", self.expected),
                ("found", self.found),
            )
            if value is not None
        ]
        return f"{self.message} ({'; '.join(details)})" if details else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the fields: Exception's own pickling knows positional arguments only."""
        return _restore, (type(self), dict(self.__dict__))


def _restore(kind: type[HstflowError], fields: dict[str, Any]) -> HstflowError:
    error = kind.__new__(kind, fields.get("message", ""))
    error.__dict__.update(fields)
    return error


class ConfigError(HstflowError):
    """A name, URI, option or setting that cannot work: nothing was started."""

    code = COMMAND


class ContextError(ConfigError):
    """The CRDS context does not exist, or its mappings cannot be read."""

    code = BESTREFS


class TransientError(HstflowError):
    """May pass by itself: retried with backoff."""


class Unavailable(TransientError):
    """A service or store does not answer now."""

    code = INPUT


class InOtherHands(Unavailable):
    """Another live process is at work on it."""

    code = GENERIC


class ReferenceUnavailable(TransientError):
    """A reference that the rules name is not in the cache (retried, then blocked)."""

    code = BESTREFS


class Interrupted(TransientError):
    """Stopped by a person or the system; the next attempt goes on where this one stopped."""

    code = INTERRUPTED


class Cancelled(Interrupted):
    """An operator cancelled the job or its campaign; only a rescue brings it back."""

    code = TERMINATED


class DataError(HstflowError):
    """Something about this dataset that no retry changes."""

    code = INPUT


class NotFound(DataError):
    """No such dataset, or no input files for it."""


class Proprietary(DataError):
    """The data are in their exclusive-access period and no valid token was given."""

    code = MAST


class CorruptFile(DataError):
    """A file that does not open, is cut short, or is not what its name says."""


class MissingMember(DataError):
    """A member that the association table names is not among the inputs."""


class UnsupportedMode(DataError):
    """No engine at hand can calibrate this mode completely."""

    code = STAGE1


class MissingReference(DataError):
    """A reference that a switch asks for is not named, does not match, or is unusable."""

    code = BESTREFS


class EngineError(HstflowError):
    """A calibration program or recipe failed.

    Parameters
    ----------
    program
        Program or engine name.
    exit_code
        Exit status of the program; None for the native engine.
    log_tail
        Last lines of the log.
    """

    code = STAGE1

    def __init__(
        self,
        message: str,
        *,
        program: str = "native",
        exit_code: int | None = None,
        log_tail: str = "",
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.program = program
        self.exit_code = exit_code
        self.log_tail = log_tail


class OutOfMemory(HstflowError):
    """Memory ran out: worth another try with more.

    Parameters
    ----------
    need
        Bytes that it is predicted to take; None: not known.
    """

    code = OUR_MEMORY

    def __init__(self, message: str, *, need: int | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.need = need


class WorkerLost(OutOfMemory):
    """The process that worked on the job is gone: most often because memory ran out."""

    code = CONTAINER_MEMORY


class TimedOut(HstflowError):
    """A stage went over its time limit and was ended."""

    code = TIMED_OUT


class PreviewError(HstflowError):
    """A preview could not be made, and previews are required."""

    code = PREVIEWS


class ArchiveError(HstflowError):
    """Products could not be published or verified: not writable, full, changed."""

    code = ARCHIVE
