"""`hstflow deploy`: the deployments of prefect.yaml, told to Prefect's server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.errors import DONE, ConfigError
from deployments.cli.console import Flag, Several, count_text, err, out, print_json
from deployments.cli.tables import cell, plain_table

if TYPE_CHECKING:
    from deployments.deploying.described import Described, Description
    from deployments.deploying.pool_steps import Pool
    from deployments.deploying.steps import Step
    from deployments.deploying.wishes import Wishes

# What the guides and units give a worker: the limits of prefect.yaml together, and some more.
WORKER_LIMIT = 20

_STYLES = {"create": "green", "update": "yellow", "delete": "red", "keep": "dim"}
_DONE = {"create": "created", "update": "updated", "delete": "deleted"}


@dataclass(frozen=True)
class DeployFlags:
    """Options of `hstflow deploy`.

    Attributes
    ----------
    input_uri
        Where inputs come from, for all deployments that have it.
    output_uri
        Where products go to, for all deployments that have it.
    profile
        How CRDS is reached, for all that have it: onsite, offsite, cloud or a file.
    runner
        Where campaigns run their datasets: local, threads, tcp:// or tls://HOST:PORT, or a cluster
        file.
    workers
        Processes or threads of local and threads.
    set
        NAME.parameter=VALUE, such as `campaign.how.chunk_size=200`; a VALUE may be JSON. May be
        repeated. What is not given stays as it is on the server.
    pool
        Work pool.
    type
        What starts runs, where the work pool is new: process, docker, kubernetes or ecs.
    image
        Image that docker, kubernetes and ecs start.
    variable
        NAME=VALUE of the work pool, such as `memory_limit=32Gi`; a VALUE may be JSON. May be
        repeated.
    file
        Another prefect.yaml than that of the installed package.
    at_once
        NAME=N, such as `campaign-chunk=16`: how many runs of a deployment at the same time. May
        be repeated. Stays until another number is given; workers need a --limit to match.
    schedules
        Let the schedules of prefect.yaml run, or with --no-schedules pause them. Without either
        they stay as they are.
    remove
        Take the deployments off the server, with their schedules and automations; all of them
        only with --yes.
    yes
        Do not ask for names.
    json
        Write JSON to stdout.
    """

    input_uri: str | None = None
    output_uri: str | None = None
    profile: str | None = None
    runner: str | None = None
    workers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    set: Several = None
    pool: str = "hstflow"
    type: Literal["process", "docker", "kubernetes", "ecs"] = "process"
    image: str | None = None
    variable: Several = None
    file: Path | None = None
    at_once: Several = None
    schedules: Annotated[bool | None, Parameter(negative="--no-schedules")] = None
    remove: Flag = False
    yes: Flag = False
    json: Flag = False


def deploy(
    *names: str,
    flags: Annotated[DeployFlags | None, Parameter(name="*")] = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())] = False,
) -> int:
    """Tell Prefect's server of the deployments, with work pool, queues, limits and automations.

    For example: `hstflow deploy --output-uri s3://bucket/hst --runner tcp://scheduler:8786`.
    The server is that of PREFECT_API_URL. All is checked before anything is changed, and the
    same again changes nothing. What an operator did in the pages of Prefect stays: parameters,
    schedules that were paused or added, automations that were switched off.

    Parameters
    ----------
    names
        Which deployments; all without a name.
    dry_run
        Show what would be changed; nothing is.
    """
    flags = flags or DeployFlags()
    from deployments.deploying.described import own_file, read_description
    from deployments.deploying.server import open_server

    wishes, pool = _wishes(flags), _pool(flags)
    told = read_description(flags.file or own_file())
    chosen = _chosen(told, names, wishes)
    if flags.remove and not (names or flags.yes or dry_run):
        message = "all deployments would be removed, with their parameters and schedules"
        raise ConfigError(message, expected="their names, --yes, or --dry-run to see them")
    with open_server() as server:
        steps = _steps(server, told, chosen, wishes, pool, remove=flags.remove)
        if not dry_run:
            _do(steps, quiet=flags.json)
        if flags.json:
            _print_json(server.url, steps, dry_run=dry_run)
        else:
            _show(server.url, steps, dry_run=dry_run)
            _show_next(steps, pool, told)
    return DONE


def _steps(
    server: Any,
    told: Description,
    chosen: Sequence[Described],
    wishes: Wishes,
    pool: Pool,
    *,
    remove: bool,
) -> list[Step]:
    from deployments.deploying.plan import plan_deploy, plan_removal

    if remove:
        return plan_removal(server, chosen)
    return plan_deploy(server, told, chosen, wishes, pool)


def _wishes(flags: DeployFlags) -> Wishes:
    from deployments.deploying.wishes import PLACES, Wishes, parse_limits, parse_settings

    given: Mapping[str, Any] = vars(flags)
    everywhere: dict[tuple[str, ...], Any] = {
        (name,): given[name] for name in PLACES if given[name] is not None
    }
    settings = parse_settings(flags.set or ())
    if "*" in settings:
        raise ConfigError("name a deployment", expected="NAME.parameter=VALUE", found="*")
    return Wishes({"*": everywhere, **settings}, flags.schedules, parse_limits(flags.at_once or ()))


def _pool(flags: DeployFlags) -> Pool:
    from deployments.deploying.pool_steps import Pool
    from deployments.deploying.wishes import parse_variables

    variables = parse_variables(flags.variable or ())
    if flags.image is not None:
        variables["image"] = flags.image
    return Pool(flags.pool, flags.type, variables)


def _chosen(told: Description, names: Sequence[str], wishes: Wishes) -> list[Described]:
    """Return the deployments that are meant.

    Raises
    ------
    ConfigError
        A name, also one of --set or --at-once, is not that of a deployment.
    """
    known = {each.name: each for each in told.deployments}
    asked = [*wishes.values, *wishes.at_once]
    for name in (*names, *asked):
        if name not in known and name != "*":
            raise ConfigError("no such deployment", expected=", ".join(known), found=name)
    if strangers := [each for each in asked if names and each not in {"*", *names}]:
        message = "--set or --at-once is for a deployment that is not deployed now"
        raise ConfigError(message, expected=", ".join(names), found=", ".join(strangers))
    return [known[name] for name in dict.fromkeys(names)] if names else [*told.deployments]


def _do(steps: Sequence[Step], *, quiet: bool) -> None:
    todo = [step for step in steps if step.action != "keep"]
    for number, step in enumerate(todo, 1):
        step.do()
        if not quiet:
            what = f": {'; '.join(step.changes)}" if step.action == "update" else ""
            said = f"[{number}/{len(todo)}] {step.kind} {step.name}: {_DONE[step.action]}{what}"
            err.print(escape(said), soft_wrap=True)


def _print_json(url: str, steps: Sequence[Step], *, dry_run: bool) -> None:
    changes = sum(step.action != "keep" for step in steps)
    shown = [step.as_json() for step in steps]
    print_json({"server": url, "dry_run": dry_run, "changes": changes, "steps": shown})


def _show(url: str, steps: Sequence[Step], *, dry_run: bool) -> None:
    changed = [step for step in steps if step.action != "keep"]
    if dry_run and changed:
        table = plain_table("action", "what", "name", "changes", whole=("action", "what"))
        for step in changed:
            style = _STYLES[step.action]
            action = f"[{style}]{step.action}[/{style}]"
            table.add_row(action, step.kind, cell(step.name), cell("; ".join(step.changes)))
        out.print(table)
    kept = f"{len(steps) - len(changed)} are as they should be"
    what = f"{count_text(len(changed), 'change')} {'to make' if dry_run else 'made'}"
    out.print(escape(f"{url}: {what}, {kept}"), soft_wrap=True)


def _show_next(steps: Sequence[Step], pool: Pool, told: Description) -> None:
    """Say what people lose, and what is left for them to do."""
    for step in steps:
        for loss in step.losses:
            err.print(escape(f"note: {step.kind} {step.name}: {loss}"), soft_wrap=True)
    if any(step.kind == "work pool" and step.action == "create" for step in steps):
        limit = max(WORKER_LIMIT, told.slots)
        command = f"prefect worker start --pool {pool.name} --limit {limit}"
        out.print(escape(f"Runs wait for a worker: {command}"), soft_wrap=True)
