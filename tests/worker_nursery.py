"""Dask workers by fork, so that one that is killed is replaced at once.

A line "NAME ADDRESS MEMORY SCRATCH" on standard input makes a worker of one thread; its process
number is the answer. What the workers need was imported, and compiled, before the first one.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from typing import NoReturn


def serve(name: str, address: str, memory: str, scratch: str) -> NoReturn:
    """Be a worker until it is told to stop."""
    from distributed import Worker

    async def work() -> None:
        async with Worker(
            address,
            nthreads=1,
            name=name,
            memory_limit=int(memory),
            resources={"MEM_GB": int(memory) / 1e9},
            local_directory=scratch,
            dashboard=False,
            preload=["flows.worker_setup"],
        ) as worker:
            await worker.finished()

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(work())
    os._exit(0)


def say(line: str) -> None:
    """Answer with a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Make workers until standard input ends."""
    import distributed  # noqa: F401 - for the workers

    from calib.compiled import warm_up

    warm_up()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    say("ready")
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            serve(*line.split())
        say(str(pid))


if __name__ == "__main__":
    main()
