"""Bars on stderr for long work, where somebody is looking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deployments.cli.console import err

T = TypeVar("T")


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
    with _progress(what) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def counted(found: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    """Yield what is found, with a bar meanwhile, on a terminal only.

    Parameters
    ----------
    found
        What is counted.
    what
        Name of the work.
    total
        How many are expected; None where nobody knows.
    """
    with _progress(what) as progress:
        bar = progress.add_task(what, total=total)
        for each in found:
            progress.advance(bar)
            yield each


def _progress(what: str) -> Progress:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
