"""What is published in a store: found, read, compared with its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from calib.archive.at_once import spread
from calib.archive.holdings import Holdings
from calib.archive.layout import MANIFEST, check_dataset, check_run_name
from calib.archive.manifest import FileEntry, Manifest
from calib.archive.store_survey import survey_pointers, survey_runs
from calib.archive.survey import Place
from calib.archive.verification import Problem
from calib.errors import ArchiveError
from calib.ids import DatasetId, is_run_name
from calib.stores.store import Store, Stored

# Objects read at once: a round trip costs more than a small object's bytes.
AT_ONCE = 8

_POINTER_SCHEMA = 1


@dataclass(frozen=True)
class StoreHoldings(Holdings):
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

    def holds(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether a run has a manifest of a dataset."""
        return self.store.head(f"{place_of(run, dataset)}/{MANIFEST}") is not None

    def is_taken(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether there is a manifest: files without one are removed by who publishes."""
        return self.holds(run, dataset)

    def find_manifest(self, run: str, dataset: DatasetId) -> bytes | None:
        """Return the bytes of a manifest; None where there is none."""
        found = self.store.read(f"{place_of(run, dataset)}/{MANIFEST}")
        return None if found is None else found.data

    def run_names(self) -> list[str]:
        """Return the names of all runs, sorted."""
        return sorted(filter(is_run_name, self.store.list_folders("runs")))

    def survey_runs(self, only: str | None = None) -> Iterator[Place | Problem]:
        """Yield all that lies below ``runs/``, or in one run: publications, and what is none."""
        return survey_runs(self.store, only)

    def survey_pointers(self) -> Iterator[Problem]:
        """Yield everything below ``data/`` that is no pointer to a publication."""
        judged = spread(self._judge_pointer, survey_pointers(self.store), AT_ONCE)
        return (problem for problem in judged if problem is not None)

    def uri_of(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be."""
        return self.store.uri_of(place_of(run, dataset))

    def find_problems(self, manifest: Manifest, *, deep: bool) -> list[Problem]:
        """Compare the objects of a publication with its manifest."""
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
        if run is None or self.holds(run, found):
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
