"""The option `--threads` of commands that calibrate in this process."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

Threads = Annotated[int | None, Parameter(validator=Number(gte=1))]


def threads_or_all(threads: int | None) -> int:
    """Return the threads asked for, or one per CPU that this process may use."""
    from calib.engines.protocol import available_cpus

    return available_cpus() if threads is None else threads
