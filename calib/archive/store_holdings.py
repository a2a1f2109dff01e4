"""What is published in a store: found, read, compared with its manifest."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from calib.archive.at_once import spread
from calib.archive.layout import MANIFEST, check_dataset, check_run_name
from calib.archive.manifest import FileEntry, Manifest, digest, parse_manifest
from calib.archive.store_survey import survey_pointers, survey_runs
from calib.archive.survey import Place
from calib.archive.verification import Problem
from calib.errors import ArchiveError
from calib.ids import DatasetId, is_run_name
from calib.records import Archived
from calib.stores.store import Store, Stored

log = logging.getLogger(__name__)

# Objects read at once: a round trip costs more than a small object's bytes.
AT_ONCE = 8

_POINTER_SCHEMA = 1


@dataclass(frozen=True)
class StoreHoldings:
    """Publications in a store, to read.

    Attributes
    ----------
    store
        Where.
    """

    store: Store

    @property
    def uri(self) -> str:
        """Where the store is."""
        return self.store.uri

    def find_published(
        self, dataset: DatasetId, fingerprint: str, *, runs: Sequence[str] | None = None
    ) -> Archived | None:
        """Look for a result that is published already: in the current version, then in all runs.

        With `runs` given, in these alone.

        A damaged publication does not count; it is named in the log.

        Raises
        ------
        ArchiveError
            The pointer was not made by the archive.
        """
        current = self.pointed_run(dataset)
        if runs is None:
            every = [run for run in self.store.list_folders("runs") if is_run_name(run)]
            runs = [*([current] if current else []), *sorted(every)]
        found = (self._published_in(run, dataset, fingerprint) for run in dict.fromkeys(runs))
        return next((archived for archived in found if archived is not None), None)

    def free_run(self, run: str, dataset: DatasetId, fingerprint: str) -> str:
        """Return a run that can take this result: `run`, or ``RUN-2``, ``RUN-3``...

        The first that does not hold the dataset, or holds this same result undamaged.
        """
        names = itertools.chain([run], (f"{run}-{number}" for number in itertools.count(2)))
        return next(
            name
            for name in names
            if not self.is_taken(place_of(name, dataset))
            or self._published_in(name, dataset, fingerprint)
        )

    def current_manifest(self, dataset: DatasetId) -> Manifest | None:
        """Return the manifest of the current version; None where nothing is published.

        Raises
        ------
        ArchiveError
            The pointer or the manifest is not what the archive made.
        """
        run = self.pointed_run(dataset)
        return None if run is None else self.manifest(run, dataset)

    def manifest(self, run: str, dataset: DatasetId) -> Manifest:
        """Return the manifest of a dataset in a run.

        Raises
        ------
        ArchiveError
            It is missing, or cannot be right.
        """
        return self.parse(self.manifest_bytes(run, dataset), place_of(run, dataset))

    def verify(
        self,
        dataset: DatasetId,
        *,
        run: str | None = None,
        deep: bool = True,
        manifest_sha256: str | None = None,
    ) -> list[Problem]:
        """Compare a publication with its manifest.

        Parameters
        ----------
        dataset, run
            What, and in which run; the current version where not given.
        deep
            Read every object and compare checksums; otherwise presence and size only.
        manifest_sha256
            Checksum of the manifest itself, as recorded elsewhere (the ledger).

        Returns
        -------
        list of Problem
            Empty where all is well.

        Raises
        ------
        ArchiveError
            Nothing is published under that name.
        """
        run = run or self.pointed_run(dataset)
        if run is None or not self.is_taken(place_of(run, dataset)):
            raise ArchiveError("nothing is published", dataset=dataset.name, path=self.uri)
        uri = self.store.uri_of(f"{place_of(run, dataset)}/{MANIFEST}")
        try:
            content = self.manifest_bytes(run, dataset)
            manifest = self.parse(content, place_of(run, dataset))
        except ArchiveError as error:
            return [Problem("unreadable", uri, str(error))]
        if manifest_sha256 not in {None, digest(content)}:
            return [Problem("changed", uri, f"expected sha256 {manifest_sha256}")]
        return self._problems(manifest, deep=deep)

    def holds(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether a run has a manifest of a dataset."""
        return self.is_taken(place_of(run, dataset))

    def uri_of(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be."""
        return self.store.uri_of(place_of(run, dataset))

    def publications(self, run: str | None = None) -> Iterator[Place]:
        """Yield every dataset of every run (or of one) that has a manifest, run after run."""
        return (found for found in survey_runs(self.store, run) if isinstance(found, Place))

    def strays(self) -> Iterator[Problem]:
        """Yield what is in ``runs/`` and ``data/`` and should not be, or leads nowhere."""
        yield from (found for found in survey_runs(self.store) if isinstance(found, Problem))
        judged = spread(self._judge_pointer, survey_pointers(self.store), AT_ONCE)
        yield from (problem for problem in judged if problem is not None)

    def is_taken(self, place: str) -> bool:
        """Tell whether something is published there."""
        return self.store.head(f"{place}/{MANIFEST}") is not None

    def _published_in(self, run: str, dataset: DatasetId, fingerprint: str) -> Archived | None:
        place = place_of(run, dataset)
        found = self.store.read(f"{place}/{MANIFEST}")
        if found is None:
            return None
        try:
            manifest = self.parse(found.data, place)
        except ArchiveError as error:
            log.warning("passed over: %s", error)
            return None
        if manifest.fingerprint != fingerprint:
            return None
        if damage := self.damage(manifest):
            log.warning("passed over %s, which is damaged: %s", self.store.uri_of(place), damage)
            return None
        return Archived(run, self.store.uri_of(place), digest(found.data), already_there=True)

    def manifest_bytes(self, run: str, dataset: DatasetId) -> bytes:
        """Read the bytes of a manifest; raise ArchiveError where there is none."""
        place = place_of(run, dataset)
        found = self.store.read(f"{place}/{MANIFEST}")
        if found is None:
            uri = self.store.uri_of(place)
            raise ArchiveError("no readable manifest", dataset=dataset.name, path=uri)
        return found.data

    def parse(self, content: bytes, place: str) -> Manifest:
        """Read a manifest from its bytes; raise ArchiveError where it cannot be right."""
        try:
            return parse_manifest(content, PurePosixPath(place) / MANIFEST)
        except ArchiveError as error:
            error.path = self.store.uri_of(f"{place}/{MANIFEST}")
            raise

    def damage(self, manifest: Manifest) -> str:
        """Say what is missing or of another size; files that nobody named do no harm."""
        problems = self._problems(manifest, deep=False)
        return "; ".join(str(problem) for problem in problems if problem.kind != "orphaned")

    def _problems(self, manifest: Manifest, *, deep: bool) -> list[Problem]:
        place = place_of(manifest.run, manifest.id)
        there = {s.key.removeprefix(f"{place}/"): s for s in self.store.list_keys(f"{place}/")}
        named = {file.name for file in manifest.files} | {MANIFEST}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            checked = pool.map(
                lambda file: self._check(place, file, there.get(file.name), deep=deep),
                manifest.files,
            )
            found = [problem for problem in checked if problem is not None]
        orphans = [
            Problem("orphaned", self.store.uri_of(s.key), "not in the manifest")
            for name, s in there.items()
            if name not in named
        ]
        return [*found, *orphans]

    def _check(
        self, place: str, file: FileEntry, stored: Stored | None, *, deep: bool
    ) -> Problem | None:
        key = f"{place}/{file.name}"
        uri = self.store.uri_of(key)
        if stored is None:
            return Problem("missing", uri, "not there")
        if stored.size != file.size:
            return Problem("changed", uri, f"{stored.size} bytes, not {file.size}")
        if deep and (found := self.store.compute_digest(key)) != file.sha256:
            return Problem("changed", uri, f"sha256 {found}, not {file.sha256}")
        return None

    def _judge_pointer(self, found: DatasetId | Problem) -> Problem | None:
        if isinstance(found, Problem):
            return found
        uri = self.store.uri_of(pointer_key(found))
        try:
            run = self.pointed_run(found)
        except ArchiveError as error:
            return Problem("changed", uri, error.message)
        if run is None or self.is_taken(place_of(run, found)):
            return None
        return Problem("missing", uri, f"leads to run {run}, which does not hold it")

    def pointed_run(self, dataset: DatasetId) -> str | None:
        """Return the run of the current version; None where nothing is published."""
        key = pointer_key(dataset)
        found = self.store.read(key)
        if found is None:
            return None
        run = _run_of(found.data, dataset)
        if run is None:
            raise ArchiveError(
                "the pointer to the current version was not made by the archive",
                dataset=dataset.name,
                path=self.store.uri_of(key),
            )
        return run


def place_of(run: str, dataset: DatasetId) -> str:
    """Return the key of a publication: ``runs/RUN/INSTRUMENT/ID``."""
    return f"runs/{check_run_name(run)}/{check_dataset(dataset).instrument}/{dataset.name}"


def pointer_key(dataset: DatasetId) -> str:
    """Return the key of the pointer: ``data/INSTRUMENT/ID/current.json``."""
    return f"data/{check_dataset(dataset).instrument}/{dataset.name}/current.json"


def pointer_bytes(run: str, dataset: DatasetId) -> bytes:
    """Return what the pointer to the current version says."""
    record = {"schema": _POINTER_SCHEMA, **_pointer_record(run, dataset)}
    return json.dumps(record, indent=2, sort_keys=True).encode()


def _pointer_record(run: str, dataset: DatasetId) -> dict[str, Any]:
    return {"dataset": dataset.name, "run": run, "manifest": f"{place_of(run, dataset)}/{MANIFEST}"}


def _run_of(data: bytes, dataset: DatasetId) -> str | None:
    """Return the run that a pointer names; None where it is not one of ours."""
    try:
        record = json.loads(data)
        run = record["run"]
        is_ours = is_run_name(run) and record.items() >= _pointer_record(run, dataset).items()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return run if is_ours and record.get("schema") == _POINTER_SCHEMA else None
