"""The input files of a dataset, looked at without fetching them.

What lies in a folder is read in place, through links in a temporary folder; an archive is
unpacked there. Of MAST and buckets the lists are read; bytes only where the download cache has
them, or where the caller asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from calib.caldp import INPUT_SUFFIXES, suffix_of, tarball_name
from calib.errors import HstflowError
from calib.fetch.cache import DownloadCache
from calib.fetch.copying import Copied
from calib.fetch.hap import bring_poller, own_names
from calib.fetch.holdings import Holdings, LinkedFiles, Listed, Listing
from calib.fetch.local import open_local, read_association, source_of, take_all
from calib.fetch.options import FetchOptions
from calib.fetch.registered import RegisteredFile, RegisteredFiles
from calib.fetch.s3 import find_archive, find_folder
from calib.fetch.s3 import find_holdings as find_objects
from calib.fetch.selection import root_of
from calib.ids import DatasetId
from calib.poller import Poller
from calib.records import InputFile, Member, RawInputs

FOLDER, ARCHIVE, BUCKET, MAST = "folder", "archive", "bucket", "MAST"
CACHE, REGISTRY, MADE = "download cache", "registry", "made"


@dataclass(frozen=True, slots=True)
class SeenFile:
    """An input file as it was seen.

    Attributes
    ----------
    name, suffix
        File name, lower case, and what it is: ``raw``, ``asn``...; ``tar.gz`` for an archive
        whose content is not known yet.
    size, sha256
        None where nobody has said.
    where
        ``folder``, ``archive``, ``bucket``, ``MAST``, ``download cache``, ``registry``,
        ``work folder``, or ``made`` (a poller that is written from headers).
    place
        Path, or address.
    """

    name: str
    suffix: str
    size: int | None
    sha256: str | None
    where: str
    place: str


@dataclass(frozen=True)
class Sight:
    """The inputs of a dataset as far as they were seen.

    Attributes
    ----------
    files
        In name order.
    inputs
        The complete, verified inputs, under a temporary folder; None where bytes that only
        fetching brings are needed to know them, and after an error.
    members
        Rows of the association table, where it could be read.
    error
        Why the inputs cannot be used; `files` are those that are there.
    """

    files: tuple[SeenFile, ...]
    inputs: RawInputs | None
    members: tuple[Member, ...] = ()
    error: HstflowError | None = None


@dataclass(frozen=True)
class View:
    """Inputs that were found, ready to be looked into.

    Attributes
    ----------
    dataset
        Whose.
    holdings
        The files; None for an archive that nobody has fetched.
    seen
        Says where a file lies.
    scratch
        The temporary folder that files are brought to.
    archive
        That archive.
    poller
        Of a visit or skycell, where it came from another place than its files.
    """

    dataset: DatasetId
    holdings: Holdings | None
    seen: Callable[[str], SeenFile]
    scratch: Path
    archive: SeenFile | None = None
    poller: Poller | None = None

    def look(self) -> Sight:
        """Look into the files.

        Returns
        -------
        Sight
            What :func:`calib.fetch.local.fetch_inputs` would raise is in its `error`.
        """
        if self.holdings is None:
            return Sight((self.archive,) if self.archive else (), None)
        try:
            members, files = take_all(self.dataset, self.holdings, self.scratch, self.poller)
        except _NotAtHandError:
            return Sight(tuple(map(self.seen, self._own_names(self.holdings))), None)
        except HstflowError as error:
            return self._glimpse(self.holdings, error)
        return self._known(self.holdings, members, files)

    def _own_names(self, holdings: Holdings) -> list[str]:
        if self.dataset.kind == "ipst":
            return sorted(holdings.names)
        return own_names(self.dataset, holdings.names)

    def _known(
        self, holdings: Holdings, members: tuple[Member, ...], files: list[InputFile]
    ) -> Sight:
        found = sorted(files, key=lambda file: file.name)
        inputs = RawInputs(
            self.dataset.name, _origin(holdings), tuple(found), members, tuple(holdings.notes)
        )
        return Sight(tuple(self._of(holdings, file) for file in found), inputs, members)

    def _of(self, holdings: Holdings, file: InputFile) -> SeenFile:
        """Describe a file that is at hand; a poller may have been made just now."""
        if file.name in holdings.names:
            there = self.seen(file.name)
        else:
            there = SeenFile(file.name, file.suffix, None, None, MADE, self.dataset.name)
        return replace(there, suffix=file.suffix, size=file.size, sha256=file.sha256)

    def _glimpse(self, holdings: Holdings, error: HstflowError) -> Sight:
        """Return which files are there although the dataset cannot be used."""
        if self.dataset.kind != "ipst":
            return Sight(tuple(map(self.seen, self._own_names(holdings))), None, (), error)
        members: tuple[Member, ...] = ()
        with suppress(HstflowError):
            members = read_association(self.scratch / f"{self.dataset.name}_asn.fits").members
        roots = {self.dataset.name, *(member.name for member in members)}
        suffixes = INPUT_SUFFIXES[self.dataset.instrument]
        names = sorted(
            n for n in holdings.names if root_of(n) in roots and suffix_of(n) in suffixes
        )
        return Sight(tuple(map(self.seen, names)), None, members, error)


class _NotAtHandError(Exception):
    """A file would have to be fetched first. Never leaves this module."""


@dataclass(frozen=True)
class _AtHand:
    """Files of a list, of which only those at hand can be taken."""

    holdings: Listing
    find: Callable[[str], Copied | None]

    @property
    def origin(self) -> Path | str:
        return self.holdings.origin

    @property
    def code(self) -> int:
        return self.holdings.code

    @property
    def is_chosen(self) -> bool:
        return self.holdings.is_chosen

    @property
    def notes(self) -> Collection[str]:
        return self.holdings.notes

    @property
    def names(self) -> Collection[str]:
        return self.holdings.names

    def look_for(self, roots: Collection[str]) -> None:
        self.holdings.look_for(roots)

    def take(self, name: str) -> Copied:
        found = self.find(name)
        if found is None:
            raise _NotAtHandError(name)
        return found


def find_inputs(
    dataset: DatasetId,
    uri: str,
    scratch: Path,
    options: FetchOptions,
    *,
    fetch: bool = False,
    registered: Mapping[str, RegisteredFile] | None = None,
) -> View:
    """Find the inputs of a dataset; nothing is written but in a folder of the caller.

    Parameters
    ----------
    dataset, uri
        As for :func:`calib.fetch.local.fetch_inputs`.
    scratch
        An empty temporary folder, to live as long as the view and what it shows.
    options
        How to ask over a network. Its download cache is read only.
    fetch
        Bring what is not at hand into `scratch`.
    registered
        What the registry has for the dataset, for an ``archive:`` source.

    Raises
    ------
    ConfigError, NotFound, CorruptFile, Proprietary, Unavailable
        As :func:`calib.fetch.local.fetch_inputs`.
    """
    source = source_of(dataset, uri)
    if source.scheme == "astroquery":
        view = _view_mast(dataset, scratch, options, fetch=fetch)
        if dataset.kind == "ipst":
            return view
        return replace(view, poller=bring_poller(dataset, source, scratch))
    if source.scheme == "s3":
        return _view_bucket(dataset, source.location, scratch, fetch=fetch)
    if source.scheme == "archive":
        return _view_registry(dataset, RegisteredFiles(uri, registered or {}, scratch), fetch=fetch)
    return _view_local(dataset, source.path, scratch)


def _view_registry(dataset: DatasetId, holdings: RegisteredFiles, *, fetch: bool) -> View:
    def find(name: str) -> Copied | None:
        is_local = holdings.files[name].uri.startswith("file:")
        return holdings.take(name) if fetch or is_local else None

    return View(
        dataset,
        _AtHand(holdings, find),
        lambda name: _listed(holdings, name, REGISTRY),
        holdings.staging,
    )


def _view_local(dataset: DatasetId, path: Path, scratch: Path) -> View:
    holdings = open_local(dataset, path, scratch, files=LinkedFiles)
    if isinstance(holdings, LinkedFiles):
        return View(dataset, holdings, lambda name: _stated(name, holdings.paths[name][0]), scratch)
    return View(dataset, holdings, lambda name: _seen(name, ARCHIVE, holdings.origin), scratch)


def _view_bucket(dataset: DatasetId, location: str, scratch: Path, *, fetch: bool) -> View:
    archive = find_archive(dataset, location)
    if archive is not None and not fetch:
        name = tarball_name(dataset.name)
        tar = SeenFile(name, "tar.gz", archive.size, None, BUCKET, archive.place)
        return View(dataset, None, lambda _: tar, scratch, tar)
    if archive is not None:
        unpacked = find_objects(dataset, location, scratch, None)
        return View(dataset, unpacked, lambda name: _seen(name, ARCHIVE, archive.place), scratch)
    folder = find_folder(dataset, location, scratch)
    at_hand = _AtHand(folder, folder.take if fetch else lambda _: None)
    return View(dataset, at_hand, lambda name: _listed(folder, name, BUCKET), scratch)


def _view_mast(dataset: DatasetId, scratch: Path, options: FetchOptions, *, fetch: bool) -> View:
    # Here, since they bring in astroquery's requests.
    from calib.fetch.hap_mast import find_visit_holdings
    from calib.fetch.mast import find_holdings

    find_files = find_holdings if dataset.kind == "ipst" else find_visit_holdings
    kept = DownloadCache(options.downloads)
    own = replace(options, cache=scratch / "downloads", cache_limit=0)
    holdings = find_files(dataset, own, scratch)
    linked: set[str] = set()

    def find(name: str) -> Copied | None:
        found = kept.find(holdings.files[name].url)
        if found is None:
            return holdings.take(name) if fetch else None
        linked.add(name)
        link = scratch / name
        link.symlink_to(found.path.absolute())
        return replace(found, path=link)

    def seen(name: str) -> SeenFile:
        return _listed(holdings, name, CACHE if name in linked else MAST)

    return View(dataset, _AtHand(holdings, find), seen, scratch)


def _listed(holdings: Listing, name: str, where: str) -> SeenFile:
    listed: Listed = holdings.describe(name)
    return SeenFile(name, suffix_of(name), listed.size, None, where, listed.place)


def _stated(name: str, path: Path) -> SeenFile:
    """Describe a file of a folder; one that went since it was listed has no size."""
    try:
        size = path.stat().st_size
    except OSError:
        size = None
    return SeenFile(name, suffix_of(name), size, None, FOLDER, str(path))


def _seen(name: str, where: str, place: Path | str) -> SeenFile:
    return SeenFile(name, suffix_of(name), None, None, where, str(place))


def _origin(holdings: Holdings | None) -> str:
    origin = holdings.origin if holdings else ""
    return f"file:{origin}" if isinstance(origin, Path) else origin
