"""What the difference report says: records that become pages and JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from calib.ledger.reprocessing_reports import Mark, MarkCount, Reprocessing
from calib.reprocessing.canaries import types_of
from calib.reprocessing.canary_records import CanaryDifference, Summary
from calib.reprocessing.product_records import ProductDifference
from calib.reprocessing.selection import is_stage2_only, keyword_of

# Pairs of references of a type that are named; darks come by the hundred.
MOST_REFERENCES = 20

# Sigmas beyond which a pixel counts as really another: three, as is the custom.
TELLING = 3


@dataclass(frozen=True)
class ReferencePair:
    """A reference that takes the place of another, and for how many datasets it does."""

    old: str | None
    new: str | None
    datasets: int


@dataclass(frozen=True)
class ChangedType:
    """A type of reference that changes.

    Attributes
    ----------
    instrument, keyword
        ``acs``, ``DARKFILE``.
    datasets, left_out, stage2_only
        How many are marked for it, how many of them are not run, and for how many of them it
        changes what stage 2 (drizzle) alone opens.
    references, more_references
        The most frequent pairs, and how many more there are.
    canaries
        Datasets that show it.
    """

    instrument: str
    keyword: str
    datasets: int
    left_out: int
    stage2_only: int
    references: tuple[ReferencePair, ...]
    more_references: int
    canaries: tuple[str, ...]


@dataclass(frozen=True)
class DifferenceReport:
    """The whole report.

    Attributes
    ----------
    reprocessing
        What was planned, and what was predicted of it.
    written_at
        ISO 8601, UTC.
    counts
        Datasets by instrument, kind, wave and canary.
    types
        The types that change.
    left_out
        Reasons for which marked datasets are not run, with their numbers.
    canaries
        Worst first.
    """

    reprocessing: Reprocessing
    written_at: str
    counts: tuple[MarkCount, ...]
    types: tuple[ChangedType, ...]
    left_out: Mapping[str, int]
    canaries: tuple[CanaryDifference, ...] = field(default=())

    @property
    def to_run(self) -> int:
        """How many datasets would run, canaries among them."""
        return sum(each.number - each.left_out for each in self.counts)


def type_changes(marks: Iterable[Mark]) -> tuple[ChangedType, ...]:
    """Return the types that change, by instrument and keyword."""
    by_type: defaultdict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in marks:
        for key in types_of(mark):
            by_type[key].append(mark)
    return tuple(_type(*key, those) for key, those in sorted(by_type.items()))


def _type(instrument: str, keyword: str, marks: list[Mark]) -> ChangedType:
    pairs = Counter(pair for mark in marks for pair in {*_changes(mark, keyword).values()})
    found = [ReferencePair(old, new, number) for (old, new), number in pairs.most_common()]
    return ChangedType(
        instrument,
        keyword,
        datasets=len(marks),
        left_out=sum(mark.left_out is not None for mark in marks),
        stage2_only=sum(is_stage2_only(_changes(mark, keyword)) for mark in marks),
        references=tuple(found[:MOST_REFERENCES]),
        more_references=max(0, len(found) - MOST_REFERENCES),
        canaries=tuple(mark.dataset for mark in marks if mark.is_canary),
    )


def _changes(mark: Mark, keyword: str) -> dict[str, tuple[str | None, str | None]]:
    """Return the changes of one type: members of an association may have different ones."""
    return {key: pair for key, pair in mark.changes.items() if keyword_of(key) == keyword}


def summed_up(canary: CanaryDifference) -> Summary | None:
    """Return the most telling numbers of a canary."""
    found = [_of_product(product) for product in canary.products]
    known = [each for each in found if each is not None]
    if not known:
        return None
    worst = max(known, key=lambda each: (each.beyond or 0.0, each.changed))
    return Summary(
        **{
            **vars(worst),
            "gained": sum(each.gained for each in known),
            "lost": sum(each.lost for each in known),
        }
    )


def _of_product(product: ProductDifference) -> Summary | None:
    """Return the numbers of the image set that differs most, and all flags of the product."""
    flags = [one.flags for one in product.sets if one.flags]
    gained, lost = sum(each.gained for each in flags), sum(each.lost for each in flags)
    planes = [(one.unit, one.science) for one in product.sets if one.science]
    found = [
        Summary(
            product=product.name,
            changed=plane.share,
            median=plane.where_changed.median if plane.where_changed else None,
            largest=plane.where_changed.largest if plane.where_changed else None,
            beyond=plane.significance.share(TELLING) if plane.significance else None,
            unit=unit,
            gained=gained,
            lost=lost,
        )
        for unit, plane in planes
    ]
    return max(found, key=lambda each: (each.beyond or 0.0, each.changed), default=None)
