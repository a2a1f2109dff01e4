"""Download one file so that it ends whole and verified, or not at all.

What the archive's own client leaves out: timeouts and a deadline, retries that a server may
time (Retry-After), resuming where an earlier attempt or process stopped, and a look at what
arrived. Bytes go to ``FOLDER/NAME.part``; beside it lies what identifies them to the server, so
that another process goes on with a Range request that only the same version answers.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import logging
import os
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from calib.errors import MAST, CorruptFile, NotFound, Proprietary, Unavailable
from calib.fetch.hosts import TokenFor, host_of, host_slot, thread_session
from calib.fetch.integrity import verify_file
from calib.fetch.options import Patience

log = logging.getLogger(__name__)

# Of a transfer that breaks, what is less than a block is lost: small blocks resume better.
_BLOCK = 1 << 16

_NEVER = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_LONGEST_WAIT = 300.0  # between two tries, whatever a server asks for
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Remote:
    """A file of an archive.

    Attributes
    ----------
    url
        Its address.
    name
        Its file name, which :func:`~calib.fetch.integrity.verify_file` checks it by.
    size
        What a list said of its size, if anything: that is often wrong.
    token, token_host
        Token for exclusive data, and the only host that may see it.
    """

    url: str
    name: str
    size: int | None = None
    token: str | None = field(default=None, repr=False)
    token_host: str = ""


@dataclass(frozen=True)
class Version:
    """What identifies the version of a file to a server, and its size and sha256."""

    etag: str | None
    modified: str | None
    size: int
    sha256: str


def download(
    remote: Remote, folder: Path, patience: Patience, known: Version | None = None
) -> Version | None:
    """Download a file to ``folder / remote.name`` and verify it.

    Parameters
    ----------
    remote
        What to download.
    folder
        A folder for this address alone, the same in every attempt: what it holds of the
        file is not downloaded again. Two downloads into it at once are the caller's to
        prevent.
    patience
        Timeouts, tries, deadline.
    known
        A version that is at hand: where the server still has that one, nothing is loaded.

    Returns
    -------
    Version
        What was downloaded; None where the server has the known version.

    Raises
    ------
    NotFound, Proprietary
        The server has no such file, or refuses it (401, 403): not tried again. Code 22.
    Unavailable
        No answer, or an error that may pass, in every try. Code 22.
    CorruptFile
        The file arrived damaged in every try. Code 22.
    """
    transfer = _Transfer(remote, folder, patience, time.monotonic() + patience.deadline)
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, patience.tries + 1):
        try:
            with host_slot(remote.url, transfer.left):
                return transfer.attempt(known)
        except (Unavailable, CorruptFile) as error:
            wait = transfer.wait_after(attempt)
            if attempt == patience.tries or wait > transfer.left:
                error.message += f"; gave up after {attempt} tries"
                raise
            log.info("%s; trying again in %.1f s", error, wait)
            time.sleep(wait)
    raise Unavailable("not even one try was allowed", path=remote.url, expected="tries >= 1")


class _Transfer:
    """The attempts at one file."""

    def __init__(self, remote: Remote, folder: Path, patience: Patience, end: float) -> None:
        self.remote = remote
        self.patience = patience
        self.end = end
        self.part = folder / f"{remote.name}.part"
        self.mark = folder / f"{remote.name}.json"
        self.whole = folder / remote.name
        self.asked_wait: float | None = None

    @property
    def left(self) -> float:
        """Seconds before the deadline."""
        return self.end - time.monotonic()

    def wait_after(self, attempt: int) -> float:
        """Return how long to wait: as the server asked, else longer each time."""
        asked, self.asked_wait = self.asked_wait, None
        if asked is not None:
            return asked
        jitter = random.SystemRandom().uniform(0.5, 1.5)
        wait: float = self.patience.backoff * 2 ** (attempt - 1) * jitter
        return min(wait, _LONGEST_WAIT)

    def attempt(self, known: Version | None) -> Version | None:
        """Ask once; go on where the part ends, if the server can tell that it is the same."""
        have, mark = self._begun()
        headers = _headers(have, mark, known)
        with self._answer(headers) as response:
            if response.status_code == HTTPStatus.NOT_MODIFIED and known:
                return None
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._check_complete(response, have)
                return self._finish(mark, hash_of(self.part))
            self._check_status(response)
            if known and not have and _seems_known(response, known):
                return None
            if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                have, mark = 0, _mark_of(response)
                self.mark.write_text(json.dumps(mark), encoding="utf-8")
            else:
                self._check_range(response, have)
            digest = self._save(response, have)
        return self._finish(mark, digest)

    def _begun(self) -> tuple[int, dict[str, str | None]]:
        """Return how many bytes are there already, and the version they belong to."""
        try:
            mark: dict[str, str | None] = json.loads(self.mark.read_text(encoding="utf-8"))
            have = self.part.stat().st_size
        except (FileNotFoundError, ValueError):
            return 0, {}
        return (have, mark) if _validator(mark) else (0, {})

    @contextmanager
    def _answer(self, headers: dict[str, str]) -> Iterator[requests.Response]:
        timeout = (self.patience.connect, min(self.patience.read, max(self.left, 0.1)))
        auth = TokenFor(self.remote.token, self.remote.token_host or host_of(self.remote.url))
        try:
            with thread_session().get(
                self.remote.url, headers=headers, stream=True, timeout=timeout, auth=auth
            ) as response:
                yield response
        except requests.RequestException as error:
            raise self._unavailable(f"the download broke off: {_reason(error)}") from error

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in _NEVER:
            raise NotFound(
                f"the archive has no such file ({status})", path=self.remote.url, code=MAST
            )
        if status in _REFUSED:
            known = "the token does not open it" if self.remote.token else "no token was given"
            raise Proprietary(
                f"the file is not public yet, and {known} ({status})",
                path=self.remote.url,
                expected="a valid token in MAST_API_TOKEN",
            )
        if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            self.asked_wait = _retry_after(response)
            raise self._unavailable(f"the archive answers with status {status}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise self._unavailable("the archive answers with a page instead of the file")

    def _check_range(self, response: requests.Response, have: int) -> None:
        found = _RANGE.match(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have:
            self._discard()
            raise self._unavailable("the archive sent another part than was asked for")

    def _check_complete(self, response: requests.Response, have: int) -> None:
        """Nothing is left to send: either the part is the whole file, or it is of no use."""
        if response.headers.get("Content-Range", "").rpartition("/")[2] != str(have) or not have:
            self._discard()
            raise self._unavailable("the file at the archive is shorter than what was downloaded")

    def _save(self, response: requests.Response, have: int) -> Any:
        """Write the body after what is there; return the running sha256 of all of it."""
        digest = hash_of(self.part) if have else hashlib.sha256()
        size = 0
        with self.part.open("ab" if have else "wb") as out:
            for block in response.iter_content(_BLOCK):
                digest.update(block)
                size += out.write(block)
                if self.left < 0:
                    raise self._unavailable(
                        f"the download took longer than {self.patience.deadline:g} s"
                    )
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) != size:
            raise self._unavailable(f"the download broke off after {size} of {length} bytes")
        return digest

    def _finish(self, mark: dict[str, str | None], digest: Any) -> Version:
        """Verify the whole file; a damaged one is not kept."""
        self.part.replace(self.whole)
        self.mark.unlink(missing_ok=True)
        try:
            with _flushed(self.whole):
                verify_file(self.whole)
        except CorruptFile as error:
            self.whole.unlink()
            error.path, error.code = self.remote.url, MAST
            raise
        size = self.whole.stat().st_size
        if self.remote.size not in {None, size}:
            log.warning(
                "%s has %d bytes; the archive's list says %d",
                self.remote.name,
                size,
                self.remote.size,
            )
        return Version(mark.get("etag"), mark.get("modified"), size, digest.hexdigest())

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)

    def _unavailable(self, message: str) -> Unavailable:
        return Unavailable(message, path=self.remote.url, code=MAST)


@contextmanager
def _flushed(path: Path) -> Iterator[None]:
    """Bring a file to the disk while the block looks at it: both take milliseconds.

    Raises
    ------
    OSError
        The disk is full or fails, as for :func:`os.fsync`.
    """
    with ThreadPoolExecutor(1) as pool, path.open("rb") as stream:
        flush = pool.submit(os.fsync, stream.fileno())
        yield
        flush.result()


def hash_of(path: Path) -> Any:
    """Return the sha256 object of a file's bytes, ready for more."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256")


