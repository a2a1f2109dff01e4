"""What a CRDS server says of itself, as the cache keeps it: operational context, bad files, sizes.

Read and written without the crds library, in its form: a Python dictionary as text.
"""

from __future__ import annotations

import ast
import base64
import gzip
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from calib.errors import ConfigError
from calib.references.profile import CrdsProfile
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
    return _parse_info(file, identify(file)) if file.is_file() else {}


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
    """Write server_config and the layout of the cache; readers see the old one or the new one.

    Raises
    ------
    OSError
        The cache cannot be written.
    """
    lines = [f"{key!r}: {value!r},\n" for key, value in sorted(info.items())]
    text = "{" + " ".join(lines) + "}\n"
    file, tag = profile.server_config, profile.cache / "config" / "hst" / LAYOUT_TAG
    file.parent.mkdir(parents=True, exist_ok=True)
    if not tag.is_file():
        _write(tag, profile.layout)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        _write(file, text)


def _write(file: Path, text: str) -> None:
    with newer_file(file) as part:
        part.write_text(text, encoding="utf-8")
