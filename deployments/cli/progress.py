"""A bar on stderr for work that tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deployments.cli.console import err


@contextmanager
def following(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs, on a terminal only.

    Parameters
    ----------
    what
        What is counted.

    Yields
    ------
    Callable
        Takes how much is done, of how much.
    """
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
