"""What the work at hand may use, and the programs that it has started."""

from __future__ import annotations

from contextvars import ContextVar

from calib.errors import HstflowError


class Allowance:
    """What one attempt may use; programs that run for it are entered here.

    Parameters
    ----------
    dataset
        For messages.
    memory
        Bytes of the process tree; None: not limited.
    """

    def __init__(self, dataset: str | None = None, memory: int | None = None) -> None:
        self.dataset = dataset
        self.memory = memory
        self.breach: HstflowError | None = None


CURRENT: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


def current_allowance() -> Allowance | None:
    """Return the allowance of the attempt that this thread works on, None outside of one."""
    return CURRENT.get()
