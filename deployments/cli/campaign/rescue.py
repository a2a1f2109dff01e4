"""`hstflow campaign rescue`: datasets that ended badly, submitted again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.campaigns import operating
from calib.campaigns.operating import RescueWords
from calib.errors import DONE, ConfigError
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import (
    UNFINISHED,
    Campaign,
    FoundJob,
    JobSelection,
    campaigns,
    find_jobs,
)
from calib.ledger.reports import Rows
from deployments.cli.campaign.changing import changing
from deployments.cli.campaign.control import refuse_strangers
from deployments.cli.campaign.lookup import is_dataset, planned_campaign, reading
from deployments.cli.campaign.session import SessionFlags, run_session
from deployments.cli.campaign.show import jobs_table
from deployments.cli.campaign.status import tell_steps
from deployments.cli.console import Flag, Several, count_text, err, expand_names, out, print_json

if TYPE_CHECKING:
    from calib.ledger.campaigns import Changes


_SHOWN = 20  # jobs that are listed; --json has all
_REASON = "rescued by the operator"


@dataclass(frozen=True)
class RescueFlags:
    """Options of `hstflow campaign rescue`.

    Attributes
    ----------
    state
        error, blocked or cancelled; may be repeated. Without it all three.
    class_
        Only those that ended with this error: OutOfMemory, TimedOut, Unavailable...
    code
        Only those with this exit code.
    instrument
        Only acs, wfc3, cos or stis; may be repeated, commas are allowed.
    rung
        Memory to begin with, GB or with a unit: one of the rungs of the campaign.
    disk
        Room that the work folder must have, GB or with a unit, instead of what was predicted.
    timeout_scale
        Factor on the time limits, instead of the one they had.
    priority
        Higher ones go first.
    set
        KEYWORD=VALUE or step.parameter=VALUE for these datasets alone, in place of what the
        manifest sets for them; may be repeated.
    input
        INPUT_URI that the inputs of these datasets are fetched from, instead of the campaign's:
        file:PATH, s3://BUCKET/PREFIX, astroquery: or archive:.
    run
        Go on with the campaign at once, until it ends.
    json
        Write JSON to stdout.
    verbose, quiet
        Show every log line of the session on stderr, or errors only; with --run.
    """

    state: Annotated[
        list[Literal["error", "blocked", "cancelled"]] | None, Parameter(negative=())
    ] = None
    class_: Annotated[str | None, Parameter(name="--class")] = None
    code: int | None = None
    instrument: Several = None
    rung: str | None = None
    disk: str | None = None
    timeout_scale: Annotated[
        float | None, Parameter(validator=validators.Number(gt=0, lte=100))
    ] = None
    priority: int | None = None
    set: Several = None
    input: str | None = None
    run: Flag = False
    json: Flag = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False


def rescue(
    *arguments: str,
    flags: Annotated[RescueFlags | None, Parameter(name="*")] = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())] = False,
) -> int:
    """Submit datasets again that ended in an error, are blocked or were cancelled.

    For example: `hstflow campaign rescue spring --class OutOfMemory --rung 64 --run`.
    They begin at the first stage that is not finished, and their retries count anew. What is
    finished, waits or is at work is never touched. A session that is at work takes them up;
    else `hstflow campaign resume NAME` does, or --run.

    Parameters
    ----------
    arguments
        NAME of a campaign, then datasets of it: names, commas or @FILE with one name a line.
        Without a campaign: the datasets, or what the options select, of all campaigns.
    dry_run
        List what would be submitted; nothing is written.
    """
    flags = flags or RescueFlags()
    with reading() as rows:
        name, names = _sorted_out(rows, arguments)
        found = find_jobs(rows, _selection(name, names, flags))
        chosen = operating.campaigns_of(rows, found, name)
    jobs = [job for job in found if job.campaign in chosen]
    _tell_of_others([job for job in found if job.campaign not in chosen], alone=not jobs)
    changes = operating.changes_of(chosen.values(), _words(flags))
    if dry_run:
        return _tell_plan(jobs, flags)
    done = _submit(jobs, changes)
    if flags.run:
        return _go_on(chosen, flags)
    _tell([*chosen.values()], jobs, done, json=flags.json)
    return DONE


def _sorted_out(rows: Rows, arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the campaign, if one was named, and the datasets.

    Raises
    ------
    ConfigError
        There is no such campaign, a name is no dataset's, or the campaign does not have it.
    """
    words = list(arguments)
    name = None
    if words and not _is_of_datasets(rows, words[0]):
        name = planned_campaign(rows, words.pop(0)).name
    names = [parse_dataset(word).name for word in expand_names(words)]
    if name is not None and names:
        known = {job.dataset for job in find_jobs(rows, JobSelection(name, datasets=names))}
        refuse_strangers(name, [each for each in names if each not in known])
    return name, names


