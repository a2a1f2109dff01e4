"""Warnings of a stage in the log of its task run, each with its dataset and stage.

The whole log of a dataset is a file (`process.txt`), and stays there: a hundred thousand datasets
would fill Prefect's database. What a person should see at once goes to the server, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.context import TaskRunContext

# Lines of one task run that are sent; the file has all of them.
MOST_LINES = 20


class ToTaskRun(logging.Handler):
    """Passes warnings on to the task run in which they are told.

    Parameters
    ----------
    number
        Of the task run: threads of one process are at work on several.
    prefix
        What each line begins with.
    """

    def __init__(self, number: object, prefix: str) -> None:
        super().__init__(logging.WARNING)
        self._number, self._prefix, self._left = number, prefix, MOST_LINES

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on, unless it is of another task run, or there were many."""
        here = TaskRunContext.get()
        if here is None or here.task_run.id != self._number or self._left <= 0:
            return
        self._left -= 1
        text = "further warnings are in its log" if self._left == 0 else record.getMessage()
        get_run_logger().log(record.levelno, "%s: %s", self._prefix, text)


@contextmanager
def warnings_shown(dataset: str, stage: str) -> Iterator[None]:
    """Send warnings of a stage to the log of its task run; nothing outside of one."""
    here = TaskRunContext.get()
    if here is None:
        yield
        return
    handler, logger = ToTaskRun(here.task_run.id, f"{dataset} {stage}"), logging.getLogger("calib")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
