"""`hstflow context history`: which contexts were operational, and when we saw them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.ledger.location import ledger_url
from calib.ledger.reading import open_reader
from calib.ledger.reprocessing_reports import SeenContext, seen_contexts
from calib.references.profile import CrdsProfile
from deployments.cli.console import Flag, err, out, print_json
from deployments.cli.context.places import Heard, ask, profile_of
from deployments.cli.tables import plain_table, time_text


def history(
    *,
    profile: str | None = None,
    number: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 20,
    cached: Flag = False,
    json: Flag = False,
) -> int:
    """List the contexts that were operational, newest first, and when we first saw them.

    The dates are the server's (UTC); "seen" is when `context_watch` found the context. Where the
    server does not answer, what it said at the last synchronisation is shown.

    Parameters
    ----------
    profile
        onsite, offsite, cloud, or a TOML file; by default as for `hstflow context show`.
    number
        How many to list.
    cached
        Do not ask the server.
    json
        Write JSON to stdout.
    """
    place = profile_of(profile)
    heard = ask(place, server=not cached)
    seen = _seen()
    rows = _rows(place, heard, seen)[:number]
    if json:
        print_json(
            {
                "source": heard.source,
                "asked_now": heard.is_now,
                "error": heard.error,
                "contexts": rows,
                "seen": [vars(each) for each in seen],
            }
        )
    else:
        _print(heard, rows)
    return 0


def _seen() -> list[SeenContext]:
    with open_reader(ledger_url(os.environ)) as rows:
        return [] if rows is None else seen_contexts(rows)


def _rows(profile: CrdsProfile, heard: Heard, seen: Sequence[SeenContext]) -> list[dict[str, Any]]:
    first = {each.context: each.seen_at for each in reversed(seen)}
    rows: list[dict[str, Any]] = [
        {"since": str(date), "context": str(name), "description": str(text)}
        for date, name, text in heard.info.get("context_history", ())
    ]
    told = {row["context"] for row in rows}
    rows += [
        {"since": None, "context": name, "description": ""} for name in first if name not in told
    ]
    rows.sort(key=lambda row: row["since"] or time_text(first.get(row["context"])), reverse=True)
    now = heard.info.get("operational_context")
    for row in rows:
        row["seen_at"] = first.get(row["context"])
        row["in_cache"] = (profile.mappings / row["context"]).is_file()
        row["operational"] = row["context"] == now
    return rows


def _print(heard: Heard, rows: Sequence[dict[str, Any]]) -> None:
    if heard.error:
        err.print(escape(heard.error), soft_wrap=True)
    if not rows:
        out.print("nothing is known: no server answered, and the cache was never synchronised")
        return
    columns = ("operational since", "context", "seen", "here", "what")
    table = plain_table(*columns, whole=columns[:-1])
    for row in rows:
        name = f"[bold]{row['context']}[/bold]" if row["operational"] else row["context"]
        here = "yes" if row["in_cache"] else "no"
        since = time_text(row["since"])
        table.add_row(since, name, time_text(row["seen_at"]), here, escape(row["description"]))
    out.print(table)
