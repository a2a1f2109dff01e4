"""`hstflow campaign resume`: go on with a campaign by its name."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter, validators

from deployments.cli.campaign.lookup import planned_campaign, reading
from deployments.cli.campaign.session import SessionFlags, run_session
from deployments.cli.console import Flag

Workers = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]
Verbose = Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())]


def resume(
    name: str,
    /,
    *,
    runner: str | None = None,
    workers: Workers = None,
    detach: Flag = False,
    json: Flag = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Go on with a campaign that was paused, interrupted or lost; what is finished stays so.

    Where a process is at work on it already, that one goes on, and this says which. Datasets
    that failed or were cancelled are taken up by `hstflow campaign rescue` alone. The exit
    code is 0 where every dataset is finished, else that of the most frequent error, 1 where
    there is none; 130 where it was interrupted.

    Parameters
    ----------
    name
        A campaign.
    runner
        local, threads, tcp:// or tls://HOST:PORT or a cluster file, for this session.
    workers
        Processes or threads of local and threads, for this session.
    detach
        Run in the background: the terminal may be closed. Its log file is named.
    json
        Write JSON to stdout.
    verbose
        Show every log line on stderr.
    quiet
        Show errors only.
    """
    with reading() as rows:
        planned = planned_campaign(rows, name)
    flags = SessionFlags(runner, workers, detach, json, verbose, quiet)
    return run_session(name, runner or str(planned.plan.get("runner", "local")), flags)
