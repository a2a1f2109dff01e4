"""The log of one job: every line carries time, level, dataset, stage and attempt."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path

from calib.stages.workfolder import folder_errors

_dataset: ContextVar[tuple[str, int] | None] = ContextVar("dataset", default=None)
_stage: ContextVar[str] = ContextVar("stage", default="-")
FORMAT = "%(asctime)sZ %(levelname)-7s %(dataset)s %(stage)s #%(attempt)d  %(message)s"
LOG_NAME = "process.txt"  # CALDP's name of the processing log

# Whose lines are told: ours, and those of the libraries that work for a stage, their warnings
# too. Programs' lines come through ours (calib.programs.tail).
LOGGERS = ("calib", "CRDS", "astropy", "stpipe", "py.warnings")


class _OfThisJob(logging.Filter):
    """Lets pass the lines of one job only: threads may run several in one process."""

    def __init__(self, job: tuple[str, int]) -> None:
        super().__init__()
        self._job = job

    def filter(self, record: logging.LogRecord) -> bool:
        if _dataset.get() != self._job:
            return False
        record.dataset, record.attempt = self._job
        record.stage = _stage.get()
        return True


@contextmanager
def job_log(folder: Path, dataset: str, attempt: int) -> Iterator[Path]:
    """Write the lines of one attempt to ``FOLDER/process.txt`` (appended: attempts follow).

    Raises
    ------
    ConfigError
        The work folder cannot be written.
    Unavailable
        The disk is full, or does not answer: what the system says may pass.
    """
    path = folder / LOG_NAME
    with folder_errors(folder, others_pass=True):
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    formatter = logging.Formatter(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(_OfThisJob((dataset, attempt)))
    logger = logging.getLogger("calib")
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    token = _dataset.set((dataset, attempt))
    try:
        with ExitStack() as stack:
            for name in LOGGERS:
                stack.enter_context(_added(handler, logging.getLogger(name)))
            yield path
    finally:
        _dataset.reset(token)
        handler.close()


@contextmanager
def _added(handler: logging.Handler, logger: logging.Logger) -> Iterator[None]:
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def stage_name(stage: str) -> Iterator[None]:
    """Name the stage that the lines written inside belong to."""
    token = _stage.set(stage)
    try:
        yield
    finally:
        _stage.reset(token)
