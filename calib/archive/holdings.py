"""What an output holds, asked in the same words of a folder and of a bucket.

:class:`Holdings` has the rules, over a few questions that each kind of place answers by itself;
:class:`Output` adds what changes a place.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from calib.archive.layout import MANIFEST
from calib.archive.manifest import Manifest, digest, parse_manifest
from calib.archive.survey import Place
from calib.archive.tombstones import epitaphs, tombstones_untold
from calib.archive.verification import Problem
from calib.errors import ArchiveError
from calib.ids import DatasetId, is_later_context
from calib.records import Archived

if TYPE_CHECKING:
    from calib.archive.publish import Publication

log = logging.getLogger(__name__)


class Holdings(ABC):
    """Publications, to read.

    Every method may raise ArchiveError where a folder cannot be read; of a bucket Unavailable
    (it does not answer) and ConfigError (there is no such bucket). ConfigError is raised too
    for a run's name that is not allowed.
    """

    @property
    @abstractmethod
    def uri(self) -> str:
        """Where all of it is."""

    @abstractmethod
    def uri_of(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be."""

    @abstractmethod
    def run_names(self) -> list[str]:
        """Return the names of all runs, sorted."""

    @abstractmethod
    def pointed_run(self, dataset: DatasetId) -> str | None:
        """Return the run of the current version; None where nothing is published.

        Raises
        ------
        ArchiveError
            The pointer was not made by the archive.
        """

    @abstractmethod
    def holds(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether a run has a manifest of a dataset."""

    @abstractmethod
    def is_taken(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether something lies in a run that a publication would not replace."""

    @abstractmethod
    def find_manifest(self, run: str, dataset: DatasetId) -> bytes | None:
        """Return the bytes of a manifest; None where there is none.

        Raises
        ------
        ArchiveError
            It is too large for one, or cannot be read.
        """

    @abstractmethod
    def find_problems(self, manifest: Manifest, *, deep: bool) -> list[Problem]:
        """Compare what lies there with a manifest that was read and checked."""

    @abstractmethod
    def survey_runs(self, only: str | None = None) -> Iterator[Place | Problem]:
        """Yield all that lies below ``runs/``, or in one run: publications, and what is none."""

    @abstractmethod
    def survey_pointers(self) -> Iterator[Problem]:
        """Yield everything below ``data/`` that is no pointer to a publication."""

    def where(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be, for people."""
        return self.uri_of(run, dataset)

    def find_published(
        self, dataset: DatasetId, fingerprint: str, *, runs: Sequence[str] | None = None
    ) -> Archived | None:
        """Look for a result that is published already: in the current version, then in all runs.

        With `runs` given, in these alone.

        Files are compared with the manifest by presence and size. A damaged publication does
        not count; it is named in the log. The pointer is left as it is: where another run was
        found, `make_current` of the output moves it.

        Raises
        ------
        ArchiveError
            The pointer was not made by the archive.
        """
        current = self.pointed_run(dataset)
        every = [*([current] if current else []), *self.run_names()] if runs is None else runs
        found = (self._published_in(run, dataset, fingerprint) for run in dict.fromkeys(every))
        return next((archived for archived in found if archived is not None), None)

    def free_run(self, run: str, dataset: DatasetId, fingerprint: str) -> str:
        """Return a run that can take this result: `run`, or ``RUN-2``, ``RUN-3``...

        The first that has room for the dataset, or holds this same result undamaged.
        """
        names = itertools.chain([run], (f"{run}-{number}" for number in itertools.count(2)))
        return next(
            name
            for name in names
            if not self.is_taken(name, dataset) or self._published_in(name, dataset, fingerprint)
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
        return self.parse(self.manifest_bytes(run, dataset), run, dataset)

    def manifest_bytes(self, run: str, dataset: DatasetId) -> bytes:
        """Return the bytes of a manifest, whose sha256 the ledger keeps.

        Raises
        ------
        ArchiveError
            It is missing.
        """
        content = self.find_manifest(run, dataset)
        if content is None:
            where = self.where(run, dataset)
            raise ArchiveError("no readable manifest", dataset=dataset.name, path=where)
        return content

    def parse(self, content: bytes, run: str, dataset: DatasetId) -> Manifest:
        """Read the manifest of a dataset in a run from its bytes.

        Raises
        ------
        ArchiveError
            It cannot be right.
        """
        try:
            place = PurePosixPath(run, dataset.instrument, dataset.name)
            return parse_manifest(content, place / MANIFEST)
        except ArchiveError as error:
            error.path = f"{self.where(run, dataset)}/{MANIFEST}"
            raise

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
            Read every file and compare checksums; otherwise presence and size only.
        manifest_sha256
            Checksum of the manifest itself, as recorded elsewhere (the ledger).

        Returns
        -------
        list of Problem
            Empty where all is well. A manifest that is missing, does not parse or lies is one
            problem, and the only one.

        Raises
        ------
        ArchiveError
            Nothing is published under that name, the pointer leads nowhere, or it was not made
            by the archive.
        """
        run = run or self.pointed_run(dataset)
        if run is None:
            raise ArchiveError("nothing is published", dataset=dataset.name, path=self.uri)
        where = self.where(run, dataset)
        path = f"{where}/{MANIFEST}"
        try:
            content = self.find_manifest(run, dataset)
            manifest = None if content is None else self.parse(content, run, dataset)
        except ArchiveError as error:
            return [Problem("unreadable", path, str(error))]
        if content is None or manifest is None:
            if not self.is_taken(run, dataset):
                raise ArchiveError("nothing is published", dataset=dataset.name, path=where)
            return [Problem("missing", path, "files of a dataset without a manifest")]
        if manifest_sha256 not in {None, digest(content)}:
            return [Problem("changed", path, f"expected sha256 {manifest_sha256}")]
        return self.find_problems(manifest, deep=deep)

    def publications(self, run: str | None = None) -> Iterator[Place]:
        """Yield every dataset of every run (or of one) that has a manifest, run after run.

        An output that does not exist holds nothing.
        """
        return (found for found in self.survey_runs(run) if isinstance(found, Place))

    def strays(self) -> Iterator[Problem]:
        """Yield what is in ``runs/`` and ``data/`` and should not be, or leads nowhere.

        ``orphaned``
            Links, unknown entries, odd names, and work that a dead process left (the next
            publication there removes it; work in progress is not reported).
        ``missing``
            Files of a dataset without a manifest; a pointer to what is not there.
        ``changed``
            A pointer that the archive did not make.
        ``unreadable``
            A pointer to what may not be looked into.
        """
        yield from (found for found in self.survey_runs() if isinstance(found, Problem))
        yield from self.survey_pointers()

    def refuse_damage(self, manifest: Manifest) -> None:
        """Raise where named files are missing or of another size.

        Raises
        ------
        ArchiveError
            With the list of them.
        """
        if damage := self._damage(manifest):
            raise ArchiveError(
                "what was published here is damaged: use another run",
                dataset=manifest.dataset,
                path=self.where(manifest.run, manifest.id),
                found=damage,
            )

    def is_newest(self, manifest: Manifest) -> bool:
        """Tell whether the pointer is missing, broken, or shows something published earlier.

        A late second run of an old publication must not take the pointer back.
        """
        try:
            current = self.current_manifest(manifest.id)
        except ArchiveError as error:
            log.warning("the current version of %s cannot be read: %s", manifest.dataset, error)
            return True
        return current is None or current.published < manifest.published

    def later_than(self, dataset: DatasetId, context: str | None) -> Manifest | None:
        """Return the current version where a later CRDS context than this one made it.

        Readers are not led back from that one unasked. A current version that cannot be read
        is in nobody's way; the log says so.
        """
        if context is None:
            return None
        try:
            current = self.current_manifest(dataset)
        except ArchiveError as error:
            log.warning("the current version of %s cannot be read: %s", dataset, error)
            return None
        is_later = current is not None and is_later_context(current.own_context, context)
        return current if is_later else None

    def _damage(self, manifest: Manifest) -> str:
        """Say what is missing or of another size; files that nobody named do no harm."""
        problems = self.find_problems(manifest, deep=False)
        return "; ".join(str(problem) for problem in problems if problem.kind != "orphaned")

    def _published_in(self, run: str, dataset: DatasetId, fingerprint: str) -> Archived | None:
        try:
            content = self.find_manifest(run, dataset)
            manifest = None if content is None else self.parse(content, run, dataset)
        except ArchiveError as error:
            log.warning("passed over: %s", error)
            return None
        if content is None or manifest is None or manifest.fingerprint != fingerprint:
            return None
        if damage := self._damage(manifest):
            where = self.where(run, dataset)
            log.warning("passed over %s, which is damaged: %s", where, damage)
            return None
        return Archived(run, self.uri_of(run, dataset), digest(content), already_there=True)


class Output(Holdings):
    """Publications, to read and to add to.

    Of a bucket every method may also raise Unavailable (it does not answer: try again) and
    ConfigError (there is no such bucket).
    """

    @abstractmethod
    def publish(self, publication: Publication) -> Archived:
        """Publish a dataset and make it current: :func:`calib.archive.publish.publish`."""

    @abstractmethod
    def make_current(self, dataset: DatasetId, run: str) -> None:
        """Make a version the current one: :func:`calib.archive.publish.make_current`."""

    def lead_forward(self, dataset: DatasetId, archived: Archived, context: str | None) -> Archived:
        """Make a version current, unless what is current comes from a later context.

        Parameters
        ----------
        dataset, archived
            What was found published.
        context
            What it was made with; None: it becomes current whatever is.

        Returns
        -------
        Archived
            With what stays current instead, and with products that the version before had and
            that its manifest does not tell of.
        """
        later = self.later_than(dataset, context)
        if later is not None:
            return kept_back(archived, later)
        gone = tombstones_untold(
            lambda: self.current_manifest(dataset), self.manifest(archived.run, dataset)
        )
        self.make_current(dataset, archived.run)
        notes = (*archived.notes, *epitaphs(gone))
        return dataclasses.replace(archived, notes=notes, stays=None)

    @abstractmethod
    def remove(self, run: str, dataset: DatasetId) -> bool:
        """Remove a version that is not current: :func:`calib.archive.removal.remove`."""


def kept_back(archived: Archived, later: Manifest) -> Archived:
    """Say of a version that it is not current, what is instead, and how to change that."""
    note = (
        f"not current: readers go on to see run {later.run}, made on the later "
        f"{later.own_context}; the same with --current leads them here"
    )
    return dataclasses.replace(archived, stays=later.run, notes=(*archived.notes, note))
