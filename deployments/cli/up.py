"""`hstflow up`: all that an operator needs, in one terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.errors import DONE, GENERIC
from deployments.cli.console import Flag, err, out, print_json

if TYPE_CHECKING:
    from deployments.operation.place import Place, Standing
    from deployments.operation.ports import Claims
    from deployments.operation.roles import Layout
    from deployments.operation.view import View

Part = Literal["server", "deploy", "worker", "dask", "dashboard"]
Port = Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=65_535))]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Parts = Annotated[list[Part] | None, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True)
class UpFlags:
    """What is started, and where.

    Attributes
    ----------
    only
        Only this: server, deploy, worker, dask or dashboard; may be repeated.
    without
        Not this; may be repeated.
    port
        Port of Prefect's server; 4200, or any if that is taken.
    dashboard_port
        Port of the dashboard; 8080, or any.
    dask_port
        Port of the Dask scheduler; 8786, or any.
    dask_pages_port
        Port of Dask's pages; 8787, or any.
    workers
        Dask workers, which share memory and disk of this host evenly; without it one for each
        CPU, as far as there are 2 GB for each. A dataset that needs more than the share of one
        is an error: fewer workers have larger shares.
    limit
        Flow runs (campaigns, watches) at the same time.
    read_only
        The dashboard shows no forms: nobody rescues or approves there.
    without_password
        Neither the dashboard nor Prefect asks for a password: everybody with an account on this
        machine may look, and change campaigns. Dask keeps its key.
    """

    only: Parts = None
    without: Parts = None
    port: Port = None
    dashboard_port: Port = None
    dask_port: Port = None
    dask_pages_port: Port = None
    workers: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    limit: Count = 20
    read_only: Flag = False
    without_password: Flag = False


def up(
    *,
    flags: UpFlags = UpFlags(),
    status: Flag = False,
    stop: Flag = False,
    json: Flag = False,
) -> int:
    """Start all that an operator needs: Prefect's server, a worker, Dask, the dashboard.

    All of it listens on this machine alone. The dashboard and Prefect ask for a password, which
    is made for each PREFECT_HOME and shown here; HSTFLOW_DASHBOARD_PASSWORD=USER:PASSWORD and
    PREFECT_SERVER_API_AUTH_STRING=USER:PASSWORD are used instead. Dask talks TLS, and only to who
    can read the key that is made there too; its pages (names of datasets and hosts, no buttons)
    can be read by everybody with an account on this machine.

    What dies, or is silent for minutes, is started again. It ends with Ctrl-C, in order; a
    campaign at work is interrupted and can be resumed. The server of PREFECT_API_URL is used
    instead of an own one. One `hstflow up` at a time for each PREFECT_HOME (~/.prefect), where
    the logs are, in up/logs.

    While it is up, campaigns submitted on this host with the same PREFECT_HOME are seen on its
    server; other programs need the variables that it shows.

    Exit codes: 130 after Ctrl-C, 143 after SIGTERM or --stop, 1 where a program does not start.

    Parameters
    ----------
    flags
        What is started, and where.
    status
        Say what is up here, and end; exit code 1 where nothing is.
    stop
        Stop what is up here, wait for it, and end.
    json
        Write one line of JSON to stdout when all is ready, or with --status.
    """
    from deployments.operation.place import Place, home_of

    place = Place(home_of(os.environ))
    if status:
        return _tell_status(place, json=json)
    if stop:
        return _stop(place)
    return _run(place, flags, json=json)


def _run(place: Place, flags: UpFlags, *, json: bool) -> int:
    from deployments.operation.ports import Claims
    from deployments.operation.session import choose_parts, print_line, run
    from deployments.operation.view import View

    place.refuse_second()
    parts = choose_parts(flags.only, flags.without)
    with Claims() as claims:
        layout = _plan(parts, flags, claims)
        console = err if json else out
        view = View(console, _hint(layout, place, shows_secrets=console.is_terminal))
        return run(layout, view, print_line if json else lambda found: _tell_ready(found, view))


def _plan(parts: frozenset[Part], flags: UpFlags, claims: Claims) -> Layout:
    from deployments.operation.session import plan_layout
    from deployments.operation.wishes import Asked, choose_ports

    asked = Asked(flags.port, flags.dashboard_port, flags.dask_port, flags.dask_pages_port)
    return plan_layout(
        parts,
        choose_ports(asked, parts, claims),
        workers=flags.workers,
        limit=flags.limit,
        may_change=not flags.read_only,
        is_open=flags.without_password,
    )


def _hint(layout: Layout, place: Place, *, shows_secrets: bool) -> str:
    """Say below the table what to do now."""
    from deployments.operation.secret import is_made

    lines = [f"logs {escape(str(place.logs))}; Ctrl-C stops everything"]
    lines += _words_to_enter(layout.password, layout.auth, place, shows_secrets=shows_secrets)
    if layout.api:
        lines.append(f"elsewhere: export PREFECT_API_URL={escape(layout.api)}")
        if is_made(layout.auth, place.folder):
            lines.append(f'  and: export PREFECT_API_AUTH_STRING="$(cat {_file(place)})"')
    if layout.scheduler:
        lines.append(f"its Dask cluster: hstflow campaign submit ... --runner {layout.scheduler}")
    return "\n".join(lines)


def _words_to_enter(
    password: str | None, auth: str | None, place: Place, *, shows_secrets: bool
) -> list[str]:
    """Say what the dashboard and Prefect ask for: to a person at a terminal, and to no log."""
    from deployments.operation.secret import is_made

    if not shows_secrets:
        made = is_made(password, place.folder) or is_made(auth, place.folder)
        return [f"user:password in {_file(place)}"] if made else []
    user, _, word = (password or "").partition(":")
    lines = [f"dashboard: user {escape(user)}, password {escape(word)}"] if password else []
    return lines + ([f"Prefect: password {escape(auth)}"] if auth else [])


def _file(place: Place) -> str:
    from deployments.operation.secret import NAME

    return escape(str(place.folder / NAME))


def _tell_ready(_found: Standing, view: View) -> None:
    """Say it once where no table shows it all the time."""
    if not view.console.is_terminal:
        view.console.print(view.hint, soft_wrap=True)


def _tell_status(place: Place, *, json: bool) -> int:
    found = place.standing()
    if json:
        print_json(None if found is None else found.as_json())
    elif found is None:
        out.print(f"nothing is up at {escape(str(place.home))}", soft_wrap=True)
    else:
        state = "ready" if found.ready else "not complete"
        out.print(f"up: {state}, pid {found.pid} on {escape(found.host)}", soft_wrap=True)
        for name, state in found.roles.items():
            out.print(f"  {name} {state}", soft_wrap=True)
        for name, page in found.pages.items():
            out.print(f"  {name} {escape(page)}", soft_wrap=True)
        words = _words_to_enter(found.password, found.auth, place, shows_secrets=out.is_terminal)
        for line in words:
            out.print(f"  {line}", soft_wrap=True)
    return DONE if found else GENERIC


def _stop(place: Place) -> int:
    from deployments.operation.session import stop_other

    if place.standing() is None:
        out.print(f"nothing is up at {escape(str(place.home))}", soft_wrap=True)
        return DONE
    with err.status("stopping"):
        return stop_other(place)
