"""Rules and references of a cache, compared with size and sha1: what is missing or damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calib.references.arrival import PART
from calib.references.profile import CrdsProfile
from calib.references.readiness import agrees
from calib.references.rules import has_own_checksum, is_rules, named_in, rules_of
from calib.references.server_config import cached_catalogue
from calib.references.syncing import sync_references, sync_rules

# Seconds after which a file that is on its way belongs to nobody any more.
_OLD_PART = 86_400.0

Kind = Literal["missing", "damaged", "leftover"]


@dataclass(frozen=True)
class CacheProblem:
    """A file of a cache that is not as it should be.

    Attributes
    ----------
    name, path
        The file.
    kind
        ``missing``, ``damaged``, or ``leftover`` (of a download that was killed).
    text
        What is wrong.
    is_repaired
        Whether it was brought again, or removed.
    """

    name: str
    path: str
    kind: Kind
    text: str
    is_repaired: bool = False


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong with it.

    Attributes
    ----------
    rules, references
        How many files were read.
    unknown
        Files that the catalogue does not know, so that nothing could be compared.
    problems
        What is wrong.
    """

    rules: int
    references: int
    unknown: tuple[str, ...]
    problems: tuple[CacheProblem, ...]


def verify_cache(
    profile: CrdsProfile,
    contexts: Iterable[str] = (),
    *,
    references: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """Read the files of a cache and compare them with the catalogue that it has.

    Nothing is asked of a server and nothing is written: offline and read-only caches can be
    verified.

    Parameters
    ----------
    profile
        The cache.
    contexts
        Contexts whose rules must all be there. None: the rules that are there.
    references
        Read the references, too: all that are there.
    progress
        Is told how many files are done.

    Raises
    ------
    ConfigError
        The cache's server_config is damaged.
    """
    wanted = list(contexts)
    files = _rules_to_read(profile, wanted)
    rules = len(files)
    files += sorted(_references(profile)) if references else []
    known, unknown = cached_catalogue(profile), []
    problems = [*_missing(profile, wanted), *_leftovers(profile)]
    for number, path in enumerate(files):
        if progress is not None:
            progress(number + 1, len(files))
        trouble = _trouble(path, known)
        if trouble is not None:
            problems.append(CacheProblem(path.name, str(path), "damaged", trouble))
        elif path.name not in known:
            unknown.append(path.name)
    return Verified(rules, len(files) - rules, tuple(unknown), tuple(problems))


def repair(profile: CrdsProfile, found: Verified, contexts: Iterable[str] = ()) -> Verified:
    """Bring again what is missing or damaged, and remove what is left over.

    Damaged rules that belong to no context named are brought with the first context in the
    cache that names them.

    Returns
    -------
    Verified
        The same problems, each with what became of it.

    Raises
    ------
    ConfigError, ContextError, Unavailable
        As :func:`~calib.references.syncing.sync_rules`.
    """
    bad = [each for each in found.problems if each.kind != "leftover"]
    rules = {each.name for each in bad if is_rules(each.name)}
    if rules:
        sync_rules(profile, [*contexts, *_contexts_of(profile, rules)])
    names = {each.name for each in bad} - rules
    if names:
        sync_references(profile, "the cache", names, checked=True)
    for each in found.problems:
        if each.kind == "leftover":
            Path(each.path).unlink(missing_ok=True)
    known = cached_catalogue(profile)
    problems = tuple(_after(each, known) for each in found.problems)
    return Verified(found.rules, found.references, found.unknown, problems)


def _after(problem: CacheProblem, known: Mapping[str, Mapping[str, str]]) -> CacheProblem:
    path = Path(problem.path)
    if problem.kind == "leftover":
        is_fine = not path.exists()
    else:
        is_fine = path.is_file() and _trouble(path, known) is None
    return CacheProblem(problem.name, problem.path, problem.kind, problem.text, is_fine)


def _rules_to_read(profile: CrdsProfile, contexts: list[str]) -> list[Path]:
    if not contexts:
        return sorted(path for path in profile.mappings.glob("hst*map") if is_rules(path.name))
    names = {name for context in contexts for name in _there(profile, context)}
    return [profile.mappings / name for name in sorted(names)]


def _there(profile: CrdsProfile, context: str) -> tuple[str, ...]:
    rules = rules_of(profile, context)
    return (*rules.present, *rules.unreadable)


def _references(profile: CrdsProfile) -> Iterator[Path]:
    """Yield the reference files; links to folders (iref, jref) show the same files again."""
    if not profile.references.is_dir():
        return
    for entry in profile.references.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            yield from (path for path in entry.iterdir() if _is_reference(path))
        elif _is_reference(entry):
            yield entry


def _is_reference(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _missing(profile: CrdsProfile, contexts: Iterable[str]) -> Iterator[CacheProblem]:
    for context in contexts:
        for name in rules_of(profile, context).missing:
            path = str(profile.mappings / name)
            yield CacheProblem(name, path, "missing", f"not in the cache, {context} needs it")


def _leftovers(profile: CrdsProfile) -> Iterator[CacheProblem]:
    old = time.time() - _OLD_PART
    for folder in (profile.mappings, profile.references):
        for path in sorted(folder.rglob(f"{PART}*")):
            if path.is_file() and path.stat().st_mtime < old:
                text = "of a download that was given up"
                yield CacheProblem(path.name, str(path), "leftover", text)


def _trouble(path: Path, known: Mapping[str, Mapping[str, str]]) -> str | None:
    """Say what is wrong with a file; None: nothing."""
    entry = known.get(path.name, {})
    try:
        if is_rules(path.name):
            if has_own_checksum(path) is False:
                return "differs from the sha1 in its own header"
            named_in(path)
        if not agrees(path, entry):
            size = path.stat().st_size
            return f"{size} bytes; the catalogue has {entry.get('size')} and another sha1 or size"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, SyntaxError) as error:
        return f"is no rules: {error}"
    return None


def _contexts_of(profile: CrdsProfile, rules: set[str]) -> list[str]:
    """Return contexts in the cache, the newest first, that need these rules."""
    found, left = [], set(rules)
    for path in sorted(profile.mappings.glob("hst_*.pmap"), reverse=True):
        named = rules_of(profile, path.name)
        mine = left & {*named.present, *named.missing, *named.unreadable}
        if mine:
            found.append(path.name)
            left -= mine
    return found
