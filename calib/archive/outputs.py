"""Where products go: one interface for a folder and for a bucket."""

from __future__ import annotations

from calib.archive import publish, removal
from calib.archive.file_holdings import FileHoldings
from calib.archive.holdings import Output
from calib.archive.publish import Publication
from calib.archive.store_output import StoreOutput
from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.records import Archived
from calib.stores.s3_store import open_store
from calib.stores.uri import parse_uri

__all__ = ["FileOutput", "Output", "open_output"]


class FileOutput(FileHoldings, Output):
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
