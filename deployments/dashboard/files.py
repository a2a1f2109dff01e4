"""Gives out products, previews and logs: by their number in the ledger, never by a path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from calib.errors import ConfigError, HstflowError
from calib.ledger.dataset_files import StoredFile, file_of
from calib.stores.transfer import local_path
from deployments.dashboard.opened import CHUNK, CannotShow, Opened, open_registered
from deployments.dashboard.page import Page, render

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# What a browser may show in a page; all else is only ever saved.
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
_SAVED = {
    ".fits": "application/fits",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".tra": "text/plain; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
}

# Bytes of a picture that is shown in a page: a preview has some 0.2 MB, a colour mosaic 5 MB.
MOST_INLINE = 16_000_000

# Bytes of a picture that is brought from a bucket while a reader waits.
_MOST_BROUGHT = 16_000_000

# Numbers of rows are 64 bits wide in both databases.
_LARGEST_NUMBER = (1 << 63) - 1

# One range alone: several are allowed to be answered with the whole file (RFC 9110, 14.2).
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)

# Blocks of files that are read at once, in threads beside those of the pages: a file of ten blocks
# would wait ten times behind ten pages.
_READ_AT_ONCE = 4
_READING: RunVar[CapacityLimiter] = RunVar("hstflow-reading")

_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
}


def is_picture(file: StoredFile) -> bool:
    """Tell whether a file is a picture that is shown in a page."""
    return _suffix(file) in PICTURES and file.size <= MOST_INLINE


def answer_product(desk: Desk, request: Request) -> Response:
    """Answer with the bytes of a file, or with a page that says why not."""
    number = min(request.path_params["product"], _LARGEST_NUMBER)
    try:
        file = desk.reader.ask(lambda rows: file_of(rows, number))
        is_told = request.method == "HEAD" or _has_it(request, file)
        return _answer(request, find_file(file, is_checked=not is_told))
    except CannotShow as why:
        return say_why(desk, str(why), why.code)


def find_file(file: StoredFile | None, *, is_checked: bool = True) -> Given:
    """Return a registered file, open.

    Parameters
    ----------
    file
        The ledger's row; None: it has none.
    is_checked
        Whether its bytes are compared with the checksum, and brought where they are elsewhere: an
        answer without bytes needs neither, but a file of that size that is still there.

    Raises
    ------
    CannotShow
        It is not registered, was pruned, lies elsewhere, or is another one now.
    """
    if file is None:
        raise CannotShow("the ledger has no file of this number")
    if file.removed_at is not None:
        raise CannotShow(f"{file.name} of run {file.run} was pruned on {file.removed_at[:10]}", 410)
    try:
        path, folder = local_path(file.uri), local_path(file.folder)
    except ConfigError as error:
        raise CannotShow(
            f"{file.name} lies at {file.uri}, where the dashboard cannot look"
        ) from error
    if path is None or folder is None:
        return Given(file, _bring(file) if is_checked else _refuse_unbrought(file))
    sha256 = file.sha256 if is_checked else None
    return Given(file, open_registered(path, folder, file.size, sha256))


def say_why(desk: Desk, said: str, code: int) -> Response:
    """Answer with a page that says why a file is not given out."""
    title = "This file is gone" if code == 410 else "This file cannot be shown"  # noqa: PLR2004 - HTTP's
    page = Page("error.html", title, {"said": said}, is_live=False)
    headers = {"retry-after": "5"} if code == 503 else {}  # noqa: PLR2004 - HTTP's
    return HTMLResponse(render(page, desk.frame), status_code=code, headers=headers)


@dataclass(frozen=True)
class Given:
    """A registered file and its bytes: open, or in memory."""

    file: StoredFile
    source: Opened | bytes

    def read(self, start: int, number: int) -> bytes:
        """Return up to so many bytes from a place in the file."""
        if isinstance(self.source, bytes):
            return self.source[start : start + number]
        return self.source.read(start, number)

    def close(self) -> None:
        """Close the file."""
        if isinstance(self.source, Opened):
            self.source.close()


def _bring(file: StoredFile) -> bytes:
    """Bring a small picture from a bucket; of all else say where it lies."""
    from calib.stores.s3_store import open_store
    from calib.stores.uri import parse_uri

    _refuse_unbrought(file)
    where = f"{file.name} lies at {file.uri}"
    try:
        folder, _, name = parse_uri(file.uri).location.rpartition("/")
        store = open_store(folder, "input")
        head = store.head(name)
        content = store.read(name) if head is not None and head.size == file.size else None
    except (HstflowError, OSError) as error:
        raise CannotShow(f"{where}, which does not give it: {error}") from error
    if content is None or len(content.data) != file.size:
        raise CannotShow(f"{where}: another file, or nothing, is there now", 410)
    return _checked(file, content.data)


def _refuse_unbrought(file: StoredFile) -> bytes:
    """Refuse what is not brought from a bucket; of all else the ledger tells what there is."""
    if _suffix(file) not in PICTURES or file.size > _MOST_BROUGHT:
        command = f"hstflow archive get {file.name} --run {file.run}"
        raise CannotShow(f"{file.name} lies at {file.uri}: bring it with {command}")
    return b""


def _checked(file: StoredFile, data: bytes) -> bytes:
    import hashlib

    if file.sha256 not in {None, hashlib.sha256(data).hexdigest()}:
        raise CannotShow("another file lies there now: its checksum is another", 410)
    return data


def _answer(request: Request, given: Given) -> Response:
    headers = _headers_of(given.file)
    tag = headers.get("etag")
    if _has_it(request, given.file):
        given.close()
        return Response(status_code=304, headers=headers)
    size = given.file.size
    try:
        part = _part(request, size, tag)
    except ValueError:
        given.close()
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{size}"})
    if part is None:
        return GivenResponse(given, 0, size, headers)
    first, last = part
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    return GivenResponse(given, first, last + 1, headers, status_code=206)


def _has_it(request: Request, file: StoredFile | None) -> bool:
    """Tell whether the browser has the bytes that are registered."""
    asked = request.headers.get("if-none-match", "")
    if file is None or file.sha256 is None:
        return False
    return asked.strip() == "*" or _tag(file) in _tags(asked)


def _tag(file: StoredFile) -> str:
    return f'"{file.sha256}"'


def _headers_of(file: StoredFile) -> dict[str, str]:
    suffix = _suffix(file)
    shown = is_picture(file)
    kind = PICTURES.get(suffix) if shown else _SAVED.get(suffix)
    how = "inline" if shown else "attachment"
    headers = {
        **_HEADERS,
        "content-type": kind or "application/octet-stream",
        "content-disposition": f"{how}; filename*=UTF-8''{_saved_name(file)}",
        "cache-control": "private, max-age=60" if file.sha256 else "private, no-cache",
    }
    return headers | ({"etag": _tag(file)} if file.sha256 else {})


def _saved_name(file: StoredFile) -> str:
    """Return the last part of a name, coded (RFC 8187): a registry may hold any characters."""
    name = PurePosixPath(file.name).name or "file"
    return quote(name.encode(errors="replace"), safe="")


def _suffix(file: StoredFile) -> str:
    return PurePosixPath(file.name).suffix.lower()


def _tags(text: str) -> set[str]:
    return {each.strip().removeprefix("W/") for each in text.split(",")}


def _part(request: Request, size: int, tag: str | None) -> tuple[int, int] | None:
    """Return first and last byte of the range that is asked for; None for the whole file.

    Raises
    ------
    ValueError
        There is nothing of that range in the file.
    """
    condition = request.headers.get("if-range")
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or found.groups() == ("", "") or condition not in {None, tag}:
        return None
    begin, end = found.groups()
    if not begin:  # the last so many
        first, last = max(0, size - int(end)), size - 1
        wanted = int(end) > 0
    else:
        first, last = int(begin), min(int(end), size - 1) if end else size - 1
        wanted = not end or int(begin) <= int(end)
    if not wanted and begin:  # from 5 to 3: no range at all (RFC 9110, 14.1.1)
        return None
    if not wanted or first >= size:
        raise ValueError(first)
    return first, last


def _reading() -> CapacityLimiter:
    """Return what limits the reading of blocks, of this event loop."""
    try:
        return _READING.get()
    except LookupError:
        made = CapacityLimiter(_READ_AT_ONCE)
        _READING.set(made)
        return made


class GivenResponse(Response):
    """The bytes of a file from a place to another; the file is closed whatever happens."""

    def __init__(
        self,
        given: Given,
        start: int,
        end: int,
        headers: dict[str, str],
        *,
        status_code: int = 200,
    ) -> None:
        super().__init__(status_code=status_code)
        self.init_headers(headers | {"content-length": str(end - start)})
        self._given, self._start, self._end = given, start, end

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the bytes; a file that is cut short meanwhile ends the connection."""
        try:
            head = {"type": "http.response.start", "status": self.status_code}
            await send({**head, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._send_bytes(send)
            else:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._given.close()

    async def _send_bytes(self, send: Send) -> None:
        read: Callable[[int, int], bytes] = self._given.read
        place = self._start
        while place < self._end:
            wanted = min(CHUNK, self._end - place)
            block = await to_thread.run_sync(read, place, wanted, limiter=_reading())
            if not block:
                raise OSError("the file was cut short while it was read")
            place += len(block)
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
