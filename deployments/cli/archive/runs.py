"""`hstflow archive runs`: which runs and collections there are, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any, Literal

from calib.ledger.holdings import Collection, list_collections
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.products import Run, find_runs
from calib.ledger.reading import open_reader
from deployments.cli.console import Flag, count_text, err, expand_names, out, print_json, size_text
from deployments.cli.tables import cell, plain_table, tell_no_ledger, time_text

_HOLDS = {"chain": "member", "tag": "product", "calibration": "reference"}


def runs(
    *names: str,
    kind: Literal["processed", "ingested"] | None = None,
    context: str | None = None,
    json: Flag = False,
) -> int:
    """List runs with what they hold, and the chains, tags and calibration collections.

    Parameters
    ----------
    names
        Runs and collections, with * and ? (quoted), or @FILE with one a line.
    kind
        Only runs that were processed here, or ingested.
    context
        Only runs on this CRDS context; may hold * and ?.
    json
        Write JSON to stdout.
    """
    wanted = tuple(expand_names(names))
    url = ledger_url(os.environ)
    found: list[Run] = []
    collections: list[Collection] = []
    with open_reader(url) as rows:
        if rows is not None:
            found = find_runs(rows, wanted, kind=kind, context=context)
            every = list_collections(rows) if kind is None and context is None else []
            collections = [each for each in every if _is_wanted(each.name, wanted)]
    if json:
        print_json(
            {
                "ledger": hide_credentials(url),
                "exists": rows is not None,
                "runs": [asdict(each) for each in found],
                "collections": [asdict(each) for each in collections],
            }
        )
    elif rows is None:
        tell_no_ledger(url)
    elif not found and not collections:
        err.print("no such run")
    else:
        _print(found, collections)
    return 0


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)


def _print(found: Sequence[Run], collections: Sequence[Collection]) -> None:
    if found:
        out.print(_run_table(found))
    if collections:
        out.print(_collection_table(collections))


def _run_table(found: Sequence[Run]) -> Any:
    numbers = ("datasets", "current", "products", "size")
    columns = ("run", "kind", *numbers, "context", "engine", "made (UTC)", "output")
    table = plain_table(*columns, right=numbers)
    for each in found:
        table.add_row(
            cell(each.run),
            each.kind,
            f"{each.datasets:,}",
            f"{each.current_datasets:,}",
            f"{each.products:,}",
            size_text(each.bytes),
            cell(each.context),
            cell(f"{each.engine} {each.engine_version}"),
            time_text(each.created_at),
            cell(each.output),
        )
    return table


def _collection_table(collections: Sequence[Collection]) -> Any:
    table = plain_table("collection", "kind", "holds", "changed (UTC)", "note")
    for each in collections:
        held = ", ".join(each.members) or count_text(each.number, _HOLDS[each.kind])
        changed = time_text(each.updated_at)
        table.add_row(cell(each.name), each.kind, cell(held), changed, cell(each.note))
    return table
