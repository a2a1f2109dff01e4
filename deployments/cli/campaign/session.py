"""A session of a campaign: one process at work on it, here or in the background."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.markup import escape

from calib.campaigns.remedies import next_steps
from calib.errors import DONE, GENERIC, ConfigError, Unavailable
from calib.ledger.campaign_overview import Overview, jobs_in
from calib.ledger.campaign_reports import LEFT
from calib.ledger.location import ledger_url
from calib.ledger.owners import this_host
from deployments.cli.campaign.control import set_control
from deployments.cli.campaign.following import overview_in, showing
from deployments.cli.campaign.lookup import find_campaign, reading
from deployments.cli.campaign.show import Story, exit_code, story_json, story_of, story_view
from deployments.cli.campaign.status import tell_steps
from deployments.cli.console import err, out, print_json, show_logs
from deployments.cli.process import check_server

if TYPE_CHECKING:
    from flows.campaign import Result

# Seconds that a background session gets until it is at work: the private server alone may
# take two minutes for its first database.
START_LIMIT = 180.0

# Seconds that a cancelled session gets to end: it gives its workers half of that.
END_LIMIT = 60.0

_LOOK = 0.2  # seconds between two looks at the ledger, or at a scheduler that starts
_TAIL = 5  # lines of a log that explain a failure
_CONNECT = 10.0  # seconds for a scheduler to answer


@dataclass(frozen=True)
class SessionFlags:
    """How to run a session, whatever the campaign.

    Attributes
    ----------
    runner, workers
        Instead of those of the campaign, for this session; None: as planned.
    detach
        Run it in the background.
    json, verbose, quiet
        What is shown.
    """

    runner: str | None = None
    workers: int | None = None
    detach: bool = False
    json: bool = False
    verbose: bool = False
    quiet: bool = False


def run_session(name: str, runner: str, flags: SessionFlags) -> int:
    """Go on with a campaign that the ledger has, until it ends or rests.

    Parameters
    ----------
    name
        The campaign.
    runner
        Where it runs: that of the flags, else that of its plan.

    Returns
    -------
    int
        The exit code of the campaign; 0 where another process is at work on it already.

    Raises
    ------
    Unavailable
        The Prefect server or the Dask scheduler does not answer.
    """
    ledger = ledger_url(os.environ)
    check_runner(runner)
    before = _settled(ledger, name)
    if before is None or not before.is_live:
        _check_version(name)
    set_control(name, "run")
    if before is not None and before.is_live:
        return _tell_live(before, flags)
    if flags.detach:
        return _detach(ledger, name, flags)
    result = _run_here(ledger, name, flags)
    return tell_end(name, result, flags)


def _check_version(name: str) -> None:
    """Refuse a campaign of another version before its control changes and a server starts."""
    from calib.stages.enrolment import refuse_other_version

    with reading() as rows:
        refuse_other_version(rows, name)


def check_runner(runner: str) -> None:
    """Refuse a runner that cannot work, before anything is started.

    Raises
    ------
    ConfigError
        It is no runner.
    Unavailable
        The scheduler, or the Prefect server of PREFECT_API_URL, does not answer.
    """
    from calib.stages.campaign_plan import HERE, RUNNERS

    if url := os.environ.get("PREFECT_API_URL"):
        check_server(url)
    if runner in HERE:
        return
    address = urlsplit(runner)
    if address.scheme == "tls":
        _find_certificates(runner)
    if address.scheme in {"tcp", "tls"}:
        _check_scheduler(runner, address.hostname or "", address.port)
    elif not Path(runner).is_file():
        raise ConfigError("not a runner", expected=RUNNERS, found=runner)


def tell_end(name: str, result: Result, flags: SessionFlags) -> int:
    """Say how a session ended, what failed, and what to do next; return the exit code."""
    from calib.campaigns.report_words import undrizzled_text
    from calib.ledger.cost_summaries import undrizzled

    with reading() as rows:
        campaign = find_campaign(rows, name)
        story = story_of(rows, campaign)
        number = undrizzled(rows, campaign.id)  # reads every job: not for whoever only looks
    if flags.json:
        ended = {"outcome": result.outcome, "message": result.message, "undrizzled": number}
        print_json({**ended, **story_json(story)})
    elif not flags.quiet:
        out.print(story_view(story))
        if number:
            out.print(undrizzled_text(number))
        tell_steps([*next_steps(name, story.failures), *_to_go_on(story)])
    return exit_code(campaign.counts, campaign.finished, story.failures)


def _settled(ledger: str, name: str) -> Overview | None:
    """Return how a campaign stands, once a session that is being cancelled has ended.

    Raises
    ------
    Unavailable
        It does not end.
    """
    deadline = time.monotonic() + END_LIMIT
    found = overview_in(ledger, name)
    with err.status("waiting for the session that is being cancelled"):
        while found is not None and found.state == "cancelling":
            if time.monotonic() > deadline:
                message = f"campaign {name} is still being cancelled"
                raise Unavailable(message, expected="its session to end", code=GENERIC)
            time.sleep(_LOOK)
            found = overview_in(ledger, name)
    return found


def _to_go_on(story: Story) -> list[str]:
    if jobs_in(story.campaign, LEFT):
        return [f"hstflow campaign resume {story.campaign.name}   (goes on)"]
    return []


def _run_here(ledger: str, name: str, flags: SessionFlags) -> Result:
    show_logs(verbose=flags.verbose, quiet=flags.quiet or flags.json)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if flags.verbose else "WARNING")
    if _has_work(name):
        with err.status("starting the Prefect server"):
            start_server()
    with err.status("starting the workers"):
        from flows.campaign import resume_campaign
    with showing(ledger, name, quiet=flags.quiet):
        return resume_campaign(name, ledger, runner=flags.runner, workers=flags.workers)


def _has_work(name: str) -> bool:
    with reading() as rows:
        return bool(jobs_in(find_campaign(rows, name), LEFT))


def start_server() -> None:
    """Start a private Prefect server unless PREFECT_API_URL names one, or `hstflow up` runs one."""
    from deployments.operation.place import variables_of_what_is_up
    from flows.private_server import PrivateServer, set_defaults

    set_defaults()
    if not os.environ.get("PREFECT_API_URL"):
        os.environ.update(variables_of_what_is_up(os.environ))
    if not os.environ.get("PREFECT_API_URL"):
        home = os.environ.get("PREFECT_HOME") or "~/.prefect"
        PrivateServer(Path(home).expanduser()).wait()


def _find_certificates(runner: str) -> None:
    """Take those of the `hstflow up` whose scheduler this is; other ones are the operator's."""
    from deployments.operation.certificate import CA_FILE
    from deployments.operation.place import certificates_of_what_is_up

    if not os.environ.get(CA_FILE):
        os.environ.update(certificates_of_what_is_up(os.environ, runner))


