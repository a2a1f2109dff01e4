"""Bringing rules and references into the cache, each file whole and verified."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from calib.references.profile import CrdsProfile

# Takes how many files are done, of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Synced:
    """What a synchronisation did.

    Attributes
    ----------
    brought
        Names of the files that came.
    bytes
        Their sizes together.
    present
        How many were there already.
    failed
        Why files could not be had, by name.
    """

    brought: tuple[str, ...] = ()
    bytes: int = 0
    present: int = 0
    failed: tuple[tuple[str, str], ...] = ()


def sync_rules(
    profile: CrdsProfile, contexts: Iterable[str], *, progress: Progress | None = None
) -> Synced:
    """Bring all rules of contexts into the cache.

    Raises
    ------
    ConfigError
        The profile cannot bring anything: it is read-only, or has no server.
    ContextError
        There is no such context, or a file cannot be had right.
    Unavailable
        The server does not answer, or the disk is full.
    """
    raise NotImplementedError


def sync_references(
    profile: CrdsProfile, context: str, names: Iterable[str], *, progress: Progress | None = None
) -> Synced:
    """Bring references into the cache; those that cannot be had are in the answer.

    Parameters
    ----------
    context
        Whose references they are: for messages.

    Raises
    ------
    ConfigError
        The profile cannot bring anything.
    Unavailable
        The server does not answer at all, or the disk is full.
    """
    raise NotImplementedError
