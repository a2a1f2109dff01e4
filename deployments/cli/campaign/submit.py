"""`hstflow campaign submit`: datasets planned on one context, and run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.errors import DONE, ConfigError
from calib.ledger.location import ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.campaign.lookup import check_name
from deployments.cli.campaign.session import SessionFlags, check_runner, run_session
from deployments.cli.console import (
    Flag,
    Several,
    count_text,
    err,
    expand_names,
    out,
    print_json,
    split_arguments,
    styled,
)
from deployments.cli.process import WorkFlags, request_for
from deployments.cli.threads import Threads

if TYPE_CHECKING:
    from calib.campaigns.manifest import Entry
    from calib.stages.campaign_forecast import CampaignForecast
    from calib.stages.campaign_plan import CampaignPlan

_FIRST = 10  # datasets that a dry run names
_PLACES = ("INPUT_URI", "OUTPUT_URI", "PROFILE")

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


@dataclass(frozen=True)
class CampaignFlags(WorkFlags):
    """Options of the commands that plan a campaign.

    Attributes
    ----------
    threads
        Threads of each dataset, 1 by default: the datasets run beside each other.
    runner
        local (Dask processes here), threads, tcp:// or tls://HOST:PORT of a Dask scheduler, or a
        cluster file; without it HSTFLOW_RUNNER, which is local where it is not set.
    workers
        Processes or threads of local and threads; without it one per CPU that this process may
        use.
    stages
        tasks: six Prefect tasks for each dataset; plain: none, which costs less; auto: tasks
        for up to 1,000 datasets.
    rungs
        Sizes of memory, ascending, in GB or with a unit: a dataset begins on the one that it
        is predicted to need, and climbs where that was not enough.
    chunk_size
        Datasets of one flow run.
    chunks
        here: subflows of this process; deployment: runs of the deployment campaign-chunk.
    downloads
        Downloads from MAST at the same time, over all campaigns and hosts.
    priority
        Higher ones go first where campaigns share workers.
    delay_scale
        Factor on the waits before a failed dataset is tried again; 0: at once.
    simulate
        STAGE=KIND[:TIMES][@DATASET], a failure on purpose: memory, hang, network, disk-full,
        crash or corrupt-output; may be repeated.
    """

    threads: Threads = None
    runner: str | None = None
    workers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    stages: Literal["auto", "tasks", "plain"] = "auto"
    rungs: str = "2,8,16,64"
    chunk_size: Count = 500
    chunks: Literal["here", "deployment"] = "here"
    downloads: Count = 4
    priority: int = 0
    delay_scale: Annotated[float, Parameter(validator=validators.Number(gte=0))] = 1.0
    simulate: Several = None


@dataclass(frozen=True)
class SubmitFlags(CampaignFlags):
    """Options of `hstflow campaign submit`.

    Attributes
    ----------
    detach
        Run in the background: the terminal may be closed. Its log file is named.
    """

    detach: Flag = False


@dataclass(frozen=True)
class PlanFlags(CampaignFlags):
    """Options of `hstflow campaign plan`.

    Attributes
    ----------
    old
        Context to compare with; without it that of the newest product in the ledger, else the
        profile's pin. For exposures of the ledger it names the change alone: each is compared
        from the context that its current product was made on.
    new
        Context to reprocess on; without it the operational one.
    from_ledger
        Compare for the current products in the ledger. So it is where nothing else is said.
    from_server
        Compare for the exposures that the CRDS server knows.
    headers
        Compare for the exposures of this file: JSON as of `crds bestrefs --load-pickles`, or
        FITS; may be repeated.
    with_reference
        All whose current products were made with this reference; may be repeated, @FILE too.
    query
        All that MAST has of proposal=NUMBER,instrument=NAME,dates=FIRST..LAST.
    graph
        Write what marks what into this file: .dot, .gv or .svg.
    processes
        How many processes compare; worth it above some ten thousand exposures.
    again
        Plan a change of context anew whose reprocessing has ended: finished, rejected, cancelled.
    """

    old: str | None = None
    new: str | None = None
    from_ledger: Flag = False
    from_server: Flag = False
    headers: Several = None
    with_reference: Several = None
    query: str | None = None
    graph: Path | None = None
    processes: Count = 1
    again: Flag = False


def submit(
    name: str,
    /,
    *arguments: str,
    flags: Annotated[SubmitFlags | None, Parameter(name="*")] = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())] = False,
) -> int:
    """Plan a campaign on one frozen context, and run it until nothing is left.

    For example: `hstflow campaign submit spring @ids.txt astroquery: file:/archive`.
    The same again goes on where it stopped; more datasets are added. What is finished is not
    done again, and what failed waits for `hstflow campaign rescue`. One bad dataset never
    stops the others. Ctrl-C stops the session; `hstflow campaign resume NAME` goes on.

    Without PREFECT_API_URL a private Prefect server runs while the session does.

    The exit code is 0 where every dataset is finished, else that of the most frequent error,
    1 where there is none (paused, cancelled, blocked); 130 where it was interrupted.

    Parameters
    ----------
    name
        Name of the campaign: letters, digits, ".", "_", "-".
    arguments
        DATASET: names, or @FILE: one a line, with what is meant for it alone
        (`j8bt05njq rung=16 timeout_scale=2 set=DARKCORR=OMIT`), also as YAML or JSON.
        INPUT_URI, OUTPUT_URI and PROFILE as of `hstflow process`.
    dry_run
        Say what would be submitted, what is finished already, and the memory predicted;
        nothing is written.
    """
    flags = flags or SubmitFlags()
    entries, places = read_datasets(arguments)
    if not entries:
        raise ConfigError("no dataset was named", expected="NAME DATASET... or NAME @FILE")
    plan = build_plan(check_name(name), places, flags)
    check_runner(plan.runner)
    if dry_run:
        return _dry_run(plan, entries, json=flags.json)
    _enrol(plan, entries, quiet=flags.quiet or flags.json)
    session = SessionFlags(
        detach=flags.detach, json=flags.json, verbose=flags.verbose, quiet=flags.quiet
    )
    return run_session(name, plan.runner, session)


def read_datasets(arguments: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """Return datasets, each once, and URIs.

    Raises
    ------
    ConfigError
        A name or line is wrong, or there are too many URIs.
    """
    from calib.campaigns.manifest import entries_of, read_entries

    words, places = split_arguments(arguments)
    if len(places) > len(_PLACES):
        expected = "NAME DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE]"
        raise ConfigError("too many arguments", expected=expected, found=" ".join(places))
    entries: dict[str, Entry] = {}
    for word in words:
        is_list = word.startswith("@")
        _add(entries, read_entries(Path(word[1:])) if is_list else entries_of(expand_names([word])))
    return list(entries.values()), places


def _add(entries: dict[str, Entry], more: Sequence[Entry]) -> None:
    """Add datasets of another word; what two words say of one must be the same."""
    for each in more:
        if entries.setdefault(each.dataset.name, each) != each:
            message = "two lists say different things of one dataset"
            raise ConfigError(message, dataset=each.dataset.name)


def build_plan(name: str, places: list[str], flags: CampaignFlags) -> CampaignPlan:
    """Return the plan of a campaign, from arguments and options.

    Raises
    ------
    ConfigError
        An option or place cannot be used.
    """
    from calib.campaigns.rungs import parse_rungs
    from calib.engines.protocol import available_cpus
    from calib.stages.campaign_plan import CampaignPlan
    from calib.stages.faults import parse_faults
    from tasks.settings import load_settings

    one = dataclasses.replace(flags, threads=flags.threads or 1)
    request = request_for(places, one)
    faults = parse_faults(flags.simulate) if flags.simulate else request.options.faults
    options = dataclasses.replace(request.options, faults=faults)
    return CampaignPlan(
        request=dataclasses.replace(request, campaign=name, options=options),
        runner=_absolute(flags.runner or load_settings().runner),
        workers=flags.workers or available_cpus(),
        stages=flags.stages,
        rungs=parse_rungs(flags.rungs),
        chunk_size=flags.chunk_size,
        chunks=flags.chunks,
        downloads=flags.downloads,
        priority=flags.priority,
        delay_scale=flags.delay_scale,
    )


def _absolute(runner: str) -> str:
    """Return the path of a cluster file as absolute, so that it means the same everywhere.

    What is none stays as it was typed, for the message that refuses it.
    """
    from calib.stages.campaign_plan import HERE

    path = Path(runner).expanduser()
    return str(path.absolute()) if runner not in HERE and path.is_file() else runner


def _enrol(plan: CampaignPlan, entries: Sequence[Entry], *, quiet: bool) -> None:
    from calib.stages.enrolment import enrol

    with err.status(f"planning {count_text(len(entries), 'dataset')}"):
        enrolled = enrol(plan, entries)
    if not quiet:
        known = f", {enrolled.known:,} known before" if enrolled.known else ""
        where = f"context {enrolled.plan.request.context}, run {enrolled.run}"
        out.print(
            escape(f"{plan.name}: {count_text(enrolled.new, 'new dataset')}{known}; {where}"),
            soft_wrap=True,
        )


def _dry_run(plan: CampaignPlan, entries: Sequence[Entry], *, json: bool) -> int:
    from calib.stages.campaign_forecast import forecast_campaign

    with open_reader(ledger_url(os.environ)) as rows:
        found = forecast_campaign(rows, plan, entries)
    if json:
        print_json({**dataclasses.asdict(found), "finished": found.finished})
    else:
        _show(found)
    return DONE


def _show(found: CampaignForecast) -> None:
    def say(text: str) -> None:
        out.print(text, soft_wrap=True)

    head = f"{found.name}: {count_text(found.total, 'dataset')}, {len(found.to_run):,} would run"
    say(escape(f"{head}; context {found.context}, run {found.run}"))
    states = ", ".join(f"{styled(state)} {count:,}" for state, count in found.states.items())
    _say_if(say, "known before", states)
    _say_if(say, "by instrument", _counts(found.instruments))
    _say_if(say, "memory", _counts({f"{rung / 1e9:g} GB": n for rung, n in found.rungs.items()}))
    more = f" and {len(found.to_run) - _FIRST:,} more" if len(found.to_run) > _FIRST else ""
    _say_if(say, "first", escape(", ".join(found.to_run[:_FIRST]) + more))
    say("nothing was written")


def _say_if(say: Any, title: str, text: str) -> None:
    if text:
        say(f"  {title:13}  {text}")


def _counts(numbers: Any) -> str:
    return ", ".join(f"{escape(str(name))} {number:,}" for name, number in numbers.items())
