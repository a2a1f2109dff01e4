"""Ends what `hstflow up` left behind when it was killed: ``python -m ... HOME``.

It waits at a pipe whose other end `hstflow up` holds. A word says that all was stopped; an end
without a word, that nobody did. It holds the lock of the home until it is done, so that no other
`up` begins among what this one ends.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from deployments.operation.processes import sweep

GOOD_NIGHT = b"stopped\n"


@contextmanager
def watched(home: str, lock: IO[str]) -> Iterator[None]:
    """Have a watchman for as long as the block lasts; it ends with the block, or after us.

    Parameters
    ----------
    home
        What all that is started in the block is marked with.
    lock
        The open file whose lock the watchman shares.
    """
    command = [sys.executable, "-m", "deployments.operation.watchman", home]
    with subprocess.Popen(  # noqa: S603 - our own interpreter, an argument list
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        pass_fds=(lock.fileno(),),
    ) as watchman:
        try:
            yield
        finally:
            watchman.communicate(GOOD_NIGHT)


def main(home: str) -> int:
    """Wait until `hstflow up` has ended, and end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != GOOD_NIGHT:
        sweep(home)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