def _check_scheduler(address: str, host: str, port: int | None) -> None:
    """Connect once; one that was started a moment ago does not listen yet, and gets some time."""
    end = time.monotonic() + _CONNECT
    while (error := _connect(host, port or 0)) is not None:
        if not isinstance(error, ConnectionRefusedError) or time.monotonic() > end:
            message = f"the Dask scheduler does not answer: {error}"
            raise Unavailable(message, path=address, code=GENERIC) from error
        time.sleep(_LOOK)


def _connect(host: str, port: int) -> OSError | None:
    try:
        socket.create_connection((host, port), timeout=_CONNECT).close()
    except OSError as error:
        return error
    return None


def _tell_live(overview: Overview, flags: SessionFlags) -> int:
    session = overview.campaign.session
    found = {"campaign": overview.campaign.name, "state": "running", "detached": True}
    if session is not None:
        found |= {"host": session.host, "pid": session.pid}
    if flags.json:
        print_json(found)
    elif not flags.quiet:
        where = f"pid {found.get('pid')} on {found.get('host')}"
        out.print(f"{escape(overview.campaign.name)} goes on in {where}", soft_wrap=True)
        tell_steps([f"hstflow campaign watch {overview.campaign.name}   (how it goes)"])
    return DONE


def _detach(ledger: str, name: str, flags: SessionFlags) -> int:
    """Run the session in a process that outlives the terminal; return when it is at work."""
    log = _log_file(name)
    process = _spawn(name, flags, log)
    deadline = time.monotonic() + START_LIMIT
    with err.status("starting the session in the background"):
        while time.monotonic() < deadline and process.poll() is None:
            overview = overview_in(ledger, name)
            if overview and overview.is_live and _is_of(overview, process.pid):
                break
            time.sleep(_LOOK)
    code = process.poll()
    if code:
        tail = " / ".join(log.read_text(errors="replace").splitlines()[-_TAIL:])
        said, code = (f"by signal {-code}", 128 - code) if code < 0 else (f"with {code}", code)
        raise Unavailable(f"the session ended {said}: {tail}", path=log, code=code)
    _tell_detached(name, None if code == 0 else process.pid, log, flags)
    return DONE


def _is_of(overview: Overview, pid: int) -> bool:
    session = overview.campaign.session
    return session is not None and (session.host, session.pid) == (this_host(), pid)


def _log_file(name: str) -> Path:
    from calib.stages.workplaces import SESSIONS
    from tasks.settings import load_settings

    folder = load_settings().work.absolute() / SESSIONS / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"session-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.log"


def _spawn(name: str, flags: SessionFlags, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "deployments.cli", "campaign", "resume", name]
    given: dict[str, Any] = {"--runner": flags.runner, "--workers": flags.workers}
    command += [f"{key}={value}" for key, value in given.items() if value is not None]
    command += ["--verbose"] if flags.verbose else []
    with log.open("ab") as out_file:
        return subprocess.Popen(  # noqa: S603 - our own interpreter, an argument list
            command,
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=out_file,
            start_new_session=True,  # the terminal's interrupt and hang-up do not reach it
        )


def _tell_detached(name: str, pid: int | None, log: Path, flags: SessionFlags) -> None:
    """Say where the session is; without a number it has ended well already."""
    state = "ended" if pid is None else "running"
    if flags.json:
        print_json({"campaign": name, "state": state, "detached": True, "pid": pid, "log": log})
    elif not flags.quiet:
        said = "has ended already" if pid is None else f"runs in the background: pid {pid}"
        out.print(f"{escape(name)} {said}", soft_wrap=True)
        out.print(f"  log {escape(str(log))}", soft_wrap=True)
        step = f"report {name}   (what came" if pid is None else f"watch {name}   (how it goes"
        tell_steps([f"hstflow campaign {step})"])
