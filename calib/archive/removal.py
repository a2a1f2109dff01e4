"""Removal of one version of a dataset: it is there whole, or it is gone.

In a folder one rename takes it out of its run, into the staging folder that every publication
sweeps; in a bucket the manifest goes first, under the claim that writers hold. Whatever stops
the machine, readers find all of it or nothing, and a second try takes away what is left. The
current version is never removed.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from calib.archive import pointer
from calib.archive.claim import Claim, claimed
from calib.archive.disk import archive_errors, make_folders, sync_folder
from calib.archive.layout import (
    MANIFEST,
    STAGING,
    publication_folder,
    refuse_detour,
    run_folder,
    staging_area,
)
from calib.archive.staging import staged, sweep
from calib.archive.store_holdings import StoreHoldings, place_of
from calib.archive.store_survey import claim_key
from calib.errors import ArchiveError
from calib.ids import DatasetId

log = logging.getLogger(__name__)


def remove(output: Path, run: str, dataset: DatasetId) -> bool:
    """Remove a dataset from a run in a folder, and the folder of a run that holds no more.

    Parameters
    ----------
    output, run, dataset
        What to remove, from where.

    Returns
    -------
    bool
        False where there was nothing (any more).

    Raises
    ------
    ConfigError
        The run's name is not allowed.
    ArchiveError
        It is the current version, a link is in the way, or removing is not allowed.
    """
    output = output.absolute()
    folder = publication_folder(output, run, dataset)
    with archive_errors(folder, dataset=dataset.name):
        refuse_detour(output, staging_area(output, run))
        refuse_detour(output, folder)
        _refuse_current(pointer.current_run(output, dataset), run, dataset, str(folder))
        sweep(staging_area(output, run))
        is_there = folder.is_dir()
        if is_there:
            _take_out(output, run, dataset)
            log.info("%s removed from %s", dataset, run)
        _drop_empty(run_folder(output, run))
    return is_there


def remove_from_store(holdings: StoreHoldings, run: str, dataset: DatasetId) -> bool:
    """Remove a dataset from a run in a store; the same rules as :func:`remove`.

    Raises
    ------
    ConfigError
        The run's name is not allowed.
    ArchiveError
        It is the current version, or removing is not allowed.
    Unavailable
        The store does not answer, or another process is publishing the same dataset.
    """
    place, key = place_of(run, dataset), claim_key(run, dataset)
    _refuse_current(holdings.pointed_run(dataset), run, dataset, holdings.store.uri_of(place))
    if next(iter(holdings.store.list_keys(f"{place}/")), None) is None:
        return False
    with claimed(holdings.store, key, dataset.name, is_needless=lambda: False) as claim:
        if claim is not None:
            _remove_manifest(holdings, run, dataset, claim)
            for stored in [*holdings.store.list_keys(f"{place}/")]:
                claim.check()
                holdings.store.delete(stored.key)
    log.info("%s removed from %s", dataset, run)
    return True


def _refuse_current(current: str | None, run: str, dataset: DatasetId, place: str) -> None:
    if current == run:
        raise ArchiveError(
            "the current version is never removed", dataset=dataset.name, path=place, found=run
        )


def _take_out(output: Path, run: str, dataset: DatasetId) -> None:
    """Rename a publication into staging, where it is deleted, by us or by the next sweep."""
    folder = publication_folder(output, run, dataset)
    with staged(staging_area(output, run), dataset.name) as entry:
        taken = entry / dataset.name
        folder.rename(taken)
        with suppress(FileNotFoundError):  # another one has found it empty, and removed it
            sync_folder(folder.parent)
        if pointer.current_run(output, dataset) == run:  # made current in this very moment
            make_folders(folder.parent)
            taken.rename(folder)
            sync_folder(folder.parent)
            _refuse_current(run, run, dataset, str(folder))


def _drop_empty(run: Path) -> None:
    """Remove the folders of a run that holds nothing; whoever publishes makes them again.

    The staging folder goes only after every folder of an instrument is found empty. Whoever else
    is removing from the run has something in one of them or, for a moment, in the staging folder,
    which then stays.
    """
    with suppress(OSError):  # not empty, not a folder, or gone
        folders = [entry for entry in run.iterdir() if entry.name != STAGING]
        if any(entry for folder in folders for entry in folder.iterdir()):
            return
        for folder in (*folders, run / STAGING, run):
            with suppress(FileNotFoundError):  # another one is doing the same
                folder.rmdir()


def _remove_manifest(holdings: StoreHoldings, run: str, dataset: DatasetId, claim: Claim) -> None:
    """Remove what makes a publication one; put it back if it was made current meanwhile."""
    store, key = holdings.store, f"{place_of(run, dataset)}/{MANIFEST}"
    content = store.read(key)
    claim.check()
    store.delete(key)
    current = holdings.pointed_run(dataset)
    if current == run and content is not None:
        store.put_if_absent(key, content.data)
    _refuse_current(current, run, dataset, store.uri_of(key))
