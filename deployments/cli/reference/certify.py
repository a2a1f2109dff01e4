"""`hstflow reference certify`: whether CRDS would take files."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from calib.errors import BESTREFS, DONE
from deployments.cli.console import Flag, count_text, err, out, print_json
from deployments.cli.reference.places import context_of, find_files, profile_of
from deployments.cli.tables import cell, plain_table

if TYPE_CHECKING:
    from calib.references.delivery.certify import Certification

_STYLES = {"error": "red", "warning": "yellow"}


def certify(
    *files: Annotated[str, Parameter(required=True)],
    context: str | None = None,
    compare: bool = True,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Check reference files, or rules, as CRDS does before it takes them.

    References: required keywords, their values, columns of tables, arrays, rows against the
    table that is replaced (where the cache has it). Rules: syntax, checksum, doubled cases. If
    all are well, the references are put into the rules of their types on trial: two that match
    the same exposures are told. Exit code 27 where there is an error. Nothing is written.

    Parameters
    ----------
    files
        Paths, names of files in the CRDS cache, or @FILE with one a line.
    context
        The rules to check against; by default the operational context.
    compare
        Compare tables with those that they replace.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.certify import certify_files

    place = profile_of(profile)
    paths = find_files(files, place)
    with err.status("certifying"):
        found = certify_files(place, paths, context_of(context, place), compare=compare)
    if json:
        print_json({"errors": found.errors, **asdict(found)})
    else:
        show_certification(found)
    return BESTREFS if found.errors else DONE


def show_certification(found: Certification) -> None:
    """Print what was found, a line for each message, and the verdict."""
    table = plain_table("file", "type", "", "what", whole=("type",))
    for each in found.files:
        kind = " ".join((each.instrument or "", (each.kind or "").upper())).strip()
        kind = kind or ("?" if each.path.suffix == ".fits" else "rules")
        rows = [("error", text) for text in each.errors]
        rows += [("warning", text) for text in each.warnings]
        for level, text in rows or [("ok", "")]:
            style = _STYLES.get(level, "green")
            table.add_row(
                cell(each.path.name), cell(kind), f"[{style}]{level}[/{style}]", cell(text)
            )
    for finding in found.together:
        style = _STYLES[finding.level]
        level = f"[{style}]{finding.level}[/{style}]"
        table.add_row("all together", "", level, cell(finding.text))
    out.print(table)
    verdict = f"[red]{count_text(found.errors, 'error')}[/red]" if found.errors else "no error"
    number = count_text(len(found.files), "file")
    out.print(f"{number} against {found.context}: {verdict}", soft_wrap=True)
