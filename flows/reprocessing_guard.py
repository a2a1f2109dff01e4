"""Whether a reprocessing can go on, asked before anything is started for it.

Without Prefect: importing it and starting a server take much longer than the answer.
"""

from __future__ import annotations

from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.ledger.reprocessings import Overtaken, advance
from calib.reprocessing.arrivals import Guard, awaited_by
from calib.reprocessing.guard import what_is_missing
from calib.reprocessing.life import Result, counts_of
from calib.reprocessing.people import this_person
from calib.stages.recording import ledger_of
from flows.reprocessing_hold import holding

# States in which a reprocessing looks first for what it needs.
GUARDED = frozenset({"planned", "blocked", "canary", "approved"})


def blocked_at_once(name: str, ledger: str, guard: Guard = what_is_missing) -> Result | None:
    """Return that a reprocessing is blocked, if it is; None: it may go on.

    Parameters
    ----------
    name, ledger
        The reprocessing, and the URL of the ledger that knows it.
    guard
        Says what is missing.

    Raises
    ------
    Unavailable
        Another live process has it in its hands.
    ConfigError
        There is no such reprocessing.
    """
    books = ledger_of(ledger)
    with holding(name, ledger):
        found = books.ask(lambda rows: reprocessings(rows, name))[0]
        if found.state not in GUARDED:
            return None
        why = awaited_by(books, found, guard)
        return None if why is None else _block(books, found, why)


def _block(books: Ledger, found: Reprocessing, why: str) -> Result | None:
    name, who, seen = found.name, this_person(), found.state
    try:
        books.write(lambda c: advance(c, name, "blocked", who=who, note=why, seen=seen))
    except Overtaken:  # a person has decided something else: whoever takes it on sees what
        return None
    counts = books.ask(lambda rows: counts_of(rows, found))
    return Result("blocked", why, counts, found.report)