def _headers(have: int, mark: dict[str, str | None], known: Version | None) -> dict[str, str]:
    if have:
        return {"Range": f"bytes={have}-", "If-Range": str(_validator(mark))}
    if known and known.etag:
        return {"If-None-Match": known.etag}
    if known and known.modified:
        return {"If-Modified-Since": known.modified}
    return {}


def _mark_of(response: requests.Response) -> dict[str, str | None]:
    headers = response.headers
    return {"etag": headers.get("ETag"), "modified": headers.get("Last-Modified")}


def _validator(mark: dict[str, str | None]) -> str | None:
    """Return what If-Range may hold: a strong ETag, else a date (RFC 9110, section 13.1.5)."""
    etag = mark.get("etag")
    return etag if etag and not etag.startswith("W/") else mark.get("modified")


def _seems_known(response: requests.Response, known: Version) -> bool:
    """Tell whether a server without ETags and dates still has the known file, by its length."""
    mark = _mark_of(response)
    if mark["etag"] or mark["modified"]:
        return False
    return response.headers.get("Content-Length") == str(known.size)


def _retry_after(response: requests.Response) -> float | None:
    """Return the wait that a server asks for, in seconds or as a date; None without one."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return min(float(text), _LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(moment.timestamp() - time.time(), 0.0), _LONGEST_WAIT)


def _reason(error: requests.RequestException) -> str:
    """Return the kind of failure in a few words: requests' own texts repeat addresses."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "no bytes in time"
    return type(error).__name__
