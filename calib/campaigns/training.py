"""Learns from the ledger what datasets cost: ridge regression on logarithms, with its error.

A law is a sum of readable terms for ln(measured / formula). Each coefficient is held near zero,
which is the formula, by how far it is believed to be off before anything is seen: ten examples
help, and none say nothing. Examples far from all others count less (Huber), so one that is
wrong by a factor of a thousand moves little. An attempt that ran out of memory is a bound: what it
would have needed is taken to be what the law says of all above the bound.

Errors are of predictions for datasets that the law had not seen: in folds, all attempts on one
dataset in the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.campaigns.formula import TARGETS, formula_of
from calib.campaigns.model import FEW, bounded_margin, bounds, terms_of
from calib.campaigns.rungs import usable
from calib.cost_model import Errors, Example, Law, Model
from calib.records import utc_now

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FOLDS = 5

# Standard deviations of coefficients before anything is seen, in ln: a class may be off by a
# factor of e, a flag by 1.6, the slope with size by a third of itself.
PRIOR = {"size": 0.3, "ln n_files": 0.3}
PRIOR_OF_FLAG = 0.5
PRIOR_OF_CLASS = 1.0
FLAGS = frozenset({"drizcorr", "pctecorr", "crsplit", "subarray", "detector", "dtype"})

# With a slope below -1 more pixels would need less; above 1 a small frame says nothing.
STEEPEST = 1.0

# Huber's constant: 95 % as good as least squares where there are no outliers (Huber 1964).
HUBER = 1.345
# The median of absolute values of a normal distribution is 0.6745 standard deviations.
MAD = 1 / 0.6745
# What is repeated differs by some percent: less scatter than this is chance.
LEAST_SCATTER = 0.02
ROUNDS = 50
SETTLED = 1e-6
FAR = 20.0  # scatters: erfc is exact to there, and the series better than 1e-4

# The rung should be enough for 19 in 20: the others climb. There is no ladder of disk, and a limit
# of time must not be met by chance.
QUANTILE_OF_MEMORY = 0.95
QUANTILE = 0.99
LEAST_MARGIN = math.log(1.1)


@dataclass(frozen=True)
class Training:
    """What was learned, and what was not.

    Attributes
    ----------
    examples, datasets
        How many attempts and how many different datasets there were.
    model
        The laws; a target with too few examples has none.
    notes
        What a person should know.
    """

    examples: int
    datasets: int
    model: Model
    notes: tuple[str, ...] = ()


def train(examples: Sequence[Example], rungs: Sequence[int]) -> Training:
    """Learn a law for each target of which there are enough examples.

    Parameters
    ----------
    examples
        What attempts did cost.
    rungs
        Sizes of memory, bytes: predictions of memory are judged by the rung that they lead to.
    """
    laws: dict[str, Law] = {}
    few: dict[int, list[str]] = {}
    for target in TARGETS:
        table = _table(target, examples)
        known = len(set(table.datasets))
        if known < FEW:
            few.setdefault(known, []).append(target)
        else:
            laws[target] = _learn(table, rungs)
    datasets = len({each.dataset for each in examples})
    notes = tuple(
        f"{', '.join(targets)}: measured for {known} of {FEW} datasets that are needed,"
        " the formula stays"
        for known, targets in few.items()
    )
    return Training(len(examples), datasets, Model(laws), notes)


@dataclass(frozen=True)
class _Table:
    """The examples of one target: ln(measured / formula) and the values of the terms."""

    target: str
    terms: tuple[str, ...]
    values: Floats
    logs: Floats
    formula: Floats
    is_bound: Flags
    kinds: tuple[str, ...]
    datasets: tuple[str, ...]
    folds: NDArray[np.int64]

    @property
    def classes(self) -> dict[str, int]:
        """How many datasets there are of each class."""
        return dict(sorted(Counter(kind for kind, _ in set(self._pairs)).items()))

    @property
    def _pairs(self) -> Iterable[tuple[str, str]]:
        return zip(self.kinds, self.datasets, strict=True)

    def where(self, chosen: Flags) -> _Table:
        """Return some of the examples."""
        kept = [pair for pair, is_in in zip(self._pairs, chosen, strict=True) if is_in]
        return _Table(
            target=self.target,
            terms=self.terms,
            values=self.values[chosen],
            logs=self.logs[chosen],
            formula=self.formula[chosen],
            is_bound=self.is_bound[chosen],
            kinds=tuple(kind for kind, _ in kept),
            datasets=tuple(dataset for _, dataset in kept),
            folds=self.folds[chosen],
        )


def _table(target: str, examples: Iterable[Example]) -> _Table:
    """Set the examples up that tell something about a target."""
    told = [(each, cost) for each in examples if (cost := _cost(target, each))]
    formula = np.array([formula_of(target, e.features, e.kind) for e, _ in told], float)
    found = [terms_of(target, e.features, e.kind) for e, _ in told]
    terms = tuple(dict.fromkeys(name for row in found for name in row))
    values = [[row.get(name, 0.0) for name in terms] for row in found]
    names = sorted({each.dataset for each, _ in told})
    fold_of = {name: number % FOLDS for number, name in enumerate(names)}
    return _Table(
        target=target,
        terms=terms,
        values=np.array(values, float).reshape(len(told), len(terms)),
        logs=np.log(np.array([cost for _, cost in told], float) / formula),
        formula=formula,
        is_bound=np.array([each.at_least is not None for each, _ in told], bool),
        kinds=tuple(each.kind for each, _ in told),
        datasets=tuple(each.dataset for each, _ in told),
        folds=np.array([fold_of[each.dataset] for each, _ in told], np.int64),
    )


def _cost(target: str, example: Example) -> float:
    """Return what an example tells: a cost, or the least that it can be; 0: nothing."""
    if example.at_least is not None:
        return float(example.at_least) if target == "memory" else 0.0
    return max(0.0, example.costs.get(target, 0.0))


def _learn(table: _Table, rungs: Sequence[int]) -> Law:
    """Fit a law; where it predicts no better than the formula, the formula with its margin."""
    unseen = _predict_unseen(table)
    none = np.zeros_like(unseen)
    learned = _off(table, unseen) < _off(table, none)
    chosen = unseen if learned else none
    factors = fit(table.values, table.logs, table.is_bound, table.terms)
    if not learned:
        factors = np.zeros_like(factors)
    return Law(
        target=table.target,
        trained_at=utc_now(),
        examples=len(table.logs),
        classes=table.classes,
        terms={
            name: float(value) for name, value in zip(table.terms, factors, strict=True) if value
        },
        margin=_margin(table, chosen),
        before=_errors(table, none, none, rungs),
        after=_errors(table, chosen, _margins(table, chosen), rungs),
    )


def fit(values: Floats, logs: Floats, is_bound: Flags, terms: Sequence[str]) -> Floats:
    """Return the coefficients of terms.

    Parameters
    ----------
    values
        Of the terms: a row for each example.
    logs
        ln(measured / formula).
    is_bound
        Where `logs` is only the least that it can be.
    terms
        Their names, which say how far each is believed to be off.
    """
    prior = np.array([_prior(name) for name in terms])
    found = np.zeros(len(terms))
    left: Floats = logs - np.median(logs)
    wanted, scatter = logs, _scatter(left)
    for _ in range(ROUNDS):
        weights = np.minimum(1.0, HUBER * scatter / np.maximum(np.abs(left), 1e-12))
        new = _solve(values, wanted, weights, scatter**2 / prior**2, terms)
        settled = bool(np.max(np.abs(new - found), initial=0.0) < SETTLED)
        found, left = new, np.asarray(logs - values @ new, float)
        left[is_bound] = _beyond(left[is_bound], scatter)
        wanted, scatter = np.asarray(values @ found + left, float), _scatter(left)
        if settled:
            break
    return found


def _beyond(left: Floats, scatter: float) -> Floats:
    """Return what is expected to be left over where it is known to be more than `left`.

    The mean of the part of a normal distribution that is above a bound (Tobin 1958).
    """
    return np.array([scatter * _mean_above(each / scatter) for each in left.tolist()], float)


def _mean_above(bound: float) -> float:
    above = math.erfc(bound / math.sqrt(2)) / 2
    if bound > FAR:  # the ratio of two numbers that vanish
        return bound + 1 / bound
    return math.exp(-bound * bound / 2) / math.sqrt(2 * math.pi) / above


def _prior(term: str) -> float:
    return PRIOR.get(term, PRIOR_OF_FLAG if term in FLAGS else PRIOR_OF_CLASS)


def _scatter(left: Floats) -> float:
    return max(LEAST_SCATTER, MAD * float(np.median(np.abs(left)))) if left.size else LEAST_SCATTER


def _solve(
    values: Floats, logs: Floats, weights: Floats, ridge: Floats, terms: Sequence[str]
) -> Floats:
    """Solve weighted least squares with a ridge; the slope with size keeps within its bounds."""
    size = terms.index("size")
    normal = (values * weights[:, None]).T @ values + np.diag(ridge)
    right = values.T @ (weights * logs)
    found = np.asarray(np.linalg.solve(normal, right), np.float64)
    slope = float(np.clip(found[size], -STEEPEST, STEEPEST))
    if slope != found[size]:
        others = np.arange(len(terms)) != size
        right = right - normal[:, size] * slope
        found[others] = np.linalg.solve(normal[np.ix_(others, others)], right[others])
        found[size] = slope
    return found


def _predict_unseen(table: _Table) -> Floats:
    """Predict each example by a law that was learned from the other folds."""
    found = np.zeros(len(table.logs))
    classes = table.classes
    least, most = np.array(
        [bounds(table.target, known=classes[kind] >= FEW) for kind in table.kinds]
    ).T
    for fold in range(FOLDS):
        inside = table.folds == fold
        others = table.where(~inside)
        factors = fit(others.values, others.logs, others.is_bound, table.terms)
        predicted = np.clip(table.values @ factors, least, most)
        found[inside] = predicted[inside]
    return found


def _left(table: _Table, predicted: Floats) -> Floats:
    """Return what is left over: of examples that are known, and of bounds that are not met."""
    left = table.logs - predicted
    return left[~table.is_bound | (left > 0)]


def _off(table: _Table, predicted: Floats) -> float:
    left = _left(table, predicted)
    return float(np.median(np.abs(left))) if left.size else 0.0


def _margin(table: _Table, predicted: Floats) -> float:
    """Return a high quantile of what is left over; rather a value that occurred than between.

    So of twenty examples the worst one is left out, which may be a mistake.
    """
    left = _left(table, predicted)
    share = QUANTILE_OF_MEMORY if table.target == "memory" else QUANTILE
    high = float(np.quantile(left, share, method="lower")) if left.size else 0.0
    return bounded_margin(table.target, max(LEAST_MARGIN, high))


def _margins(table: _Table, predicted: Floats) -> Floats:
    """Return for each example the margin that the other folds give."""
    found = np.zeros(len(predicted))
    for fold in range(FOLDS):
        inside = table.folds == fold
        found[inside] = _margin(table.where(~inside), predicted[~inside])
    return found


def _errors(table: _Table, predicted: Floats, margins: Floats, rungs: Sequence[int]) -> Errors:
    known = ~table.is_bound
    relative = np.abs(np.expm1(predicted - table.logs))[known]
    median, high = np.quantile(relative, [0.5, 0.95]) if relative.size else (0.0, 0.0)
    right = low = None
    if table.target == "memory" and rungs:
        enough = [usable(rung) for rung in rungs]
        given = np.searchsorted(enough, table.formula * np.exp(predicted + margins))
        needed = np.searchsorted(enough, table.formula * np.exp(table.logs))
        # A rung that was not enough is more than is usable of it: the next one is needed.
        right = float(np.mean((given == needed)[known])) if known.any() else 0.0
        low = float(np.mean(given < needed))
    return Errors(float(median), float(high), right, low)
