"""What is published in a folder: found, read, compared with its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from calib.archive import survey, verification
from calib.archive.disk import archive_errors
from calib.archive.holdings import Holdings
from calib.archive.layout import has_manifest, list_runs, publication_folder
from calib.archive.manifest import Manifest, read_bytes
from calib.archive.pointer import current_run
from calib.archive.survey import Place
from calib.archive.verification import Problem
from calib.ids import DatasetId


@dataclass(frozen=True)
class FileHoldings(Holdings):
    """Publications in a folder, to read.

    Attributes
    ----------
    folder
        Made by the first publication.
    """

    folder: Path

    @property
    def uri(self) -> str:
        """The folder as a URI."""
        return f"file:{self.folder.absolute()}"

    def uri_of(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be."""
        return self._place(run, dataset).as_uri()

    def where(self, run: str, dataset: DatasetId) -> str:
        """Return the path of a dataset in a run."""
        return str(self._place(run, dataset))

    def run_names(self) -> list[str]:
        """Return the names of all runs, sorted."""
        with archive_errors(self.folder):
            return list_runs(self.folder)

    def pointed_run(self, dataset: DatasetId) -> str | None:
        """Return the run of the current version; None where nothing is published."""
        with self._errors(dataset):
            return current_run(self.folder.absolute(), dataset)

    def holds(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether a run has a manifest of a dataset."""
        with self._errors(dataset):
            return has_manifest(self._place(run, dataset))

    def is_taken(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether something lies there; an empty folder gives way to the rename."""
        final = self._place(run, dataset)
        with self._errors(dataset):
            return final.exists() and not (final.is_dir() and next(final.iterdir(), None) is None)

    def find_manifest(self, run: str, dataset: DatasetId) -> bytes | None:
        """Return the bytes of a manifest; None where there is none."""
        return read_bytes(self._place(run, dataset)) if self.holds(run, dataset) else None

    def find_problems(self, manifest: Manifest, *, deep: bool) -> list[Problem]:
        """Compare the files of a publication with its manifest."""
        folder = self._place(manifest.run, manifest.id)
        with self._errors(manifest.id):
            return verification.find_problems(folder, manifest, deep=deep)

    def survey_runs(self, only: str | None = None) -> Iterator[Place | Problem]:
        """Yield all that lies below ``runs/``, or in one run: publications, and what is none."""
        return survey.survey_runs(self.folder.absolute(), only)

    def survey_pointers(self) -> Iterator[Problem]:
        """Yield everything below ``data/`` that is no pointer to a publication."""
        return survey.survey_pointers(self.folder.absolute())

    def _place(self, run: str, dataset: DatasetId) -> Path:
        return publication_folder(self.folder.absolute(), run, dataset)

    def _errors(self, dataset: DatasetId) -> AbstractContextManager[None]:
        return archive_errors(self.folder, dataset=dataset.name)
