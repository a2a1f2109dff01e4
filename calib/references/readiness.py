"""Whether the cache holds what a context needs: rules, and the references of given exposures.

A campaign for a context does not start before it does: a hundred workers that each miss a file
would each ask for it, and an offline one would fail dataset by dataset.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calib.errors import ContextError, DataError
from calib.references import library
from calib.references.changes import ExposureHeader
from calib.references.files import NOT_APPLICABLE, NOT_FOUND, find_file, sha1_of
from calib.references.profile import CrdsProfile
from calib.references.rules import Rules, instrument_of, rules_of
from calib.references.server_config import cached_catalogue

log = logging.getLogger(__name__)

# Names in a message; the others are counted.
_SHOWN = 6


@dataclass(frozen=True)
class Readiness:
    """What of a context is not in the cache.

    Attributes
    ----------
    context
        The context.
    missing_rules
        Rules that are not there or cannot be read. Of those below a missing file nobody knows.
    missing_references
        References, of those asked for, that are not there.
    damaged
        References that are there and have another size or sha1 than the catalogue says.
    """

    context: str
    missing_rules: tuple[str, ...] = ()
    missing_references: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not (self.missing_rules or self.missing_references or self.damaged)

    def __str__(self) -> str:
        """Say in one line what is missing."""
        parts = [
            f"{len(names)} {what} ({shorten(names)})"
            for names, what in (
                (self.missing_rules, "rules missing"),
                (self.missing_references, "references missing"),
                (self.damaged, "references damaged"),
            )
            if names
        ]
        return f"{self.context}: {'; '.join(parts) or 'ready'}"


def readiness(
    profile: CrdsProfile, context: str, names: Iterable[str] = (), *, checked: bool = False
) -> Readiness:
    """Look which files of a context are not in the cache; no server is asked.

    References that are there are compared with the size in the catalogue that the cache has.

    Parameters
    ----------
    profile, context
        The cache and the context.
    names
        References that are needed (:func:`references_needed`).
    checked
        Read them and compare their sha1, too; a file that stays is read once in a process.
    """
    rules = rules_of(profile, context)
    catalogue = cached_catalogue(profile)
    missing, damaged = [], []
    for name in sorted(set(names)):
        path = find_reference(profile, name)
        if path is None:
            missing.append(name)
        elif not agrees(path, catalogue.get(name, {}), checked=checked):
            damaged.append(name)
    absent = (*rules.missing, *rules.unreadable)
    return Readiness(context, absent, tuple(missing), tuple(damaged))


def find_reference(profile: CrdsProfile, name: str) -> Path | None:
    """Return the path of a reference in the cache, whatever its layout; None: it is not there."""
    folders = [profile.references]
    instrument = instrument_of(name)
    if instrument is not None:
        folders.append(profile.references / instrument)
        if library.reference_layout(profile) != "flat":
            folders.reverse()
    elif profile.references.is_dir():
        folders += sorted(path for path in profile.references.iterdir() if path.is_dir())
    return find_file(folders, name)


def agrees(path: Path, entry: Mapping[str, str], *, checked: bool = True) -> bool:
    """Compare a file with its row of the catalogue; servers may leave size or sha1 out."""
    size, sha1 = str(entry.get("size", "")), entry.get("sha1sum", "")
    if size not in {"", "none", str(path.stat().st_size)}:
        return False
    return not checked or sha1 in {"", "none"} or sha1 == sha1_of(path)


def require_rules(profile: CrdsProfile, context: str) -> None:
    """Bring the rules of a context where they are not all there; refuse where that cannot be.

    Called once before a campaign's work is handed out.

    Raises
    ------
    ContextError
        Rules are missing or damaged and the profile cannot bring them, or there is no such
        context.
    Unavailable
        The server that has them does not answer.
    """
    rules = rules_of(profile, context)
    if rules.complete:
        return
    if not profile.can_fill:
        raise _refusal(profile, context, rules)
    from calib.references.syncing import sync_rules

    sync_rules(profile, [context])


def _refusal(profile: CrdsProfile, context: str, rules: Rules) -> ContextError:
    if context in rules.missing:
        return library.unknown_context(profile, context)
    why = "is read-only" if profile.readonly else "has no server"
    return ContextError(
        f"the rules of {context} are not all in the cache, which {why}",
        path=profile.mappings,
        expected="a cache that was synchronised for it (hstflow context sync)",
        found=f"missing or damaged: {shorten((*rules.missing, *rules.unreadable))}",
    )


def references_needed(
    profile: CrdsProfile,
    context: str,
    headers: Iterable[ExposureHeader],
    *,
    keywords: Callable[[ExposureHeader], Collection[str]] | None = None,
) -> set[str]:
    """Return the references that the rules of a context choose for exposures.

    Exposures that the rules refuse are left out, and logged: planning and calibration say what
    is wrong with them.

    Parameters
    ----------
    profile, context, headers
        The cache, the context, and the exposures.
    keywords
        Which types count for an exposure; None: all of the rules, as ``hstflow bestrefs`` lists
        them.

    Raises
    ------
    ContextError, Unavailable
        The rules cannot be read.
    """
    needed: set[str] = set()
    with library.session(profile):
        for header in headers:
            try:
                wanted = None if keywords is None else keywords(header)
                needed |= _needed(profile, context, header, wanted)
            except DataError as error:
                log.warning("%s: %s", header.exposure, error)
    return needed


def _needed(
    profile: CrdsProfile, context: str, header: ExposureHeader, keywords: Collection[str] | None
) -> set[str]:
    from crds.core import utils

    instrument = header.header.get("INSTRUME", "").strip().lower()
    pipeline, rules = library.load_rules(profile, context, instrument)
    matching = pipeline.minimize_header(utils.condition_header(dict(header.header)))
    kinds = set(rules.selections)
    if keywords is not None:
        kinds &= {each.lower() for each in keywords}
    if not kinds:  # crds would take that for all of them
        return set()
    chosen = rules.get_best_references(matching, include=sorted(kinds))
    found = {str(name).lower() for name in chosen.values()}
    return {name for name in found if not _names_nothing(name)}


def _names_nothing(name: str) -> bool:
    return name.upper().startswith(NOT_FOUND) or name.upper() == NOT_APPLICABLE


def shorten(names: Iterable[str]) -> str:
    """Join names; many are the first few and how many more."""
    found = list(names)
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
