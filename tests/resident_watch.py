"""Looks of `context-watch` in one process: each line "PATIENCE" is answered with what a look says.

They are flow runs of Prefect's server as those of the deployment are; what they leave out is the
start of a process for each, which costs more than the look.
"""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Answer with a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Look whenever asked, until standard input ends."""
    from flows.context_watch import context_watch

    say("ready")
    for line in sys.stdin:
        state = context_watch(patience=float(line), return_state=True)
        say(f"{state.name}: {state.message}".replace("\n", " "))


if __name__ == "__main__":
    main()
