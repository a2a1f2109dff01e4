"""Publication to a store, which has neither folders nor a rename.

::

    PREFIX/runs/RUN/INSTRUMENT/ID/...              as in a folder; manifest.json comes last
    PREFIX/runs/RUN/.claims/INSTRUMENT/ID.json     while somebody writes there
    PREFIX/data/INSTRUMENT/ID/current.json         names the run of the current version

A publication exists when its manifest does: readers begin there. Files are put first, each
read back; the manifest is put under the condition that there is none, so of two writers one
wins; then the pointer follows. Files without a manifest are what an interrupted upload left:
the next publication into that place removes them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from calib.archive.claim import Claim, claimed, clear_abandoned
from calib.archive.holdings import Output
from calib.archive.layout import MANIFEST
from calib.archive.manifest import FileEntry, Tombstone, digest, plain_json
from calib.archive.publish import (
    File,
    Publication,
    join_twin,
    lead_on,
    lead_to,
    named_files,
    write_manifest,
)
from calib.archive.removal import remove_from_store
from calib.archive.store_holdings import (
    AT_ONCE,
    StoreHoldings,
    place_of,
    pointer_bytes,
    pointer_key,
)
from calib.archive.store_survey import claim_key
from calib.archive.tombstones import epitaphs, tombstones_of
from calib.errors import ArchiveError, HstflowError
from calib.ids import DatasetId
from calib.records import Archived

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreOutput(StoreHoldings, Output):
    """Publications in a store, to read and to add to."""

    def publish(self, publication: Publication) -> Archived:
        """Publish a dataset and make it current: :func:`calib.archive.publish.publish`.

        Raises
        ------
        ConfigError
            The run's name is not allowed, or there is no such bucket.
        ArchiveError
            The run holds another result for this dataset, or a damaged one; a file is
            missing, changed or badly named; writing is not allowed, or what is read back
            differs. Nothing is half-published.
        Unavailable
            The store does not answer, or another process is publishing the same dataset.
        """
        dataset, run = publication.dataset, publication.run
        sources, uri = named_files(publication), self.uri_of(run, dataset)
        plain_json(publication.provenance)
        self.pointed_run(dataset)  # an obstacle shows before the work
        with claimed(
            self.store,
            claim_key(run, dataset),
            dataset.name,
            is_needless=lambda: self.holds(run, dataset),
        ) as claim:
            if claim is not None and not self.holds(run, dataset):
                content, graves = self._upload(publication, sources, claim)
                archived = Archived(run, uri, digest(content), notes=epitaphs(graves))
                archived = lead_on(publication, self, archived, lambda: self._point(dataset, run))
                log.info("%s published in %s: %d files", dataset, run, len(sources))
                return archived
        clear_abandoned(self.store, claim_key(run, dataset))
        return join_twin(publication, self, self._point)

    def make_current(self, dataset: DatasetId, run: str) -> None:
        """Make a published version the current one.

        Raises
        ------
        ArchiveError
            The run does not hold the dataset, or holds it damaged.
        """
        lead_to(self, dataset, run, self._point)
        # Who published it may have died before giving its claim back, and nobody publishes again.
        clear_abandoned(self.store, claim_key(run, dataset))

    def remove(self, run: str, dataset: DatasetId) -> bool:
        """Remove a version that is not current: :func:`calib.archive.removal.remove_from_store`."""
        return remove_from_store(self, run, dataset)

    def _upload(
        self, publication: Publication, sources: Mapping[str, File], claim: Claim
    ) -> tuple[bytes, tuple[Tombstone, ...]]:
        """Put files, then the manifest; return what it says. What fails leaves no file."""
        dataset = publication.dataset
        place = place_of(publication.run, publication.dataset)
        is_whole = False
        try:
            self._clear(place, claim)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                files = pool.map(
                    lambda item: self._put(f"{place}/{item[0]}", item, claim), sources.items()
                )
                entries = tuple(files)
            graves = tombstones_of(
                lambda: self.current_manifest(dataset),
                dataset.name,
                entries,
                follows=publication.follows,
            )
            content = write_manifest(publication, entries, PurePosixPath(place), graves)
            claim.check()
            is_whole = True  # from here on the manifest may lie there, whatever the answer
            self._put_manifest(place, content)
        except ArchiveError as error:
            error.dataset = error.dataset or dataset.name
            raise
        finally:
            if not is_whole:
                self._clear_quietly(place, claim)
        return content, graves

    def _put(self, key: str, named: tuple[str, File], claim: Claim) -> FileEntry:
        name, file = named
        claim.check()
        stored = self.store.put(file.path, key, sha256=file.sha256, only_new=True)
        return FileEntry(name, file.role, str(stored.sha256), stored.size)

    def _put_manifest(self, place: str, content: bytes) -> None:
        key = f"{place}/{MANIFEST}"
        tag = self.store.put_if_absent(key, content)
        found = self.store.read(key)
        if tag is None or found is None or found.data != content:
            raise ArchiveError(
                "another process wrote here although it held no claim: use another run",
                path=self.store.uri_of(key),
            )

    def _clear(self, place: str, claim: Claim) -> None:
        """Remove what an interrupted upload left."""
        for stored in [*self.store.list_keys(f"{place}/")]:
            claim.check()
            log.info("removing %s, left by an upload that ended", self.store.uri_of(stored.key))
            self.store.delete(stored.key)

    def _clear_quietly(self, place: str, claim: Claim) -> None:
        try:
            self._clear(place, claim)
        except HstflowError as error:
            log.warning("files of a failed upload are left for the next one to remove: %s", error)

    def _point(self, dataset: DatasetId, run: str) -> None:
        self.store.replace(pointer_key(dataset), pointer_bytes(run, dataset))
