"""Where rules and references come from: a CRDS server, or a bucket or folder with its files."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from calib.errors import BESTREFS, ConfigError, CorruptFile, HstflowError, NotFound, Unavailable
from calib.references import library
from calib.references.profile import CrdsProfile
from calib.references.rules import instrument_of, is_rules
from calib.references.server_config import cached_info, parse_info
from calib.stores import FileStore
from calib.stores.s3_store import open_store
from calib.stores.store import Store
from calib.stores.uri import parse_uri

if TYPE_CHECKING:
    import requests

# Seconds to connect, and between two pieces of an answer.
_TIMEOUT = (10, 60)

# Small enough that little is lost when a connection breaks.
_CHUNK = 1 << 15

_OK, _PARTIAL, _NO_SUCH_RANGE = 200, 206, 416
# Not 403: proxies say so of files that are there. It is asked for again, then the server is "away".
_ABSENT = frozenset({404, 410})

_TREE = "mappings/hst"


class Origin(Protocol):
    """What rules and references come from; used by several threads at once."""

    @property
    def place(self) -> str:
        """Its address, for messages."""
        ...

    def info(self, *, again: bool = True) -> dict[str, Any]:
        """Return what it says of itself: contexts, bad files, size and sha1 of every file.

        Called before the first file is fetched.

        Parameters
        ----------
        again
            Ask, although the answer of a moment ago is at hand.

        Raises
        ------
        Unavailable
            It does not answer.
        ConfigError
            There is no such place, or what it says cannot be read.
        """
        ...

    def fetch(self, name: str, part: Path) -> None:
        """Bring a file; what `part` holds already is its beginning.

        Raises
        ------
        NotFound
            There is no such file.
        Unavailable
            No answer, or it broke off: what came stays in `part`.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


def origin_of(profile: CrdsProfile) -> Origin:
    """Return what fills the cache of a profile.

    Raises
    ------
    ConfigError
        Nothing does: it is read-only, or has neither server nor bucket.
    """
    if profile.readonly:
        raise ConfigError(
            "the CRDS cache is read-only: nothing can be brought into it",
            path=profile.cache,
            expected="a profile whose cache may be written",
            found=f"profile {profile.name}",
            code=BESTREFS,
        )
    if profile.has_store:
        return StoreOrigin(profile)
    if profile.offline:
        raise ConfigError(
            "there is no CRDS server to ask: the profile is offline",
            path=profile.cache,
            expected="a profile with a server, or with rules_uri and references_uri",
            found=f"profile {profile.name}, {profile.server_url}",
            code=BESTREFS,
        )
    return ServerOrigin(profile)


class ServerOrigin:
    """A CRDS server: what it says by the crds library, files by plain GET."""

    def __init__(self, profile: CrdsProfile) -> None:
        self._profile = profile
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._urls: dict[str, str] = {}

    @property
    def place(self) -> str:
        """Address of the server."""
        return self._profile.server_url

    def info(self, *, again: bool = True) -> dict[str, Any]:
        """Ask the server, and remember where its files are."""
        info = library.ask_server(self._profile, again=again)
        for kind in ("mapping", "reference"):
            urls = info.get(f"{kind}_url")
            url = urls.get(library.OBSERVATORY) if isinstance(urls, dict) else None
            if not isinstance(url, str):
                message = f"the CRDS server does not say where its {kind} files are"
                raise ConfigError(message, path=self.place, code=BESTREFS)
            self._urls[kind] = url.rstrip("/") + "/"
        return info

    def fetch(self, name: str, part: Path) -> None:
        """Bring a file by GET, going on where `part` ends if the server can."""
        import requests

        url = self._urls["mapping" if is_rules(name) else "reference"] + name
        begun = part.stat().st_size if part.is_file() else 0
        headers = {"Range": f"bytes={begun}-"} if begun else {}
        try:
            with self._session().get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
                _receive(answer, part, url)
        except requests.RequestException as error:
            raise Unavailable(
                f"the CRDS server does not send {name}: {error}", path=url, code=BESTREFS
            ) from error

    def close(self) -> None:
        """Close the connections."""
        while self._sessions:
            self._sessions.pop().close()

    def _session(self) -> requests.Session:
        """Return the connections of this thread: they are not to be shared."""
        import requests

        found: requests.Session | None = getattr(self._local, "session", None)
        if found is None:
            found = self._local.session = requests.Session()
            # Bytes as they lie there: a length that counts, and no surprise for sha1.
            found.headers["Accept-Encoding"] = "identity"
            self._sessions.append(found)
        return found


