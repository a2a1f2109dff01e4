"""Predicts what a dataset needs: memory, disk, and the wall clock of each stage.

Without history a written formula of sizes tells (:mod:`calib.campaigns.formula`). What the
ledger has seen corrects it: ln(measured / formula) is a sum of readable terms
(:mod:`calib.campaigns.training`). The correction is bounded, so that no history makes a
prediction absurd, and it keeps the order of sizes: more pixels never need less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from calib.campaigns.features import class_of, typical_features
from calib.campaigns.formula import STAGES, formula_of
from calib.cost_model import Features, Law, Measured, Model
from calib.ids import DatasetId

__all__ = ["Features", "Measured", "Model", "Prediction", "kill_time", "predict"]

HOUR = 3600.0

# Examples below which a class, or a model, is not trusted.
FEW = 10

# The formula may be wrong by this much where a class has examples: calcloud's ladder spans 32.
KNOWN_FACTOR = 16.0
# A class that was not seen gets no less than the formula, and no more than this times.
UNKNOWN_FACTOR = 2.0
# A safety factor above this would only say that the model is worthless.
MARGIN_FACTOR = 4.0
# Seconds are another matter: an engine may be a thousand times slower than the formula's, and a
# limit that is too low kills what works. The cap of limits is bound enough.
WALL_FACTOR = 1e5

# The same dataset again: other references and another host move its peak by some percent.
MEASURED_FACTOR = 1.25

# A stage is taken for hung after this many times the 0.99 quantile of what is expected: hosts
# that share their processors are some times slower, and to kill work that would have ended costs
# all of it. Not before calcloud's default clock, 1200 s (plan.py): a minute saved on a stage
# that hangs is worth nothing.
KILL_FACTOR = 4.0
KILL_LEAST = 20 * 60.0

# Without history: calcloud's default clock times its factor 1 + 5. Visits and skycells get 12
# hours (calcloud issue 226: they were killed at 2 hours).
DEFAULT_LIMIT = 6 * KILL_LEAST
DEFAULT_HAP_LIMIT = 12 * HOUR

# Nothing may take longer; skycells took up to 54 hours (calcloud issue 226). Nothing may be
# given less than calcloud's least.
CAP = 48 * HOUR
HAP_CAP = 72 * HOUR
LEAST_LIMIT = 60.0


@dataclass(frozen=True)
class Prediction:
    """What a dataset is expected to need at most.

    Attributes
    ----------
    memory, disk
        Bytes: of the process tree, and of the work folder.
    limits
        Seconds by stage after which it is hung rather than slow; not scaled yet
        (:func:`kill_time`).
    note
        What it rests on, for people.
    """

    memory: int
    disk: int
    limits: dict[str, float] = field(default_factory=dict)
    note: str = ""


def predict(
    features: Features | None,
    model: Model | None,
    dataset: DatasetId,
    measured: Measured | None = None,
) -> Prediction:
    """Predict what a dataset needs.

    Parameters
    ----------
    features
        What it looks like; None: as its name tells.
    model
        What was learned; None: nothing.
    dataset
        Its name.
    measured
        What the same dataset did cost before; None: not known.
    """
    looks = features or typical_features(dataset)
    laws = model.laws if model else {}
    kind = class_of(dataset)
    known = measured or Measured()
    memory = known.memory and known.memory * MEASURED_FACTOR
    disk = known.disk and known.disk * MEASURED_FACTOR
    return Prediction(
        memory=math.ceil(memory or expected("memory", looks, kind, laws.get("memory"))),
        disk=math.ceil(disk or expected("disk", looks, kind, laws.get("disk"))),
        limits={
            stage: _limit(stage, looks, dataset, laws.get(stage), known.walls.get(stage))
            for stage in STAGES
        },
        note=_note(features, known, laws.get("memory"), kind),
    )


def kill_time(seconds: float, time_scale: float, dataset: DatasetId) -> float:
    """Return the limit of a stage in seconds: scaled, then under the cap of the dataset's kind.

    Parameters
    ----------
    seconds
        As predicted.
    time_scale
        Factor that a manifest, an operator or a retry has set; one below 1 shortens what
        a stage is given at least, too.
    dataset
        48 hours is the most; 72 for visits and skycells.
    """
    cap = CAP if dataset.kind == "ipst" else HAP_CAP
    return min(cap, max(LEAST_LIMIT * min(1.0, time_scale), seconds * time_scale))


def expected(
    target: str, features: Features, kind: str, law: Law | None, *, margin: bool = True
) -> float:
    """Return what a target is expected to be: bytes or seconds.

    Parameters
    ----------
    target
        ``memory``, ``disk`` or a stage.
    features, kind
        What the dataset looks like, and its class.
    law
        What was learned; None: the formula alone.
    margin
        With the safety factor of the law: rarely more than this. Without: as likely more as
        less.
    """
    formula = formula_of(target, features, kind)
    if law is None:
        return formula
    values = terms_of(target, features, kind)
    log = sum(factor * values.get(name, 0.0) for name, factor in law.terms.items())
    known = is_known(law, kind)
    least, most = bounds(target, known=known)
    log = min(most, max(least, log))
    if margin and known:
        log += bounded_margin(target, law.margin)
    return formula * math.exp(log)


def terms_of(target: str, features: Features, kind: str) -> dict[str, float]:
    """Return the values that the coefficients of a law multiply, by name.

    ``size`` is ln(formula / formula of a typical dataset of the class), so that one
    coefficient says how much steeper than the formula costs grow with pixels.
    """
    return {
        "all": 1.0,
        "size": math.log(formula_of(target, features, kind) / _SCALE[target]),
        "ln n_files": math.log(max(1, features.n_files)),
        "drizcorr": float(features.drizcorr),
        "pctecorr": float(features.pctecorr),
        "crsplit": float(features.crsplit > 1),
        "subarray": float(features.subarray),
        "detector": float(features.detector),
        "dtype": float(features.dtype),
        kind: 1.0,
    }


def is_known(law: Law, kind: str) -> bool:
    """Tell whether a law has seen enough of a class."""
    return law.classes.get(kind, 0) >= FEW


def bounds(target: str, *, known: bool) -> tuple[float, float]:
    """Return the least and the most of ln(expected / formula), without the safety factor.

    Parameters
    ----------
    target
        ``memory``, ``disk`` or a stage.
    known
        Whether there are examples enough of the class.
    """
    if not known:
        return 0.0, math.log(UNKNOWN_FACTOR)
    return -math.log(KNOWN_FACTOR), math.log(WALL_FACTOR if target in STAGES else KNOWN_FACTOR)


def bounded_margin(target: str, margin: float) -> float:
    """Return ln of a safety factor: at least of 1, for memory and disk at most of 4."""
    return min(math.log(WALL_FACTOR if target in STAGES else MARGIN_FACTOR), max(0.0, margin))


# Where `size` is zero: about what a full frame of the WFC costs.
_SCALE = {
    "memory": 1300e6,
    "disk": 250e6,
    "fetch": 8.0,
    "bestrefs": 1.5,
    "calibrate": 2.5,
    "preview": 1.0,
    "archive": 2.0,
    "state-message": 0.1,
}


def _limit(
    stage: str, features: Features, dataset: DatasetId, law: Law | None, measured: float | None
) -> float:
    kind = class_of(dataset)
    if law is not None and is_known(law, kind):
        seconds = expected(stage, features, kind, law)
        return max(KILL_LEAST, KILL_FACTOR * max(seconds, measured or 0.0))
    default = DEFAULT_LIMIT if dataset.kind == "ipst" else DEFAULT_HAP_LIMIT
    return max(default, KILL_FACTOR * (measured or 0.0))


def _note(features: Features | None, known: Measured, law: Law | None, kind: str) -> str:
    if known.memory:
        return "measured before"
    source = "its name alone" if features is None else "its headers"
    if law is None:
        return f"formula, from {source}"
    if not is_known(law, kind):
        return f"formula, from {source}: few examples of {kind}"
    return f"model of {law.examples} examples, from {source}"
