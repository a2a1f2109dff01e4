"""The runner: the one loop over the steps of a recipe.

It alone reads and writes switches, checks that references exist, takes times, writes log and
HISTORY, and decides where several steps are done in one pass.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from calib.engines.trailer import Trailer
from calib.errors import (
    BESTREFS,
    INPUT,
    ConfigError,
    HstflowError,
    MissingReference,
    ReferenceUnavailable,
    UnsupportedMode,
)
from calib.instruments.recipe import Kind, Recipe, Step
from calib.instruments.row_blocks import run_rows
from calib.instruments.row_work import RowWork
from calib.instruments.state import Combination, ExposureState
from calib.switches import Switch

Hook = Callable[[ExposureState], ExposureState]
DUMMY = "dummy"  # reason of a step whose reference is a placeholder


@dataclass(frozen=True)
class Plan:
    """How to run a recipe.

    Attributes
    ----------
    recipe
        Steps in order.
    parameters
        Parameter records by step name (:meth:`Recipe.resolve_parameters`).
    start, stop
        First and last step; None: all. Steps that read tables are done in any case.
    hooks
        Called after the step of that name with the state; may return another one.
    fused
        Whether several row-wise steps may be done in one pass. The bits are the same.
    phase
        Only the steps of this phase; None: all that an exposure alone goes through.
    in_place
        Whether pixels may be written over: nobody else looks at the exposure, and there are
        no hooks.
    """

    recipe: Recipe
    parameters: Mapping[str, Any]
    start: str | None = None
    stop: str | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    fused: bool = True
    phase: str | None = None
    in_place: bool = False

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of the phase between start and stop.

        Raises
        ------
        ConfigError
            A name is not a step or phase of the recipe, or stop lies before start.
        """
        for name in (self.start, self.stop, *self.hooks):
            if name is not None:
                self.recipe.step(name)
        names = [step.name for step in self.recipe.steps]
        first = names.index(self.start) if self.start else 0
        last = names.index(self.stop) if self.stop else len(names) - 1
        if last < first:
            raise ConfigError("stop lies before start", expected=self.start, found=self.stop)
        wanted = self.recipe.phase(self.phase).steps if self.phase else self.recipe.steps
        return tuple(
            step
            for place, step in enumerate(self.recipe.steps)
            if place <= last and (place >= first or step.prepares) and step in wanted
        )


def run_recipe(state: ExposureState, plan: Plan, trailer: Trailer) -> ExposureState:
    """Carry out the steps whose switches are PERFORM, or that have none.

    Parameters
    ----------
    state
        Raw exposure, or one saved after a step.

    Returns
    -------
    ExposureState
        With switches, HISTORY and pixels as the last step leaves them.

    Raises
    ------
    MissingReference, ReferenceUnavailable
        References are not named, or not there: all of them, before anything is computed.
    DataError
        As the steps say. Errors name the dataset and the file.
    """
    with _about(state):
        due = []
        for step in plan.steps():
            status = _status(step, state)
            if status is Switch.PERFORM:
                due.append(step)
            else:
                state = _pass_over(step, status, state, trailer)
        check_references(state, due)
        while due:
            count = _count_together(plan, due)
            state = _carry_out(due[:count], state, plan, trailer)
            due = due[count:]
    return state


@contextmanager
def _about(*states: ExposureState) -> Iterator[None]:
    """Add to errors what they are about, where it is one exposure and they do not know.

    What is wrong with another file than these is wrong with a reference, and has its exit code.
    """
    try:
        yield
    except HstflowError as error:
        if error.code == INPUT and error.path not in {None, *(state.path for state in states)}:
            error.code = BESTREFS
        if len(states) == 1:
            error.dataset = error.dataset or states[0].dataset
            error.path = error.path or states[0].path
        raise


def combine(states: Sequence[ExposureState], plan: Plan, trailer: Trailer) -> Combination:
    """Carry out the combining step whose switch is PERFORM in the first exposure.

    Returns
    -------
    Combination
        The product has switch and HISTORY of the step; the exposures keep theirs.

    Raises
    ------
    UnsupportedMode
        No such step is PERFORM.
    MissingReference, ReferenceUnavailable, DataError
        As :func:`run_recipe`.
    """
    first = states[0]
    due = [s for s in plan.recipe.combining_steps if s.switch and _is_due(s.switch, first)]
    if not due:
        raise UnsupportedMode(
            "nothing says how to combine the exposures", dataset=first.dataset, path=first.path
        )
    step = due[0]
    began = time.perf_counter()
    with _about(*states):
        check_references(first, due)
        made = step.combine(states, plan.parameters[step.name])
    _say(step, made.product, time.perf_counter() - began, trailer)
    return made._replace(product=_close(step, made.product))


def _is_due(switch: str, state: ExposureState) -> bool:
    return state.switch(switch) is Switch.PERFORM


def check_all_references(state: ExposureState, recipe: Recipe, *, combined: bool = False) -> None:
    """Find all references that any phase of an exposure lacks, before anything is computed.

    Parameters
    ----------
    combined
        Whether the exposure is the first one of several that are combined: those steps count.

    Raises
    ------
    MissingReference, ReferenceUnavailable
        As :func:`check_references`.
    """
    steps = recipe.all_steps if combined else recipe.steps
    with _about(state):
        check_references(state, [s for s in steps if _status(s, state) is Switch.PERFORM])


