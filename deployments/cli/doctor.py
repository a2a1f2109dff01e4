"""`hstflow doctor`: what is installed, found, configured, and what to do about the rest."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.markup import escape

from calib.errors import ConfigError, HstflowError
from deployments.cli.console import Flag, out, print_json
from deployments.cli.tables import plain_table

if TYPE_CHECKING:
    from calib.engines.program import Program
    from calib.references.profile import CrdsProfile
    from deployments.cli.context.places import Heard

PACKAGES = ("hstflow", "prefect", "dask", "astropy", "astroquery", "crds", "numpy", "numba")
MARK = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "bad": "[red]BAD[/red]"}


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `advice` says what to do."""

    part: str
    name: str
    state: Literal["ok", "note", "bad"]
    found: str
    advice: str = ""


# What runs for long and can be asked whether it is well; a command ends, and says by its code.
Role = Literal["server", "worker", "dask-scheduler", "dask-worker", "dashboard", "command"]


def doctor(*, role: Role | None = None, at: str | None = None, json: Flag = False) -> int:
    """Check versions, engines, CRDS configuration, ledger and server.

    Exit code 0 when nothing is bad; notes are things that only some users need.

    Parameters
    ----------
    role
        Only ask this one, on this host, whether it is well, as the health checks of containers
        do: exit code 0 or 1.
    at
        The URL that says so, or the address alone, such as http://127.0.0.1:8080; without it
        that of compose.yaml, for the server PREFECT_API_URL.
    json
        Write JSON to stdout.
    """
    if role is not None:
        return _ask_role(role, at, json=json)
    findings = [finding for examine in EXAMINATIONS for finding in examine()]
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    return int(any(finding.state == "bad" for finding in findings))


def _ask_role(role: Role, at: str | None, *, json: bool) -> int:
    from deployments.operation.health import answers, place_of

    url = "" if role == "command" else place_of(role, os.environ, at)
    is_well = role == "command" or answers(url)
    if json:
        print_json({"role": role, "url": url, "well": is_well})
    else:
        out.print(f"{role} {escape(url)}: {'well' if is_well else 'does not answer'}")
    return int(not is_well)


