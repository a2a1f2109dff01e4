"""`hstflow reference matches`: for which exposures the rules choose a reference."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import BESTREFS, DONE
from deployments.cli.console import Flag, err, expand_names, out, print_json
from deployments.cli.reference.places import context_of, profile_of
from deployments.cli.tables import cell, plain_table


def matches(
    *names: Annotated[str, Parameter(required=True)],
    context: str | None = None,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Show for which exposures the rules choose a reference.

    A reference is used from its date on, until the next one of the same match. Exit code 27
    where a context does not name one of them.

    Parameters
    ----------
    names
        References, commas, or @FILE with one a line.
    context
        By default the operational context.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.listing import find_cases

    place = profile_of(profile)
    rules = context_of(context, place)
    wanted = expand_names(names)
    found = find_cases(place, rules, wanted)
    missing = sorted({*wanted} - {each.name for each in found})
    if json:
        cases = [asdict(each) for each in found]
        print_json({"context": rules, "cases": cases, "not_named": missing})
        return BESTREFS if missing else DONE
    if found:
        table = plain_table("reference", "type", "exposures", "since", whole=("since",))
        for each in found:
            case = " ".join(f"{key}={value}" for key, value in each.match.items())
            kind = f"{each.instrument} {each.keyword}"
            table.add_row(cell(each.name), cell(kind), cell(case), cell(each.since))
        out.print(table)
    for name in missing:
        err.print(f"{rules} does not name {escape(name)}", soft_wrap=True)
    return BESTREFS if missing else DONE
