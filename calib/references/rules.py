"""The files of a context: which rules it is made of, read without the crds library.

A context (``.pmap``) names the rules of each instrument (``.imap``), and those name the rules of
each type (``.rmap``). Importing the library takes a second and reading a context with it half a
second more; asking whether all files are there takes some milliseconds here.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from calib.references.profile import CrdsProfile

# The last letter of a reference's name, before the underscore, is that of its instrument (crds
# 14.0.3, crds/hst/siname.py).
_LETTERS = {
    "j": "acs",
    "i": "wfc3",
    "o": "stis",
    "l": "cos",
    "n": "nicmos",
    "u": "wfpc2",
    "m": "synphot",
}

# A file name and nothing else: rules come from servers, and name the files that are written.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)

_SHA1 = re.compile(r"^\s*'sha1sum'\s*:\s*'([0-9a-f]{40})'", re.MULTILINE)


@dataclass(frozen=True)
class Rules:
    """The rules of a context, as far as the files in the cache tell.

    Attributes
    ----------
    present
        Names of files that are there, the context first.
    missing
        Names of files that are not; of those below a missing file nobody knows.
    unreadable
        Names of files that are there and are no rules.
    """

    present: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every file is there and can be read."""
        return not self.missing and not self.unreadable


def rules_of(profile: CrdsProfile, context: str) -> Rules:
    """Return the rules of a context by reading those of it that are in the cache."""
    found: dict[str, list[str]] = {"present": [], "missing": [], "unreadable": []}
    for name, state in _walk(context, lambda name: profile.mappings / name, set()):
        found[state].append(name)
    return Rules(**{state: tuple(names) for state, names in found.items()})


def _walk(name: str, place: Callable[[str], Path], seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield a file and those below it; each once, also where damaged rules name themselves."""
    if name in seen:
        return
    seen.add(name)
    path = place(name)
    if not path.is_file():
        yield name, "missing"
        return
    try:
        below = named_in(path)
    except (ValueError, SyntaxError, OSError):
        yield name, "unreadable"
        return
    yield name, "present"
    for each in below:
        yield from _walk(each, place, seen)


def named_in(path: Path) -> tuple[str, ...]:
    """Return the rules that a context or the rules of an instrument name; of others, none.

    Raises
    ------
    ValueError, SyntaxError
        The file is no such rules.
    OSError
        It cannot be read.
    """
    if path.suffix == ".rmap":
        return ()
    status = path.stat()
    return _named_in(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _named_in(path: Path, size: int, modified: int) -> tuple[str, ...]:  # noqa: ARG001 - the key
    for part in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "selector":
            selector = ast.literal_eval(part.value)
            if not isinstance(selector, dict):
                raise ValueError("the selector is no dictionary")
            names = [each for each in selector.values() if isinstance(each, str) and is_rules(each)]
            if wrong := [name for name in names if not _NAME.fullmatch(name)]:
                raise ValueError(f"not names of rules: {wrong}")
            return tuple(dict.fromkeys(names))
    message = "there is no selector"
    raise ValueError(message)


def is_rules(name: str) -> bool:
    """Tell rules from references by the name of the file."""
    return name.endswith((".pmap", ".imap", ".rmap"))


def instrument_of(name: str) -> str | None:
    """Return the instrument, in lower case, of a reference by its name; None: it does not say."""
    return _LETTERS.get(name.partition("_")[0][-1:].lower())


def has_own_checksum(path: Path) -> bool | None:
    """Compare rules with the sha1 in their own header, which leaves out its own line.

    Returns
    -------
    bool or None
        None where the header has none (as crds 14.0.3, crds/core/rmap.py).
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    said = _SHA1.search(text)
    if said is None:
        return None
    rest = "".join(line for line in text.splitlines(keepends=True) if "sha1sum" not in line)
    return hashlib.sha1(rest.encode(), usedforsecurity=False).hexdigest() == said[1]
