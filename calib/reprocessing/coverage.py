"""Which marked datasets cannot be run, told without opening a file."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from calib.engines.lookup import (
    AUTO,
    choose_engine,
    kinds_of,
    load_engine,
    loadable_engines,
)
from calib.engines.program import DETECTORS, why_absent
from calib.errors import UnsupportedMode
from calib.ledger.reprocessings import NewMark

# How a reason begins that is looked at again each time: an engine may have come.
NO_ENGINE = "no engine "

_MADE = {"svm": "makes visits (SVM)", "mvm": "makes skycells (MVM)"}


def with_coverage(marks: Iterable[NewMark], engine: str) -> list[NewMark]:
    """Return marks that say why datasets are not run, where an engine cannot.

    Parameters
    ----------
    marks
        A reason that a mark has already stays.
    engine
        ``auto`` or a name. Modes are looked at when a dataset is run: its headers tell.

    Raises
    ------
    ConfigError
        There is no such engine.
    """
    every = [(each, (each.dataset.kind, each.dataset.instrument)) for each in marks]
    why = reasons_of((pair for _, pair in every), engine)
    return [mark if mark.left_out else replace(mark, left_out=why[pair]) for mark, pair in every]


def reasons_of(
    some: Iterable[tuple[str, str]], engine: str, kinds: Collection[str] | None = None
) -> dict[tuple[str, str], str | None]:
    """Return for kinds and instruments what :func:`why_not_made` says, asked once for each.

    There may be 60,000 datasets of them. Nothing is kept for the next time: a program may come.
    """
    return {(kind, name): why_not_made(kind, name, engine, kinds) for kind, name in set(some)}


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
        return uncovered(engine, instrument)
    # Of visits and skycells nothing but the program counts; a skycell has no instrument.
    why = None if kinds is not None else _lacking(engine, kind)
    return None if why is None else f"{NO_ENGINE}{_MADE[kind]}: {why}"


def engine_kinds() -> frozenset[str]:
    """Return the kinds of datasets that the installed engines make."""
    return frozenset(kind for engine in loadable_engines() for kind in kinds_of(engine))


def _lacking(engine: str, kind: str) -> str | None:
    """Return why an engine does not make visits or skycells here: its program may be missing."""
    try:
        choose_engine(engine, [], kind=kind)
    except UnsupportedMode as error:
        return error.message
    return None


def uncovered(engine: str, instrument: str) -> str | None:
    """Return why an instrument is not calibrated by an engine; None: it may be.

    Parameters
    ----------
    engine
        ``auto`` or a name.
    instrument
        Lower case.

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
