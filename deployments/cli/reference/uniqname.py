"""`hstflow reference uniqname`: names that no other file has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from deployments.cli.console import Flag, out, print_json
from deployments.cli.reference.places import find_files, profile_of


def uniqname(
    *files: Annotated[str, Parameter(required=True)],
    output: Path | None = None,
    dry_run: Annotated[Flag, Parameter(alias="-n")] = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Write copies of new references under the names that CRDS gives: time, instrument, type.

    FILENAME, ROOTNAME and a HISTORY line of the copy say so; checksums are kept, renewed. The
    originals stay. A name that the cache or its server has is not given again.

    Parameters
    ----------
    files
        Reference files, or @FILE with one a line.
    output
        Folder for the copies; by default beside each original.
    dry_run
        Only show the names.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.names import unique_names, write_renamed

    place = profile_of(profile)
    names = unique_names(place, find_files(files, place))
    made = {path: (output or path.parent) / name for path, name in names.items()}
    for path, target in made.items():
        if not dry_run:
            write_renamed(place, path, target.parent, target.name)
    if json:
        rows = [{"original": str(path), "path": str(target)} for path, target in made.items()]
        print_json({"written": not dry_run, "files": rows})
        return 0
    for path, target in made.items():
        out.print(escape(f"{path} -> {target}"), soft_wrap=True)
    return 0
