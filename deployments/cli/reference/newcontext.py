"""`hstflow reference newcontext`: a context from an older one and new rules."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from deployments.cli.console import Flag, out, print_json
from deployments.cli.reference.places import context_of, find_files, profile_of


def newcontext(
    context: str,
    /,
    *rules: Annotated[str, Parameter(required=True)],
    output: Path | None = None,
    name: str | None = None,
    dry_run: Annotated[Flag, Parameter(alias="-n")] = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Make a context from an older one and new rules: a pmap, and an imap for each instrument.

    The cache stays as it is; `hstflow context deliver` makes a context that can be archived.

    Parameters
    ----------
    context
        The context to start from.
    rules
        New rules (.rmap), one file for a type, or @FILE with one a line.
    output
        Folder for the pmap and the imaps; by default the current one. Nothing is overwritten.
    name
        Of the new context; by default one more than the last, from hst_9000.pmap on.
    dry_run
        Only show what would be written.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.newcontext import new_context

    place = profile_of(profile)
    made = new_context(
        place,
        context_of(context, place),
        find_files(rules, place),
        output or Path(),
        name=name,
        dry_run=dry_run,
    )
    if json:
        print_json({"written": not dry_run, **asdict(made)})
        return 0
    out.print(f"{made.name} from {made.old}", soft_wrap=True)
    for path in made.files:
        out.print(f"{'would write' if dry_run else 'wrote'} {escape(str(path))}", soft_wrap=True)
    return 0
