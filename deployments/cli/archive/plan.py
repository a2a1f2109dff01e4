"""`hstflow archive plan`: what `hstflow process` would do, found out before anything runs."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from deployments.cli.console import show_logs
from deployments.cli.forecast import ForecastFlags, show_forecast
from deployments.cli.process import ProcessFlags, check_chain_of, read_arguments, request_for


def plan(
    *arguments: str,
    flags: Annotated[ProcessFlags | None, Parameter(name="*")] = None,
    view: Annotated[ForecastFlags | None, Parameter(name="*")] = None,
) -> int:
    """Resolve inputs, references, engine and run of datasets, and say what is missing.

    Takes what `hstflow process` takes. Nothing is written: no ledger row, no work folder, no
    product, no download. All datasets are looked at, whatever is wrong with some.

    Exit code: 0 where everything would run, also where there is nothing to do; else that of the
    first dataset that would fail (27 a reference is missing, 21 an input...).

    Parameters
    ----------
    arguments
        DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE], as for `hstflow process`. DATASET: names,
        or @FILE with one name a line.
    """
    flags, view = flags or ProcessFlags(), view or ForecastFlags()
    names, places = read_arguments(arguments)
    if flags.chain is not None:
        check_chain_of(flags.chain, places)
    show_logs(verbose=False, quiet=flags.quiet)
    request = request_for(places, flags)
    return show_forecast(request, names, view, json=flags.json, verbose=flags.verbose)
