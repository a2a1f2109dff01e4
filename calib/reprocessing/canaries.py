"""Which datasets run first: a few for each type of reference that changes, and as few as can be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.reprocessing_reports import Mark
from calib.reprocessing.selection import keyword_of

Type = tuple[str, str]  # instrument and keyword


def choose_canaries(
    marks: Sequence[Mark], per_type: int = 2, *, sizes: Mapping[str, int] | None = None
) -> list[str]:
    """Choose the datasets that run first.

    Every changed type of every instrument is shown by `per_type` datasets, or by all that there
    are: the same dataset serves for all of its types. A type is shown in the first wave that has
    it, as later waves need the products of earlier ones. What is left out of the reprocessing is
    never chosen.

    Parameters
    ----------
    marks
        What the reprocessing marks.
    per_type
        How many datasets show a type.
    sizes
        Bytes of datasets, where they are known: of those that show as much the smallest is taken.

    Returns
    -------
    list of str
        Datasets, in alphabetical order; the same marks in any order give the same.

    Raises
    ------
    ConfigError
        `per_type` is below 1.
    """
    if per_type < 1:
        message = "a type needs a dataset that shows it"
        raise ConfigError(message, expected="1 or more for each type", found=per_type)
    known = sizes or {}
    kept = [mark for mark in marks if mark.left_out is None and mark.changes]
    ordered = sorted(kept, key=lambda m: (m.wave, known.get(m.dataset, _UNKNOWN), m.dataset))
    first = _first_waves(ordered)
    shown = [(mark.dataset, _types_in(mark, first)) for mark in ordered]
    return sorted(_cover(_enough(shown, per_type), per_type))


def canaries_of(marks: Sequence[Mark], per_type: int = 2) -> list[str]:
    """Choose the datasets that run first, also where no type tells which.

    As :func:`choose_canaries`; a list or a query names no type that changes: then `per_type`
    exposures and as many associations of each instrument. None where `per_type` is 0.

    Raises
    ------
    ConfigError
        `per_type` is below 0.
    """
    if per_type == 0:
        return []
    return choose_canaries(marks, per_type) or _few_of_each(marks, per_type)


def _few_of_each(marks: Iterable[Mark], number: int) -> list[str]:
    kinds: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for name, instrument in sorted(
        (mark.dataset, mark.instrument) for mark in marks if mark.wave == 1 and not mark.left_out
    ):
        kinds[instrument, parse_dataset(name).is_association].append(name)
    return sorted(name for names in kinds.values() for name in names[:number])


# Larger than any dataset: one whose size is not known comes after those that are.
_UNKNOWN = 1 << 62


def types_of(mark: Mark) -> frozenset[Type]:
    """Return the types of reference that change for a dataset."""
    return frozenset((mark.instrument, keyword_of(key)) for key in mark.changes)


def _first_waves(ordered: Iterable[Mark]) -> dict[Type, int]:
    first: dict[Type, int] = {}
    for mark in ordered:
        for each in types_of(mark):
            first.setdefault(each, mark.wave)
    return first


def _types_in(mark: Mark, first: Mapping[Type, int]) -> frozenset[Type]:
    return frozenset(each for each in types_of(mark) if first[each] == mark.wave)


_Shown = tuple[str, frozenset[Type]]


def _enough(shown: Iterable[_Shown], per_type: int) -> list[_Shown]:
    """Keep the first few of all that show the same: with those taken nothing of it is wanting."""
    alike: defaultdict[frozenset[Type], list[_Shown]] = defaultdict(list)
    for each in shown:
        if each[1] and len(alike[each[1]]) < per_type:
            alike[each[1]].append(each)
    return [each for those in alike.values() for each in those]


def _cover(shown: Sequence[_Shown], per_type: int) -> list[str]:
    """Take whatever shows the most that is still wanting, until nothing is (greedy set cover)."""
    there = Counter(each for _, types in shown for each in types)
    wanting = {each: min(number, per_type) for each, number in there.items()}
    left, chosen = list(shown), []
    while wanting:
        best = max(left, key=lambda one: sum(each in wanting for each in one[1]))
        left.remove(best)
        chosen.append(best[0])
        for each in best[1] & wanting.keys():
            wanting[each] -= 1
        wanting = {each: number for each, number in wanting.items() if number}
    return chosen
