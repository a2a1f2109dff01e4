"""Rules and references of a cache, compared with size and sha1: what is missing or damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from calib.errors import BESTREFS, ConfigError
from calib.references.arrival import PART, remove_leftover
from calib.references.profile import CrdsProfile
from calib.references.readiness import agrees
from calib.references.rules import has_own_checksum, is_rules, named_in, rules_of
from calib.references.server_config import cached_catalogue
from calib.references.syncing import SAFE_NAME, sync_named_rules, sync_references

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

    Each file by itself: one that cannot be had keeps none of the others from being mended.

    Parameters
    ----------
    found
        What :func:`verify_cache` found.
    contexts
        Contexts whose rules must all be there, also those that missing rules name.

    Returns
    -------
    Verified
        The same problems, each with what became of it, and rules that are missing still.

    Raises
    ------
    ConfigError
        The cache is read-only or cannot be written, or has no source for files that are missing
        or damaged.
    Unavailable
        The source does not answer at all, or the disk is full.
    """
    _refuse_readonly(profile)
    bad = {each.name for each in found.problems if each.kind != "leftover"}
    for each in found.problems:
        if each.kind == "leftover":
            remove_leftover(Path(each.path), time.time() - _OLD_PART)
    wanted = list(contexts)
    failed = _bring_again(profile, bad, wanted) if bad else {}
    known = cached_catalogue(profile)
    new = [each for each in _missing(profile, wanted) if each.name not in bad]
    problems = tuple(_after(each, known, failed) for each in (*found.problems, *new))
    return Verified(found.rules, found.references, found.unknown, problems)


def _refuse_readonly(profile: CrdsProfile) -> None:
    if profile.readonly:
        raise ConfigError(
            "the CRDS cache is read-only: nothing can be mended in it",
            path=profile.cache,
            expected="a profile whose cache may be written",
            found=f"profile {profile.name}",
            code=BESTREFS,
        )


def _bring_again(profile: CrdsProfile, names: set[str], contexts: list[str]) -> dict[str, str]:
    """Bring files by name; return why some did not come, by name."""
    strange = {name for name in names if not SAFE_NAME.fullmatch(name)}
    failed = dict.fromkeys(strange, "no file of CRDS has such a name")
    rules, tried = {name for name in names - strange if is_rules(name)}, set[str]()
    references = names - strange - rules
    while rules:  # those that came may name others that are missing
        failed |= dict(sync_named_rules(profile, rules).failed)
        tried |= rules
        rules = {each.name for each in _missing(profile, contexts)} - tried - strange
    if references:
        failed |= dict(sync_references(profile, "the cache", references, checked=True).failed)
    return failed


def _after(
    problem: CacheProblem, known: Mapping[str, Mapping[str, str]], failed: Mapping[str, str]
) -> CacheProblem:
    path = Path(problem.path)
    if problem.kind == "leftover":
        return replace(problem, is_repaired=not path.exists())
    if path.is_file() and _trouble(path, known) is None:
        return replace(problem, is_repaired=True)
    why = failed.get(problem.name)
    return replace(problem, text=f"{problem.text}; {why}" if why else problem.text)


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
            if not has_own_checksum(path):
                return "is not what the sha1 in its own header says"
            named_in(path)
        if not agrees(path, entry):
            return _difference(path.stat().st_size, entry)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, SyntaxError) as error:
        return f"is no rules: {error}"
    return None


def _difference(size: int, entry: Mapping[str, str]) -> str:
    if str(size) == str(entry.get("size")):
        return f"its sha1 is not that of the catalogue ({entry.get('sha1sum')})"
    return f"has {size} bytes, the catalogue {entry.get('size')}"
