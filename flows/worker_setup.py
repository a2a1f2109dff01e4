"""Loaded by every Dask worker before its first task (`preload`).

Workers ignore the terminal's interrupt: the campaign process ends them. The objects made by
the imports are frozen out of the garbage collector: the crds library collects several times
per file, which took nine tenths of its time before.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from calib.stages.watch import make_disposable
from tasks.settings import limit_reference_memory, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Worker

# References fill no more than this share of a worker's memory; at 0.95 its nanny ends it
# (distributed, configuration worker.memory.terminate).
MOST_FILLED = 0.8

# Seconds that a worker which is closed has for the events of its last tasks.
LAST_WORDS = 3.0

# How many workers share the memory of the host: set by the campaign for its own.
SHARE_VARIABLE = "HSTFLOW_WORKERS_HERE"

# What a worker needs beside references, bytes: 0.78 GB was the peak of a pair of full WFC frames.
NEEDED = 1 << 30

# glibc (malloc.h, mallopt(3)): blocks below the first come from the heap, of which as much as the
# second stays with the process. These are the values that it reaches by itself after one free of
# a block of 32 MiB.
M_MMAP_THRESHOLD, MMAP_THRESHOLD = -3, 32 << 20
M_TRIM_THRESHOLD, TRIM_THRESHOLD = -1, 64 << 20


def dask_setup(worker: Worker) -> None:
    """Prepare a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    import flows.dataset  # noqa: F401 - imported before the first dataset, for all of them

    memory = share_of(worker.memory_manager.memory_limit, os.environ)
    # One that is paused takes no more jobs until its memory falls, which with nothing to do it
    # may never: the watchdog keeps each job to its grant, and the nanny ends what goes beyond.
    worker.memory_manager.memory_pause_fraction = False
    make_disposable()  # the nanny starts another process
    keep_freed_memory()
    limit_reference_memory(load_settings(), room_for_references(memory))
    gc.collect()
    gc.freeze()


async def dask_teardown(_worker: Worker) -> None:
    """Let the Prefect server hear the last words of this process, before it ends."""
    from prefect.events.worker import EventsWorker

    said: Any = EventsWorker.drain_all(timeout=LAST_WORDS)  # to be awaited, as we are in a loop
    await said


def keep_freed_memory() -> bool:
    """Let the C library use freed memory again, as it does in every other process.

    Dask's nanny sets MALLOC_TRIM_THRESHOLD_, which also ends that glibc learns how large the
    blocks are that a program frees: from then on each array of more than 128 kB is new memory,
    page by page from the system. A full WFC frame took 1.5 s of CPU instead of 0.5.

    Returns
    -------
    bool
        Whether it took; False where the C library is another one (macOS, musl).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    took = mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD), mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
    return all(took)


def share_of(limit: int | None, environ: Mapping[str, str]) -> int | None:
    """Return what a worker may use, bytes, where several share the limit; None: no limit."""
    return None if limit is None else limit // max(1, int(environ.get(SHARE_VARIABLE, "1")))


def room_for_references(limit: int | None) -> int | None:
    """Return how many bytes of references a worker can keep and still work.

    Parameters
    ----------
    limit
        Memory of the worker, bytes; None: Dask does not watch over it.
    """
    return None if limit is None else max(0, int(MOST_FILLED * limit) - NEEDED)