def _is_of_datasets(rows: Rows, word: str) -> bool:
    """Tell datasets from the name of a campaign, which may have the form of a dataset's."""
    if word.startswith("@"):
        return True
    return is_dataset(word.partition(",")[0]) and not campaigns(rows, word)


def _selection(name: str | None, names: Sequence[str], flags: RescueFlags) -> JobSelection:
    """Return what is to be rescued.

    Raises
    ------
    ConfigError
        Nothing was said that selects anything.
    """
    instruments = expand_names(flags.instrument or ())
    selected = (name, names, flags.state, flags.class_, flags.code, instruments)
    if not any(selected):
        expected = "NAME, datasets, --state, --class, --code or --instrument"
        raise ConfigError("say what is to be rescued", expected=expected)
    return JobSelection(
        campaign=name,
        states=flags.state or UNFINISHED,
        instruments=instruments,
        datasets=names,
        error_class=flags.class_,
        code=flags.code,
    )


def _tell_of_others(jobs: Sequence[FoundJob], *, alone: bool) -> None:
    """Say what becomes of jobs of `hstflow process`, which nobody would take up.

    Raises
    ------
    ConfigError
        There are no others.
    """
    if not jobs:
        return
    names = ", ".join(dict.fromkeys(job.dataset for job in jobs[:_SHOWN]))
    message = "datasets outside of campaigns are not rescued: `hstflow process` takes them up again"
    if alone:
        raise ConfigError(message, expected="datasets of a campaign", found=names)
    err.print(escape(f"{message}: {names}"), soft_wrap=True)


def _words(flags: RescueFlags) -> RescueWords:
    return RescueWords(
        rung=flags.rung,
        disk=flags.disk,
        time_scale=flags.timeout_scale,
        priority=flags.priority,
        settings=tuple(flags.set or ()),
        input=flags.input,
    )


def _submit(jobs: Sequence[FoundJob], changes: Changes) -> int:
    """Submit jobs again in the ledger; those that another one rescued meanwhile stay."""
    if not jobs:
        return 0
    with changing("submitted again") as (ledger, show):
        return operating.rescue(ledger, jobs, changes, _REASON, show)


def _go_on(chosen: Mapping[str, Campaign], flags: RescueFlags) -> int:
    """Run a session of each campaign; the first exit code that is not 0 counts."""
    session = SessionFlags(json=flags.json, verbose=flags.verbose, quiet=flags.quiet)
    runners = {name: str(each.plan.get("runner", "local")) for name, each in chosen.items()}
    codes = [run_session(name, runner, session) for name, runner in runners.items()]
    return next((code for code in codes if code), DONE)


def _tell_plan(jobs: Sequence[FoundJob], flags: RescueFlags) -> int:
    if flags.json:
        print_json({"dry_run": True, "number": len(jobs), "jobs": [*map(asdict, jobs)]})
        return DONE
    if jobs:
        out.print(jobs_table(jobs[:_SHOWN]))
    if len(jobs) > _SHOWN:
        out.print(f"and {len(jobs) - _SHOWN:,} more: --json shows all")
    said = f"{count_text(len(jobs), 'dataset')} would be submitted again"
    out.print(f"{said}; nothing was written" if jobs else "nothing to rescue")
    return DONE


def _tell(chosen: Sequence[Campaign], jobs: Sequence[FoundJob], done: int, *, json: bool) -> None:
    by_campaign = Counter(job.campaign for job in jobs)
    if json:
        names = [job.dataset for job in jobs]
        print_json({"dry_run": False, "number": done, "campaigns": by_campaign, "datasets": names})
        return
    out.print(f"{count_text(done, 'dataset')} submitted again" if done else "nothing to rescue")
    if done:
        _tell_how_to_go_on(chosen, by_campaign)


def _tell_how_to_go_on(chosen: Sequence[Campaign], numbers: Mapping[str, int]) -> None:
    for campaign in chosen:
        session = campaign.session
        if not numbers.get(campaign.name):
            continue
        if session is not None and session.is_live and campaign.control == "run":
            who = escape(f"pid {session.pid} on {session.host}")
            out.print(f"{escape(campaign.name)} is run by {who}, which takes them up")
        else:
            tell_steps([f"hstflow campaign resume {campaign.name}   (goes on)"])