def _print(findings: list[Finding]) -> None:
    table = plain_table("part", "name", "", "found", "what to do")
    for each in findings:
        plain = (escape(text) for text in (each.found, each.advice))
        table.add_row(each.part, escape(each.name), MARK[each.state], *plain)
    out.print(table)


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.executable, "ok", found)
    for name in PACKAGES:
        try:
            yield Finding("package", name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding("package", name, "bad", "absent", "pip install hstflow")


def _engines() -> Iterator[Finding]:
    """Tell what calibrates: engines, programs, and what becomes of each detector with these."""
    from calib.engines.coverage import find_engines, list_detectors
    from calib.engines.lookup import engine_names
    from calib.engines.program import PROGRAMS

    found = {engine.name: engine for engine in find_engines()}
    for name in engine_names():
        is_loaded = name in found
        advice = "" if is_loaded else "reinstall hstflow, or the package that it belongs to"
        yield Finding(
            "engine", name, "ok" if is_loaded else "note", _place(name, is_loaded=is_loaded), advice
        )
    for point in entry_points(group="hstflow.recipes"):
        yield _recipe(point)
    yield from map(_program, PROGRAMS)
    for each in list_detectors(tuple(found.values())):
        text = f"native: {each.native}; {each.program}: {'here' if each.found else 'absent'}"
        yield Finding("detector", each.what, "ok" if each.is_ready else "note", text, each.advice)


def _program(program: Program) -> Finding:
    """Tell whether a program that calibrates is here, and that its version is known."""
    from calib.engines.program import find_program, version_of

    path = find_program(program)
    if path is None:
        absent = f"absent ({program.purpose})"
        return Finding("program", program.name, "note", absent, program.advice)
    try:
        return Finding("program", program.name, "ok", f"{path} ({version_of(program)})")
    except ConfigError as error:
        return Finding("program", program.name, "bad", f"{path}: {error.message}", program.advice)


def _recipe(point: EntryPoint) -> Finding:
    try:
        point.load()
    except (ImportError, AttributeError, HstflowError) as error:
        advice = "reinstall hstflow, or the package that it belongs to"
        return Finding("recipe", point.name, "note", f"it cannot be loaded: {error}", advice)
    return Finding("recipe", point.name, "ok", point.value)


def _place(engine: str, *, is_loaded: bool) -> str:
    """Return where an engine comes from."""
    if not is_loaded:
        return "it cannot be loaded"
    points = entry_points(group="hstflow.engines", name=engine)
    return next((point.value for point in points), "built in")


def _process() -> Iterator[Finding]:
    """Tell what a process that calibrates may use."""
    from pydantic import ByteSize

    from calib.engines.protocol import available_cpus
    from calib.instruments.reference_memory import default_limit
    from tasks.settings import load_settings

    yield Finding("process", "cpus", "ok", str(available_cpus()))
    try:
        asked = load_settings().reference_memory
    except HstflowError as error:
        yield Finding("process", "settings", "bad", str(error), "mend or unset the variable")
        return
    kept = ByteSize(default_limit() if asked is None else asked).human_readable()
    yield Finding("process", "references kept", "ok", f"up to {kept} decoded")


def _crds() -> Iterator[Finding]:
    from calib.references.context import list_contexts
    from calib.references.profile import load_profile
    from deployments.cli.context.places import Heard, ask
    from tasks.settings import load_settings

    try:
        profile = load_profile(load_settings().profile, os.environ)
    except HstflowError as error:
        yield Finding("crds", "profile", "bad", str(error), "set HSTFLOW_PROFILE")
        return
    yield Finding("crds", "profile", "ok", profile.name)
    try:
        heard = ask(profile, server=True)
    except HstflowError as error:
        heard = Heard(error=str(error))
    yield _crds_server(profile, heard)
    yield _cache(profile, len(list_contexts(profile)))
    yield _context(profile, heard)


def _crds_server(profile: CrdsProfile, heard: Heard) -> Finding:
    from deployments.cli.context.show import server_of

    server = server_of(profile, heard)
    if server["error"]:
        found = f"{server['address'] or server['url']}: {server['error']}"
        advice = "what the cache knows is used; hstflow context show tries again"
        return Finding("crds", "server", "note", found, advice)
    if server["offline"]:
        return Finding("crds", "server", "ok", f"none: {server['url']} is never asked")
    now = f"{server['operational_context']} is operational"
    return Finding("crds", "server", "ok", f"{server['address']}: {now}")


def _cache(profile: CrdsProfile, contexts: int) -> Finding:
    path = profile.cache
    if not path.is_dir():
        advice = "it is filled at first use, or by hstflow context sync; or set CRDS_PATH"
        return Finding("crds", "cache", "note", f"{path} does not exist", advice)
    fills = "is filled as needed" if profile.can_fill else "is never filled from here"
    kind = "is read-only" if profile.readonly else fills
    return Finding("crds", "cache", "ok", f"{path} ({contexts} contexts; {kind})")


def _context(profile: CrdsProfile, heard: Heard) -> Finding:
    """Say which context is used where none is named, and why that one."""
    from deployments.cli.context.show import reason_of, used_context

    used = used_context(profile, heard)
    if used.get("error"):
        advice = "name one with --context, or hstflow context sync"
        return Finding("crds", "context", "note", used["error"], advice)
    found = f"{used['context']}: {reason_of(used)}"
    if used["complete"]:
        return Finding("crds", "context", "ok", found)
    advice = "its rules are not all in the cache: hstflow context sync"
    return Finding("crds", "context", "note", found, advice)


def _ledger() -> Iterator[Finding]:
    from calib.ledger.ledger import open_ledger
    from tasks.settings import load_settings

    try:
        settings = load_settings()
        with open_ledger(settings.ledger) as ledger:
            yield Finding("ledger", "database", "ok", ledger.url)
    except HstflowError as error:
        yield Finding("ledger", "database", "bad", str(error), "set HSTFLOW_LEDGER")
        return
    yield _writable("work folder", settings.work, "HSTFLOW_WORK")


def _writable(name: str, folder: Path, setting: str) -> Finding:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        free = shutil.disk_usage(nearest).free / 1e9
        return Finding("folder", name, "ok", f"{folder} ({free:.0f} GB free)")
    return Finding("folder", name, "bad", f"{folder} is not writable", f"set {setting}")


def _server() -> Iterator[Finding]:
    import httpx

    url = os.environ.get("PREFECT_API_URL")
    if not url:
        advice = "only for flow runs: prefect server start, then set PREFECT_API_URL"
        yield Finding("server", "prefect", "note", "PREFECT_API_URL is not set", advice)
        return
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=5).raise_for_status()
        yield Finding("server", "prefect", "ok", url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield Finding(
            "server", "prefect", "bad", f"{url}: {error}", "start it, or unset the variable"
        )


EXAMINATIONS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _engines,
    _process,
    _crds,
    _ledger,
    _server,
)
