"""`hstflow archive ack`: what an archive says of the products that it was given."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from rich.markup import escape

from calib.errors import COMMAND, DONE, ConfigError
from calib.ledger.location import ledger_url
from deployments.cli.console import Flag, err, expand_names, out, print_json, styled
from deployments.cli.progress import counted

if TYPE_CHECKING:
    from calib.repository.acknowledgement import Acknowledged


def ack(
    word: Literal["synced", "archived", "failed"],
    /,
    *datasets: str,
    campaign: str | None = None,
    run: str | None = None,
    message: str = "",
    json: Flag = False,
) -> int:
    """Write down that an archive has synced or archived datasets, or has failed to.

    Jobs go from processed to synced to archived; *failed* makes them errors of class
    ArchiveError, code 25, and leaves the products where they are. Saying the same twice
    changes nothing. Message files follow where a dataset has some. A name that cannot be
    acknowledged is told on stderr with exit code 2; the others are written down all the same.

    Parameters
    ----------
    word
        synced, archived or failed.
    datasets
        Names, commas, or @FILE with one name a line.
    campaign
        Only jobs of this campaign.
    run
        Products of this run; without it the current version.
    message
        What the archive says: kept in the history.
    json
        Write JSON to stdout.
    """
    from calib.ledger.ledger import open_ledger
    from calib.repository.acknowledgement import acknowledge
    from tasks.settings import load_settings

    names = expand_names(datasets)
    if not names:
        raise ConfigError("no dataset was named", expected="one or more names, or @FILE")
    work = load_settings().work
    with open_ledger(ledger_url(os.environ)) as ledger:
        told = acknowledge(
            ledger, word, names, work=work, campaign=campaign, run=run, message=message
        )
        found = [*counted(told, word, len(names))]
    if json:
        print_json([asdict(each) for each in found])
    else:
        _show(found)
    return COMMAND if any(each.refusal for each in found) else DONE


def _show(found: Sequence[Acknowledged]) -> None:
    # A dataset has several jobs with one publication where later ones found it: said once.
    for each in dict.fromkeys(found):
        where = escape(f"run {each.run}, campaign {each.campaign}") if each.run else ""
        if each.refusal:
            line = f"{escape(each.dataset)}: {escape(each.refusal)} {f'({where})' if where else ''}"
            err.print(f"[red]refused[/red] {line.strip()}", soft_wrap=True)
        else:
            known = "" if each.is_new else ", known before"
            line = f"{each.dataset} {styled(each.state or '')}: {where}{known}"
            out.print(line, soft_wrap=True)
