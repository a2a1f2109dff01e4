"""Which CRDS cache a command looks at, and the files that its words name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from calib.errors import BESTREFS, ConfigError
from deployments.cli.console import expand_names

if TYPE_CHECKING:
    from calib.references.profile import CrdsProfile

# The way crds itself names a file of its cache.
_CACHED = "crds://"


def profile_of(name: str | None) -> CrdsProfile:
    """Return the CRDS profile that a command was given, or that the settings name."""
    from calib.references.profile import load_profile
    from tasks.settings import load_settings

    return load_profile(name or load_settings().profile, os.environ)


def context_of(name: str | None, profile: CrdsProfile) -> str:
    """Return the context that a command was given, or the one that is used without."""
    from calib.references.context import resolve_context

    return resolve_context(name, profile)


def find_files(words: Iterable[str], profile: CrdsProfile) -> list[Path]:
    """Return the files that words name: paths, names of files in the cache, ``@FILE`` lists.

    Raises
    ------
    ConfigError
        There is no such file, here or in the cache; or no file is named; or one twice.
    """
    tokens = list(words)
    if not tokens:
        raise ConfigError("no file was named", expected="FILE... or @LIST")
    files = [find_file(word, profile) for word in expand_names(tokens)]
    if twice := sorted({str(path) for path in files if files.count(path) > 1}):
        raise ConfigError("a file is named twice", path=", ".join(twice))
    return files


def find_file(word: str, profile: CrdsProfile) -> Path:
    """Return the file of one word, as :func:`find_files`."""
    path = Path(word.removeprefix(_CACHED)).expanduser()
    if not word.startswith(_CACHED) and path.is_file():
        return path
    if path.name == str(path) and (cached := _in_cache(path.name, profile)) is not None:
        return cached
    raise ConfigError(
        "no such file, here or in the CRDS cache",
        path=word,
        expected=f"a path, or a name in {profile.cache}",
        code=BESTREFS,
    )


def _in_cache(name: str, profile: CrdsProfile) -> Path | None:
    from calib.caldp import REFERENCE_FOLDERS
    from calib.references.files import find_file

    folders = [
        profile.mappings,
        profile.references,
        *(profile.references / instrument for instrument in REFERENCE_FOLDERS),
    ]
    return find_file(folders, name)
