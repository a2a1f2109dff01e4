"""Where products go: one interface for a folder and for a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from calib.archive import holdings, publish, removal, survey, verification
from calib.archive.disk import archive_errors
from calib.archive.layout import has_manifest, publication_folder
from calib.archive.manifest import Manifest, read_bytes, read_manifest
from calib.archive.pointer import current_run
from calib.archive.publish import Publication
from calib.archive.store_output import StoreOutput
from calib.archive.survey import Place
from calib.archive.verification import Problem
from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.records import Archived
from calib.stores.s3_store import open_store
from calib.stores.uri import parse_uri


class Output(Protocol):
    """A place for publications.

    Errors as for the functions of the same names in :mod:`calib.archive`; of a bucket also
    Unavailable (it does not answer: try again) and ConfigError (there is no such bucket).
    """

    @property
    def uri(self) -> str:
        """``file:/PATH`` or ``s3://BUCKET/PREFIX``."""
        ...

    def publish(self, publication: Publication) -> Archived:
        """Publish a dataset and make it current: :func:`calib.archive.publish.publish`."""
        ...

    def find_published(
        self, dataset: DatasetId, fingerprint: str, *, runs: Sequence[str] | None = None
    ) -> Archived | None:
        """Look for a result: :func:`calib.archive.holdings.find_published`."""
        ...

    def free_run(self, run: str, dataset: DatasetId, fingerprint: str) -> str:
        """Return a run that can take a result: :func:`calib.archive.holdings.free_run`."""
        ...

    def make_current(self, dataset: DatasetId, run: str) -> None:
        """Make a version the current one: :func:`calib.archive.publish.make_current`."""
        ...

    def current_manifest(self, dataset: DatasetId) -> Manifest | None:
        """Return what is current: :func:`calib.archive.holdings.current_manifest`."""
        ...

    def manifest(self, run: str, dataset: DatasetId) -> Manifest:
        """Return the manifest of a dataset in a run.

        Raises
        ------
        ArchiveError
            It is missing, or cannot be right.
        """
        ...

    def manifest_bytes(self, run: str, dataset: DatasetId) -> bytes:
        """Return the bytes of a manifest, whose sha256 the ledger keeps.

        Raises
        ------
        ArchiveError
            It is missing.
        """
        ...

    def verify(
        self,
        dataset: DatasetId,
        *,
        run: str | None = None,
        deep: bool = True,
        manifest_sha256: str | None = None,
    ) -> list[Problem]:
        """Compare with the manifest: :func:`calib.archive.verification.verify`."""
        ...

    def holds(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether a run has a manifest of a dataset."""
        ...

    def uri_of(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be."""
        ...

    def pointed_run(self, dataset: DatasetId) -> str | None:
        """Return the run of the current version: :func:`calib.archive.pointer.current_run`."""
        ...

    def publications(self, run: str | None = None) -> Iterator[Place]:
        """Yield all there is, or one run: :func:`calib.archive.survey.publications`."""
        ...

    def strays(self) -> Iterator[Problem]:
        """Yield what should not be there: :func:`calib.archive.survey.strays`."""
        ...

    def remove(self, run: str, dataset: DatasetId) -> bool:
        """Remove a version that is not current: :func:`calib.archive.removal.remove`."""
        ...


@dataclass(frozen=True)
class FileOutput:
    """A folder.

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

    def publish(self, publication: Publication) -> Archived:
        """Publish a dataset and make it current."""
        return publish.publish(publication, self.folder)

    def find_published(
        self, dataset: DatasetId, fingerprint: str, *, runs: Sequence[str] | None = None
    ) -> Archived | None:
        """Look for a result that is published already, in these runs or in all."""
        return holdings.find_published(self.folder, dataset, fingerprint, runs=runs)

    def free_run(self, run: str, dataset: DatasetId, fingerprint: str) -> str:
        """Return a run that can take a result."""
        return holdings.free_run(self.folder, run, dataset, fingerprint)

    def make_current(self, dataset: DatasetId, run: str) -> None:
        """Make a published version the current one."""
        publish.make_current(self.folder, dataset, run)

    def current_manifest(self, dataset: DatasetId) -> Manifest | None:
        """Return the manifest of the current version; None where nothing is published."""
        return holdings.current_manifest(self.folder, dataset)

    def manifest(self, run: str, dataset: DatasetId) -> Manifest:
        """Return the manifest of a dataset in a run."""
        return read_manifest(publication_folder(self.folder, run, dataset))

    def manifest_bytes(self, run: str, dataset: DatasetId) -> bytes:
        """Return the bytes of a manifest."""
        return read_bytes(publication_folder(self.folder, run, dataset))

    def verify(
        self,
        dataset: DatasetId,
        *,
        run: str | None = None,
        deep: bool = True,
        manifest_sha256: str | None = None,
    ) -> list[Problem]:
        """Compare a publication with its manifest."""
        return verification.verify(
            self.folder, dataset, run=run, deep=deep, manifest_sha256=manifest_sha256
        )

    def holds(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether a run has a manifest of a dataset."""
        with archive_errors(self.folder, dataset=dataset.name):
            return has_manifest(publication_folder(self.folder, run, dataset))

    def uri_of(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be."""
        return publication_folder(self.folder.absolute(), run, dataset).as_uri()

    def pointed_run(self, dataset: DatasetId) -> str | None:
        """Return the run of the current version; None where nothing is published."""
        with archive_errors(self.folder, dataset=dataset.name):
            return current_run(self.folder, dataset)

    def publications(self, run: str | None = None) -> Iterator[Place]:
        """Yield every dataset of every run (or of one) that has a manifest."""
        return survey.publications(self.folder, run)

    def strays(self) -> Iterator[Problem]:
        """Yield what is in ``runs/`` and ``data/`` and should not be, or leads nowhere."""
        return survey.strays(self.folder)

    def remove(self, run: str, dataset: DatasetId) -> bool:
        """Remove a version that is not current; False where there was nothing."""
        return removal.remove(self.folder, run, dataset)


def open_output(uri: str) -> Output:
    """Return the output that a URI names.

    Parameters
    ----------
    uri
        ``file:PATH`` or ``s3://BUCKET/PREFIX``.

    Raises
    ------
    ConfigError
        Another URI, or s3: without boto3. Nothing is contacted yet.
    """
    target = parse_uri(uri)
    if target.scheme == "file":
        return FileOutput(target.path)
    if target.scheme == "s3":
        return StoreOutput(open_store(target.location, "output"))
    raise ConfigError(
        "not an output that can be written", expected="file:PATH or s3://BUCKET/PREFIX", found=uri
    )
