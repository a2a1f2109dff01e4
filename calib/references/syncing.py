"""Bringing rules and references into the cache, each file whole and verified.

The real server is asked by the crds library what it has; the bytes come by our own downloads,
since the library's leave a damaged file in the cache, and wait no longer than five seconds for
another process (crds 14.0.3, crds/client/api.py).
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib.errors import (
    BESTREFS,
    ConfigError,
    ContextError,
    DataError,
    HstflowError,
    NotFound,
    Unavailable,
)
from calib.references import library
from calib.references.arrival import Patience, Wanted, bring, cache_error
from calib.references.origins import Origin, origin_of
from calib.references.profile import CrdsProfile
from calib.references.readiness import find_reference, shorten
from calib.references.rules import instrument_of, is_rules, named_in
from calib.references.server_config import catalogue, write_info

log = logging.getLogger(__name__)

# Takes how many files are done, of how many.
Progress = Callable[[int, int], None]

# Downloads at the same time; rules are many and small.
_THREADS = 8

# After so many files that the server did not send, the others are not asked for.
_ENOUGH = 8

# Bytes that stay free on the disk of the cache.
_MARGIN = 50_000_000

# Names that may become paths.
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Synced:
    """What a synchronisation did.

    Attributes
    ----------
    brought
        Names of the files that came.
    bytes
        Their sizes together.
    present
        How many were there already.
    failed
        Why files could not be had, by name.
    """

    brought: tuple[str, ...] = ()
    bytes: int = 0
    present: int = 0
    failed: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: Synced) -> Synced:
        """Return both together."""
        return Synced(
            self.brought + other.brought,
            self.bytes + other.bytes,
            self.present + other.present,
            self.failed + other.failed,
        )


@dataclass(frozen=True)
class _Sync:
    """A synchronisation under way."""

    profile: CrdsProfile
    origin: Origin
    known: Mapping[str, Mapping[str, str]]
    patience: Patience
    progress: Progress

    def wanted(self, name: str) -> Wanted:
        """Return what is to be in the cache; its place is the one where it lies, if it does."""
        entry = self.known.get(name, {})
        size, sha1 = str(entry.get("size", "")), entry.get("sha1sum", "none")
        return Wanted(
            name,
            self._target(name),
            int(size) if size.isdigit() else None,
            sha1 if sha1 not in {"", "none"} else None,
        )

    def _target(self, name: str) -> Path:
        if is_rules(name):
            return self.profile.mappings / name
        instrument = instrument_of(name)
        is_flat = instrument is None or library.reference_layout(self.profile) == "flat"
        folder = self.profile.references / ("" if is_flat else str(instrument))
        return find_reference(self.profile, name) or folder / name


def sync_rules(
    profile: CrdsProfile,
    contexts: Iterable[str],
    *,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Synced:
    """Bring all rules of contexts into the cache; what is there and right stays as it is.

    The cache's server_config is renewed when all are there.

    Parameters
    ----------
    progress
        Is told how many files are done.
    patience
        How often a file is asked for.

    Raises
    ------
    ConfigError
        The profile cannot bring anything (it is read-only or has no server), or the cache cannot
        be written.
    ContextError
        There is no such context, a file cannot be had right, or sound rules of the same name
        that the server does not know lie in the cache.
    Unavailable
        The server does not answer, or the disk is full.
    """
    with _begun(profile, patience, progress) as (sync, info):
        level, synced, seen = list(dict.fromkeys(contexts)), Synced(), set[str]()
        _refuse_unknown(sync, level)
        while level:  # contexts, then rules of instruments, then of types
            synced += _rules(sync, level)
            seen.update(level)
            below = (name for each in level for name in _below(profile.mappings / each))
            level = [name for name in dict.fromkeys(below) if name not in seen]
        _write(profile, info)
    library.forget()
    return synced


def _below(path: Path) -> tuple[str, ...]:
    """Return the rules that rules name.

    Raises
    ------
    ContextError
        They are damaged, although they are what their source has.
    """
    try:
        return named_in(path)
    except (ValueError, SyntaxError) as error:
        raise ContextError(f"the rules cannot be read: {error}", path=path) from error


def sync_named_rules(profile: CrdsProfile, names: Iterable[str]) -> Synced:
    """Bring rules by their names, not those that they name; what cannot be had is in the answer.

    The cache's server_config is renewed.

    Raises
    ------
    ConfigError, Unavailable
        As :func:`sync_references`.
    """
    wanted = sorted(set(names))
    bad = [name for name in wanted if not SAFE_NAME.fullmatch(name) or not is_rules(name)]
    if bad:
        raise ConfigError("not names of rules", found=shorten(bad))
    with _begun(profile, None, None) as (sync, info):
        synced, _ = _bring_all(sync, wanted)
        _write(profile, info)
    library.forget()
    return synced


def refresh_info(profile: CrdsProfile) -> dict[str, Any]:
    """Renew the cache's server_config; return what the server says.

    Raises
    ------
    ConfigError, Unavailable
        As :func:`sync_rules`.
    """
    with _begun(profile, None, None) as (_, info):
        _write(profile, info)
    return info


def sync_references(
    profile: CrdsProfile,
    context: str,
    names: Iterable[str],
    *,
    checked: bool = False,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Synced:
    """Bring references into the cache; those that cannot be had are in the answer.

    Files that are there are compared with the size in the catalogue.

    Parameters
    ----------
    context
        Whose references they are: for messages.
    names
        Names of the files.
    checked
        Read those that are there and compare their sha1, too.
    progress, patience
        As for :func:`sync_rules`.

    Raises
    ------
    ConfigError
        The profile cannot bring anything, the cache cannot be written, or a name is none.
    Unavailable
        The server does not answer at all, or the disk is full.
    """
    wanted = sorted(set(names))
    bad = [name for name in wanted if not SAFE_NAME.fullmatch(name) or is_rules(name)]
    if bad:
        raise ConfigError("not names of reference files", found=shorten(bad))
    with _begun(profile, patience, progress, names=wanted) as (sync, info):
        synced, errors = _bring_all(sync, wanted, checked=checked)
        if not profile.server_config.is_file():
            _write(profile, info)
    log.info("references of %s: %s", context, f"{len(synced.brought)} came, {len(errors)} did not")
    return synced


@contextmanager
def _begun(
    profile: CrdsProfile,
    patience: Patience | None,
    progress: Progress | None,
    *,
    names: Sequence[str] | None = None,
) -> Iterator[tuple[_Sync, dict[str, Any]]]:
    """Open the origin and ask what it has; for references, what was said lately is enough."""
    with closing(origin_of(profile)) as origin:
        info = origin.info() if names is None else _lately(origin, names)
        sync = _Sync(
            profile, origin, catalogue(info), patience or Patience(), progress or (lambda *_: None)
        )
        yield sync, info


def _lately(origin: Origin, names: Sequence[str]) -> dict[str, Any]:
    """Return what was said a moment ago where it knows the names: references never change."""
    info = origin.info(again=False)
    known = catalogue(info)
    return info if all(name in known for name in names) else origin.info()


def _refuse_unknown(sync: _Sync, contexts: Sequence[str]) -> None:
    there = sorted(name for name in sync.known if name.endswith(".pmap"))
    unknown = [name for name in contexts if there and name not in sync.known]
    absent = [name for name in unknown if not (sync.profile.mappings / name).is_file()]
    if absent:
        raise ContextError(
            f"there is no such context at {sync.origin.place}",
            expected=f"one of {', '.join(there[-8:])}",
            found=shorten(absent),
        )


def _rules(sync: _Sync, names: Sequence[str]) -> Synced:
    """Bring rules of one level; any that cannot be had is an error."""
    others = [name for name in names if sync.wanted(name).state() == "another"]
    if others:
        raise ContextError(
            "rules of the same names as the server's, but not the server's, are in the cache",
            path=sync.profile.mappings,
            expected="rules made here under names that no server has, or removed",
            found=shorten(others),
        )
    synced, errors = _bring_all(sync, names)
    away = next((error for error in errors if isinstance(error, Unavailable)), None)
    if away is not None:
        raise away
    if errors:
        raise ContextError(
            f"rules cannot be had: {'; '.join(f'{name}: {why}' for name, why in synced.failed)}",
            path=sync.origin.place,
        )
    return synced


def _bring_all(
    sync: _Sync, names: Sequence[str], *, checked: bool = False
) -> tuple[Synced, list[HstflowError]]:
    """Bring what is absent or damaged, several files at once; return what went wrong, too."""
    every = [sync.wanted(name) for name in names]
    absent = [each for each in every if each.state(checked=checked) not in {"right", "another"}]
    synced = Synced(present=len(every) - len(absent))
    sync.progress(synced.present, len(every))
    if not absent:
        return synced, []
    _refuse_full(sync.profile, absent)
    with ThreadPoolExecutor(min(_THREADS, len(absent)), "crds-sync") as pool:
        try:
            came, errors = _collect(sync, pool, absent, len(every))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return synced + came, errors


def _collect(
    sync: _Sync, pool: ThreadPoolExecutor, absent: Sequence[Wanted], total: int
) -> tuple[Synced, list[HstflowError]]:
    """Wait for files as they come; where the server seems away the others are not asked for."""
    left = {pool.submit(bring, sync.origin, each, sync.patience): each for each in absent}
    synced, errors = Synced(), list[HstflowError]()
    while left:
        for future in wait(left, return_when=FIRST_COMPLETED).done:
            synced += _outcome(future, left.pop(future), errors)
            sync.progress(total - len(left), total)
        if sum(isinstance(error, Unavailable) for error in errors) >= _ENOUGH:
            synced += _give_up(left)  # what is on its way may still come
    return synced, errors


def _give_up(left: dict[Future[bool], Wanted]) -> Synced:
    """Take back what was not begun."""
    never = [future for future in left if future.cancel()]
    why = "not asked for: too many others did not come"
    return Synced(failed=tuple((left.pop(future).name, why) for future in never))


def _outcome(future: Future[bool], each: Wanted, errors: list[HstflowError]) -> Synced:
    try:
        came = future.result()
    except (Unavailable, DataError) as error:
        errors.append(error)
        return Synced(failed=((each.name, _reason(error)),))
    size = each.target.stat().st_size if came else 0
    return Synced((each.name,), size) if came else Synced(present=1)


def _reason(error: HstflowError) -> str:
    return "the server has no such file" if isinstance(error, NotFound) else str(error)


def _refuse_full(profile: CrdsProfile, absent: Sequence[Wanted]) -> None:
    """Ask for room before anything comes."""
    place = profile.cache
    while not place.exists():
        place = place.parent
    needed = sum(each.size or 0 for each in absent)
    free = shutil.disk_usage(place).free
    if needed + _MARGIN > free:
        raise Unavailable(
            "there is not enough room on the disk of the CRDS cache",
            path=profile.cache,
            expected=f"{needed + _MARGIN} bytes free",
            found=f"{free} bytes free",
            code=BESTREFS,
        )


def _write(profile: CrdsProfile, info: Mapping[str, Any]) -> None:
    try:
        write_info(profile, info)
    except OSError as error:
        raise cache_error(error, profile.server_config) from error
