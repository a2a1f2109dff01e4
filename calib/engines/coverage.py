"""What calibrates each detector here: the native engine, a program, or nothing yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from calib.engines.lookup import NATIVE, kinds_of, loadable_engines
from calib.engines.native import NativeEngine
from calib.engines.program import (
    DETECTORS,
    RUNASTRODRIZ,
    RUNMULTIHAP,
    RUNSINGLEHAP,
    Program,
    find_program,
    shown_version,
)
from calib.engines.protocol import Engine, Installation, ListedEngine

# What no detector has of its own.
OTHERS: Mapping[str, Program] = {
    "drizzled products (stage 2)": RUNASTRODRIZ,
    "visits (SVM)": RUNSINGLEHAP,
    "skycells (MVM)": RUNMULTIHAP,
}

# What recipes leave to the programs: pixel-based correction of charge transfer.
_LIMITS = {"WFC": "without PCTECORR"}


@dataclass(frozen=True)
class EngineEntry:
    """An engine, and one thing that it needs.

    Attributes
    ----------
    engine
        As in ``--engine NAME``.
    kinds
        Of datasets: ``ipst``, ``svm``, ``mvm``.
    program, purpose, found, version, advice
        As :class:`calib.engines.protocol.Installation`; `program` is its name.
    """

    engine: str
    kinds: tuple[str, ...]
    program: str
    purpose: str
    found: str | None
    version: str
    advice: str


@dataclass(frozen=True)
class DetectorEntry:
    """What calibrates one detector, or makes one kind of product.

    Attributes
    ----------
    what
        ``ACS WFC``, ``visits (SVM)``.
    native
        ``yes``, ``yes, without PCTECORR``, ``on request`` (``--engine native``) or ``no``.
    program
        The program beside it.
    found, version, advice
        Where that is, its version; how to get it where it is not here.
    """

    what: str
    native: str
    program: str
    found: str | None
    version: str
    advice: str

    @property
    def is_ready(self) -> bool:
        """Whether it is calibrated here without asking for it."""
        return self.found is not None or self.native.startswith("yes")


def find_engines() -> tuple[Engine, ...]:
    """Return the engines that can be loaded, native first."""
    return tuple(loadable_engines())


def list_installations(engines: Sequence[Engine]) -> tuple[EngineEntry, ...]:
    """Return what each engine needs; only programs that are here are asked for versions."""
    return tuple(entry for engine in engines for entry in _entries(engine))


def list_detectors(engines: Sequence[Engine]) -> tuple[DetectorEntry, ...]:
    """Return what calibrates each detector, then stage 2, visits and skycells."""
    recipes = {
        (recipe.instrument.upper(), recipe.detector.upper()): recipe.is_proven
        for engine in engines
        if isinstance(engine, NativeEngine)
        for recipe in engine.recipes
    }
    rows = [
        _detector(f"{name} {detector}", _native(recipes.get((name, detector)), detector), program)
        for name, (detectors, program) in DETECTORS.items()
        for detector in detectors
    ]
    return (*rows, *(_detector(what, "no", program) for what, program in OTHERS.items()))


def _entries(engine: Engine) -> Iterator[EngineEntry]:
    kinds = tuple(sorted(kinds_of(engine)))
    needed = engine.installations() if isinstance(engine, ListedEngine) else (_unlisted(engine),)
    for each in needed:
        yield EngineEntry(
            engine.name, kinds, each.name, each.purpose, each.found, each.version, each.advice
        )


def _unlisted(engine: Engine) -> Installation:
    """Describe an engine of somebody else's that does not tell what it needs."""
    place = f"{type(engine).__module__}:{type(engine).__name__}"
    return Installation(engine.name, "as it says itself", place, engine.numbers_version)


def _native(is_proven: bool | None, detector: str) -> str:
    if is_proven is None:
        return "no"
    if not is_proven:
        return f"on request (--engine {NATIVE})"
    return ", ".join(("yes", *filter(None, [_LIMITS.get(detector)])))


def _detector(what: str, native: str, program: Program) -> DetectorEntry:
    path = find_program(program)
    if path is None:
        return DetectorEntry(what, native, program.name, None, "", program.advice)
    return DetectorEntry(what, native, program.name, str(path), shown_version(program), "")
