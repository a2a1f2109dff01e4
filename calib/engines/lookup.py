"""Which engine calibrates an exposure: ``--engine auto|native|NAME``."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from calib.engines.protocol import Engine
from calib.errors import ConfigError, HstflowError, UnsupportedMode
from calib.records import Member
from calib.switches import Overrides

logger = logging.getLogger(__name__)

ENGINES = "hstflow.engines"  # entry-point group
AUTO = "auto"
NATIVE = "native"

# The program that calibrates an instrument where no engine of ours does.
PROGRAMS = {"ACS": "calacs.e", "WFC3": "calwf3.e", "STIS": "cs0.e", "COS": "calcos"}

Headers = Sequence[Mapping[str, Any]]


def choose_engine(name: str, headers: Headers, overrides: Overrides | None = None) -> Engine:
    """Return the engine for the exposures of a dataset.

    Parameters
    ----------
    name
        ``auto``: native where it covers every exposure, else another installed engine that
        does. Any other name: that engine or none.
    headers
        Primary headers.
    overrides
        Switches set by the user: they decide with the headers what must be covered.

    Raises
    ------
    ConfigError
        There is no engine of this name.
    UnsupportedMode
        The engine, or with ``auto`` no engine, covers the exposures.
    """
    wanted = [(overrides or Overrides()).apply(header) for header in headers]
    reasons = {}
    for engine in _loadable_engines() if name == AUTO else [load_engine(name)]:
        reason = next(filter(None, map(engine.covers, wanted)), None)
        if reason is None:
            return engine
        reasons[engine.name] = reason
    raise UnsupportedMode(
        "; ".join(f"engine {engine} does not cover this: {why}" for engine, why in reasons.items())
        + _program_hint(name, wanted)
    )


def required_references(
    name: str,
    header: Mapping[str, Any],
    overrides: Overrides | None = None,
    members: Sequence[Member] = (),
) -> tuple[str, ...]:
    """Return the reference keywords that the engine of this name opens for an exposure.

    Parameters
    ----------
    name, header, overrides
        As for :func:`choose_engine`.
    members
        Rows of the association that the exposure belongs to; none: it is calibrated alone.

    Raises
    ------
    ConfigError, UnsupportedMode
        As :func:`choose_engine`.
    """
    overrides = overrides or Overrides()
    engine = choose_engine(name, [header], overrides)
    return engine.required_references(overrides.apply(header), members)


def _loadable_engines() -> Iterator[Engine]:
    """Yield all engines, native first; one that cannot be loaded is passed over."""
    for name in engine_names():
        try:
            yield load_engine(name)
        except ConfigError as error:
            logger.warning("engine %s is passed over: %s", name, error)


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines, native first."""
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


def _program_hint(name: str, headers: Headers) -> str:
    if name != AUTO:
        return ""
    instruments = {str(header.get("INSTRUME", "")).strip().upper() for header in headers}
    programs = sorted(PROGRAMS[key] for key in instruments if key in PROGRAMS)
    return f"; {' and '.join(programs)} would, but is not available here" if programs else ""
