"""`hstflow reference checksum`: the checksums inside references and rules."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from calib.errors import BESTREFS, DONE, ConfigError
from deployments.cli.console import Flag, out, print_json
from deployments.cli.reference.places import find_files, profile_of
from deployments.cli.tables import cell, plain_table

_STYLES = {"wrong": "red", "none": "yellow"}


def checksum(
    *files: Annotated[str, Parameter(required=True)],
    verify: Flag = False,
    remove: Flag = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Write the checksums of references (CHECKSUM, DATASUM) and rules (sha1sum), in place.

    Parameters
    ----------
    files
        Paths, names of files in the CRDS cache (to verify), or @FILE with one a line.
    verify
        Compare them only; exit code 27 where one is wrong.
    remove
        Take them out of references; rules must have one.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.checksums import Action
    from calib.references.delivery.checksums import checksum as work

    if verify and remove:
        raise ConfigError("one thing at a time", expected="--verify or --remove", found="both")
    place = profile_of(profile)
    paths = find_files(files, place)
    action: Action = "verify" if verify else "remove" if remove else "write"
    inside = [path for path in paths if path.resolve().is_relative_to(place.cache.resolve())]
    if inside and not verify:
        raise ConfigError("files of the CRDS cache are not changed", path=inside[0])
    found = [work(place, path, action) for path in paths]
    if json:
        print_json([asdict(each) for each in found])
    else:
        table = plain_table("file", "checksum", "what")
        for each in found:
            style = _STYLES.get(each.state, "green")
            state = f"[{style}]{each.state}[/{style}]"
            table.add_row(cell(each.path), state, cell(each.text))
        out.print(table)
    return BESTREFS if any(each.state == "wrong" for each in found) else DONE
