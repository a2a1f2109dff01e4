"""`hstflow archive chain`: ordered lists of runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from calib.errors import ConfigError
from calib.ledger.holdings import CHAIN, chain_members, kind_of
from calib.ledger.location import ledger_url
from calib.repository.repository import Repository
from deployments.cli.console import Flag, Several, err, expand_names, out, print_json, size_text
from deployments.cli.tables import cell, plain_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from calib.ledger.reports import Rows


def chain(
    name: str,
    *members: str,
    front: Several = None,
    back: Several = None,
    flatten: Flag = False,
    note: str | None = None,
    remove: Flag = False,
    json: Flag = False,
) -> int:
    """Show a chain, or give it the runs that are named.

    A chain is an ordered list of runs and other chains. `archive products --in CHAIN` takes
    each dataset from the first run that holds it.

    Parameters
    ----------
    name
        Its name.
    members
        Runs and chains, those to be looked at first in front: they take the place of all that
        it held. Or @FILE with one a line. Without any, and without options, it is shown.
    front
        Run or chain to put in front of what it holds; may be repeated.
    back
        Run or chain to put behind what it holds; may be repeated.
    flatten
        Keep the runs that the chains in it hold now, not the chains themselves; without a run
        or chain, of what it holds already.
    note
        A word about it.
    remove
        Forget the chain; its runs stay.
    json
        Write JSON to stdout.
    """
    named = expand_names(members)
    ends = {"front": expand_names(front or ()), "back": expand_names(back or ())}
    is_changed = bool(named) or any(ends.values()) or flatten or note is not None
    if (named and any(ends.values())) or (remove and is_changed):
        message = "say one: RUN..., --front and --back, or --remove alone"
        raise ConfigError(message, found=name)
    repository = Repository(ledger_url(os.environ))
    if remove:
        repository.chain(name)  # refuses what is no chain
        repository.remove(name)
        err.print(f"{escape(name)}: forgotten")
        return 0
    if is_changed:
        _change(
            repository.url,
            name,
            lambda c: _rewrite(c, name, named, ends, flatten=flatten, note=note),
        )
    _show(repository, name, json=json)
    return 0


def _change(url: str, name: str, work: Callable[[Connection], None]) -> None:
    """Change a chain in one transaction, and say what it held before."""
    from calib.ledger.ledger import open_ledger

    with open_ledger(url) as ledger:
        before = ledger.ask(lambda rows: _members(rows, name))
        ledger.write(work)
        after = ledger.ask(lambda rows: _members(rows, name))
    if before not in (None, after):
        err.print(escape(f"{name} held {', '.join(before) or 'nothing'}"), style="dim")


def _members(rows: Rows, name: str) -> list[str] | None:
    return chain_members(rows, name) if kind_of(rows, name) == CHAIN else None


def _rewrite(
    connection: Connection,
    name: str,
    members: Sequence[str],
    ends: Mapping[str, Sequence[str]],
    *,
    flatten: bool,
    note: str | None,
) -> None:
    from calib.ledger.collections import define_chain, ensure_collection, extend_chain

    if members:
        define_chain(connection, name, members)
    extend_chain(connection, name, ends["front"], where="front")
    extend_chain(connection, name, ends["back"], where="back", flatten=flatten)
    ensure_collection(connection, name, CHAIN, note=note)


def _show(repository: Repository, name: str, *, json: bool) -> None:
    members, runs = repository.chain_members(name), repository.chain(name)
    found = {each.run: each for each in repository.runs(*runs)} if runs else {}
    if json:
        print_json({"name": name, "members": members, "runs": runs})
        return
    out.print(f"[bold]{escape(name)}[/bold]: {escape(', '.join(members)) or 'holds nothing'}")
    numbers = ("datasets", "products", "size")
    table = plain_table("", "run", *numbers, "context", right=("", *numbers))
    for place, run in enumerate(runs, start=1):
        row = found[run]
        counts = (f"{row.datasets:,}", f"{row.products:,}", size_text(row.bytes))
        table.add_row(str(place), cell(run), *counts, cell(row.context))
    if runs:
        out.print(table)
