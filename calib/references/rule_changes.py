"""Which rules differ between two contexts, and from which date on that can matter.

The plan of a comparison: made once, then each exposure is asked only for the types that changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calib.references import library
from calib.references.changes import ContextChanges, TypeChange
from calib.references.profile import CrdsProfile
from calib.references.stage2_types import is_stage2_only

# What the header of rules has that never changes an answer (crds.diff.BORING_VARS).
_BORING = frozenset({"name", "derived_from", "sha1sum", "row_keys"})

# A date as rules have it, and as headers have it when it compares as text.
_RULES_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

# Later than every exposure: the rules were renamed and nothing else (crds' MAX_DATE).
NEVER = "9999-01-01 23:59:59"

# What stands in the rules of an instrument where a type has none.
NOT_APPLICABLE, OMITTED = "N/A", "OMIT"


@dataclass(frozen=True)
class InstrumentRules:
    """The rules of one instrument in two contexts.

    Attributes
    ----------
    instrument
        Lower case.
    old, new
        crds' InstrumentContext; None where the context has none.
    types
        What differs, by keyword.
    """

    instrument: str
    old: Any
    new: Any
    types: Mapping[str, TypeChange]


def changed_rules(
    profile: CrdsProfile, old: str, new: str
) -> tuple[tuple[InstrumentRules, ...], frozenset[str]]:
    """Return the instruments whose rules differ, and the names of all instruments.

    Call this inside :func:`calib.references.library.session`.

    Raises
    ------
    ContextError, Unavailable
        As :func:`calib.references.library.load_rules`.
    """
    contexts = [library.load_context(profile, name) for name in (old, new)]
    names = [_names(context) for context in contexts]
    changed = []
    for instrument in sorted(set(names[0]) | set(names[1])):
        before, after = (each.get(instrument) for each in names)
        if before != after:
            rules = [
                library.load_rules(profile, context, instrument)[1] if name else None
                for context, name in ((old, before), (new, after))
            ]
            changed.append(_compare(instrument, *rules))
    return tuple(changed), frozenset(names[0]) | frozenset(names[1])


def as_changes(old: str, new: str, changed: tuple[InstrumentRules, ...]) -> ContextChanges:
    """Return the record of what differs between two contexts."""
    types = (change for rules in changed for _, change in sorted(rules.types.items()))
    return ContextChanges(old, new, tuple(types))


def rules_of(instrument_rules: Any, keyword: str) -> Any:
    """Return the rules of a type: crds' ReferenceMapping, ``N/A``, ``OMIT``, or None."""
    from crds.core import exceptions

    if instrument_rules is None:
        return None
    try:
        return instrument_rules.get_rmap(keyword.lower())
    except exceptions.IrrelevantReferenceTypeError:
        return NOT_APPLICABLE
    except exceptions.OmitReferenceTypeError:
        return OMITTED
    except exceptions.CrdsUnknownReftypeError:
        return None


def keywords_of(instrument_rules: Any) -> list[str]:
    """Return the reference keywords of an instrument's rules, in name order."""
    if instrument_rules is None:
        return []
    return sorted(str(kind).upper() for kind in instrument_rules.selections)


def _names(context: Any) -> dict[str, str]:
    """Return the names of the rules of each instrument that a context has any for."""
    return {
        str(instrument).lower(): str(rules.basename)
        for instrument, rules in context.selections.normal_items()
    }


def _compare(instrument: str, old: Any, new: Any) -> InstrumentRules:
    keywords = dict.fromkeys((*keywords_of(old), *keywords_of(new)))
    pairs = {key: (rules_of(old, key), rules_of(new, key)) for key in keywords}
    types = {
        key: _type_change(instrument, key, before, after)
        for key, (before, after) in pairs.items()
        if _name(before) != _name(after)
    }
    return InstrumentRules(instrument, old, new, types)


def _type_change(instrument: str, keyword: str, old: Any, new: Any) -> TypeChange:
    before, after = _references(old), _references(new)
    return TypeChange(
        instrument,
        keyword,
        _name(old),
        _name(new),
        added=tuple(sorted(after - before)),
        deleted=tuple(sorted(before - after)),
        since=_since(old, new),
        stage2_only=is_stage2_only(instrument, keyword),
    )


def _name(rules: Any) -> str | None:
    return rules if rules is None or isinstance(rules, str) else str(rules.basename)


def _references(rules: Any) -> set[str]:
    if rules is None or isinstance(rules, str):
        return set()
    return {str(name) for name in rules.reference_names()}


def _since(old: Any, new: Any) -> str | None:
    """Return the moment before which no exposure can get another answer; None: there is none.

    An exposure looks at the entries that are not later than itself. So where both rules have
    the same header and the same match cases, and differ only in entries from a date on, earlier
    exposures see the same rules. crds itself looks only at files that came or went
    (--datasets-since=auto), which misses a file that was moved to other dates, and takes all
    dates where a file was deleted, which is not needed.
    """
    if any(rules is None or isinstance(rules, str) for rules in (old, new)):
        return None
    if _telling(old) != _telling(new):
        return None
    before, after = set(_entries(old.selector)), set(_entries(new.selector))
    if {path for path, _, _ in before} != {path for path, _, _ in after}:
        return None
    dates = {date for _, date, _ in before ^ after}
    if any(not _RULES_DATE.fullmatch(date) for date in dates):
        return None
    return min(dates, default=NEVER)


def _telling(rules: Any) -> dict[str, Any]:
    """Return the header of rules without what never changes an answer."""
    return {key: value for key, value in rules.header.items() if key.lower() not in _BORING}


def _entries(selector: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, str, str]]:
    """Yield match case, date and file of every entry; the date is '' where there is none."""
    from crds.core.selectors import Selector, UseAfterSelector

    dated = isinstance(selector, UseAfterSelector)
    if dated and not selector.keys():
        yield path, NEVER, ""
    for key, value in selector._raw_selections:  # noqa: SLF001 - crds has no other way to walk
        if isinstance(value, Selector):
            yield from _entries(value, (*path, key))
        elif dated:
            yield path, str(key), str(value)
        else:
            yield (*path, key), "", str(value)
