"""What a dataset looks like to a prediction of its costs, and what was learned about costs.

The arithmetic is in :mod:`calib.campaigns`; these are the records that it shares with the
ledger, which keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Message of an OutOfMemory that was foreseen and did not happen: it says what a model believes,
# and nothing that could be learned from.
FORESEEN = "predicted to need more memory than it is granted"


@dataclass(frozen=True)
class Features:
    """The nine features of CALCLOUD's models (calcloud, ``modeling``): numbers, flags as 0 or 1.

    Attributes
    ----------
    n_files
        Exposures.
    total_mb
        Size of their files, 10^6 bytes.
    drizcorr, pctecorr
        Whether a header says PERFORM.
    crsplit
        0: no such keyword or none taken; 1: one exposure; 2: split into more.
    subarray
        Whether part of the detector was read.
    detector
        1 for WFC and UVIS, the large CCDs.
    dtype
        1 for an association.
    instr
        0 ACS, 1 COS, 2 STIS, 3 WFC3.
    """

    n_files: int
    total_mb: float
    drizcorr: int
    pctecorr: int
    crsplit: int
    subarray: int
    detector: int
    dtype: int
    instr: int


@dataclass(frozen=True)
class Measured:
    """What the last attempt that calibrated a dataset did cost.

    Attributes
    ----------
    memory, disk
        The most of all its stages, bytes; None where it was not measured.
    walls
        Seconds by stage; only stages that were really run.
    """

    memory: int | None = None
    disk: int | None = None
    walls: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """What one attempt tells about costs.

    Attributes
    ----------
    dataset, kind
        Its name, and its class: ``acs``, ``wfc3``, ``cos``, ``stis``, ``svm`` or ``mvm``.
    features
        What its inputs looked like.
    costs
        What it did cost by target; empty for one that ran out of memory.
    at_least
        The memory that was not enough, bytes; None for one that ended well.
    """

    dataset: str
    kind: str
    features: Features
    costs: dict[str, float] = field(default_factory=dict)
    at_least: int | None = None


@dataclass(frozen=True)
class Errors:
    """How far predictions are from what was measured, on examples that they had not seen.

    Attributes
    ----------
    median, high
        Median and 0.95 quantile of ``|predicted / measured - 1|``, without the safety margin.
    right_rung, too_low
        Share of examples that start on the smallest rung that is enough, and on one that is
        not enough; None where there are no rungs.
    """

    median: float
    high: float
    right_rung: float | None = None
    too_low: float | None = None


@dataclass(frozen=True)
class Law:
    """What was learned about one target: a correction of the formula that holds without history.

    Attributes
    ----------
    target
        ``memory``, ``disk``, or the name of a stage for its wall clock.
    trained_at
        Time, ISO 8601, UTC.
    examples
        How many attempts it was learned from.
    classes
        How many of them by class: ``acs``, ``wfc3``, ``cos``, ``stis``, ``svm``, ``mvm``.
    terms
        Coefficients by name: of ln(measured / formula).
    margin
        ln of the safety factor: a high quantile of what was left over.
    before, after
        Errors of the formula alone, and of the law.
    """

    target: str
    trained_at: str
    examples: int
    classes: dict[str, int]
    terms: dict[str, float]
    margin: float
    before: Errors
    after: Errors


@dataclass(frozen=True)
class Model:
    """All laws that were learned, by target; a target without one has its formula."""

    laws: dict[str, Law] = field(default_factory=dict)
