"""What a Dask worker does before its first task."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from calib.instruments.reference_memory import MEMORY, default_limit
from flows.worker_setup import dask_setup, keep_freed_memory, room_for_references

GIB = 1 << 30


@pytest.mark.parametrize(
    ("limit", "room"),
    [(None, None), (5 * GIB, 3 * GIB), (GIB, 0), (10 * GIB, 7 * GIB)],
)
def test_references_leave_room_to_work(limit: int | None, room: int | None) -> None:
    """With 1 GiB to work in, a worker stays under 0.8 of its memory, well below its end at 0.95."""
    assert room_for_references(limit) == room


@pytest.mark.parametrize(
    ("setting", "limit", "kept"),
    [
        ("1GiB", 5 * GIB, GIB),
        ("100GiB", 5 * GIB, 3 * GIB),
        ("0", 5 * GIB, 0),
        ("2GiB", None, 2 * GIB),
        (None, None, default_limit()),
        (None, GIB, 0),
    ],
)
def test_worker_takes_the_setting_as_far_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, limit: int | None, kept: int
) -> None:
    """The smaller of what is asked for and what fits; the default where nothing is asked."""
    undone: list[Any] = [(signal, "signal"), (gc, "freeze"), (gc, "collect")]
    for module, name in undone:
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(MEMORY, "limit", MEMORY.limit)  # put back afterwards
    monkeypatch.setattr("flows.worker_setup.make_disposable", lambda: None)
    if setting is not None:
        monkeypatch.setenv("HSTFLOW_REFERENCE_MEMORY", setting)
    level = logging.getLogger("distributed").level

    manager = SimpleNamespace(memory_limit=limit, memory_pause_fraction=0.8)
    dask_setup(SimpleNamespace(memory_manager=manager))  # type: ignore[arg-type]

    logging.getLogger("distributed").setLevel(level)
    assert kept == MEMORY.limit
    assert manager.memory_pause_fraction is False


FAULTS = """
import resource, sys
import numpy as np
from flows.worker_setup import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def work():
    for _ in range(20):
        np.ones(2_000_000)  # 16 MB: 3,900 pages

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")
def test_freed_memory_is_used_again() -> None:
    """Under the nanny's setting each array is new pages of the system; after ours none is."""
    # Pages of 4 kB can be counted: numpy asks for huge ones where the system gives them.
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536", "NUMPY_MADVISE_HUGEPAGE": "0"}

    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("as-it-is") > 20 * 3_000
    assert faults("keep") < 1_000
