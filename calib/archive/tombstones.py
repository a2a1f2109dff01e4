"""Products that a dataset had and has no more.

A run is never changed, so a product that a newer version does not make (another switch, an
exposure that left the association) stays in the older run. Whoever copies only what is
current must be told to drop it: the new manifest says so, and every later one, until the
product is made again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from calib.archive.manifest import FileEntry, Manifest, Tombstone
from calib.errors import ArchiveError

log = logging.getLogger(__name__)


def tombstones_of(
    read_current: Callable[[], Manifest | None],
    dataset: str,
    files: Iterable[FileEntry],
    *,
    follows: bool,
) -> tuple[Tombstone, ...]:
    """Return the tombstones of a version that is about to be published.

    A version that is never to follow the current one leaves nothing out.

    Parameters
    ----------
    read_current
        Gives the manifest of the current version. Where it cannot be read (ArchiveError) the
        log says so and there are no tombstones: a damaged past must not stop the present.
    dataset
        Name for the log.
    files
        What the new version holds.
    follows
        Whether it follows the current version, now or later: a manifest is never changed.
    """
    return _against(read_current, dataset, {file.name for file in files}) if follows else ()


def tombstones_untold(
    read_current: Callable[[], Manifest | None], manifest: Manifest
) -> tuple[Tombstone, ...]:
    """Return the tombstones that a version lacks that is about to become current again.

    Something else was current when it was published. Its manifest stays as it is, so a person
    is told instead.
    """
    told = {file.name for file in manifest.files} | {each.name for each in manifest.tombstones}
    return _against(read_current, manifest.dataset, told)


def _against(
    read_current: Callable[[], Manifest | None], dataset: str, told: set[str]
) -> tuple[Tombstone, ...]:
    try:
        current = read_current()
    except ArchiveError as error:
        log.warning("no tombstones: the current version of %s cannot be read: %s", dataset, error)
        return ()
    return () if current is None else _left_out(current, told)


def _left_out(current: Manifest, made: set[str]) -> tuple[Tombstone, ...]:
    """Compare products only: previews, logs and environments come and go with options."""
    gone = [
        Tombstone(file.name, current.run, file.sha256)
        for file in current.files
        if file.role == "product"
    ]
    every = (each for each in (*gone, *current.tombstones) if each.name not in made)
    return tuple(sorted(every, key=lambda each: each.name))


def epitaphs(tombstones: Iterable[Tombstone]) -> tuple[str, ...]:
    """Return a line for people about each product that is not made any more."""
    return tuple(f"no longer made: {each.name} (last in {each.last_run})" for each in tombstones)
