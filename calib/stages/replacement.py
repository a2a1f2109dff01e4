"""Runs that take their places in chains, once everything in them has succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from calib.errors import ConfigError
from calib.ids import RUN_NAMES, is_run_name
from calib.ledger.collections import define_chain, replace_in_chain
from calib.ledger.holdings import CHAIN, chain_members, chain_runs, kind_of
from calib.ledger.reports import Rows
from calib.ledger.rows import rows_of

_HELD = """
SELECT DISTINCT dataset FROM publications WHERE run = :run AND removed_at IS NULL ORDER BY dataset
"""
# What was registered in place has no archive: the output of its run is its source.
_OUTPUT = """
SELECT output FROM runs WHERE run = :run AND NOT EXISTS (
  SELECT 1 FROM publications WHERE publications.run = runs.run AND transfer = 'in-place')
"""


@dataclass(frozen=True)
class Front:
    """What a chain begins with.

    Attributes
    ----------
    run
        Its first member; None for an empty chain, or where that is a chain.
    output
        The archive that this run's products are in; None where there is none, as its files
        were only registered where they lie.
    datasets
        Everything that the chain holds.
    """

    run: str | None
    output: str | None
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Move:
    """What became of a chain.

    Attributes
    ----------
    chain
        Its name.
    front
        What is in front of it now.
    left
        The run that left it; None where none did.
    behind
        The run that stays behind the new one, as it holds datasets that the new one does not.
    missing
        Those datasets.
    changed
        False where the chain began so before.
    """

    chain: str
    front: tuple[str, ...]
    left: str | None = None
    behind: str | None = None
    missing: tuple[str, ...] = ()
    changed: bool = True


def look_at_front(rows: Rows, chain: str) -> Front:
    """Return what a chain begins with.

    Raises
    ------
    ConfigError
        There is no such chain.
    """
    members = chain_members(rows, chain)
    held = {each for run in chain_runs(rows, chain) for each in datasets_in(rows, run)}
    first = members[0] if members and kind_of(rows, members[0]) != CHAIN else None
    outputs = rows(_OUTPUT, {"run": first}) if first else []
    output = outputs[0]["output"] if outputs else None
    return Front(first, output, tuple(sorted(held)))


def check_chain(rows: Rows | None, chain: str) -> None:
    """Refuse, before any work, a name that cannot be a chain's.

    Raises
    ------
    ConfigError
        The name is not allowed, or is that of a run or another collection.
    """
    kind = None if rows is None else kind_of(rows, chain)
    if not is_run_name(chain):
        message = "not a name for a chain"
        raise ConfigError(message, expected=RUN_NAMES, found=repr(chain))
    if kind not in {None, CHAIN}:
        message = f"a {kind} has this name: a chain needs another"
        raise ConfigError(message, found=chain)


def datasets_in(rows: Rows, run: str) -> tuple[str, ...]:
    """Return the datasets that a run holds, in order of their names."""
    return tuple(row["dataset"] for row in rows(_HELD, {"run": run}))


def put_in_front(connection: Connection, chain: str, runs: Sequence[str]) -> Move:
    """Put runs in front of a chain, which is made if it is new.

    Parameters
    ----------
    runs
        At least one; the first comes first.

    Raises
    ------
    ConfigError
        The name of the chain is not free, or there is no such run.
    """
    rows = rows_of(connection)
    before = chain_members(rows, chain) if kind_of(rows, chain) == CHAIN else []
    if tuple(before[: len(runs)]) == tuple(runs):
        return Move(chain, tuple(runs), changed=False)
    after = [*runs, *(member for member in before if member not in runs)]
    define_chain(connection, chain, after)
    return Move(chain, tuple(runs))


def replace_front(connection: Connection, chain: str, new_run: str) -> Move:
    """Put a run in front of a chain, in place of its first run.

    The first run leaves the chain if the new one has every dataset that it has; otherwise it
    stays behind the new one, so that the chain loses nothing. Where the new run is in front
    already, nothing changes. Nobody ever sees the chain without either of the two.

    Raises
    ------
    ConfigError
        There is no such chain or run.
    """
    rows = rows_of(connection)
    front = look_at_front(rows, chain)
    if front.run == new_run:
        return Move(chain, (new_run,), changed=False)
    if front.run is None:
        return put_in_front(connection, chain, [new_run])
    missing = sorted({*datasets_in(rows, front.run)} - {*datasets_in(rows, new_run)})
    if missing:
        put_in_front(connection, chain, [new_run])
        return Move(chain, (new_run,), behind=front.run, missing=tuple(missing))
    replace_in_chain(connection, chain, front.run, new_run)
    return Move(chain, (new_run,), left=front.run)
