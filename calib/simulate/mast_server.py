"""MAST on the loopback address, for the real clients: Observations, MastMissions, downloads.

It serves the FITS files of a folder, and misbehaves as asked, so that a tutorial, a demo and a
test live through what the archive may do without a network::

    with MastServer(folder) as mast:
        mast.faults["jsim01aaq_raw.fits"] = ["503:1", "truncate:100000"]
        fetch_inputs(dataset, "astroquery:", out, options=FetchOptions(mast_url=mast.url))

A plan of faults has one word for each download of that file; when it is used up, all is well:

===============  ===============================================================================
``404`` ...      that status; ``503:2`` also says Retry-After: 2
``head-503``     that status to a HEAD; a GET passes by
``truncate:N``   the connection ends after N bytes of the answer
``short:N``      N bytes only, and a Content-Length that agrees
``corrupt:N``    byte N of the answer is not what it was (``corrupt``: the first)
``html``         a page that says "maintenance", with status 200
``slow:S``       100 bytes, then nothing for S seconds
``pace:S``       S seconds between two blocks of 64 kB
``no-length``    no Content-Length; the answer ends with the connection
``redirect:U``   the file is at the address U
===============  ===============================================================================

Plans for queries (``query_faults["missions"]``, ``query_faults["observations"]``): a status,
``slow:S``, ``error``, ``executing``, ``empty``, ``html``.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from calib.simulate.loopback import Handler, LoopbackServer
from calib.simulate.mast_tables import OBSERVATION_TYPES, Holdings, read_associations

_BLOCK = 1 << 16
_PAGE = "<html><body>The archive is under maintenance.</body></html>"
_RETRIEVE = {
    "/api/v0.1/Download/file": "uri",
    "/search/hst/api/v0.1/retrieve_product": "product_name",
}


@dataclass(frozen=True)
class Manner:
    """What an archive does all the time.

    Attributes
    ----------
    exclusive, token
        Datasets in their exclusive-access period, and the only token that opens them: 401
        without a token, 403 with another.
    wrong_sizes, members_listed
        See :class:`~calib.simulate.mast_tables.Holdings`.
    lengths, ranges, entity_tags
        Whether downloads have a Content-Length, can begin in the middle, have an ETag.
    pause
        Seconds after each 64 kB of a download: a slow line.
    """

    exclusive: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    wrong_sizes: bool = False
    members_listed: bool = True
    lengths: bool = True
    ranges: bool = True
    entity_tags: bool = True
    pause: float = 0.0


class _Handler(Handler):
    """Answers as MAST does, or as a fault says."""

    loopback: MastServer

    def do_POST(self) -> None:  # noqa: N802 - the base class' name
        """Answer a query."""
        body = self.read_body().decode()
        if self.path.startswith("/portal/Mashup/Mashup.asmx/columnsconfig"):
            self.send_json({k: {"text": k, "type": t} for k, t in OBSERVATION_TYPES.items()})
        elif self.path == "/api/v0/invoke":
            self._answer("observations", partial(self._portal, body))
        elif self.path == "/search/hst/api/v0.1/post_list_products":
            names = [str(name).lower() for name in json.loads(body)["dataset_ids"]]
            self._answer("missions", lambda: {"products": self.loopback.holdings.products(names)})
        else:
            self.send_text(404, "no such service")

    def _portal(self, body: str) -> dict[str, Any]:
        request = json.loads(urllib.parse.parse_qs(body)["request"][0])
        parameters = request["params"]
        if request["service"] == "Mast.Caom.Products":
            return self.loopback.holdings.portal_products(parameters["obsid"].split(","))
        return self.loopback.holdings.observations(parameters.get("filters", ()))

    def _answer(self, service: str, make: Callable[[], Any]) -> None:
        fault = self.loopback.next_fault(self.loopback.query_faults.get(service))
        word, _, value = fault.partition(":")
        if word.isdigit():
            self.send_text(int(word), _PAGE, "text/html")
        elif word == "html":
            self.send_text(200, _PAGE, "text/html")
        elif word in {"error", "executing"}:
            self.send_json({"status": word.upper(), "msg": "something went wrong", "data": []})
        elif word == "empty":
            self.send_json({"products": [], **self.loopback.holdings.portal_products(())})
        else:
            self.wait(float(value) if word == "slow" else 0)
            self.send_json(make())

    def do_HEAD(self) -> None:  # noqa: N802 - the base class' name
        """Answer as to a GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:  # noqa: N802 - the base class' name
        """Send a file."""
        url = urllib.parse.urlsplit(self.path)
        key = _RETRIEVE.get(url.path, "")
        name = Path(urllib.parse.parse_qs(url.query).get(key, [""])[0]).name
        path = self.loopback.holdings.root / name
        fault = self.loopback.next_file_fault(name, self.command)
        word, _, value = fault.partition(":")
        if word.isdigit():
            again = {"Retry_After": value} if value else {}
            self.send_text(int(word), "no", **again)
        elif word == "html":
            self.send_text(200, _PAGE, "text/html")
        elif word == "redirect":
            self.send_text(302, "", Location=value)
        elif not name or not path.is_file():
            self.send_text(404, "not found")
        elif status := self.loopback.refusal(name, self.headers.get("Authorization")):
            self.send_text(status, "exclusive access")
        else:
            self._send_file(path, word, value)

    def _send_file(self, path: Path, word: str, value: str) -> None:
        size, etag = path.stat().st_size, entity_tag(path)
        if self.headers.get("If-None-Match") == etag and self.loopback.manner.entity_tags:
            self.send_head(304, "application/fits", {"ETag": etag})
            return
        first = self._first_byte(size, etag)
        if first is not None and first >= size:
            self.send_text(416, "no such range", Content_Range=f"bytes */{size}")
            return
        if word == "short":
            size = min(size, int(value))
        self._send_headers((first, size), etag, word)
        if self.command != "HEAD":
            with path.open("rb") as stream:
                stream.seek(first or 0)
                self._send_bytes(stream, size - (first or 0), word, value)

    def _first_byte(self, size: int, etag: str) -> int | None:
        """Return where to begin; None where the whole file is to be sent."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range", etag)
        if not asked or not self.loopback.manner.ranges or condition != etag:
            return None
        return min(int(asked[1]), size)

    def _send_headers(self, extent: tuple[int | None, int], etag: str, word: str) -> None:
        first, size = extent
        headers = {"Accept-Ranges": "bytes"} if self.loopback.manner.ranges else {}
        if self.loopback.manner.entity_tags:
            headers["ETag"] = etag
        if first is not None:
            headers["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
        if word == "no-length" or not self.loopback.manner.lengths:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(size - (first or 0))
        self.send_head(200 if first is None else 206, "application/fits", headers)

    def _send_bytes(self, stream: BinaryIO, count: int, word: str, value: str) -> None:
        if word == "truncate":
            count = min(count, int(value))
            self.close_connection = True
        if word in {"corrupt", "slow"}:
            head = bytearray(
                stream.read(min(count, int(value or 0) + 1 if word == "corrupt" else 100))
            )
            if word == "corrupt":
                head[-1] ^= 0xFF
            count -= len(head)
            self.wfile.write(head)
            self.wait(float(value) if word == "slow" else 0)
        while count > 0 and (block := stream.read(min(count, _BLOCK))):
            self.wfile.write(block)
            count -= len(block)
            self.wait(float(value) if word == "pace" else self.loopback.manner.pause)


class MastServer(LoopbackServer):
    """MAST, made of a folder. See the module for what it can be told to do wrong.

    Parameters
    ----------
    root
        Folder of files ``ROOT_SUFFIX.fits``.
    associations
        Members by association; None reads the tables ``ROOT_asn.fits`` in the folder.
    manner
        What this archive does all the time.

    Attributes
    ----------
    faults, query_faults
        Plans: see the module. Both may be filled while the server runs.
    requests
        What was asked and answered.
    authorizations
        The Authorization headers that came, to see where a token goes.
    """

    handler = _Handler

    def __init__(
        self,
        root: Path,
        associations: Mapping[str, Sequence[str]] | None = None,
        manner: Manner | None = None,
    ) -> None:
        super().__init__()
        members = read_associations(root) if associations is None else associations
        self.manner = manner or Manner()
        self.holdings = Holdings(
            root,
            {name: tuple(its) for name, its in members.items()},
            frozenset(self.manner.exclusive),
            wrong_sizes=self.manner.wrong_sizes,
            members_listed=self.manner.members_listed,
        )
        self.faults: dict[str, list[str]] = {}
        self.query_faults: dict[str, list[str]] = {}
        self.authorizations: list[str | None] = []
        self._lock = threading.Lock()

    def next_fault(self, plan: list[str] | None) -> str:
        """Take the next word of a plan; ``ok`` where it is used up."""
        with self._lock:
            return plan.pop(0) if plan else "ok"

    def next_file_fault(self, name: str, method: str) -> str:
        """Take the next word of a file's plan, if it is for this method."""
        plan = self.faults.get(name, [])
        with self._lock:
            for_head = bool(plan) and plan[0].startswith("head-")
            if for_head == (method == "HEAD") and plan:
                return plan.pop(0).removeprefix("head-")
            if for_head:
                plan.pop(0)
        return "ok"

    def refusal(self, name: str, authorization: str | None) -> int | None:
        """Return the status that refuses a file; None where it may be had."""
        self.authorizations.append(authorization)
        if name.partition("_")[0] not in self.holdings.exclusive:
            return None
        if authorization is None:
            return 401
        return None if authorization == f"token {self.manner.token}" else 403


def entity_tag(path: Path) -> str:
    """Return the ETag of a file: it changes when the file does."""
    status = path.stat()
    text = f"{path.name} {status.st_size} {status.st_mtime_ns}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
