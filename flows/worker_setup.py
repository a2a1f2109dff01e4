"""Loaded by every Dask worker before its first task (`preload`).

Workers ignore the terminal's interrupt: the campaign process ends them. The objects made by
the imports are frozen out of the garbage collector: the crds library collects several times
per file, which took nine tenths of its time before.
"""

from __future__ import annotations

import gc
import logging
import signal


def dask_setup(_worker: object) -> None:
    """Prepare a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    import flows.dataset  # noqa: F401 - imported before the first dataset, for all of them

    gc.collect()
    gc.freeze()
