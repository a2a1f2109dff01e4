"""Which marked datasets cannot be run, told without opening a file."""

from __future__ import annotations

import functools
from dataclasses import replace

from calib.engines.lookup import AUTO, engine_names, load_engine
from calib.ledger.reprocessings import NewMark

# What no engine makes yet. The mark stays: people see what is out of date.
_KINDS = {
    "svm": "no engine makes visits (SVM)",
    "mvm": "no engine makes skycells (MVM)",
}


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
    reason = _KINDS.get(dataset.kind) or uncovered(engine, dataset.instrument)
    return marked if reason is None else replace(marked, left_out=reason)


@functools.cache
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
    names = engine_names() if engine == AUTO else (engine,)
    for name in names:
        # Engines of other packages need not tell their instruments: they are asked with headers.
        known = getattr(load_engine(name), "instruments", None)
        if known is None or instrument in known:
            return None
    return f"no engine calibrates {instrument.upper()}"
