"""`hstflow process`: datasets through all six stages, here or as Prefect flow runs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import GENERIC, ConfigError, HstflowError, Unavailable
from calib.records import Outcome
from deployments.cli.console import (
    Flag,
    Several,
    err,
    expand_names,
    out,
    print_json,
    show_logs,
    showing_steps,
    split_arguments,
    styled,
)
from deployments.cli.drizzling import DrizzleFlags
from deployments.cli.forecast import ForecastFlags, show_forecast
from deployments.cli.threads import Threads, threads_or_all

if TYPE_CHECKING:
    from calib.stages.job import Job


@dataclass(frozen=True)
class WorkFlags(DrizzleFlags):
    """Options of the commands that take datasets through all six stages.

    Attributes
    ----------
    own_run
        Whether a result must be in the run itself, although another run has the same.
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
    calibrations
        Calibration collection (`hstflow archive certify`): each exposure gets the references
        that are valid at its date; --reference wins over it. none: no collection, whatever
        HSTFLOW_CALIBRATIONS says.
    previews
        normal: a preview that fails is a warning; required: it is error 28; none: no previews.
    messages
        Message files beside the products: none, flat (CALDP's), or folders.
    keep_scratch
        Keep the work folder after publication.
    current
        Lead readers to the products although what they see now was made on a later context.
        Without it that stays current, and a warning says so.
    tar
        Write CALDP's OUTPUT/outputs/ID/ID.tar.gz too, of what is current; or --no-tar.
    threads
        Threads; without it one per CPU that this process may use. The products do not depend on it.
    simulate
        A failure on purpose, to try out what follows: STAGE=KIND[:TIMES][@DATASET]. Kinds:
        memory, hang, network, disk-full, crash (in workers), corrupt-output; may be repeated.
    json
        Write JSON to stdout.
    verbose
        Show every log line on stderr.
    quiet
        Show errors only.
    """

    own_run: ClassVar[bool] = False

    context: str | None = None
    run: str | None = None
    engine: str | None = None
    set: Several = None
    reference: Several = None
    calibrations: str | None = None
    previews: Literal["normal", "required", "none"] | None = None
    messages: Literal["none", "flat", "folders"] | None = None
    keep_scratch: Flag = False
    current: Flag = False
    tar: bool | None = None
    threads: Threads = None
    simulate: Several = None
    json: Flag = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False


@dataclass(frozen=True)
class ProcessFlags(WorkFlags):
    """Options of `hstflow process`.

    Attributes
    ----------
    chain
        Put the run in front of this chain when every dataset has succeeded; made if it is new.
    """

    chain: str | None = None


@dataclass(frozen=True)
class ReplaceFlags(WorkFlags):
    """Options of `hstflow archive replace`.

    Attributes
    ----------
    all
        Every dataset that the chain holds now.
    prune
        Then remove the products of the run that left the chain, but never the only copy.
    """

    own_run: ClassVar[bool] = True

    all: Flag = False
    prune: Flag = False


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
        or a tarball (default file:.), or archive:[COLLECTION], raws that were published
        before. OUTPUT_URI: file:FOLDER (default file:.) or none, which
        leaves the products in the work folder. PROFILE: onsite, offsite, cloud or a file:
        how to reach CRDS.
    dry_run
        Say what would be done, and what is missing; nothing is run, fetched or written. As
        `hstflow archive plan`.
    """
    flags = flags or ProcessFlags()
    names, places = read_arguments(arguments)
    if flags.chain is not None:
        check_chain_of(flags.chain, places)
    if dry_run:
        show_logs(verbose=False, quiet=flags.quiet)
        request = request_for(places, flags)
        return show_forecast(
            request, names, view or ForecastFlags(), json=flags.json, verbose=flags.verbose
        )
    _refuse_idle(view)
    show_logs(verbose=flags.verbose, quiet=flags.quiet)
    outcomes = process_all(plan_for(names, places, flags), places, flags)
    if flags.json:
        print_json([dataclasses.asdict(outcome) for outcome in outcomes])
    if flags.chain is not None:
        _extend_chain(flags.chain, outcomes, quiet=flags.json)
    return first_code(outcomes)


def first_code(outcomes: Sequence[Outcome]) -> int:
    """Return the exit code of the first dataset that failed, 0 where none did."""
    failed = (outcome.code or GENERIC for outcome in outcomes if not is_good(outcome))
    return next(failed, 0)


def is_good(outcome: Outcome) -> bool:
    """Tell whether a dataset is published, now or before."""
    return outcome.state in {"processed", "skipped"} and not outcome.code


def check_chain_of(chain: str, places: list[str]) -> None:
    """Refuse, before any work, a chain that the run could not come in front of.

    Raises
    ------
    ConfigError
        The name cannot be a chain's, or nothing would be published.
    """
    from calib.ledger.reading import open_reader
    from calib.stages.replacement import check_chain
    from tasks.settings import load_settings

    if _complete(places)[1] == "none":
        raise ConfigError("a chain needs an archive", expected="OUTPUT_URI", found="none")
    with open_reader(load_settings().ledger) as rows:
        check_chain(rows, chain)


def _extend_chain(chain: str, outcomes: Sequence[Outcome], *, quiet: bool) -> None:
    """Put what was made in front of the chain, or say why not."""
    from calib.ledger.ledger import open_ledger
    from calib.stages.replacement import put_in_front
    from tasks.settings import load_settings

    bad = sum(not is_good(outcome) for outcome in outcomes)
    runs = list(dict.fromkeys(outcome.run for outcome in outcomes if outcome.run))
    if bad or not runs:
        why = f"{bad} of {len(outcomes)} datasets failed" if bad else "nothing was published"
        err.print(f"chain {escape(chain)} stays as it is: {why}", soft_wrap=True)
        return
    with open_ledger(load_settings().ledger) as ledger:
        move = ledger.write(lambda connection: put_in_front(connection, chain, runs))
    if not quiet:
        already = "" if move.changed else " already"
        text = f"chain {chain} begins with {', '.join(runs)}{already}"
        out.print(escape(text), soft_wrap=True)


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


def plan_for(names: list[str], places: list[str], flags: WorkFlags) -> list[Job]:
    """Resolve what is asked for, once; what cannot work is refused.

    Raises
    ------
    ConfigError
        As :func:`calib.stages.planning.plan_jobs`.
    """
    from calib.stages.planning import plan_jobs

    return plan_jobs(request_for(places, flags), names)


def process_all(jobs: Sequence[Job], places: list[str], flags: WorkFlags) -> list[Outcome]:
    """Process datasets one after the other, and show each as it ends.

    Parameters
    ----------
    jobs
        At least one (:func:`plan_for`).
    places, flags
        What they were planned from.
    """
    run_one = _flow_runner(places, flags) if os.environ.get("PREFECT_API_URL") else _at_once()
    outcomes: list[Outcome] = []
    with err.status("", spinner="dots") as status, showing_steps(status) as show:
        for number, job in enumerate(jobs, start=1):
            show(f"{job.dataset}  ({number} of {len(jobs)})")
            outcomes.append(_outcome_of(job, run_one, is_first=number == 1))
            if not flags.json:
                _show(outcomes[-1])
    return outcomes


def _outcome_of(job: Job, run_one: Callable[[Job], Outcome], *, is_first: bool) -> Outcome:
    """Process one dataset; one that cannot even begin does not stop the others."""
    from calib.stages.sequence import unrecorded

    try:
        return run_one(job)
    except HstflowError as error:
        if is_first and isinstance(error, ConfigError):
            raise  # a ledger that cannot be used: nothing was started, and nothing would be
        return unrecorded(job, error)


def check_server(url: str) -> None:
    """Ask whether a Prefect server answers, before Prefect is imported.

    Raises
    ------
    Unavailable
        It does not.
    """
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


def request_for(places: list[str], flags: WorkFlags) -> Any:
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


def _options(flags: WorkFlags) -> Any:
    from flows.parameters import ProcessOptions

    return ProcessOptions(
        engine=flags.engine,
        set=flags.set or [],
        reference=flags.reference or [],
        calibrations=flags.calibrations,
        messages=flags.messages,
        previews=flags.previews,
        keep_scratch=flags.keep_scratch,
        threads=threads_or_all(flags.threads),
        own_run=flags.own_run,
        simulate=flags.simulate or [],
        current=flags.current,
        tar=flags.tar,
        stage2=flags.stage2,
        astrometry=flags.astrometry,
    )


def _at_once() -> Callable[[Job], Outcome]:
    """Run the stages in this process, with no server."""
    from calib.stages.sequence import process_dataset
    from tasks.settings import limit_reference_memory, load_settings

    limit_reference_memory(load_settings())
    return process_dataset


def _flow_runner(places: list[str], flags: WorkFlags) -> Callable[[Job], Outcome]:
    """Run every dataset as a flow run on the server of PREFECT_API_URL."""
    check_server(os.environ["PREFECT_API_URL"])
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if flags.verbose else "WARNING")
    from flows.dataset import DatasetFailed, process_dataset

    source, output, profile = _complete(places)

    def run_one(job: Job) -> Outcome:
        try:
            outcome: Outcome = process_dataset(
                job.dataset, source, output, profile, job.context, flags.run, _options(flags)
            )
        except DatasetFailed as error:
            return error.outcome
        return outcome

    return run_one


def _show(outcome: Outcome) -> None:
    reason, seconds = escape(outcome.reason), f"({outcome.seconds:.1f} s)"
    out.print(f"{outcome.dataset}  {styled(outcome.state)}  {reason}  {seconds}", soft_wrap=True)
    if outcome.uri:
        out.print(f"  {escape(outcome.uri)}", soft_wrap=True)
    for warning in outcome.warnings:
        out.print(f"  [yellow]warning[/yellow]  {escape(warning)}", soft_wrap=True)
