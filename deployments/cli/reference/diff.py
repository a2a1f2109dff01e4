"""`hstflow reference diff`: two references, or two files of rules."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from calib.errors import DONE, GENERIC
from deployments.cli.console import Flag, count_text, out, print_json
from deployments.cli.reference.places import find_file, profile_of
from deployments.cli.tables import cell, plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calib.references.delivery.differences import RuleDifference
    from calib.references.profile import CrdsProfile

_STYLES = {"added": "green", "deleted": "red", "replaced": "yellow"}


def diff(old: str, new: str, /, *, profile: str | None = None, json: Flag = False) -> int:
    """Compare two references, or two files of rules (.rmap, .imap, .pmap).

    References: headers, pixels, tables and their rows. Rules: each case that exposures match
    with, and the references before and after; what only the headers of rules say (names,
    checksums) does not count. Exit code 1 where they differ.

    Parameters
    ----------
    old
        A path, or the name of a file in the CRDS cache.
    new
        The same.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    place = profile_of(profile)
    first, second = find_file(old, place), find_file(new, place)
    if first.suffix == ".fits":
        return _references(place, first, second, json=json)
    from calib.references.delivery.differences import rule_differences

    found = rule_differences(place, first.resolve(), second.resolve())
    if json:
        print_json({"old": first.name, "new": second.name, "differences": list(map(asdict, found))})
    else:
        show_differences(found)
        number = count_text(len(found), "difference")
        out.print(f"{first.name} -> {second.name}: {number}", soft_wrap=True)
    return GENERIC if found else DONE


def show_differences(found: Sequence[RuleDifference]) -> None:
    """Print the cases of rules that differ."""
    if not found:
        return
    table = plain_table("type", "exposures", "since", "before", "now", whole=("since",))
    for each in found:
        case = " ".join(f"{key}={value}" for key, value in each.match.items())
        row = (f"{each.instrument} {each.kind.upper()}", case, each.since, each.old, each.new)
        table.add_row(*map(cell, row), style=_STYLES.get(each.action))
    out.print(table)


def _references(profile: CrdsProfile, old: Path, new: Path, *, json: bool) -> int:
    from calib.references.delivery.differences import compare_references

    report = compare_references(profile, old, new)
    if json:
        same = not report
        print_json({"old": str(old), "new": str(new), "identical": same, "report": report})
    else:
        sys.stdout.write(report or f"{old.name} and {new.name} are the same\n")
    return GENERIC if report else DONE