def check_references(state: ExposureState, steps: Sequence[Step]) -> None:
    """Find all references that the steps lack.

    Raises
    ------
    MissingReference
        No file is named for some.
    ReferenceUnavailable
        Files are named that are not there.
    """
    openers: dict[str, list[str]] = {}
    for step in steps:
        named = tuple(key for key in step.optional if state.references.is_named(key))
        for keyword in dict.fromkeys(step.references + named):
            openers.setdefault(keyword, []).append(step.name)
    problems: list[HstflowError] = []
    for keyword, names in openers.items():
        try:
            state.references.path(keyword)
        except (MissingReference, ReferenceUnavailable) as problem:
            problem.message += f" (opened by {', '.join(names)})"
            problems.append(problem)
    if problems:
        final = any(isinstance(problem, MissingReference) for problem in problems)
        kind = MissingReference if final else ReferenceUnavailable
        raise kind("; ".join(map(str, problems)))


def _status(step: Step, state: ExposureState) -> Switch:
    """Return PERFORM, OMIT, COMPLETE or SKIPPED; a placeholder reference skips the step."""
    if step.switch is None:
        return Switch.PERFORM
    switch = state.switch(step.switch)
    named = [key for key in step.references if state.references.is_named(key)]
    if switch is Switch.PERFORM and any(_is_dummy(state, key) for key in named):
        return Switch.SKIPPED
    return switch


def _is_dummy(state: ExposureState, keyword: str) -> bool:
    use = state.references.uses[keyword]
    return use.path is not None and state.references.pedigree(keyword).is_dummy


def _pass_over(step: Step, status: Switch, state: ExposureState, trailer: Trailer) -> ExposureState:
    trailer.say(f"{step.name}: {step.switch} {status}, nothing done", logging.INFO)
    if status is Switch.SKIPPED and step.switch and state.switch(step.switch) is Switch.PERFORM:
        return _close(step, state.skip(DUMMY))
    return state


def _count_together(plan: Plan, due: Sequence[Step]) -> int:
    """Return how many of the next steps share one pass over the pixels.

    A step that takes whole images stands alone, one that measures begins a pass, a hook ends
    it. A pass that has no row-wise step costs nothing.
    """
    if not plan.fused or due[0].kind is Kind.WHOLE:
        return 1
    for count, step in enumerate(due):
        if step.kind is Kind.WHOLE or (count and step.kind is Kind.MEASURED_ROWS):
            return count
        if step.name in plan.hooks:
            return count + 1
    return len(due)


def _carry_out(
    steps: Sequence[Step], state: ExposureState, plan: Plan, trailer: Trailer
) -> ExposureState:
    works: list[RowWork] = []
    for step in steps:
        began = time.perf_counter()
        parameters = plan.parameters[step.name]
        if step.is_row_wise:
            works.append(step.work(state, parameters))
            state = works[-1].state
        else:
            state = step.call(state, parameters)
        _say(step, state, time.perf_counter() - began, trailer)
        state = _close(step, state)
    state = _run_works(works, state, plan, trailer)
    hook = plan.hooks.get(steps[-1].name)
    return hook(state) if hook else state


def _run_works(
    works: Sequence[RowWork], state: ExposureState, plan: Plan, trailer: Trailer
) -> ExposureState:
    """Compute the pixels of row-wise steps; what they find out on the way is told here."""
    if not works:
        return state
    began, told = time.perf_counter(), len(state.warnings)
    in_place = plan.in_place and not plan.hooks
    state = run_rows(state, works, in_place=in_place)
    seconds = time.perf_counter() - began
    trailer.say(f"pixels of {len(works)} steps: done in {seconds:.3f} s", logging.DEBUG)
    for warning in state.warnings[told:]:
        trailer.say(warning, logging.WARNING)
    history = state.notes
    return dataclasses.replace(state, shapes=(), notes=()).with_history(*history)


def _say(step: Step, state: ExposureState, seconds: float, trailer: Trailer) -> None:
    done = "done" if state.skipped is None else f"not done: {state.skipped}"
    trailer.say(f"{step.name}: {done} in {seconds:.3f} s", logging.INFO)
    for note in state.notes:
        trailer.say(note, logging.WARNING if note in state.warnings else logging.DEBUG)


def _close(step: Step, state: ExposureState) -> ExposureState:
    """Write switch and HISTORY of a step, and clear what belongs to it alone."""
    lines = [*_headline(step, state.skipped), *state.notes]
    if step.switch:
        value = Switch.COMPLETE if state.skipped is None else Switch.SKIPPED
        state = state.with_primary({step.switch: str(value)}, {step.switch: "calibration switch"})
        lines += step.history(state) if step.history else _reference_history(step, state)
    return dataclasses.replace(state.with_history(*lines), notes=(), skipped=None)


def _reference_history(step: Step, state: ExposureState) -> list[str]:
    named = [key for key in step.references + step.optional if state.references.is_named(key)]
    return [line for keyword in named for line in state.references.history(keyword)]


def _headline(step: Step, skipped: str | None) -> list[str]:
    if step.headline is not None and skipped is None:
        return [step.headline] if step.headline else []
    if step.switch is None:
        return []
    if skipped is None:
        return [f"{step.switch} complete ..."]
    why = "skipped due to dummy reference file" if skipped == DUMMY else "not performed"
    return [f"{step.switch} {why} ..."]
