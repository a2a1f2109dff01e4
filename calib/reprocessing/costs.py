"""What datasets are expected to cost: memory, and seconds of a worker."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calib.campaigns.features import class_of, typical_features
from calib.campaigns.formula import STAGES
from calib.campaigns.model import expected
from calib.campaigns.rungs import rung_for
from calib.cost_model import Features, Measured, Model
from calib.ids import DatasetId
from calib.ledger.predictions import last_costs, last_features
from calib.ledger.reports import Rows
from calib.stages.needs import Needs, read_needs

# Datasets whose history is read at once: what is read is thrown away before the next are.
_AT_ONCE = 5_000


@dataclass(frozen=True)
class Costs:
    """What many datasets are expected to cost.

    Attributes
    ----------
    cpu_seconds
        Of all stages of all datasets, one after the other.
    wall_seconds
        Until the last has ended, wave after wave.
    rungs
        How many begin with how much memory, bytes; None: it is not limited.
    """

    cpu_seconds: float
    wall_seconds: float
    rungs: dict[int | None, int]


@dataclass
class _Wave:
    seconds: float = 0.0
    longest: float = 0.0

    def wall(self, workers: int) -> float:
        """Return how long a wave takes: no shorter than its longest dataset."""
        return max(self.seconds / workers, self.longest)


def costs_of(
    datasets: Sequence[tuple[DatasetId, int]],
    rows: Rows | None,
    *,
    workers: int,
    rungs: Sequence[int],
) -> Costs:
    """Predict what datasets cost, from what the ledger has measured or learned.

    Parameters
    ----------
    datasets
        Each with its wave: a wave starts when the one before is done.
    rows
        The ledger; None: there is none, the written formula tells.
    workers
        How many run at once.
    rungs
        Sizes of memory that there are, bytes, ascending.
    """
    needs = Needs(None, has_history=False) if rows is None else read_needs(rows)
    waves: defaultdict[int, _Wave] = defaultdict(_Wave)
    begins: Counter[int | None] = Counter()
    known: dict[tuple[str, str, bool], float] = {}
    for first in range(0, len(datasets), _AT_ONCE):
        some = datasets[first : first + _AT_ONCE]
        for (_, wave), (memory, seconds) in zip(some, _each(some, rows, needs, known), strict=True):
            begins[rung_for(memory, rungs) or (rungs[-1] if rungs else None)] += 1
            waves[wave].seconds += seconds
            waves[wave].longest = max(waves[wave].longest, seconds)
    return Costs(
        sum(each.seconds for each in waves.values()),
        sum(each.wall(workers) for each in waves.values()),
        dict(begins),
    )


def _each(
    some: Sequence[tuple[DatasetId, int]],
    rows: Rows | None,
    needs: Needs,
    known: dict[tuple[str, str, bool], float],
) -> Iterable[tuple[int, float]]:
    """Yield memory and seconds of each dataset."""
    if rows is None or not needs.has_history:
        for each, _ in some:
            yield needs.of_name(each).memory, _of_name(each, needs.model, known)
        return
    datasets = [each for each, _ in some]
    looks = last_features(rows, (each.name for each in datasets))
    costs = last_costs(rows, (each.name for each in datasets))
    for each, need in zip(datasets, needs.of(rows, datasets), strict=True):
        if each.name in looks or each.name in costs:
            yield (
                need.memory,
                _seconds(each, needs.model, looks.get(each.name), costs.get(each.name)),
            )
        else:
            yield need.memory, _of_name(each, needs.model, known)


def _of_name(
    dataset: DatasetId, model: Model | None, known: dict[tuple[str, str, bool], float]
) -> float:
    """Return seconds from the name alone, which tells no more than three things."""
    key = (dataset.kind, dataset.instrument, dataset.is_association)
    if key not in known:
        known[key] = _seconds(dataset, model, None, None)
    return known[key]


def _seconds(
    dataset: DatasetId, model: Model | None, looks: Features | None, measured: Measured | None
) -> float:
    """Return what all stages take: as they did last time, else as likely more as less."""
    walls = measured.walls if measured else {}
    laws = model.laws if model else {}
    features, kind = looks or typical_features(dataset), class_of(dataset)
    return sum(
        walls[stage]
        if stage in walls
        else expected(stage, features, kind, laws.get(stage), margin=False)
        for stage in STAGES
    )
