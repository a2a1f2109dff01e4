"""`hstflow archive show`: all about a dataset, a file or a reference."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calib.errors import NotFound
from calib.ledger.description import Description, Version, describe
from calib.ledger.lineage import Lineage, Use, UsedReference
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.products import Product
from calib.ledger.reading import open_reader
from calib.ledger.reports import JobSummary
from calib.repository.origins import Making
from deployments.cli.console import Flag, count_text, out, print_json, size_text, styled
from deployments.cli.tables import cell, plain_table, tell_no_ledger, time_text

# Of what was made with a reference, a table shows the first; --json gives all.
MOST_USES = 50

# More previews than these are one line; --json gives all.
MOST_PREVIEWS = 3

# Letters of a checksum that tell files apart; --json gives all.
_SHORT = 12


def show(
    name: str,
    *,
    run: str | None = None,
    manifest: Annotated[bool | None, Parameter(negative="--no-manifest")] = None,
    json: Flag = False,
) -> int:
    """Show versions, files, origin and use of a dataset, an exposure or a file.

    Of several versions the current one is shown, or the latest. Given a reference, what was
    made with it is shown; given an input, what was made of it.

    Parameters
    ----------
    name
        Dataset, exposure, file, sha256 of a file, or reference (x_bia.fits, jref$x_bia.fits).
    run
        Show the version of this run.
    manifest
        Read the manifest too, for versions and switches. It is read where it lies on this
        machine, in a bucket only with --manifest.
    json
        Write JSON to stdout.
    """
    url = ledger_url(os.environ)
    with open_reader(url) as rows:
        found = None if rows is None else describe(rows, name, run=run)
    if found is None:
        if json:
            print_json({"ledger": hide_credentials(url), "exists": False, "name": name})
        else:
            tell_no_ledger(url)
        return 0
    if not found.is_known:
        message = "the ledger knows no dataset, file or reference of this name"
        raise NotFound(message, found=name)
    lineage, making, trouble = _origin(found.shown, wanted=manifest)
    if json:
        print_json(_report(url, found, lineage, making, trouble))
    else:
        _print(out, found, lineage, making, trouble)
    return 0


def _origin(
    lineage: Lineage | None, *, wanted: bool | None
) -> tuple[Lineage | None, Making | None, str | None]:
    """Return lineage and making from the manifest, or why it could not be read."""
    from calib.errors import ArchiveError, ConfigError, Unavailable
    from calib.repository.origins import complete, is_local, read_making

    if lineage is None or lineage.manifest_sha256 is None or lineage.removed_at is not None:
        return lineage, None, None
    if wanted is False or (wanted is None and not is_local(lineage.uri)):
        return lineage, None, None
    try:
        making = read_making(lineage)
    except (ArchiveError, ConfigError, Unavailable) as error:
        return lineage, None, str(error)
    return complete(lineage, making), making, None


def _report(
    url: str,
    found: Description,
    lineage: Lineage | None,
    making: Making | None,
    trouble: str | None,
) -> dict[str, Any]:
    words = {"inputs", "references"}
    made = None if making is None else {k: v for k, v in asdict(making).items() if k not in words}
    return {
        "ledger": hide_credentials(url),
        "exists": True,
        **asdict(found),
        "shown": None if lineage is None else asdict(lineage),
        "manifest": made,
        "manifest_error": trouble,
    }


def _print(
    console: Console,
    found: Description,
    lineage: Lineage | None,
    making: Making | None,
    trouble: str | None,
) -> None:
    _print_title(console, found)
    _print_versions(console, found.versions, lineage)
    if lineage is not None:
        _print_files(console, found.products, lineage)
        _print_making(console, lineage, making)
        if trouble is not None:
            console.print(f"[yellow]manifest[/yellow]   {escape(trouble)}", soft_wrap=True)
        _print_inputs(console, lineage)
        _print_references(console, lineage.references)
    _print_uses(console, found)
    _print_jobs(console, found.jobs)


def _print_title(console: Console, found: Description) -> None:
    console.print(f"[bold]{escape(found.name)}[/bold]")
    seen = found.data_id
    if seen is not None:
        beam = [seen["instrument"].upper(), seen["detector"], seen["filter"], seen["target"]]
        words = [str(each) for each in beam if each]
        if seen["exptime"] is not None:
            words.append(f"{seen['exptime']:g} s")
        if seen["observed_at"] is not None:
            words.append(f"from {time_text(seen['observed_at'])} UTC")
        proposal = "" if seen["proposal"] is None else f"proposal {seen['proposal']}, "
        place = f"{proposal}program {seen['program']}, visit {seen['visit']}"
        console.print(escape(f"{', '.join(words)}; {place}"))


def _print_versions(console: Console, versions: Sequence[Version], lineage: Lineage | None) -> None:
    if not versions:
        return
    shown = None if lineage is None else (lineage.run, lineage.dataset)
    table = plain_table("", "run", "dataset", "published (UTC)", "chains", "tags", "where")
    for each in versions:
        is_shown = (each.run, each.dataset) == shown
        pruned = each.removed_at is not None
        where = f"pruned {time_text(each.removed_at)}" if pruned else each.uri
        table.add_row(
            "*" if each.is_current else "",
            f"[bold]{cell(each.run)}[/bold]" if is_shown else cell(each.run),
            cell(each.dataset),
            time_text(each.published_at),
            cell(", ".join(each.chains)),
            cell(", ".join(each.tags)),
            cell(where),
        )
    _section(console, f"{count_text(len(versions), 'version')} (* current)", table)


def _print_files(console: Console, products: Sequence[Product], lineage: Lineage) -> None:
    table = plain_table("file", "type", "size", "sha256", right=("size",))
    previews = [each for each in products if each.type == "preview"]
    few = len(previews) <= MOST_PREVIEWS
    for each in products if few else [each for each in products if each.type != "preview"]:
        checksum = (each.sha256 or "")[:_SHORT]
        table.add_row(cell(each.name), cell(each.type), size_text(each.size), checksum)
    if not few:
        size = size_text(sum(each.size for each in previews))
        table.add_row(count_text(len(previews), "preview"), "preview", size, "")
    for gone in lineage.tombstones:
        text = f"not made any more; last in {gone.last_run}"
        table.add_row(f"[strike]{cell(gone.name)}[/strike]", "", "", cell(text))
    size = size_text(sum(each.size for each in products))
    _section(console, f"{count_text(len(products), 'file')}, {size}, in {lineage.run}", table)


def _print_making(console: Console, lineage: Lineage, making: Making | None) -> None:
    table = plain_table("", "")
    table.show_header = False
    how = "" if lineage.transfer == "copy" else f", {lineage.transfer}"
    table.add_row("kind", f"{lineage.kind}{how}")
    table.add_row("context", cell(lineage.context))
    named = {} if making is None else making.engine
    engine = f"{named['name']} {named.get('version', '')}" if named.get("name") else ""
    asked = f"{lineage.engine} {lineage.engine_version}"
    table.add_row("engine", cell(f"{engine} (asked for: {lineage.engine})" if engine else asked))
    table.add_row("parameters", cell(_parameters(lineage.parameters)))
    if making is not None:
        versions = ", ".join(f"{name} {each}" for name, each in making.environment.items())
        done = [name for name, state in making.switches.items() if state in {"COMPLETE", "PERFORM"}]
        table.add_row("done", cell(", ".join(done)))
        table.add_row("versions", cell(versions))
        for note in making.notes:
            table.add_row("note", cell(note))
        if making.as_registered is False:
            table.add_row("manifest", "[red]changed since it was registered[/red]")
    table.add_row("fingerprint", cell(lineage.fingerprint))
    _section(console, "made", table)


def _parameters(parameters: dict[str, Any]) -> str:
    """Return what was set, leaving out what is empty."""
    overrides = parameters.get("overrides")
    flat = {k: v for k, v in parameters.items() if k != "overrides"}
    if isinstance(overrides, dict):
        for part in overrides.values():
            flat.update(part if isinstance(part, dict) else {})
    return ", ".join(f"{name}={value}" for name, value in flat.items() if value) or "as they come"


def _print_inputs(console: Console, lineage: Lineage) -> None:
    if not lineage.inputs and not lineage.recorded:
        console.print("\n[dim]inputs and references are not known[/dim]")
        return
    roles = {row.rootname: row.type for row in lineage.members}
    table = plain_table("file", "role", "size", "sha256", "also in", right=("size",))
    for each in lineage.inputs:
        also = sorted({f"{origin.dataset} of {origin.run}" for origin in each.products})
        role = roles.get(each.rootname, "")
        checksum = each.sha256[:_SHORT]
        row = (cell(each.name), cell(role), size_text(each.size), checksum)
        table.add_row(*row, cell(", ".join(also)))
    sources = sorted({each.source for each in lineage.inputs})
    title = f"from {count_text(len(lineage.inputs), 'input')}, {', '.join(sources)}"
    _section(console, title, table)


def _print_references(console: Console, references: Iterable[UsedReference]) -> None:
    """Print each reference once, with the exposures that do not share it."""
    used = [each for each in references if each.reference != "N/A"]
    if not used:
        return
    exposures = {each.exposure for each in used}
    table = plain_table("keyword", "reference", "sha1", "use", "exposures")
    ordered = sorted(used, key=lambda each: (each.keyword, each.reference, each.exposure))
    for (keyword, name), group in groupby(ordered, lambda each: (each.keyword, each.reference)):
        those = list(group)
        needed = "opened" if any(each.required for each in those) else ""
        missing = "" if all(each.present for each in those) else "[yellow]not there[/yellow]"
        of = {each.exposure for each in those}
        which = "" if of == exposures else ", ".join(sorted(of))
        checksum = (those[0].sha1 or "")[:_SHORT]
        table.add_row(keyword, cell(name), checksum, missing or needed, cell(which))
    _section(console, "with references", table)


def _print_uses(console: Console, found: Description) -> None:
    uses = found.used_by
    if not uses:
        return
    table = plain_table("", "dataset", "run", "published (UTC)", "as", "of")
    for each in uses[:MOST_USES]:
        table.add_row("*" if each.is_current else "", *_use_cells(each))
    _section(console, f"used by {count_text(len(uses), 'publication')}", table)
    if len(uses) > MOST_USES:
        console.print(f"{len(uses) - MOST_USES:,} more: --json")


def _use_cells(use: Use) -> tuple[str, ...]:
    published = time_text(use.published_at) + (" (pruned)" if use.removed_at else "")
    how = ", ".join(use.keywords) or use.how
    return (cell(use.dataset), cell(use.run), published, cell(how), cell(", ".join(use.names)))


def _print_jobs(console: Console, jobs: Sequence[JobSummary]) -> None:
    if not jobs:
        return
    table = plain_table("campaign", "run", "state", "changed (UTC)", "attempts", "why")
    for job in jobs:
        kind = f"{job.error_class} {job.code}: " if job.error_class else ""
        table.add_row(
            cell(job.campaign),
            cell(job.run),
            styled(job.state),
            time_text(job.updated_at),
            str(job.attempts),
            cell(f"{kind}{job.reason or ''}"),
        )
    _section(console, count_text(len(jobs), "job"), table)


def _section(console: Console, title: str, table: Table) -> None:
    console.print(f"\n[cyan]{escape(title)}[/cyan]")
    console.print(table)
