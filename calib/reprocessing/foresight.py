"""What a reprocessing will take: datasets, time, memory, and references that are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from calib.ids import DatasetId
from calib.ledger.reprocessings import NewMark
from calib.reprocessing.graph import Graph
from calib.reprocessing.selection import is_stage2_only, keyword_of


@dataclass(frozen=True)
class TypeCount:
    """How many datasets of an instrument a reference type marks; of them, in stage 2 only."""

    instrument: str
    keyword: str
    datasets: int
    stage2_only: int


@dataclass(frozen=True)
class Foresight:
    """What was predicted of a reprocessing; its ``foresight`` in the ledger, as JSON.

    Attributes
    ----------
    datasets, to_run, stage2_only
        How many are marked, would run, and change in what stage 2 alone opens.
    kinds
        How many are marked, by instrument and kind (``acs association``).
    types
        By instrument and reference type.
    left_out
        How many are not run, by reason.
    cpu_seconds, wall_seconds
        Of all that would run, and until the last has ended on the workers of the plan.
    rungs
        How many begin with how much memory, bytes as text.
    missing_rules, missing_references
        What the new context needs and the cache does not have, or in another size than CRDS.
    strange
        Names that are no dataset here, and why.
    graph
        What marks what.
    """

    datasets: int = 0
    to_run: int = 0
    stage2_only: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    types: tuple[TypeCount, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    rungs: Mapping[str, int] = field(default_factory=dict)
    missing_rules: tuple[str, ...] = ()
    missing_references: tuple[str, ...] = ()
    strange: Mapping[str, str] = field(default_factory=dict)
    graph: Graph = field(default_factory=Graph)


def kind_of(dataset: DatasetId) -> str:
    """Return what a dataset is, for people: ``acs association``, ``skycell``."""
    if dataset.kind == "mvm":
        return "skycell"
    word = "association" if dataset.is_association else "exposure"
    return f"{dataset.instrument} {'visit' if dataset.kind == 'svm' else word}"


def count_kinds(marks: Iterable[NewMark]) -> dict[str, int]:
    """Return how many datasets of each kind there are, those that run first first."""
    counts = Counter((each.wave, kind_of(each.dataset)) for each in marks)
    return {kind: counts[wave, kind] for wave, kind in sorted(counts)}


def count_types(marks: Iterable[NewMark]) -> tuple[TypeCount, ...]:
    """Return how many datasets each reference type marks."""
    every: Counter[tuple[str, str]] = Counter()
    stage2: Counter[tuple[str, str]] = Counter()
    for each in marks:
        by_type: dict[str, list[str]] = {}
        for key in each.changes:
            by_type.setdefault(keyword_of(key), []).append(key)
        for keyword, keys in by_type.items():
            kind = (each.dataset.instrument, keyword)
            every[kind] += 1
            stage2[kind] += is_stage2_only(dict.fromkeys(keys, (None, None)))
    return tuple(TypeCount(*kind, every[kind], stage2[kind]) for kind in sorted(every))


def count_left_out(marks: Iterable[NewMark]) -> dict[str, int]:
    """Return how many datasets are not run, by reason, the most frequent first."""
    return dict(Counter(each.left_out for each in marks if each.left_out).most_common())


def count_stage2_only(marks: Iterable[NewMark]) -> int:
    """Return how many datasets change in nothing but what stage 2 opens."""
    return sum(is_stage2_only(each.changes) for each in marks)
