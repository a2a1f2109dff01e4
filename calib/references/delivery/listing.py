"""Which references a context names, and which rules and contexts name a reference."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.errors import ContextError
from calib.references import library
from calib.references.delivery.staging import context_files
from calib.references.profile import CrdsProfile

_DATE = ("DATE-OBS", "TIME-OBS")


@dataclass(frozen=True)
class Listed:
    """A reference that a context names.

    Attributes
    ----------
    present
        Whether the file is in the cache.
    """

    name: str
    instrument: str
    keyword: str
    present: bool


@dataclass(frozen=True)
class Case:
    """Exposures that the rules choose a reference for.

    Attributes
    ----------
    match
        Keywords and the values that exposures have: a choice with ``|``, anything with ``*``.
    since
        Exposures from this moment on, until the next reference of the same match.
    """

    name: str
    instrument: str
    keyword: str
    match: Mapping[str, str] = field(default_factory=dict)
    since: str = ""


@dataclass(frozen=True)
class Named:
    """What names a file: rules of a type, of an instrument, and contexts, each oldest first."""

    name: str
    rmaps: tuple[str, ...] = ()
    imaps: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()


def list_context(
    profile: CrdsProfile,
    context: str,
    *,
    instruments: Collection[str] = (),
    keywords: Collection[str] = (),
) -> list[Listed]:
    """Return the references that a context names, by instrument, keyword and name.

    Parameters
    ----------
    instruments, keywords
        Only these, in any case of letters; all where none is given.

    Raises
    ------
    ContextError, Unavailable
        There is no such context, or its rules are incomplete.
    """
    context_files(profile, context)
    wanted = ({i.lower() for i in instruments}, {k.lower() for k in keywords})
    with library.session(profile):
        present = {path.name for path in profile.references.glob("**/*.fits")}
        return [
            Listed(name, rules.instrument, rules.filekind.upper(), name in present)
            for rules in _rules(context, *wanted)
            for name in sorted(rules.reference_names())
        ]


def find_cases(profile: CrdsProfile, context: str, names: Sequence[str]) -> list[Case]:
    """Return for which exposures a context chooses references; none for a name it has not.

    Raises
    ------
    ContextError, Unavailable
        There is no such context, or its rules are incomplete.
    """
    files = context_files(profile, context)
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    with library.session(profile):
        from crds.core import rmap

        return [
            _case(name, found)
            for name in dict.fromkeys(names)
            for rules, text in texts.items()
            if rules.endswith(".rmap") and f"'{name}'" in text
            for found in rmap.get_cached_mapping(rules).file_matches(name)
        ]


def find_naming(profile: CrdsProfile, names: Sequence[str]) -> list[Named]:
    """Return which rules in the cache name each file: a reference, or rules.

    `crds uses` loads every file of rules for that; here their text is searched.

    Raises
    ------
    ContextError
        The cache has no rules.
    """
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(profile.mappings.glob("hst_*.?map"))
    }
    if not texts:
        raise ContextError("there are no rules in the cache", path=profile.mappings)
    return [_naming(name, texts) for name in dict.fromkeys(names)]


def _naming(name: str, texts: Mapping[str, str]) -> Named:
    """Follow a name upwards: rules of a type, of an instrument, context."""
    kinds = (".rmap", ".imap", ".pmap")
    suffix = Path(name).suffix
    found: dict[str, tuple[str, ...]] = {}
    wanted: tuple[str, ...] = (name,)
    for kind in kinds[kinds.index(suffix) + 1 :] if suffix in kinds else kinds:
        wanted = found[kind] = tuple(
            rules
            for rules, text in texts.items()
            if rules.endswith(kind) and any(_is_named(each, text) for each in wanted)
        )
    return Named(name, *(found.get(kind, ()) for kind in kinds))


def _is_named(name: str, text: str) -> bool:
    """Tell whether rules name a file other than as what they were made from."""
    quoted = f"'{name}'"
    return any(quoted in line and "'derived_from'" not in line for line in _lines(quoted, text))


def _lines(word: str, text: str) -> Iterator[str]:
    start = text.find(word)
    while start >= 0:
        yield text[text.rfind("\n", 0, start) + 1 : text.find("\n", start)]
        start = text.find(word, start + 1)


def _rules(context: str, instruments: Collection[str], keywords: Collection[str]) -> Iterator[Any]:
    from crds.core import rmap

    for instrument, imap in sorted(rmap.get_cached_mapping(context).selector.items()):
        if not imap.endswith(".imap") or (instruments and instrument.lower() not in instruments):
            continue
        for kind, rules in sorted(rmap.get_cached_mapping(imap).selector.items()):
            if rules.endswith(".rmap") and (not keywords or kind.lower() in keywords):
                yield rmap.get_cached_mapping(rules)


def _case(name: str, found: Sequence[Any]) -> Case:
    where = dict(found[0])
    match = {key: str(value) for part in found[1:] for key, value in part}
    since = " ".join(match.pop(key) for key in _DATE if key in match)
    return Case(name, where["instrument"], where["filekind"].upper(), match, since)
