"""`hstflow reference uses`: which rules and contexts name a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import BESTREFS, DONE
from deployments.cli.console import Flag, err, expand_names, out, print_json
from deployments.cli.reference.places import profile_of
from deployments.cli.tables import cell, plain_table


def uses(
    *names: Annotated[str, Parameter(required=True)],
    every: Flag = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Show which rules and contexts of the cache name a reference, or rules.

    Exit code 27 where nothing names one of them.

    Parameters
    ----------
    names
        References or rules, commas, or @FILE with one a line.
    every
        Show all names, not only how many there are from which to which.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.listing import find_naming

    found = find_naming(profile_of(profile), expand_names(names))
    missing = [each.name for each in found if not (each.rmaps or each.imaps or each.contexts)]
    if json:
        print_json([asdict(each) for each in found])
        return BESTREFS if missing else DONE
    table = plain_table("name", "rules", "instrument rules", "contexts")
    for each in found:
        if each.name not in missing:
            parts = (each.rmaps, each.imaps, each.contexts)
            table.add_row(cell(each.name), *(cell(_range(p, every=every)) for p in parts))
    if table.row_count:
        out.print(table)
    for name in missing:
        err.print(f"nothing in the cache names {escape(name)}", soft_wrap=True)
    return BESTREFS if missing else DONE


def _range(names: Sequence[str], *, every: bool) -> str:
    """Return names, oldest first: all, or the first and the last and how many."""
    most = 2
    if every or len(names) <= most:
        return " ".join(names)
    return f"{names[0]} ... {names[-1]} ({len(names):,})"
