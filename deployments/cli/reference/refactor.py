"""`hstflow reference refactor`: new rules, from old ones and references."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from deployments.cli.console import Flag, expand_names, out, print_json
from deployments.cli.reference.diff import show_differences
from deployments.cli.reference.places import find_file, find_files, profile_of


def refactor(
    old_rules: str,
    new_rules: Path,
    /,
    *files: Annotated[str, Parameter(required=True)],
    delete: Flag = False,
    dry_run: Annotated[Flag, Parameter(alias="-n")] = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Insert references into rules, and write the new rules; the old ones stay.

    Shows what differs then. Nothing is overwritten.

    Parameters
    ----------
    old_rules
        A path, or the name of rules in the CRDS cache (hst_acs_darkfile_0363.rmap).
    new_rules
        Where to write the new ones; the name must be that of rules of this type.
    files
        Reference files, or @FILE with one a line; with --delete names of references.
    delete
        Take these references out of the rules instead.
    dry_run
        Show what would differ, and write nothing.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.refactoring import refactor_rules

    place = profile_of(profile)
    old = find_file(old_rules, place)
    insert = [] if delete else find_files(files, place)
    names = [Path(name).name for name in expand_names(files)] if delete else []
    made = refactor_rules(place, old, new_rules, insert=insert, delete=names, dry_run=dry_run)
    if json:
        print_json({"written": not dry_run, **asdict(made)})
        return 0
    show_differences(made.differences)
    for text in made.warnings:
        out.print(f"[yellow]warning[/yellow] {escape(text)}", soft_wrap=True)
    out.print(f"{'would write' if dry_run else 'wrote'} {escape(str(new_rules))}", soft_wrap=True)
    return 0
