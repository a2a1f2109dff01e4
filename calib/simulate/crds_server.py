"""A CRDS server on the loopback address, for the real crds library.

It serves a CRDS cache: rules and references as files, and the answers of the JSON-RPC service
that the library calls (crds 14.0.3, crds/client/api.py)::

    with CrdsServer(observatory.crds_path) as server:
        profile = server.profile(empty_folder)     # references come when they are needed

The address is ``http://localhost:PORT``: the library warns at other addresses without TLS.
"""

from __future__ import annotations

import ast
import base64
import fnmatch
import gzip
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile
from calib.simulate.loopback import Handler, LoopbackServer

log = logging.getLogger(__name__)

_UNKNOWN = "NOT FOUND unknown to server"
_FIRST_DATE = "2002-04-14 00:00:00"  # when the first context became operational
_LARGEST_REQUEST = 1000  # headers or datasets in one call, as the public server says


class _Handler(Handler):
    """JSON-RPC 1.0 by POST, files by GET."""

    loopback: CrdsServer

    def do_POST(self) -> None:  # noqa: N802 - the base class' name
        """Answer a remote call."""
        call = json.loads(self.read_body())
        answer = {"jsonrpc": "1.0", "id": call["id"], "result": None, "error": None}
        answer |= self.loopback.call(call["method"], call["params"])
        self.path = f"/json/{call['method']}/"  # without the number of the message
        self.send_json(answer)

    def do_GET(self) -> None:  # noqa: N802 - the base class' name
        """Send rules or a reference."""
        kind, _, name = self.path.removeprefix("/files/").partition("/")
        path = self.loopback.find_file(name)
        fault = self.loopback.next_fault(name)
        if path is None or kind not in {"mappings", "references"}:
            self.send_text(404, "not found")
        elif fault == "drop":
            self.close_connection = True
        elif fault.isdigit():
            self.send_text(int(fault), "no")
        else:
            self._send_file(path, fault)

    def _send_file(self, path: Path, fault: str) -> None:
        """Send a file, from where the client asks for it to its end."""
        size = path.stat().st_size
        begin = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        if begin >= size:
            self.send_text(416, "no such range")
            return
        length = {"Content-Length": str(size - begin)}
        status = 206 if "Range" in self.headers else 200
        self.send_head(status, "application/octet-stream", length)
        with path.open("rb") as stream:
            stream.seek(begin)
            if fault == "corrupt":
                self.wfile.write(bytes([stream.read(1)[0] ^ 0xFF]))
            if fault == "cut":
                self.wfile.write(stream.read((size - begin) // 2))
                self.close_connection = True
            else:
                shutil.copyfileobj(stream, self.wfile)


class CrdsServer(LoopbackServer):
    """A CRDS server, made of a cache.

    Parameters
    ----------
    cache
        A CRDS cache with ``mappings/hst`` and ``references/hst`` (either layout), such as
        :func:`calib.simulate.context.build_context` makes.
    context
        The operational context; None is what the cache's server_config says.
    bad
        Files that are listed as bad.
    headers
        What the archive knows of exposures: keywords and values by ``DATASET:EXPOSURE``.

    Attributes
    ----------
    context
        The operational context; setting it adds to the history.
    history
        Date, context and description of every change of the operational context, oldest first.
    affected
        What the server computed of changes of context: names by old and new context.
    faults
        Plans by file name, one word for each download: a status such as ``503``, ``drop``
        (the connection ends without an answer), ``cut`` (it ends half way) or ``corrupt`` (the
        first byte is not what it was).
    requests
        What was asked and answered; remote calls have the path ``/json/METHOD/``.
    """

    handler = _Handler
    host = "localhost"

    def __init__(
        self,
        cache: Path,
        *,
        context: str | None = None,
        bad: Iterable[str] = (),
        headers: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__()
        self.source = CrdsProfile("served", "serverless", cache)
        first = context or _operational_context(self.source)
        self.history: list[list[str]] = [[_FIRST_DATE, first, "simulated"]]
        self.bad = list(bad)
        self.headers = dict(headers or {})
        self.affected: dict[tuple[str, str], list[str]] = {}
        self.faults: dict[str, list[str]] = {}
        self._remote_contexts: dict[str, str] = {}
        self._methods: dict[str, Callable[..., Any]] = {
            "get_server_info": self._server_info,
            "get_mapping_names": self._mapping_names,
            "get_reference_names": self._reference_names,
            "get_default_context": lambda *_, **__: self.context,
            "get_context_by_date": lambda date, *_: self._context_at(date),
            "get_context_history": lambda *_: self.history,
            "get_dataset_ids": self._dataset_ids,
            "get_dataset_headers_by_id": self._dataset_headers,
            "get_affected_datasets": self._affected_datasets,
            "get_file_info_map": self._file_info_map,
            "get_file_info": lambda _, name: self._file_info(name),
            "list_mappings": lambda _=None, pattern="*": self._listed("mappings", pattern),
            "list_references": lambda _=None, pattern="*": self._listed("references", pattern),
            "push_remote_context": self._push_remote_context,
            "get_remote_context": lambda _, key: self._remote_contexts[key],
        }

    @property
    def context(self) -> str:
        """The operational context."""
        return self.history[-1][1]

    @context.setter
    def context(self, name: str) -> None:
        self.set_context(name)

    def set_context(self, name: str, date: str | None = None) -> None:
        """Make a context operational, now or at a date (``2019-08-01 12:00:00``)."""
        moment = date or datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        self.history.append([moment, name, "simulated"])

    def profile(self, cache: Path) -> CrdsProfile:
        """Return the profile of a cache that this server fills."""
        return CrdsProfile("loopback", self.url, cache)

    def environ(self, cache: Path) -> dict[str, str]:
        """Return the same as environment variables."""
        return {"CRDS_PATH": str(cache), "CRDS_SERVER_URL": self.url, "CRDS_OBSERVATORY": "hst"}

    def call(self, method: str, parameters: Any) -> dict[str, Any]:
        """Carry out a remote call; return its result or its error."""
        try:
            function = self._methods[method]
            if isinstance(parameters, Mapping):
                return {"result": function(*parameters.values())}
            return {"result": function(*parameters)}
        except (KeyError, OSError, TypeError, ValueError) as error:
            log.debug("remote call %s failed: %s", method, error)
            message = f"OtherError: {type(error).__name__}: {error}"
            return {"error": {"code": 500, "name": type(error).__name__, "message": message}}

    def find_file(self, name: str) -> Path | None:
        """Return the path of rules or a reference by name; None where there is none."""
        bare = Path(name).name
        folder = self.source.mappings if bare.endswith("map") else self.source.references
        found = [folder / bare, *folder.glob(f"*/{bare}")] if bare else []
        return next((path for path in found if path.is_file()), None)

    def next_fault(self, name: str) -> str:
        """Take the next word of a file's plan; ``ok`` where it is used up."""
        plan = self.faults.get(Path(name).name)
        return plan.pop(0) if plan else "ok"

    def _server_info(self) -> dict[str, Any]:
        files = [*self._listed("mappings", "*"), *self._listed("references", "*")]
        info = {name: self._file_info(name) for name in files}
        catalogue = {n: {k: i[k] for k in ("size", "sha1sum")} for n, i in info.items()}
        return {
            "observatory": "hst",
            "operational_context": self.context,
            "latest_context": self.context,
            "edit_context": self.context,
            "versions_context": "",
            "bad_files_list": self.bad,
            "bad_files": " ".join(self.bad),
            "force_remote_mode": False,
            "max_headers_per_rpc": _LARGEST_REQUEST,
            "max_bestrefs_per_rpc": _LARGEST_REQUEST,
            "crds_version": {"str": "14.0.3"},
            "mappings": self._listed("mappings", "*"),
            "context_history": self.history,
            "last_synced": self.history[-1][0],
            "download_metadata": _packed(catalogue),
            **{
                f"{kind}_url": {"hst": f"{self.url}/files/{folder}/"}
                for kind, folder in (("mapping", "mappings"), ("reference", "references"))
            },
            "config_url": {"hst": f"{self.url}/files/config/"},
            "pickle_url": {"hst": f"{self.url}/files/pickles/"},
        }

    def _context_at(self, date: str) -> str:
        """Return the context that was operational at a date, now where it is no date."""
        moment = str(date).removeprefix("hst-").replace("T", " ")
        before = [context for since, context, _ in self.history if since <= moment]
        return before[-1] if before and moment[:1].isdigit() else self.context

    def _dataset_ids(self, _: str, instrument: str, since: str | None = None) -> list[str]:
        return sorted(
            name
            for name, header in self.headers.items()
            if header.get("INSTRUME", "").lower() == instrument.lower()
            and (since is None or _taken_at(header) >= since)
        )

    def _dataset_headers(
        self, _: str, names: list[str], __: str | None = None
    ) -> dict[str, Mapping[str, str]]:
        if len(names) > _LARGEST_REQUEST:
            message = f"more than {_LARGEST_REQUEST} headers in one call"
            raise ValueError(message)
        wanted = set(names)
        return {
            name: header
            for name, header in self.headers.items()
            if name in wanted or not wanted.isdisjoint(name.split(":"))
        }

    def _affected_datasets(self, _: str, old: str, new: str) -> dict[str, Any]:
        found = self.affected.get((old, new))
        if found is None:
            message = f"No precomputed affected datasets results exist for {old} --> {new}"
            raise ValueError(message)
        return {
            "affected_ids": found,
            "bestrefs_status": 0,
            "bestrefs_err_summary": "",
            "computation_dir": f"{old}-{new}",
        }

    def _listed(self, kind: str, pattern: str) -> list[str]:
        folder = self.source.mappings if kind == "mappings" else self.source.references
        names = {path.name for path in folder.rglob("*") if path.is_file()}
        return sorted(fnmatch.filter(names, pattern))

    def _file_info(self, name: str) -> Any:
        path = self.find_file(name)
        if path is None:
            return _UNKNOWN
        return {
            "name": name,
            "observatory": "hst",
            "type": "mapping" if name.endswith("map") else "reference",
            "size": str(path.stat().st_size),
            "sha1sum": sha1_of(path),
            "state": "archived",
            "rejected": "false",
            "blacklisted": "true" if name in self.bad else "false",
        }

    def _file_info_map(
        self, _: str, files: list[str] | None = None, fields: list[str] | None = None
    ) -> dict[str, Any]:
        names = files or [*self._listed("mappings", "*"), *self._listed("references", "*")]
        answers = {name: self._file_info(name) for name in names}
        return {
            name: {k: v for k, v in info.items() if k in fields}
            if fields and isinstance(info, dict)
            else info
            for name, info in answers.items()
        }

    def _mapping_names(self, context: str) -> list[str]:
        """Return a context and all rules below it."""
        path = self.find_file(context)
        if path is None:
            message = f"unknown mapping {context}"
            raise ValueError(message)
        if context.endswith(".rmap"):
            return [context]
        below = [v for v in _selector(path).values() if v.endswith("map")]
        return [context, *(name for rules in below for name in self._mapping_names(rules))]

    def _reference_names(self, context: str) -> list[str]:
        """Return the references that the rules of a context name."""
        rules = [self.find_file(name) for name in self._mapping_names(context)]
        text = " ".join(path.read_text() for path in rules if path)
        return [name for name in self._listed("references", "*") if f"'{name}'" in text]

    def _push_remote_context(self, _: str, __: str, key: str, context: str) -> str:
        self._remote_contexts[key] = context
        return "OK"


def _taken_at(header: Mapping[str, str]) -> str:
    return f"{header.get('DATE-OBS', '')} {header.get('TIME-OBS', '')}".strip()


def _operational_context(profile: CrdsProfile) -> str:
    """Return what server_config says, else the newest context in the cache.

    Raises
    ------
    ValueError
        The cache has no context.
    """
    if profile.server_config.is_file():
        info = ast.literal_eval(profile.server_config.read_text(encoding="utf-8"))
        return str(info["operational_context"])
    return max(path.name for path in profile.mappings.glob("hst_*.pmap"))


def _selector(path: Path) -> dict[str, str]:
    """Return the selector of a pipeline or instrument mapping: names by key."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    last = tree.body[-1]
    if not isinstance(last, ast.Assign):
        message = f"{path.name} ends without a selector"
        raise TypeError(message)
    return {key: value for key, value in ast.literal_eval(last.value).items() if value}


def _packed(value: Any) -> dict[str, str]:
    """Return a large answer as CRDS packs it."""
    packed = base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()
    return {"crds_encoded": "1.0", "crds_payload": packed}
