"""Which engine calibrates an exposure: ``--engine auto|native|NAME``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeGuard

from calib.engines.idle import IdleEngine, is_idle
from calib.engines.protocol import (
    Engine,
    ListedEngine,
    ManyKindEngine,
    ManyProgramEngine,
    ProvenEngine,
)
from calib.engines.switch_references import wavecal_of
from calib.errors import ConfigError, HstflowError, UnsupportedMode
from calib.records import RawInputs
from calib.switches import Overrides

if TYPE_CHECKING:
    from calib.instruments.recipe import Recipe

logger = logging.getLogger(__name__)

ENGINES = "hstflow.engines"  # entry-point group
AUTO = "auto"
NATIVE = "native"

_IPST = "ipst"

# How an engine says that an exposure, or kind, is none of its business: `auto` repeats it only
# of native, and only of exposures.
OTHER = "it calibrates "

# Kinds of datasets, for people.
_KINDS = {"ipst": "exposures", "svm": "visits", "mvm": "skycells"}

Headers = Sequence[Mapping[str, Any]]


def choose_engine(
    name: str, headers: Headers, overrides: Overrides | None = None, *, kind: str = _IPST
) -> Engine:
    """Return the engine for the exposures of a dataset.

    Parameters
    ----------
    name
        ``auto``: native where it covers every exposure and has been compared with the
        reference programs there, else another installed engine that covers them. Any other
        name: that engine or none. Where no switch of any exposure is PERFORM and native does
        not cover them, there is nothing to do, and nothing needs to be installed for that.
    headers
        Primary headers.
    overrides
        Switches set by the user: they decide with the headers what must be covered.
    kind
        Of the dataset: ``ipst``, ``svm`` or ``mvm``.

    Raises
    ------
    ConfigError
        There is no engine of this name.
    UnsupportedMode
        The engine, or with ``auto`` no engine, covers the exposures.
    """
    wanted = [(overrides or Overrides()).apply(header) for header in headers]
    if not wanted and kind != _IPST:
        wanted = [{}]  # visits and skycells have no raw exposures
    if kind == _IPST and wanted and all(map(is_idle, wanted)) and _is_left(name, wanted):
        return IdleEngine()
    reasons = {}
    for found in loadable_engines() if name == AUTO else [load_engine(name)]:
        if kind not in kinds_of(found):
            made = " and ".join(_KINDS.get(each, each) for each in sorted(kinds_of(found)))
            reasons[found.name] = f"{OTHER}{made}, not {_KINDS.get(kind, kind)}"
            continue
        engine = found.of_kind(kind) if isinstance(found, ManyKindEngine) else found
        reason = next(filter(None, (_objection(name, engine, header) for header in wanted)), None)
        if reason is None:
            return engine.narrowed(wanted[0]) if _is_narrowed(engine, wanted) else engine
        reasons[engine.name] = reason
    if name != AUTO:
        raise UnsupportedMode(f"engine {name} does not cover this: {reasons[name]}")
    raise UnsupportedMode(_all_reasons(reasons, kind))


def _is_left(name: str, headers: Headers) -> bool:
    """Tell whether the native engine has no part in it: it also copies what it covers."""
    if name not in {AUTO, NATIVE}:
        load_engine(name)  # a name that there is not stays an error
        return True
    native = load_engine(NATIVE)
    return any(_objection(name, native, header) is not None for header in headers)


def kinds_of(engine: Engine) -> frozenset[str]:
    """Return the kinds of datasets that an engine makes; one that does not tell makes ipst."""
    return engine.kinds if isinstance(engine, ListedEngine) else frozenset({_IPST})


def _objection(name: str, engine: Engine, header: Mapping[str, Any]) -> str | None:
    """Say why an engine does not get an exposure; None where it does."""
    reason = engine.covers(header)
    if reason is None and name == AUTO and isinstance(engine, ProvenEngine):
        return engine.unproven(header)
    return reason


def _is_narrowed(engine: Engine, headers: Headers) -> TypeGuard[ManyProgramEngine]:
    return bool(headers) and isinstance(engine, ManyProgramEngine)


def _all_reasons(reasons: Mapping[str, str], kind: str) -> str:
    """Say why no engine of ``auto`` makes a dataset: what each of those lacks that it concerns."""
    concerned = {engine: why for engine, why in reasons.items() if not why.startswith(OTHER)}
    told = [why if why.startswith(name) else f"{name}: {why}" for name, why in concerned.items()]
    if kind == _IPST and NATIVE not in concerned:
        told.insert(0, f"{NATIVE} {reasons[NATIVE].removeprefix('it ')}")
    return f"no engine covers this: {'; '.join(told)}"


def required_by(
    engine: Engine, inputs: RawInputs, headers: Headers, overrides: Overrides | None = None
) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    """Return what tells which references the engine of a dataset opens for each exposure.

    Parameters
    ----------
    engine
        Chosen for the exposures that are calibrated in their own right.
    inputs
        Their members decide whether exposures are combined. What lies beside the exposures (lists
        of events, and wavelength calibrations that none of them uses) is not opened, and needs
        no references.
    headers
        Primary headers of the exposures that are calibrated.
    overrides
        Switches set by the user.

    Returns
    -------
    callable
        Takes the header of an exposure, known by its FILENAME; returns reference keywords.
    """
    changed = (overrides or Overrides()).apply
    opened = {file.name.lower() for file in inputs.calibrated}
    opened |= {wavecal_of(changed(header)) for header in headers}
    unopened = {file.name.lower() for file in inputs.exposures} - opened

    def required(header: Mapping[str, Any]) -> tuple[str, ...]:
        if str(header.get("FILENAME") or "").strip().lower() in unopened:
            return ()
        return engine.required_references(changed(header), inputs.members)

    return required


def detectors_of(recipes: Iterable[Recipe]) -> list[str]:
    """Return for people which detectors recipes are for: ``ACS HRC, SBC, WFC``."""
    known: dict[str, list[str]] = {}
    for recipe in recipes:
        known.setdefault(recipe.instrument, []).append(recipe.detector)
    return [f"{name} {', '.join(each)}" for name, each in known.items()]


def loadable_engines() -> Iterator[Engine]:
    """Yield all engines, native first; one that cannot be loaded is passed over."""
    for name in engine_names():
        try:
            yield load_engine(name)
        except ConfigError as error:
            logger.warning("engine %s is passed over: %s", name, error)


@functools.cache
def engine_names() -> tuple[str, ...]:
    """Return the names of all engines, native first."""
    # Reading what is installed takes 13 ms, and a dataset is asked for its engine five times.
    others = sorted({entry.name for entry in entry_points(group=ENGINES)} - {NATIVE})
    return (NATIVE, *others)


@functools.cache
def load_engine(name: str) -> Engine:
    """Return an engine by name.

    Raises
    ------
    ConfigError
        There is no such engine, or it cannot be loaded.
    """
    if name == NATIVE:
        from calib.engines.native import NativeEngine

        return NativeEngine()
    entry = next(iter(entry_points(group=ENGINES, name=name)), None)
    if entry is None:
        raise ConfigError(
            "there is no such engine", expected=", ".join((AUTO, *engine_names())), found=name
        )
    try:
        engine: Engine = entry.load()()
    except (ImportError, AttributeError, HstflowError) as error:
        raise ConfigError(f"the engine cannot be loaded: {error}", found=name) from error
    return engine