def _receive(answer: requests.Response, part: Path, url: str) -> None:
    status = answer.status_code
    if status in _ABSENT:
        message = "the CRDS server has no such file"
        raise NotFound(message, path=url, found=f"status {status}", code=BESTREFS)
    if status == _NO_SUCH_RANGE:
        part.unlink()
        raise Unavailable("a download has to begin anew", path=url, code=BESTREFS)
    if status not in {_OK, _PARTIAL}:
        message = "the CRDS server does not send the file"
        raise Unavailable(message, path=url, found=f"status {status}", code=BESTREFS)
    with part.open("ab" if status == _PARTIAL else "wb") as stream:
        for block in answer.iter_content(_CHUNK):
            stream.write(block)


@dataclass(frozen=True)
class StoreOrigin:
    """A bucket, or a folder, with the files of a CRDS cache.

    Attributes
    ----------
    profile
        Its places.
    """

    profile: CrdsProfile

    @property
    def place(self) -> str:
        """The bucket or folder of the rules, or else of the references."""
        return str(self.profile.rules_uri or self.profile.references_uri)

    def info(self, *, again: bool = True) -> dict[str, Any]:
        """Read its server_config; what the cache has of it may do."""
        found = {} if again else cached_info(self.profile)
        return found or self._read()

    def _read(self) -> dict[str, Any]:
        store = _store(self._config_uri())
        content = store.read("server_config")
        if content is None:
            raise ConfigError(
                "there is no server_config beside the rules: sizes and sha1 are not known",
                path=store.uri_of("server_config"),
                expected="config/hst/server_config of the tree that has mappings/hst, "
                "or a config_uri in the profile",
                code=BESTREFS,
            )
        return parse_info(content.data.decode("utf-8", "replace"), store.uri_of("server_config"))

    def fetch(self, name: str, part: Path) -> None:
        """Bring a file; references lie in one folder, or in one per instrument."""
        uri = self.profile.rules_uri if is_rules(name) else self.profile.references_uri
        if uri is None:
            message = "the profile says no place for such files"
            raise NotFound(message, path=name, code=BESTREFS)
        store, folder = _store(uri), instrument_of(name)
        keys = [name] if is_rules(name) or folder is None else [name, f"{folder}/{name}"]
        try:
            key = next((key for key in keys if store.head(key)), None)
            if key is None:
                raise NotFound("there is no such file", path=store.uri_of(name), code=BESTREFS)
            store.get(key, part)
        except CorruptFile as error:
            raise Unavailable(error.message, path=error.path, code=BESTREFS) from error
        except HstflowError as error:
            error.code = BESTREFS
            raise

    def close(self) -> None:
        """Do nothing: connections are the process's."""

    def _config_uri(self) -> str:
        profile = self.profile
        rules = (profile.rules_uri or "").rstrip("/")
        if profile.config_uri is not None:
            return profile.config_uri
        if not rules.endswith(_TREE):
            raise ConfigError(
                "the profile does not say where server_config is",
                expected=f"config_uri, or a rules_uri that ends with {_TREE}",
                found=profile.rules_uri,
                code=BESTREFS,
            )
        return f"{rules.removesuffix(_TREE)}config/hst"


def _store(uri: str) -> Store:
    source = parse_uri(uri.rstrip("/"))
    if source.scheme == "s3":
        return open_store(source.location, "input")
    return FileStore(source.path)
