"""From exposures whose references change to the datasets that are to be processed again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from calib.errors import ConfigError
from calib.ids import DatasetId, parse_dataset, rootname_of
from calib.ledger.descent import (
    associations_making,
    associations_of,
    known_datasets,
    made_from_datasets,
)
from calib.ledger.reports import Rows
from calib.ledger.reprocessings import NewMark
from calib.references.changes import AffectedExposure, ReferenceChange
from calib.references.files import NOT_APPLICABLE, NOT_FOUND

# Exposures and associations first, then the visits made from them, then the skycells.
WAVES = {"ipst": 1, "svm": 2, "mvm": 3}

# Visits are made of images of these instruments only.
_WITH_VISITS = frozenset({"acs", "wfc3"})

# What the key of a change ends in where stage 2 (drizzle) alone opens the file.
STAGE_2 = "/stage 2"

# The key under which it is told why an exposure counts as affected although it cannot be
# compared: no keyword of a header has this name.
PROBLEM = "PROBLEM"

# Words of the rules for "no file", beside NOT FOUND with its reason.
_NO_FILE = frozenset({"", NOT_APPLICABLE, "OMIT"})

Pair = tuple[str | None, str | None]


@dataclass(frozen=True)
class Selection:
    """What is to be processed again.

    Attributes
    ----------
    marks
        Datasets by wave and name, each once.
    strange
        Names that are no dataset here (of a retired instrument, say), and why.
    links
        What marks what: types (``ACS DARKFILE``) exposures, those their associations, all of them
        their visits and skycells.
    """

    marks: tuple[NewMark, ...]
    strange: Mapping[str, str] = field(default_factory=dict)
    links: frozenset[tuple[str, str]] = frozenset()


@dataclass
class _Found:
    """Changes by dataset, while they are gathered."""

    changes: defaultdict[DatasetId, set[ReferenceChange]] = field(
        default_factory=lambda: defaultdict(set)
    )
    strange: dict[str, str] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)
    # Exposures from which visits and skycells may have been made, with what changes for them.
    exposures: defaultdict[DatasetId, set[ReferenceChange]] = field(
        default_factory=lambda: defaultdict(set)
    )


def mark(affected: Iterable[AffectedExposure], rows: Rows | None) -> list[NewMark]:
    """Return the datasets that exposures with other references mark, by wave and name.

    Names that are no dataset here are left out: :func:`select_datasets` tells them.

    Parameters
    ----------
    affected
        The exposures.
    rows
        The ledger, which knows associations and what was made from what; None: there is none.
    """
    return list(select_datasets(affected, rows).marks)


def select_datasets(affected: Iterable[AffectedExposure], rows: Rows | None) -> Selection:
    """Return the datasets that exposures with other references mark.

    An exposure marks the association that its source names, and all that the ledger knows to
    hold it; itself only where there is none, or the ledger has it as a dataset of its own.
    Visits and skycells that the ledger knows are marked with what they were made from.

    Parameters
    ----------
    affected, rows
        As for :func:`mark`.
    """
    found = _Found()
    _add_datasets(found, list(affected), rows)
    if rows is not None:
        _add_descendants(found, rows)
    return _selection(found)


def select_with(changes: Mapping[str, Iterable[ReferenceChange]], rows: Rows | None) -> Selection:
    """Return datasets that are named, and the visits and skycells that were made from them.

    Parameters
    ----------
    changes
        Why, by dataset.
    rows
        The ledger; None: there is none.
    """
    found = _Found()
    for name, its in changes.items():
        if dataset := _parsed(name, found):
            found.changes[dataset] |= set(its)
            found.links |= {
                (type_name(dataset.instrument, c.keyword), dataset.name)
                for c in found.changes[dataset]
            }
    if rows is not None:
        _add_descendants(found, rows)
    return _selection(found)


def keyword_of(key: str) -> str:
    """Return the keyword of a change of a mark: ``DARKFILE`` of ``DARKFILE 2/stage 2``."""
    return key.removesuffix(STAGE_2).partition(" ")[0]


def type_name(instrument: str, keyword: str) -> str:
    """Return what a reference type is called in links: ``ACS DARKFILE``."""
    return f"{instrument.upper()} {keyword.upper()}"


def is_stage2_only(changes: Mapping[str, Pair]) -> bool:
    """Tell whether nothing changes but what stage 2 (drizzle) alone opens."""
    return bool(changes) and all(key.endswith(STAGE_2) for key in changes)


def new_references(changes: Mapping[str, Pair]) -> set[str]:
    """Return the files, lower case, that the new rules name in the changes of a mark."""
    return {new.lower() for _, new in changes.values() if new is not None and _is_file(new)}


def _is_file(name: str) -> bool:
    return name.upper() not in _NO_FILE and not name.upper().startswith(NOT_FOUND)


def _add_datasets(found: _Found, affected: list[AffectedExposure], rows: Rows | None) -> None:
    """Add what the exposures and associations are; the ledger is asked once for all."""
    names = {name for each in affected for name in _names_of(each)}
    made = associations_making(rows, names) if rows is not None else {}
    holding = associations_of(rows, names) if rows is not None else {}
    own = known_datasets(rows, names) if rows is not None else set()
    for each in affected:
        exposure, source = _names_of(each)
        owners = {*made.get(exposure, ()), *holding.get(exposure, ())}
        if source != exposure and _is_dataset(source):
            owners |= made.get(source, {source})
        if not owners or exposure in own:
            owners |= {exposure}
        changes = _changes_of(each)
        found.links |= {(type_name(each.instrument, c.keyword), exposure) for c in changes}
        for name in sorted(owners):
            if dataset := _parsed(name, found):
                found.changes[dataset] |= changes
                found.links |= {(exposure, name)} if name != exposure else set()
        if _is_dataset(exposure):
            found.exposures[parse_dataset(exposure)] |= changes


def _names_of(each: AffectedExposure) -> tuple[str, str]:
    """Return exposure and dataset by their rootnames; sources name files, too."""
    exposure, source = each.exposure.lower(), each.dataset.lower()
    return rootname_of(exposure, exposure), rootname_of(source, source)


def _changes_of(each: AffectedExposure) -> set[ReferenceChange]:
    problem = {ReferenceChange(PROBLEM, each.problem, None)} if each.problem else set()
    return set(each.changes) | problem


def _add_descendants(found: _Found, rows: Rows) -> None:
    """Add the visits and skycells that were made from what changes; skycells also from visits."""
    of_exposures = [
        name for name in dict.fromkeys((*found.changes, *found.exposures)) if name.kind == "ipst"
    ]
    _inherit(found, _visits_of(of_exposures, rows))
    _inherit(found, _made_from(of_exposures, rows))
    of_visits = [name for name in found.changes if name.kind == "svm"]
    _inherit(found, _made_from(of_visits, rows))


Link = tuple[DatasetId, DatasetId]  # what something was made from, and what it is


def _inherit(found: _Found, links: Iterable[Link]) -> None:
    """Give what was made the changes of what it was made from."""
    for source, made in links:
        its = found.exposures.get(source, set()) | found.changes.get(source, set())
        found.changes[made] |= its
        found.links.add((source.name, made.name))


def _visits_of(sources: Iterable[DatasetId], rows: Rows) -> list[Link]:
    """Return the visits that the ledger knows, by the programme and visit in names."""
    named = [
        (each, f"{each.instrument}_{each.program}_{each.visit}")
        for each in sources
        if each.kind == "ipst" and each.instrument in _WITH_VISITS
    ]
    known = known_datasets(rows, (name for _, name in named))
    return [(each, parse_dataset(name)) for each, name in named if name in known]


def _made_from(sources: Iterable[DatasetId], rows: Rows) -> list[Link]:
    by_name = {each.name: each for each in sources}
    made = made_from_datasets(rows, by_name, wanted=_is_combined)
    return [
        (by_name[name], parse_dataset(owner)) for name, owners in made.items() for owner in owners
    ]


def _is_combined(name: str) -> bool:
    return _is_dataset(name) and parse_dataset(name).kind != "ipst"


def _is_dataset(name: str) -> bool:
    try:
        parse_dataset(name)
    except ConfigError:
        return False
    return True


def _parsed(name: str, found: _Found) -> DatasetId | None:
    try:
        return parse_dataset(name)
    except ConfigError as error:
        found.strange[name] = error.message
        return None


def _selection(found: _Found) -> Selection:
    return Selection(_marks(found), dict(sorted(found.strange.items())), frozenset(found.links))


def _marks(found: _Found) -> tuple[NewMark, ...]:
    marks = [
        NewMark(dataset, WAVES[dataset.kind], dict(_by_key(changes)))
        for dataset, changes in found.changes.items()
    ]
    return tuple(sorted(marks, key=lambda each: (each.wave, each.dataset)))


def _by_key(changes: Iterable[ReferenceChange]) -> Iterator[tuple[str, Pair]]:
    """Yield changes under a key each: exposures of a dataset may change in different ways."""
    kept = sorted(changes, key=lambda c: (c.keyword, c.stage2_only, c.old or "", c.new or ""))
    numbers: defaultdict[tuple[str, bool], int] = defaultdict(int)
    for each in kept:
        kind = (each.keyword, each.stage2_only)
        numbers[kind] += 1
        number = f" {numbers[kind]}" if numbers[kind] > 1 else ""
        yield each.keyword + number + (STAGE_2 if each.stage2_only else ""), (each.old, each.new)
