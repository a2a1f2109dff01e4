"""`hstflow campaign reprocess`: a planned reprocessing, taken through all that is left."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from calib.errors import ConfigError
from calib.ledger.location import ledger_url
from calib.reprocessing.life import Result
from deployments.cli.campaign.approve import ask_on_terminal, decide
from deployments.cli.campaign.lookup import reading
from deployments.cli.campaign.reprocessings import (
    TakeFlags,
    find_reprocessing,
    show_standing,
    standing_of,
    take_on,
    tell_result,
)
from deployments.cli.console import Flag, err, out


@dataclass(frozen=True)
class ReprocessFlags:
    """Options of `hstflow campaign reprocess`.

    Attributes
    ----------
    yes
        Do not ask: it runs where every canary ended well, and stops at the review otherwise.
    wait
        At the review, wait until somebody decides by `hstflow campaign approve`.
    again
        Take one up again that was finished or cancelled: what was done stays so, and visits are
        looked at again whose inputs had failed. Cancelled datasets of one that was cancelled
        are submitted again; those that failed are before, by `hstflow campaign rescue`.
    json
        Write JSON to stdout.
    verbose
        Show every log line on stderr.
    quiet
        Show errors only.
    """

    yes: Flag = False
    wait: Flag = False
    again: Flag = False
    json: Flag = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False


def reprocess(
    name: str, /, *, flags: Annotated[ReprocessFlags | None, Parameter(name="*")] = None
) -> int:
    """Take a reprocessing from wherever it stands to its end: canaries, approval, run, report.

    First it looks whether the cache has the rules of the new context and every reference that
    changes, and gets what is missing; without them it is `blocked` and says for which files.
    Then a few canaries run, which readers are not shown, and the difference report is written.
    On a terminal it asks then; elsewhere it stops, and `hstflow campaign approve NAME` decides.
    Exposures and associations go first, then visits, then skycells, each when its inputs are
    final. What canaries made is not calibrated again.

    Ctrl-C stops it, and the same command goes on, on any host. It stays on its context, and
    says so where another one became operational meanwhile.

    For example: `hstflow campaign plan july --old hst_0632.pmap --new hst_0633.pmap`, then
    `hstflow campaign reprocess july`.

    The exit code is 0 where it is finished or waits for approval, 27 where it is blocked, that
    of the most frequent error where datasets failed, else 1.

    Parameters
    ----------
    name
        A reprocessing: a name given to `hstflow campaign plan`.
    """
    flags = flags or ReprocessFlags()
    if flags.yes and flags.wait:
        raise ConfigError("--yes and --wait exclude each other", expected="one of them")
    with reading() as rows:
        find_reprocessing(rows, name)
    if flags.again:
        from flows.reprocessing_session import open_again

        open_again(name, ledger_url(os.environ))
    take = TakeFlags(
        "yes" if flags.yes else "wait" if flags.wait else "ask",
        json=flags.json,
        verbose=flags.verbose,
        quiet=flags.quiet,
    )
    result = _asked(name, take_on(name, take), take)
    return tell_result(name, result, take)


def _asked(name: str, result: Result, flags: TakeFlags) -> Result:
    """Ask at the review where a person sits at a terminal, and go on as is said."""
    asks = sys.stdin.isatty() and err.is_terminal and not flags.json
    if result.outcome != "review" or flags.approval != "ask" or not asks:
        return result
    with reading() as rows:
        show_standing(standing_of(rows, find_reprocessing(rows, name)), steps=False)
    answer = ask_on_terminal()
    if answer is None:
        out.print("nothing is decided")
        return result
    decide(name, answer, None)
    return take_on(name, flags)
