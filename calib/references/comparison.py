"""Which exposures get other references: on a new context, or than they were made with.

In this process, without the crds command line: the types that changed are found once, and each
exposure is asked for those alone, and only where its date is late enough. The answers are those
of ``crds bestrefs`` (crds 14.0.3), exposure by exposure and type by type:

* `compare_contexts` is ``--old-context A --new-context B --print-affected-details``,
* `compare_source` is ``--compare-source-bestrefs --new-context B --print-affected-details``.

By default no file before and no file now (``N/A``, no match, a type that the rules do not have)
is no difference, as crds has it without ``--undefined-differences-matter``: nothing would be
calibrated otherwise. With `undefined_matters` it is what the server computes after each change
of context (``--affected-datasets``), where a type without a match is an error.

Where the new rules fail, crds prints an error and leaves the exposure out. Here it is listed,
with the problem: a person has to know before it is processed.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from calib.errors import WorkerLost
from calib.references import library
from calib.references.changes import AffectedExposure, ContextChanges, ExposureHeader
from calib.references.judging import Asked, Judge
from calib.references.profile import CrdsProfile
from calib.references.rule_changes import as_changes, changed_rules

# Exposures that are looked at in one session of the library, or sent to a process at once.
# The session costs 0.1 ms and a message to a process 1 ms; 200 exposures take 0.1 to 1 s.
_BATCH = 200

# Batches that wait for each process: enough that none is idle, few enough for the memory.
_AHEAD = 3


def context_changes(profile: CrdsProfile, old: str, new: str) -> ContextChanges:
    """Return what differs between two contexts.

    Parameters
    ----------
    profile
        CRDS server and cache.
    old, new
        Names of the contexts.

    Returns
    -------
    ContextChanges
        By instrument and keyword.

    Raises
    ------
    ContextError, Unavailable
        The rules of a context cannot be read, or downloaded.
    """
    with library.session(profile):
        changed, _ = changed_rules(profile, old, new)
    return as_changes(old, new, changed)


def compare_contexts(
    profile: CrdsProfile,
    old: str,
    new: str,
    headers: Iterable[ExposureHeader],
    *,
    processes: int = 1,
    undefined_matters: bool = False,
) -> Iterator[AffectedExposure]:
    """Yield the exposures whose references differ between two contexts.

    Parameters
    ----------
    profile
        CRDS server and cache.
    old, new
        Names of the contexts.
    headers
        Exposures; they are read as they are needed, so there may be any number of them.
    processes
        How many processes look; 1: this one.
    undefined_matters
        Whether "no match" and "no such type" differ from "no file needed".

    Yields
    ------
    AffectedExposure
        Those that differ, and those for which it cannot be told (`problem`), in the order of
        `headers`.

    Raises
    ------
    ContextError, Unavailable
        The rules of a context cannot be read. What is wrong with an exposure never raises.
    """
    asked = Asked(profile, old, new, undefined_matters=undefined_matters)
    return _compare(asked, headers, processes)


def compare_source(
    profile: CrdsProfile,
    context: str,
    headers: Iterable[ExposureHeader],
    *,
    processes: int = 1,
    undefined_matters: bool = False,
) -> Iterator[AffectedExposure]:
    """Yield the exposures whose headers name other references than a context chooses.

    Parameters
    ----------
    profile, processes, undefined_matters
        As for :func:`compare_contexts`.
    context
        Name of the context.
    headers
        Exposures with their reference keywords (``jref$x_drk.fits``, ``N/A``).

    Yields
    ------
    AffectedExposure
        As :func:`compare_contexts`; `old` is what the header names.

    Raises
    ------
    ContextError, Unavailable
        The rules of the context cannot be read.
    """
    asked = Asked(profile, None, context, undefined_matters=undefined_matters)
    return _compare(asked, headers, processes)


def _compare(
    asked: Asked, headers: Iterable[ExposureHeader], processes: int
) -> Iterator[AffectedExposure]:
    """Prepare now, so that a context that cannot be read is told before the first exposure."""
    judge = _prepared(asked)
    needed = (judge.needed(header) for header in headers)
    batches = _batched(each for each in needed if each is not None)
    if processes == 1:
        return (each for batch in batches for each in _judged(asked, judge, batch))
    return _by_processes(asked, batches, processes)


def _prepared(asked: Asked) -> Judge:
    with library.session(asked.profile):
        return Judge(asked)


def _batched(headers: Iterator[ExposureHeader]) -> Iterator[list[ExposureHeader]]:
    while batch := list(islice(headers, _BATCH)):
        yield batch


def _judged(asked: Asked, judge: Judge, batch: list[ExposureHeader]) -> list[AffectedExposure]:
    """Look at a batch in one session, which ends before anybody sees the answers."""
    with library.session(asked.profile):
        answers = [judge.judge(header) for header in batch]
    return [each for each in answers if each is not None]


def _by_processes(
    asked: Asked, batches: Iterator[list[ExposureHeader]], processes: int
) -> Iterator[AffectedExposure]:
    """Keep some batches under way, and yield their answers in order.

    Spawned, not forked: the parent may have threads (Dask, Prefect) whose locks a fork copies.
    """
    spawn = multiprocessing.get_context("spawn")
    waiting: deque[Future[list[AffectedExposure]]] = deque()
    with ProcessPoolExecutor(processes, spawn, _begin, (asked,)) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(_judge_batch, batch))
                if len(waiting) >= processes * _AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            message = "a process that compared exposures was killed: memory may have run out"
            raise WorkerLost(message, expected="fewer processes") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


# What a process of the pool compares, made once when it starts.
_TASK: list[tuple[Asked, Judge]] = []


def _begin(asked: Asked) -> None:
    """Read the rules in a new process, and take them out of sight of the garbage collector."""
    _TASK[:] = [(asked, _prepared(asked))]
    gc.collect()
    gc.freeze()


def _judge_batch(batch: list[ExposureHeader]) -> list[AffectedExposure]:
    return _judged(*_TASK[0], batch)
