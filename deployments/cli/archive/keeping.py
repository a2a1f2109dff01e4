"""What the commands that keep the archive have in common: a progress bar, and bytes in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deployments.cli.console import err

T = TypeVar("T")

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def counted(found: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    """Yield what is found, with a progress bar on stderr meanwhile.

    Parameters
    ----------
    found
        What is counted.
    what
        Name of the work.
    total
        How many are expected; None where nobody knows.
    """
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bar = progress.add_task(what, total=total)
        for each in found:
            progress.advance(bar)
            yield each


def in_words(size: float) -> str:
    """Return a number of bytes for people: 3.4 GB (powers of 1000)."""
    for unit in _UNITS[:-1]:
        if size < 999.95:  # noqa: PLR2004 - would be rounded to 1000.0
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"
