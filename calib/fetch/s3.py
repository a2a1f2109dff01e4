"""Input files in a bucket: an archive or a folder per dataset, or the public HST bucket.

::

    s3://BUCKET/PREFIX/ID.tar.gz            CALDP's and CALCLOUD's form, looked for first
    s3://BUCKET/PREFIX/ID/*.fits            everything of a dataset, members included
    s3://stpubdata/hst/public/j8bt/j8bt05njq/j8bt05njq_raw.fits

The last is the bucket of public HST data (Registry of Open Data on AWS, "Hubble Space
Telescope"): one folder per exposure or association, read without credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from calib.caldp import INPUT_SUFFIXES, suffix_of, tarball_name
from calib.errors import S3_INPUT, CorruptFile, HstflowError, NotFound
from calib.fetch.copying import Copied
from calib.fetch.holdings import Holdings, Listed, UnpackedFiles
from calib.fetch.integrity import verify_file
from calib.fetch.tarball import TarLimits, unpack_inputs
from calib.hap_names import is_listed
from calib.ids import DatasetId
from calib.stores.s3_store import open_store
from calib.stores.store import Store, Stored

PUBLIC = "stpubdata/hst/public"

_INPUT_NAME = re.compile(r"[ijlo][a-z0-9]{8}_([a-z0-9_]+\.fits|cal_env\.txt)")


@dataclass(frozen=True)
class ObjectFolder:
    """Files below a prefix: brought when taken.

    Attributes
    ----------
    store, staging
        Where they are, and where they go.
    is_wanted
        Which files count, by their names in lower case.
    is_public
        Whether each exposure has a folder of its own.
    keys, sizes
        Key and size of each file, by name in lower case.
    """

    store: Store
    staging: Path
    is_wanted: Callable[[str], bool]
    is_public: bool
    keys: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    code: int = S3_INPUT
    is_chosen: bool = False
    notes: Collection[str] = ()

    @property
    def origin(self) -> str:
        """Where the files come from."""
        return self.store.uri

    @property
    def names(self) -> Collection[str]:
        """Names of the files seen so far."""
        return self.keys

    def look_for(self, roots: Collection[str]) -> None:
        """Look into the folders of these exposures, where they have some of their own."""
        if self.is_public:
            for root in roots:
                self.add_folder(f"{root[:4]}/{root}/")

    def add_visit(self, prefix: str) -> None:
        """Add the files of all exposures of a visit, each of which has a folder of its own."""
        for stored in self.store.list_keys(f"{prefix[:4]}/{prefix}"):
            folder, slash, _ = stored.key.rpartition("/")
            self._add(f"{folder}{slash}", stored)

    def add_folder(self, folder: str) -> None:
        """Add the input files directly below a folder.

        Raises
        ------
        CorruptFile
            Two names differ in case only.
        """
        for stored in self.store.list_keys(folder):
            self._add(folder, stored)

    def _add(self, folder: str, stored: Stored) -> None:
        name = stored.key.removeprefix(folder).lower()
        if not self.is_wanted(name):
            return
        self.sizes[name] = stored.size
        if self.keys.setdefault(name, stored.key) != stored.key:
            raise CorruptFile(
                "two files whose names differ in case only",
                path=self.store.uri_of(folder),
                found=f"{self.keys[name]} {stored.key}",
            )

    def describe(self, name: str) -> Listed:
        """Say what the bucket's list says of a file."""
        return Listed(self.sizes[name], self.store.uri_of(self.keys[name]))

    def take(self, name: str) -> Copied:
        """Bring one file, verified, into the staging folder."""
        path, key = self.staging / name, self.keys[name]
        stored = self.store.get(key, path)
        try:
            verify_file(path)
        except CorruptFile as error:
            error.path = self.store.uri_of(key)
            raise
        return Copied(path, str(stored.sha256), stored.size)


def find_holdings(
    dataset: DatasetId, location: str, staging: Path, limits: TarLimits | None
) -> Holdings:
    """Find the files of a dataset in a bucket.

    Parameters
    ----------
    dataset
        Exposure or association, visit or skycell.
    location
        ``BUCKET/PREFIX``; :data:`PUBLIC` is read without credentials.
    staging
        A private folder.
    limits
        What an archive may unpack to.

    Raises
    ------
    NotFound
        Neither an archive nor a folder of that name. Code 26, as all of these.
    Proprietary
        The credentials do not allow reading.
    ConfigError
        No boto3, no credentials, no such bucket (code 2).
    Unavailable
        The store does not answer.
    CorruptFile
        The archive is damaged or hostile (code 21).
    """
    if find_archive(dataset, location) is not None:
        return _unpack_object(dataset, _open(location), staging, limits)
    return find_folder(dataset, location, staging)


def find_archive(dataset: DatasetId, location: str) -> Listed | None:
    """Return what the bucket says of a dataset's archive; None where there is none.

    Raises
    ------
    Proprietary, ConfigError, Unavailable
        As :func:`find_holdings`.
    """
    if location == PUBLIC:
        return None
    store, archive = _open(location), tarball_name(dataset.name)
    stored = store.head(archive)
    return None if stored is None else Listed(stored.size, store.uri_of(archive))


def find_folder(dataset: DatasetId, location: str, staging: Path) -> ObjectFolder:
    """List the files of a dataset that lie in a folder of the bucket.

    Raises
    ------
    NotFound, Proprietary, ConfigError, Unavailable, CorruptFile
        As :func:`find_holdings`.
    """
    store, is_public, archive = _open(location), location == PUBLIC, tarball_name(dataset.name)
    holdings = ObjectFolder(store, staging, _test_of(dataset), is_public)
    folder = f"{dataset.name}/"
    if is_public and dataset.kind == "svm":
        folder = f"{dataset.visit_root[:4]}/{dataset.visit_root}"
        holdings.add_visit(dataset.visit_root)
    else:
        folder = f"{dataset.name[:4]}/{folder}" if is_public else folder
        holdings.add_folder(folder)
    if not holdings.keys:
        raise NotFound(
            "no input files of this dataset in the bucket",
            dataset=dataset.name,
            path=store.uri,
            expected=folder if is_public else f"{archive} or {folder}",
            found="neither",
            code=S3_INPUT,
        )
    return holdings


def _open(location: str) -> Store:
    return open_store(location, "input", anonymous=location == PUBLIC)


def _unpack_object(
    dataset: DatasetId, store: Store, staging: Path, limits: TarLimits | None
) -> UnpackedFiles:
    key = tarball_name(dataset.name)
    try:
        store.get(key, staging / key)
        files = unpack_inputs(dataset, staging / key, staging, limits)
    except HstflowError as error:
        error.dataset, error.path = dataset.name, store.uri_of(key)
        raise
    (staging / key).unlink()
    return UnpackedFiles(store.uri_of(key), files, code=S3_INPUT)


def _test_of(dataset: DatasetId) -> Callable[[str], bool]:
    if dataset.kind == "ipst":
        return partial(_is_input, instrument=dataset.instrument)
    return partial(is_listed, dataset)


def _is_input(name: str, instrument: str) -> bool:
    return bool(_INPUT_NAME.fullmatch(name)) and suffix_of(name) in INPUT_SUFFIXES[instrument]
