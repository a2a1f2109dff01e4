"""What a reprocessing will take: datasets, time, memory, and references that are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
        How many are marked, by ``INSTRUMENT KIND`` (``acs association``).
    types
        By instrument and reference type.
    left_out
        How many are not run, by reason.
    cpu_seconds, wall_seconds
        Of all that would run, and until the last has ended on the workers of the plan.
    rungs
        How many begin with how much memory, bytes as text.
    missing_rules, missing_references
        What the new context needs and the cache does not have.
    strange
        Names that are no dataset here, and why.
    graph
        What marks what, as DOT; not more than some hundred nodes.
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
    graph: str = ""
