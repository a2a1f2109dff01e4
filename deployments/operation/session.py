"""One `hstflow up`: the home is held, everything runs, what is left behind is ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from calib.errors import DONE, GENERIC, ConfigError, Unavailable
from calib.ledger.location import VARIABLE, ledger_url
from deployments.operation.certificate import encrypted
from deployments.operation.health import answers
from deployments.operation.place import Place, Standing, home_of, this_standing
from deployments.operation.processes import has_ended_within, sweep
from deployments.operation.roles import HEALTH, Layout, roles_of
from deployments.operation.secret import guarded, password_of
from deployments.operation.supervisor import Supervisor
from deployments.operation.view import View
from deployments.operation.watchman import watched
from deployments.operation.wishes import PARTS, Part, Ports, share_out

STOP_LIMIT = 180.0  # seconds; more than all programs together may take


def absolute_places(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with ledger and work folder as places that hold in any folder.

    Flow runs begin in temporary folders of their own.
    """
    from tasks.settings import load_settings

    work = load_settings().work.expanduser().absolute()
    return {**environ, VARIABLE: ledger_url(environ), "HSTFLOW_WORK": str(work)}


def choose_parts(only: list[Part] | None, without: list[Part] | None) -> frozenset[Part]:
    """Return what is to be started.

    Raises
    ------
    ConfigError
        Nothing is.
    """
    parts = frozenset(only or PARTS) - frozenset(without or ())
    if not parts:
        raise ConfigError("nothing is left to start", expected=f"some of {', '.join(PARTS)}")
    return parts


def plan_layout(
    parts: frozenset[Part],
    ports: Ports,
    *,
    workers: int | None,
    limit: int,
    may_change: bool,
    is_open: bool = False,
) -> Layout:
    """Join what was asked for with the operator's variables.

    Parameters
    ----------
    parts, ports, workers, limit, may_change
        As in `Layout`.
    is_open
        Whether everybody with an account here may use it without a password.

    Raises
    ------
    ConfigError
        A setting cannot be used, there is a worker and no server for it, the home cannot be
        written, or its password or key is none.
    Unavailable
        The server of PREFECT_API_URL does not answer, or the disk is full.
    """
    environ = absolute_places(os.environ)
    home = home_of(environ)
    layout = Layout(
        parts=parts,
        home=home,
        ports=ports,
        share=share_out(workers, Path(environ["HSTFLOW_WORK"])),
        environ=environ,
        limit=limit,
        may_change=may_change,
        scratch=Place(home).folder / "dask",
    )
    _check_server(layout)
    Place(home).prepare()
    folder = Place(home).folder
    if "dask" in parts:  # also where nobody is asked: who reaches it runs code as the operator
        environ = {**environ, **encrypted(environ, folder)}
    if not is_open:
        has_server = "server" in parts and layout.foreign is None
        environ = guarded(environ, password_of(folder), has_server=has_server)
    return replace(layout, environ=environ)


def _check_server(layout: Layout) -> None:
    needs = sorted(layout.parts & {"worker", "deploy"})
    if needs and layout.api is None:
        raise ConfigError(
            f"{' and '.join(needs)} without a Prefect server", expected="server, or PREFECT_API_URL"
        )
    if layout.foreign and not answers(f"{layout.foreign}{HEALTH}"):
        raise Unavailable(
            "the Prefect server does not answer",
            path=layout.foreign,
            expected="a running server, or PREFECT_API_URL unset for one of our own",
            code=GENERIC,
        )


def run(layout: Layout, view: View, tell_ready: Callable[[Standing], None]) -> int:
    """Start everything and stay until a signal comes; nothing is left behind.

    Parameters
    ----------
    layout
        What to start.
    view
        Shows it.
    tell_ready
        Called once when everything answers.

    Returns
    -------
    int
        130 after Ctrl-C, 143 after SIGTERM.

    Raises
    ------
    Unavailable
        Another is up on this home, or a program does not start.
    """
    place = Place(layout.home)
    with ExitStack() as stack:
        lock = stack.enter_context(place.held())
        home = str(layout.home)
        sweep(home)  # of one that was killed together with its watchman
        stack.enter_context(watched(home, lock))
        stack.callback(shutil.rmtree, layout.scratch, ignore_errors=True)
        stack.callback(sweep, home)
        stack.enter_context(view)
        news = _News(layout, place, view, tell_ready)
        return Supervisor(roles_of(layout), place.logs, news.changed).run()


class _News:
    """Writes down and shows what has changed."""

    def __init__(
        self, layout: Layout, place: Place, view: View, tell_ready: Callable[[Standing], None]
    ) -> None:
        pages = {
            "dashboard": layout.dashboard_page,
            "prefect": layout.prefect_page,
            "dask": layout.dask_page,
        }
        self._last = replace(
            this_standing(place),
            pages={name: page for name, page in pages.items() if page},
            runner=layout.scheduler,
            dask=layout.certificates,
            auth=layout.auth,
            password=layout.password,
        )
        self._api = layout.api
        self._place, self._view, self._tell_ready = place, view, tell_ready

    def changed(self, supervisor: Supervisor) -> None:
        """Take note of how the programs are."""
        roles = {each.role.name: each.state for each in supervisor.programs}
        is_up = supervisor.is_ready and not supervisor.is_stopping
        now = replace(
            self._last, roles=dict(roles), ready=is_up, prefect=self._api if is_up else None
        )
        try:
            if now != self._last:
                self._say(now)
        finally:
            self._view.show(supervisor)

    def _say(self, now: Standing) -> None:
        """Write it down; where that fails the next look tries again."""
        self._place.say(now)
        before, self._last = self._last, now
        if now.ready and not before.ready:
            self._tell_ready(now)


def stop_other(place: Place) -> int:
    """End what is up at a home, and wait for it.

    Raises
    ------
    Unavailable
        It is on another host, or does not end.
    """
    found = place.standing()
    if found is None:
        return DONE
    if found.host != this_standing(place).host:
        message = f"hstflow is up on {found.host}: stop it there"
        raise Unavailable(message, path=place.home, code=GENERIC)
    try:
        process = psutil.Process(found.pid)
        process.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:  # it has just ended
        return DONE
    except psutil.AccessDenied as error:
        message = f"pid {found.pid} is another user's"
        raise Unavailable(message, path=place.home, code=GENERIC) from error
    # It takes its place's file away before its interpreter comes to an end: the process counts.
    if not has_ended_within(process, STOP_LIMIT):
        message = f"pid {found.pid} does not end"
        raise Unavailable(message, path=place.home, expected="kill it", code=GENERIC)
    return DONE


def print_line(standing: Standing) -> None:
    """Write where everything is as one line of JSON."""
    sys.stdout.write(json.dumps(standing.as_json()) + "\n")
    sys.stdout.flush()
