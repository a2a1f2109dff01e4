"""Waves: exposures and associations, then visits, then skycells, each when its inputs are final."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from calib.engines.lookup import AUTO
from calib.ids import DatasetId, parse_dataset
from calib.ledger.reports import Rows, states_in
from calib.ledger.reprocessing_reports import Mark, Reprocessing, marks
from calib.ledger.states import FINISHED
from calib.reprocessing.coverage import NO_ENGINE, reasons_of
from calib.reprocessing.life import campaign_of_wave

_FIRST = 1  # the wave that has no inputs among the marked

# How a reason begins that is looked at again each time: inputs may have been mended.
WAITS = "its inputs are not final: "

_NAMED = 3  # inputs that a reason names; the others are counted

# By lineage: what earlier attempts on a marked dataset opened, and what those files were
# published with.
_INPUTS = """
SELECT DISTINCT marked_dataset.dataset AS dataset, publication.dataset AS input
FROM marked_dataset
  JOIN job ON job.dataset = marked_dataset.dataset
  JOIN attempt ON attempt.job_id = job.id
  JOIN input_used ON input_used.attempt_id = attempt.id
  JOIN product ON product.name = input_used.name
  JOIN publication ON publication.id = product.publication_id
WHERE marked_dataset.reprocessing_id = :number AND marked_dataset.wave = :wave
"""


@dataclass(frozen=True)
class Wave:
    """What is run at once.

    Attributes
    ----------
    datasets
        Names, in the order of the ledger.
    left_out
        Why others are not run, by name; None takes back what was said before.
    """

    datasets: tuple[str, ...]
    left_out: Mapping[str, str | None] = field(default_factory=dict)


def wave_of(
    rows: Rows, found: Reprocessing, number: int, *, kinds: Collection[str] | None = None
) -> Wave:
    """Return a wave of a reprocessing, all earlier ones having ended.

    Parameters
    ----------
    rows, found
        The ledger and the reprocessing.
    number
        1, 2 or 3.
    kinds
        Of datasets that can be made.
    """
    mine = marks(rows, found.id, wave=number)
    open_ones = [each for each in mine if each.left_out is None or _may_change(each)]
    unmade = _unmade(found, open_ones, kinds)
    able = [each for each in open_ones if each.dataset not in unmade]
    # What is said already is not said again.
    reasons: dict[str, str | None] = {
        each.dataset: unmade[each.dataset]
        for each in open_ones
        if unmade.get(each.dataset, each.left_out) != each.left_out
    }
    reasons |= _not_final(rows, found, number, able)
    runs = [each for each in able if each.dataset not in reasons]
    mended: dict[str, str | None] = {each.dataset: None for each in runs if each.left_out}
    return Wave(tuple(each.dataset for each in runs), reasons | mended)


def runnable(
    rows: Rows, found: Reprocessing, *, kinds: Collection[str] | None = None
) -> list[Mark]:
    """Return the datasets that are not left out, or only for an engine that is there now.

    Parameters
    ----------
    rows, found, kinds
        As for :func:`wave_of`.
    """
    every = marks(rows, found.id)
    # Those that wait for their inputs are looked at when their wave comes.
    again = [each for each in every if each.left_out and each.left_out.startswith(NO_ENGINE)]
    unmade = _unmade(found, again, kinds)
    came = {each.dataset for each in again if each.dataset not in unmade}
    return [each for each in every if each.left_out is None or each.dataset in came]


def _may_change(mark: Mark) -> bool:
    return bool(mark.left_out and mark.left_out.startswith((WAITS, NO_ENGINE)))


def _unmade(
    found: Reprocessing, some: Iterable[Mark], kinds: Collection[str] | None
) -> dict[str, str]:
    """Return why no engine makes datasets, by name; those that one may make are not there."""
    options = json.loads(found.plan).get("request", {}).get("options", {})
    engine = options.get("engine", AUTO)
    every = {each.dataset: (each.kind, each.instrument) for each in some}
    reasons = reasons_of(every.values(), engine, kinds)
    whys = {dataset: reasons[pair] for dataset, pair in every.items()}
    return {dataset: why for dataset, why in whys.items() if why is not None}


def _not_final(
    rows: Rows, found: Reprocessing, number: int, able: list[Mark]
) -> dict[str, str | None]:
    """Return why datasets have to be left out whose inputs did not come to a good end."""
    if number == _FIRST or not able:
        return {}
    bad = _bad_inputs(rows, found, number)
    if not bad:
        return {}
    inputs = _inputs(rows, found, number, able)
    reasons: dict[str, str | None] = {}
    for each in able:
        failed = sorted(inputs[each.dataset] & bad.keys())
        if failed:
            reasons[each.dataset] = WAITS + _named(failed, bad)
    return reasons


def _named(failed: list[str], bad: Mapping[str, str]) -> str:
    shown = ", ".join(f"{name} ({bad[name]})" for name in failed[:_NAMED])
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return shown + more


def _bad_inputs(rows: Rows, found: Reprocessing, number: int) -> dict[str, str]:
    """Return the datasets of earlier waves that are not on the new context, and why."""
    bad: dict[str, str] = {}
    for wave in range(1, number):
        states = states_in(rows, campaign_of_wave(found.name, wave))
        for mark in marks(rows, found.id, wave=wave):
            state = states.get(mark.dataset, "not run")
            if mark.left_out is not None:
                bad[mark.dataset] = "left out"
            elif state not in FINISHED:
                bad[mark.dataset] = state
    return bad


def _inputs(rows: Rows, found: Reprocessing, number: int, able: list[Mark]) -> dict[str, set[str]]:
    """Return the marked datasets that others are made of, by name and by lineage."""
    inputs: dict[str, set[str]] = defaultdict(set)
    for row in rows(_INPUTS, {"number": found.id, "wave": number}):
        inputs[row["dataset"]].add(row["input"])
    by_visit: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for mark in marks(rows, found.id, wave=1):
        by_visit[_visit(parse_dataset(mark.dataset))].add(mark.dataset)
    for each in able:
        dataset = parse_dataset(each.dataset)
        if dataset.kind == "svm":
            inputs[each.dataset] |= by_visit[_visit(dataset)]
    return inputs


def _visit(dataset: DatasetId) -> tuple[str, str, str]:
    return dataset.instrument, dataset.program, dataset.visit
