"""A recipe is data: phases of named steps, which one runner carries out."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calib.errors import ConfigError
from calib.instruments.row_work import RowWork
from calib.instruments.state import Combination, ExposureState
from calib.switches import Overrides, Switch, names_file, read_switch

SPLIT_SWITCH = "CRCORR"  # combines the image sets of one file
SPLIT_KEYWORDS = (SPLIT_SWITCH, "NEXTEND")  # what Recipe.splits looks at
FEWEST_IN_SPLIT = 6  # extensions: SCI, ERR and DQ of two exposures

StepFunction = Callable[..., Any]
Parameters = Mapping[str, Any]


class Kind(enum.Enum):
    """What a step has to do with pixels: decides which steps share a pass over them.

    Attributes
    ----------
    WHOLE
        It takes and gives whole images.
    HEADERS
        It neither reads nor changes pixels.
    ROWS
        It treats each row by itself, and has a :class:`RowWork`.
    MEASURED_ROWS
        The same, but its work is made from the pixels as all steps before it leave them.
    """

    WHOLE = "whole"
    HEADERS = "headers"
    ROWS = "rows"
    MEASURED_ROWS = "measured rows"


@dataclass(frozen=True)
class Step:
    """One named step.

    Attributes
    ----------
    name
        Verb and object, such as ``subtract_dark``; unique in the recipe.
    function
        Takes the state (and the parameters, where there are any) and returns a new one. In
        a phase that combines: takes all states and the parameters, returns a Combination. Of
        a row-wise step: returns its :class:`RowWork`.
    kind
        What the function has to do with pixels (:class:`Kind`).
    switch
        Keyword that must be PERFORM; None: always done.
    references
        Keywords of files it opens; without them it cannot run.
    optional
        Keywords of files it opens where one is named.
    parameters
        Frozen dataclass with the defaults; None where there is nothing to set.
    needs, gives
        Facts about the state that must hold before and that hold afterwards.
    prepares
        It reads tables into the state: done also where a run starts later.
    headline
        First HISTORY line; None: ``SWITCH complete ...``; empty: none.
    history
        Returns the HISTORY lines about its references; None: those of each in turn.
    """

    name: str
    function: StepFunction
    kind: Kind = Kind.WHOLE
    switch: str | None = None
    references: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    parameters: Any = None
    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    prepares: bool = False
    headline: str | None = None
    history: Callable[[ExposureState], tuple[str, ...]] | None = None

    @property
    def subject(self) -> str:
        """Name without its verb: ``bias_level`` of ``subtract_bias_level``."""
        return self.name.partition("_")[2] or self.name

    @property
    def is_row_wise(self) -> bool:
        """Whether it treats each row by itself."""
        return self.kind in {Kind.ROWS, Kind.MEASURED_ROWS}

    def call(self, state: ExposureState, parameters: Any) -> ExposureState:
        """Carry out a step that is not row-wise."""
        made: ExposureState = self._apply(state, parameters)
        return made

    def work(self, state: ExposureState, parameters: Any) -> RowWork:
        """Return the work of a row-wise step."""
        made: RowWork = self._apply(state, parameters)
        return made

    def _apply(self, state: ExposureState, parameters: Any) -> Any:
        return self.function(state) if parameters is None else self.function(state, parameters)

    def combine(self, states: Sequence[ExposureState], parameters: Any) -> Combination:
        """Carry out a step that combines exposures."""
        made: Combination = self.function(states, parameters)
        return made


@dataclass(frozen=True)
class Phase:
    """Steps that make one kind of thing: ``exposure``, ``combine``, ``product``.

    Attributes
    ----------
    name, steps
        Name, and steps in order.
    combines
        Its steps take several exposures; left out where an exposure is calibrated alone.
    """

    name: str
    steps: tuple[Step, ...]
    combines: bool = False


@dataclass(frozen=True)
class Recipe:
    """Calibration of one detector.

    Attributes
    ----------
    name
        ``acs_hrc``.
    instrument, detector
        INSTRUME and DETECTOR of the exposures.
    phases
        Steps in order.
    refuses
        Says of a header why its mode is not covered; None where it is.
    other_switches
        Switches of the detector's headers that no step of this recipe has, but that a user
        may set: ``refuses`` looks at them.
    alike
        Keywords in which exposures that are combined must not differ.
    keeps_exposures
        Whether exposures that are combined become products of their own in any case;
        otherwise EXPSCORR of the first one decides.
    splits_files
        Whether the image sets of one file are exposures of their own (STIS CCD), which are
        combined where CRCORR asks for it. The combining step takes that one file then.
    is_proven
        Whether its numbers were compared with the reference program's: ``auto`` takes no other.
    program
        What to call that program in messages.

    Raises
    ------
    ConfigError
        Two steps have one name, or a step comes before one that gives what it needs.
    """

    name: str
    instrument: str
    detector: str
    phases: tuple[Phase, ...]
    refuses: Callable[[Mapping[str, Any]], str | None]
    other_switches: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    keeps_exposures: bool = False
    splits_files: bool = False
    is_proven: bool = True
    program: str = "the reference program"

    def __post_init__(self) -> None:
        given: set[str] = set()
        names: set[str] = set()
        for step in self.all_steps:
            if step.name in names:
                raise ConfigError(f"recipe {self.name} has a step twice", found=step.name)
            if lacking := [need for need in step.needs if need not in given]:
                raise ConfigError(
                    f"step {step.name} of recipe {self.name} comes too early", expected=lacking
                )
            names.add(step.name)
            given.update(step.gives)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of an exposure that is calibrated alone, in order."""
        return tuple(step for phase in self.phases if not phase.combines for step in phase.steps)

    @property
    def combining_steps(self) -> tuple[Step, ...]:
        """The steps that combine exposures."""
        return tuple(step for phase in self.phases if phase.combines for step in phase.steps)

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """All steps in order."""
        return tuple(step for phase in self.phases for step in phase.steps)

    def phase(self, name: str) -> Phase:
        """Return a phase by name.

        Raises
        ------
        ConfigError
            There is no such phase.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        known = " ".join(phase.name for phase in self.phases)
        raise ConfigError(f"recipe {self.name} has no such phase", expected=known, found=name)

    def applies_to(self, header: Mapping[str, Any]) -> bool:
        """Whether the exposure is of this detector."""
        found = tuple(str(header.get(key, "")).strip().upper() for key in ("INSTRUME", "DETECTOR"))
        return found == (self.instrument, self.detector)

    def splits(self, header: Mapping[str, Any]) -> bool:
        """Whether a file holds several exposures that CRCORR combines.

        Parameters
        ----------
        header
            Primary header. NEXTEND counts the extensions, three for each exposure; absent: 3.
        """
        if not self.splits_files or read_switch(header, SPLIT_SWITCH) is not Switch.PERFORM:
            return False
        extensions = header.get("NEXTEND")
        return isinstance(extensions, int) and extensions >= FEWEST_IN_SPLIT

    def step(self, name: str) -> Step:
        """Return a step by name.

        Raises
        ------
        ConfigError
            There is no such step.
        """
        for step in self.all_steps:
            if step.name == name:
                return step
        raise ConfigError(
            f"recipe {self.name} has no such step",
            expected=" ".join(step.name for step in self.all_steps),
            found=name,
        )

    def insert_after(self, name: str, step: Step) -> Recipe:
        """Return a recipe with one more step behind a named one."""
        return self._insert(name, step, 1)

    def insert_before(self, name: str, step: Step) -> Recipe:
        """Return a recipe with one more step in front of a named one."""
        return self._insert(name, step, 0)

    def replace(self, name: str, step: Step) -> Recipe:
        """Return a recipe with another step in place of a named one."""
        self.step(name)
        phases = tuple(
            dataclasses.replace(
                phase, steps=tuple(step if old.name == name else old for old in phase.steps)
            )
            for phase in self.phases
        )
        return dataclasses.replace(self, phases=phases)

    def required_references(
        self, header: Mapping[str, Any], *, combined: bool = False
    ) -> tuple[str, ...]:
        """Return the keywords of the files that the PERFORM switches open.

        Optional ones are among them where the header names a file.

        Parameters
        ----------
        header
            Primary header.
        combined
            Whether the exposure is to be combined with others.
        """
        keywords: list[str] = []
        for step in self.all_steps if combined else self.steps:
            if step.switch is None or read_switch(header, step.switch) is Switch.PERFORM:
                keywords += step.references
                keywords += [key for key in step.optional if names_file(header, key)]
        return tuple(dict.fromkeys(keywords))

    def resolve_parameters(self, overrides: Overrides) -> dict[str, Any]:
        """Return the parameter records by step name, with the values of the user.

        Raises
        ------
        ConfigError
            A step, parameter or switch is unknown, or a value is of another type.
        """
        self._check_switches(overrides)
        records = {step.name: step.parameters for step in self.all_steps}
        for name, text in overrides.parameters.items():
            subject, _, parameter = name.partition(".")
            step = self._with_parameter(subject, parameter, name)
            value = _parse(text, getattr(step.parameters, parameter), name)
            records[step.name] = dataclasses.replace(records[step.name], **{parameter: value})
        return records

    def _check_switches(self, overrides: Overrides) -> None:
        known = {*self.other_switches, *(step.switch for step in self.all_steps if step.switch)}
        if unknown := [name for name in overrides.switches if name not in known]:
            raise ConfigError(
                f"recipe {self.name} has no such switch",
                expected=" ".join(sorted(known)),
                found=" ".join(unknown),
            )

    def _with_parameter(self, subject: str, parameter: str, name: str) -> Step:
        for step in self.all_steps:
            if subject in {step.name, step.subject} and hasattr(step.parameters, parameter):
                return step
        known = [
            f"{step.subject}.{field.name}"
            for step in self.all_steps
            if step.parameters is not None
            for field in dataclasses.fields(step.parameters)
        ]
        raise ConfigError(
            f"recipe {self.name} has no such parameter", expected=" ".join(known), found=name
        )

    def _insert(self, name: str, step: Step, shift: int) -> Recipe:
        self.step(name)
        phases = []
        for phase in self.phases:
            names = [old.name for old in phase.steps]
            steps = list(phase.steps)
            if name in names:
                steps.insert(names.index(name) + shift, step)
            phases.append(dataclasses.replace(phase, steps=tuple(steps)))
        return dataclasses.replace(self, phases=tuple(phases))


def shown_parameters(steps: tuple[Step, ...], records: Parameters) -> dict[str, str]:
    """Return the resolved parameters as ``subject.parameter`` to text, for the record."""
    return {
        f"{step.subject}.{field.name}": str(getattr(records[step.name], field.name))
        for step in steps
        if step.parameters is not None
        for field in dataclasses.fields(step.parameters)
    }


def _parse(text: str, default: Any, name: str) -> Any:
    """Read a value of the type of the default: yes/no, whole number, number or text."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        value = words[text.lower()] if isinstance(default, bool) else type(default)(text)
    except (KeyError, ValueError):
        value = None
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise ConfigError(
            f"{name} cannot be set to this",
            expected=f"{type(default).__name__} such as {default}",
            found=repr(text),
        )
    return value
