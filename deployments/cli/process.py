"""`hstflow process`: datasets through all six stages, here or as Prefect flow runs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ConfigError, Unavailable
from calib.records import Outcome
from deployments.cli.console import (
    err,
    expand_names,
    out,
    print_json,
    show_logs,
    showing_steps,
    split_arguments,
    styled,
)
from deployments.cli.forecast import ForecastFlags, show_forecast
from deployments.cli.threads import Threads, threads_or_all


@dataclass(frozen=True)
class ProcessFlags:
    """Options of `hstflow process`.

    Attributes
    ----------
    context
        CRDS context, such as hst_0729.pmap; else the profile's pin, else the server's.
    run
        Name of the output collection (write-once); made from the context by default.
    engine
        auto, native, or the name of another installed engine.
    set
        KEYWORD=VALUE (DARKCORR=OMIT) or step.parameter=VALUE; may be repeated.
    reference
        KEYWORD=PATH, a reference file of your own (BIASFILE=my_bia.fits); may be repeated.
    previews
        normal: a preview that fails is a warning; required: it is error 28; none: no previews.
    messages
        Message files beside the products: none, flat (CALDP's), or folders.
    keep_scratch
        Keep the work folder after publication.
    threads
        Threads; without it one per CPU that this process may use. The products do not depend on it.
    json
        Write the outcomes as JSON to stdout.
    verbose
        Show every log line on stderr.
    quiet
        Show errors only.
    """

    context: str | None = None
    run: str | None = None
    engine: str | None = None
    set: Annotated[list[str] | None, Parameter(negative=())] = None
    reference: Annotated[list[str] | None, Parameter(negative=())] = None
    previews: Literal["normal", "required", "none"] | None = None
    messages: Literal["none", "flat", "folders"] | None = None
    keep_scratch: Annotated[bool, Parameter(negative=())] = False
    threads: Threads = None
    json: Annotated[bool, Parameter(negative=())] = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False


def process(
    *arguments: str,
    flags: Annotated[ProcessFlags | None, Parameter(name="*")] = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())] = False,
    view: Annotated[ForecastFlags | None, Parameter(name="*")] = None,
) -> int:
    """Take datasets through fetch, bestrefs, calibrate, preview, archive and state-message.

    With PREFECT_API_URL each dataset is a Prefect flow run on that server; without, the same
    stages run at once. Running the same thing twice does nothing and says so.

    Parameters
    ----------
    arguments
        DATASET: names, or @FILE with one name a line. INPUT_URI: file:FOLDER with FITS files
        or a tarball (default file:.). OUTPUT_URI: file:FOLDER (default file:.) or none, which
        leaves the products in the work folder. PROFILE: onsite, offsite, cloud or a file:
        how to reach CRDS.
    dry_run
        Say what would be done, and what is missing; nothing is run, fetched or written. As
        `hstflow archive plan`.
    """
    flags = flags or ProcessFlags()
    names, places = read_arguments(arguments)
    if dry_run:
        show_logs(verbose=False, quiet=flags.quiet)
        request = request_for(places, flags)
        return show_forecast(
            request, names, view or ForecastFlags(), json=flags.json, verbose=flags.verbose
        )
    _refuse_idle(view)
    show_logs(verbose=flags.verbose, quiet=flags.quiet)
    outcomes = _process_all(names, places, flags)
    if flags.json:
        print_json([dataclasses.asdict(outcome) for outcome in outcomes])
    return next((outcome.code for outcome in outcomes if outcome.code), 0)


def _refuse_idle(view: ForecastFlags | None) -> None:
    """Refuse options of a dry run without one: a person who gives them wants nothing to run."""
    if view is not None and view != ForecastFlags():
        raise ConfigError("--dot and --fetch belong to a dry run", expected="--dry-run as well")


def read_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Sort the words of the command line into dataset names and URIs.

    Raises
    ------
    ConfigError
        There is no name, or too many URIs.
    """
    datasets, places = split_arguments(arguments)
    names = expand_names(datasets)
    if not names:
        raise ConfigError("no dataset was named", expected="a name such as j8bt05njq, or @FILE")
    if len(places) > len(("input", "output", "profile")):
        raise ConfigError(
            "too many arguments",
            expected="DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE]",
            found=" ".join(places),
        )
    return names, places


def _process_all(names: list[str], places: list[str], flags: ProcessFlags) -> list[Outcome]:
    call = _as_flow_runs if os.environ.get("PREFECT_API_URL") else _at_once
    run_one, total = call(names, places, flags)
    outcomes = []
    with err.status("", spinner="dots") as status, showing_steps(status) as show:
        for number in range(total):
            show(f"{names[number]}  ({number + 1} of {total})")
            outcome = run_one(number)
            outcomes.append(outcome)
            if not flags.json:
                _show(outcome)
    return outcomes


def request_for(places: list[str], flags: ProcessFlags) -> Any:
    """Return what is asked for, with settings and defaults.

    Raises
    ------
    ConfigError
        As :func:`flows.parameters.build_request`.
    """
    from flows.parameters import build_request

    source, output, profile = _complete(places)
    return build_request(source, output, profile, flags.context, flags.run, _options(flags))


def _complete(places: list[str]) -> tuple[str, str, str | None]:
    """Return INPUT_URI, OUTPUT_URI and PROFILE with CALDP's defaults."""
    given = dict(enumerate(places))
    return given.get(0, "file:."), given.get(1, "file:."), given.get(2)


def _options(flags: ProcessFlags) -> Any:
    from flows.parameters import ProcessOptions

    return ProcessOptions(
        engine=flags.engine,
        set=flags.set or [],
        reference=flags.reference or [],
        messages=flags.messages,
        previews=flags.previews,
        keep_scratch=flags.keep_scratch,
        threads=threads_or_all(flags.threads),
    )


def _at_once(
    names: list[str], places: list[str], flags: ProcessFlags
) -> tuple[Callable[[int], Outcome], int]:
    """Run the stages in this process, with no server."""
    from calib.stages.planning import plan_jobs
    from calib.stages.sequence import process_dataset
    from tasks.settings import limit_reference_memory, load_settings

    jobs = plan_jobs(request_for(places, flags), names)
    limit_reference_memory(load_settings())
    return lambda number: process_dataset(jobs[number]), len(jobs)


def _as_flow_runs(
    names: list[str], places: list[str], flags: ProcessFlags
) -> tuple[Callable[[int], Outcome], int]:
    """Run every dataset as a flow run on the server of PREFECT_API_URL."""
    _check_server(os.environ["PREFECT_API_URL"])
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if flags.verbose else "WARNING")
    from calib.stages.planning import plan_jobs
    from flows.dataset import DatasetFailed, process_dataset

    jobs = plan_jobs(request_for(places, flags), names)
    source, output, profile = _complete(places)

    def run_one(number: int) -> Outcome:
        try:
            outcome: Outcome = process_dataset(
                jobs[number].dataset,
                source,
                output,
                profile,
                jobs[number].context,
                flags.run,
                _options(flags),
            )
        except DatasetFailed as error:
            return error.outcome
        return outcome

    return run_one, len(jobs)


def _check_server(url: str) -> None:
    """Fail with one line where the server does not answer, before Prefect is imported."""
    import httpx

    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=10).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            f"the Prefect server does not answer: {error}",
            path=url,
            expected="a running server, or PREFECT_API_URL unset to run without one",
            code=1,
        ) from error


def _show(outcome: Outcome) -> None:
    reason, seconds = escape(outcome.reason), f"({outcome.seconds:.1f} s)"
    out.print(f"{outcome.dataset}  {styled(outcome.state)}  {reason}  {seconds}", soft_wrap=True)
    if outcome.uri:
        out.print(f"  {escape(outcome.uri)}", soft_wrap=True)
    for warning in outcome.warnings:
        out.print(f"  [yellow]warning[/yellow]  {escape(warning)}", soft_wrap=True)
