"""Where products go: one interface for a folder and for a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from calib.archive import publish, removal
from calib.archive.file_holdings import FileHoldings
from calib.archive.manifest import Manifest
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

    What reads is in :class:`calib.archive.holdings.Holdings`; errors as there. Of a bucket also
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
        """Look for a result: :meth:`Holdings.find_published`."""
        ...

    def free_run(self, run: str, dataset: DatasetId, fingerprint: str) -> str:
        """Return a run that can take a result: :meth:`Holdings.free_run`."""
        ...

    def make_current(self, dataset: DatasetId, run: str) -> None:
        """Make a version the current one: :func:`calib.archive.publish.make_current`."""
        ...

    def current_manifest(self, dataset: DatasetId) -> Manifest | None:
        """Return what is current: :meth:`Holdings.current_manifest`."""
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
        """Compare with the manifest: :meth:`Holdings.verify`."""
        ...

    def holds(self, run: str, dataset: DatasetId) -> bool:
        """Tell whether a run has a manifest of a dataset."""
        ...

    def uri_of(self, run: str, dataset: DatasetId) -> str:
        """Return where a dataset is in a run, or would be."""
        ...

    def pointed_run(self, dataset: DatasetId) -> str | None:
        """Return the run of the current version: :meth:`Holdings.pointed_run`."""
        ...

    def publications(self, run: str | None = None) -> Iterator[Place]:
        """Yield all there is, or one run: :meth:`Holdings.publications`."""
        ...

    def strays(self) -> Iterator[Problem]:
        """Yield what should not be there: :meth:`Holdings.strays`."""
        ...

    def remove(self, run: str, dataset: DatasetId) -> bool:
        """Remove a version that is not current: :func:`calib.archive.removal.remove`."""
        ...


class FileOutput(FileHoldings):
    """A folder: publications to read and to add to."""

    def publish(self, publication: Publication) -> Archived:
        """Publish a dataset and make it current."""
        return publish.publish(publication, self.folder)

    def make_current(self, dataset: DatasetId, run: str) -> None:
        """Make a published version the current one."""
        publish.make_current(self.folder, dataset, run)

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
