"""Which marked datasets cannot be run, told without opening a file."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection
from dataclasses import replace

from calib.engines.coverage import DETECTORS
from calib.engines.lookup import (
    AUTO,
    choose_engine,
    kinds_of,
    load_engine,
    loadable_engines,
)
from calib.engines.program import why_absent
from calib.errors import UnsupportedMode
from calib.ledger.reprocessings import NewMark

# How a reason begins that is looked at again each time: an engine may have come.
NO_ENGINE = "no engine "

_MADE = {"svm": "makes visits (SVM)", "mvm": "makes skycells (MVM)"}


def with_coverage(marked: NewMark, engine: str) -> NewMark:
    """Return a mark that says why the dataset is not run, where an engine cannot.

    Parameters
    ----------
    marked
        A mark; a reason that it has already stays.
    engine
        ``auto`` or a name. Modes are looked at when the dataset is run: its headers tell.

    Raises
    ------
    ConfigError
        There is no such engine.
    """
    if marked.left_out is not None:
        return marked
    dataset = marked.dataset
    reason = why_not_made(dataset.kind, dataset.instrument, engine)
    return marked if reason is None else replace(marked, left_out=reason)


def why_not_made(
    kind: str, instrument: str, engine: str, kinds: Collection[str] | None = None
) -> str | None:
    """Return why no engine makes such datasets; None: one may.

    Parameters
    ----------
    kind, instrument
        Of the dataset; lower case.
    engine
        ``auto`` or a name.
    kinds
        Of datasets that engines make; None: as they say.

    Raises
    ------
    ConfigError
        There is no such engine.
    """
    if kind not in (engine_kinds() if kinds is None else kinds):
        return NO_ENGINE + _MADE.get(kind, f"makes datasets of the kind {kind}")
    if kind == "ipst":
        return uncovered(engine, instrument, os.environ.get("PATH"))
    # Of visits and skycells nothing but the program counts; a skycell has no instrument.
    why = None if kinds is not None else _lacking(engine, kind, os.environ.get("PATH"))
    return None if why is None else f"{NO_ENGINE}{_MADE[kind]}: {why}"


def engine_kinds() -> frozenset[str]:
    """Return the kinds of datasets that the installed engines make."""
    return frozenset(kind for engine in loadable_engines() for kind in kinds_of(engine))


@functools.cache
def _lacking(engine: str, kind: str, path: str | None) -> str | None:  # noqa: ARG001 - part of the key
    """Return why an engine does not make visits or skycells here: its program may be missing."""
    try:
        choose_engine(engine, [], kind=kind)
    except UnsupportedMode as error:
        return error.message
    return None


@functools.cache
def uncovered(engine: str, instrument: str, path: str | None) -> str | None:  # noqa: ARG001 - key
    """Return why an instrument is not calibrated by an engine; None: it may be.

    Parameters
    ----------
    engine
        ``auto`` or a name.
    instrument
        Lower case.
    path
        PATH, on which programs are looked for.

    Raises
    ------
    ConfigError
        There is no such engine.
    """
    for each in loadable_engines() if engine == AUTO else (load_engine(engine),):
        # Engines of other packages need not tell their instruments: they are asked with headers.
        known = getattr(each, "instruments", None)
        if known is None or instrument in known:
            return None
    program = DETECTORS[instrument.upper()][1] if instrument.upper() in DETECTORS else None
    why = why_absent(program) if program is not None and engine == AUTO else None
    return f"{NO_ENGINE}calibrates {instrument.upper()}{f': {why}' if why else ''}"
