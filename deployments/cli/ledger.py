"""`hstflow ledger`: keep the ledger's schema up to date, and copy it."""

from __future__ import annotations

import os
from pathlib import Path

from cyclopts import App
from rich.markup import escape

from calib.ledger.location import ledger_url
from deployments.cli.console import out

app = App(name="ledger", help="Upgrade and back up the ledger.")


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
    out.print(f"{escape(str(target))}: {size / 1e6:.1f} MB", soft_wrap=True)
    return 0
