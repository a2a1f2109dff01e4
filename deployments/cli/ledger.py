"""`hstflow ledger`: keep the ledger's schema up to date, copy, move and rebuild it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape

from calib.ledger.location import ledger_url
from deployments.cli.console import Flag, err, out, print_json, size_text
from deployments.cli.progress import following

app = App(name="ledger", help="Upgrade, copy, move and rebuild the ledger.")


def build_app(_focus: str | None = None) -> App:
    """Return the group; being one module, its commands always explain themselves."""
    return app


@app.command
def upgrade() -> int:
    """Make the ledger if there is none, and bring its schema up to date.

    Every command that writes does this by itself; an operator of a shared ledger may want to
    do it once, before.
    """
    from calib.ledger.ledger import open_ledger
    from calib.ledger.revision import REVISION

    with open_ledger(ledger_url(os.environ)) as ledger:
        out.print(f"{escape(ledger.url)}: up to date, schema {REVISION}", soft_wrap=True)
    return 0


@app.command
def backup(target: Path, /) -> int:
    """Copy a SQLite ledger into a new file, also while jobs are running.

    Parameters
    ----------
    target
        The new file; an existing one is never replaced.
    """
    from calib.ledger.backup import back_up

    size = back_up(ledger_url(os.environ), target)
    out.print(f"{escape(str(target))}: {size_text(size)}", soft_wrap=True)
    return 0


@app.command
def rebuild(output_uri: str, /, *, json: Flag = False) -> int:
    """Write down in the ledger what an archive holds, from its manifests alone.

    For a ledger that was lost, or an archive that came from elsewhere. What the ledger knows
    stays as it is; an interrupted rebuild goes on with the same command. Manifests that cannot
    be read are named, the rest goes on, and the exit code is 25. What a manifest does not tell
    stays lost: attempts that published nothing, and the costs of stages.

    Parameters
    ----------
    output_uri
        The archive: file:FOLDER or s3://BUCKET/PREFIX. It is only read.
    json
        Write JSON to stdout.
    """
    from calib.archive.outputs import open_output
    from calib.ledger.ledger import open_ledger
    from calib.repository.rebuild import rebuild as rebuild_ledger

    with open_ledger(ledger_url(os.environ)) as ledger, following("publications") as progress:
        done = rebuild_ledger(open_output(output_uri), ledger, progress=progress)
    if json:
        print_json(asdict(done))
        return done.code
    line = f"{done.new} publications new, {done.known} known, {done.current} datasets current"
    out.print(line, soft_wrap=True)
    for place, reason in done.problems:
        err.print(f"[red]problem[/red] {escape(place)}: {escape(reason)}", soft_wrap=True)
    return done.code


@app.command
def export(target: Annotated[Path, Parameter(allow_leading_hyphen=True)], /) -> int:
    """Write the ledger as text, one JSON object a line, as it is at one moment.

    Parameters
    ----------
    target
        The new file, gzipped if its name ends in .gz; - for stdout. An existing one is never
        replaced.
    """
    from calib.ledger.export import export_ledger

    is_piped = str(target) == "-"
    counts = export_ledger(ledger_url(os.environ), None if is_piped else target)
    if not is_piped:
        out.print(f"{escape(str(target))}: {sum(counts.values())} rows", soft_wrap=True)
    return 0


@app.command(name="import")
def import_(source: Path, /) -> int:
    """Fill an empty ledger with what was exported, on SQLite or PostgreSQL.

    The way from one to the other: export, set HSTFLOW_LEDGER, import. A file that is damaged
    or of another schema is refused whole.

    Parameters
    ----------
    source
        A file that `hstflow ledger export` wrote.
    """
    from calib.ledger.export import import_ledger
    from calib.ledger.ledger import open_ledger

    with open_ledger(ledger_url(os.environ)) as ledger:
        counts = import_ledger(source, ledger)
        out.print(f"{escape(ledger.url)}: {sum(counts.values())} rows", soft_wrap=True)
    return 0
