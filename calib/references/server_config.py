"""What a CRDS server says of itself, as the cache keeps it: operational context, bad files, sizes.

Read and written without the crds library, in its form: a Python dictionary as text.
"""

from __future__ import annotations

import ast
import base64
import gzip
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from calib.errors import ConfigError
from calib.references.locks import locked
from calib.references.profile import CrdsProfile
from calib.references.rules import is_rules
from calib.stores.new_file import newer_file

# The file that says how references are laid out, flat or by instrument (crds 14.0.3, config.py).
LAYOUT_TAG = "ref_cache_subdir_mode"


def catalogue(info: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return size and sha1sum (as text) of every file the server knows, by name.

    Servers pack large answers (crds 14.0.3, crds/client/proxy.py); a server_config may have
    either form.
    """
    said: dict[str, Any] = info.get("download_metadata") or {}
    if "crds_encoded" in said:
        said = json.loads(gzip.decompress(base64.b64decode(said["crds_payload"])))
    return said


def cached_info(profile: CrdsProfile) -> dict[str, Any]:
    """Return what the cache says that its source said last; empty where it says nothing.

    Raises
    ------
    ConfigError
        Its server_config is damaged.
    """
    file = profile.server_config
    # A copy: who changes it must not change what others are told.
    return dict(_parse_info(file, identify(file))) if file.is_file() else {}


def cached_catalogue(profile: CrdsProfile) -> dict[str, dict[str, str]]:
    """Return the catalogue of the cache's server_config; empty where there is none.

    Raises
    ------
    ConfigError
        It is damaged.
    """
    return catalogue(cached_info(profile))


@lru_cache(maxsize=4)
def _parse_info(path: Path, stamp: tuple[int, int]) -> dict[str, Any]:  # noqa: ARG001 - the key
    """Read server_config (a Python dictionary as text); `stamp` tells an edited one apart."""
    return parse_info(path.read_text(encoding="utf-8"), path)


def parse_info(text: str, place: object) -> dict[str, Any]:
    """Read the text of a server_config, which is a Python dictionary.

    Raises
    ------
    ConfigError
        It is not.
    """
    try:
        info = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        message = f"the server_config of the CRDS cache is damaged: {error}"
        raise ConfigError(message, path=place) from error
    if not isinstance(info, dict):
        message = "the server_config of the CRDS cache is no dictionary"
        raise ConfigError(message, path=place)
    return info


def identify(file: Path) -> tuple[int, int]:
    """Return what tells the content of a file from an edited one."""
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def write_info(profile: CrdsProfile, info: Mapping[str, Any]) -> None:
    """Write what the origin says; readers see the old server_config or the new one.

    Files in the catalogue that the origin does not know, deliveries made here, stay in it.

    Raises
    ------
    OSError
        The cache cannot be written.
    """
    known = catalogue(info)

    def change(text: str) -> Mapping[str, Any]:
        try:
            before = catalogue(parse_info(text, profile.server_config))
        except ConfigError:  # damaged: what the origin says takes its place
            before = {}
        ours = {name: row for name, row in before.items() if name not in known}
        return with_files(info, ours)

    _change(profile, change)


def change_info(
    profile: CrdsProfile, change: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> None:
    """Change server_config while no other process does.

    Parameters
    ----------
    change
        Returns what is to be there instead of what is; it may be called twice.

    Raises
    ------
    ConfigError
        It is damaged.
    OSError
        The cache cannot be written.
    """
    _change(profile, lambda text: change(parse_info(text, profile.server_config)))


def with_files(info: Mapping[str, Any], rows: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    """Return what a server says of itself with more files, in the form that it has.

    Parameters
    ----------
    rows
        Size and sha1sum, by name.
    """
    if not rows:
        return dict(info)
    every: dict[str, Any] = catalogue(info) | dict(rows)
    if "crds_encoded" in (info.get("download_metadata") or {}):
        # Without a time, so that the same files give the same text.
        content = gzip.compress(json.dumps(every).encode(), mtime=0)
        packed = base64.b64encode(content).decode("ascii")
        every = {"crds_encoded": "1.0", "crds_payload": packed}
    rules = {*(info.get("mappings") or ()), *filter(is_rules, rows)}
    return {**info, "download_metadata": every, "mappings": sorted(rules)}


def _change(profile: CrdsProfile, change: Callable[[str], Mapping[str, Any]]) -> None:
    file, tag = profile.server_config, profile.cache / "config" / "hst" / LAYOUT_TAG
    file.parent.mkdir(parents=True, exist_ok=True)
    if not tag.is_file():
        _write(tag, profile.layout)
    before = _text_of(file)
    if _as_text(change(before)) == before:  # nor is a lock needed in a cache of somebody else's
        return
    # Where the file system has no locks the last one to write wins.
    with locked(file.with_name("server_config.lock")):
        before = _text_of(file)
        text = _as_text(change(before))
        if text != before:
            _write(file, text)


def _text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else "{}"


def _as_text(info: Mapping[str, Any]) -> str:
    lines = [f"{key!r}: {value!r},\n" for key, value in sorted(info.items())]
    return "{" + " ".join(lines) + "}\n"


def _write(file: Path, text: str) -> None:
    with newer_file(file) as part:
        part.write_text(text, encoding="utf-8")
