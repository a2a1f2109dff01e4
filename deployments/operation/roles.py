"""The programs of `hstflow up`: what they are called with, and where they answer."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calib.ledger.location import VARIABLE, hide_credentials
from deployments.operation.certificate import REQUIRED, named_in
from deployments.operation.health import answers, count_workers
from deployments.operation.ports import LOOPBACK
from deployments.operation.processes import MARK
from deployments.operation.profiles import read_profile
from deployments.operation.role import Role
from deployments.operation.wishes import Part, Ports, Share

POOL = "hstflow"
HEALTH = "/health"


@dataclass(frozen=True)
class Layout:
    """What `hstflow up` starts.

    Attributes
    ----------
    parts
        Which ones.
    home
        PREFECT_HOME.
    ports, share
        Where they listen, what the Dask workers offer.
    environ
        The operator's variables, with HSTFLOW_LEDGER and HSTFLOW_WORK as absolute places.
    limit
        Flow runs that the worker runs at the same time.
    may_change
        Whether the dashboard shows forms.
    scratch
        Folder of Dask's own files.
    """

    parts: frozenset[Part]
    home: Path
    ports: Ports
    share: Share
    environ: Mapping[str, str]
    limit: int
    may_change: bool
    scratch: Path

    @property
    def foreign(self) -> str | None:
        """API of the server that the operator has already; None: he has none."""
        return self.environ.get("PREFECT_API_URL", "").rstrip("/") or None

    @property
    def api(self) -> str | None:
        """API of the server that is used; None: none is."""
        own = f"http://{LOOPBACK}:{self.ports.prefect}/api" if "server" in self.parts else None
        return self.foreign or own

    @property
    def auth(self) -> str | None:
        """What the Prefect server asks for, as far as we know; None: nothing."""
        ours = self.environ.get("PREFECT_SERVER_API_AUTH_STRING")
        return self.environ.get("PREFECT_API_AUTH_STRING") or ours or None

    @property
    def password(self) -> str | None:
        """What the dashboard asks for; None: nothing, or a proxy in front asks."""
        found = self.environ.get("HSTFLOW_DASHBOARD_PASSWORD") or None
        return found if "dashboard" in self.parts else None

    @property
    def scheduler(self) -> str | None:
        """Address of the Dask scheduler; None: there is none."""
        return f"tls://{LOOPBACK}:{self.ports.scheduler}" if "dask" in self.parts else None

    @property
    def certificates(self) -> dict[str, str]:
        """What a client of the Dask scheduler needs in its environment."""
        return named_in(self.environ) if "dask" in self.parts else {}

    @property
    def prefect_page(self) -> str | None:
        """What people open to see Prefect."""
        return None if self.api is None else self.api.removesuffix("/api")

    @property
    def dask_page(self) -> str | None:
        """What people open to see Dask: its plots need bokeh, its lists do not."""
        page = "status" if importlib.util.find_spec("bokeh") else "info/main/workers.html"
        return f"{_http(self.ports.dask)}/{page}" if "dask" in self.parts else None

    @property
    def dashboard_page(self) -> str | None:
        """What people open to see campaigns."""
        return f"{_http(self.ports.dashboard)}/" if "dashboard" in self.parts else None


def roles_of(layout: Layout) -> list[Role]:
    """Return the programs in the order of their start."""
    build: dict[Part, Callable[[Layout], list[Role]]] = {
        "server": lambda layout: [_server(layout)],
        "deploy": lambda layout: [_deploy(layout)],
        "dask": _dask,
        "worker": lambda layout: [_worker(layout)],
        "dashboard": lambda layout: [_dashboard(layout)],
    }
    chosen = [role for part, make in build.items() if part in layout.parts for role in make(layout)]
    needs_ledger = not layout.parts.isdisjoint({"worker", "dashboard"})
    return [_ledger(layout), *chosen] if needs_ledger else chosen


def server_settings(layout: Layout) -> dict[str, str]:
    """Return the variables of the server: its profile, the operator's, then what is certain."""
    own = _http(layout.ports.prefect)
    certain = {
        "PREFECT_HOME": str(layout.home),
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(layout.ports.prefect),
        "PREFECT_SERVER_UI_API_URL": f"{own}/api",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": own,
        MARK: str(layout.home),
    }
    found = {**read_profile("server"), **layout.environ, **certain}
    found.pop("PREFECT_API_URL", None)  # a server that is a client of another starts nothing
    return found


def client_settings(layout: Layout) -> dict[str, str]:
    """Return the variables of everything that talks to the server."""
    certain = {"PREFECT_HOME": str(layout.home), MARK: str(layout.home)}
    if layout.api:
        certain["PREFECT_API_URL"] = layout.api
    if layout.scheduler:
        certain["HSTFLOW_RUNNER"] = layout.environ.get("HSTFLOW_RUNNER") or layout.scheduler
    if layout.dashboard_page:
        given = layout.environ.get("HSTFLOW_DASHBOARD_URL")
        certain["HSTFLOW_DASHBOARD_URL"] = given or layout.dashboard_page.rstrip("/")
    found = {**read_profile("worker"), **layout.environ, **certain}
    if password := layout.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        found.setdefault("PREFECT_API_AUTH_STRING", password)
    return found


def _server(layout: Layout) -> Role:
    is_foreign = layout.foreign is not None
    api = str(layout.api)
    return Role(
        name="server",
        command=() if is_foreign else _module("prefect", "server", "start"),
        environment=server_settings(layout),
        look=lambda: answers(f"{api}{HEALTH}"),
        port=None if is_foreign else layout.ports.prefect,
        address=api,
        page=layout.prefect_page,
    )


def _deploy(layout: Layout) -> Role:
    return Role(
        name="deploy",
        command=_module("deployments.cli", "deploy"),
        environment=client_settings(layout),
        address=f"pool {POOL}",
        after=_there(layout, "server"),
        is_step=True,
    )


def _ledger(layout: Layout) -> Role:
    """Make the ledger, or bring it up to date, before anybody looks at it."""
    return Role(
        name="ledger",
        command=_module("deployments.cli", "ledger", "upgrade"),
        environment=client_settings(layout),
        address=hide_credentials(layout.environ[VARIABLE]),
        is_step=True,
    )


def _worker(layout: Layout) -> Role:
    here = {
        "PREFECT_WORKER_WEBSERVER_HOST": LOOPBACK,
        "PREFECT_WORKER_WEBSERVER_PORT": str(layout.ports.worker),
    }
    words = ("--pool", POOL, "--type", "process", "--limit", str(layout.limit))
    url = f"{_http(layout.ports.worker)}{HEALTH}"
    return Role(
        name="worker",
        command=_module("prefect", "worker", "start", *words, "--with-healthcheck"),
        environment={**client_settings(layout), **here},
        look=lambda: answers(url),
        port=layout.ports.worker,
        # It calls itself ill while the server is away, too: a new one could not even start.
        is_hung=lambda: answers(f"{layout.api}{HEALTH}"),
        address=f"{layout.limit} runs",
        after=("ledger", *_there(layout, "server"), *_there(layout, "deploy"), *_workers(layout)),
        tells_runs=True,
    )


def _dask(layout: Layout) -> list[Role]:
    pages, ports, share = _http(layout.ports.dask), layout.ports, layout.share
    environment = {**client_settings(layout), REQUIRED: "True"}
    scheduler = Role(
        name="dask-scheduler",
        command=_module(
            "distributed.cli.dask_scheduler",
            *("--protocol", "tls", "--host", LOOPBACK, "--port", str(ports.scheduler)),
            *("--dashboard-address", f"{LOOPBACK}:{ports.dask}"),
        ),
        # A dead worker is reported at once: the campaign gives the job more memory.
        environment={**environment, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"},
        look=lambda: answers(f"{pages}{HEALTH}"),
        port=ports.dask,
        address=str(layout.scheduler),
        page=layout.dask_page,
    )
    workers = Role(
        name="dask-workers",
        command=_module("distributed.cli.dask_worker", str(layout.scheduler), *_offer(layout)),
        environment=environment,
        look=lambda: count_workers(pages) >= share.workers,
        # As long as some work they are left alone: their jobs would count as out of memory.
        is_hung=lambda: answers(f"{pages}{HEALTH}") and count_workers(pages) == 0,
        address=f"{share.workers} of {share.memory:g} GB",
        after=("dask-scheduler",),
    )
    return [scheduler, workers]


def _offer(layout: Layout) -> tuple[str, ...]:
    """Return what deployments/dask/start-by-hand.sh says: one thread, shares, the preparation."""
    share = layout.share
    return (
        *("--nworkers", str(share.workers), "--nthreads", "1", "--host", LOOPBACK),
        *("--resources", f"MEM_GB={share.memory:g} DISK_GB={share.disk:g}"),
        *("--memory-limit", f"{share.memory:g}GB", "--no-dashboard"),
        *("--local-directory", str(layout.scratch), "--preload", "flows.worker_setup"),
    )


def _dashboard(layout: Layout) -> Role:
    links = {"--prefect": layout.prefect_page, "--dask": layout.dask_page}
    words = [word for pair in links.items() if pair[1] for word in pair]
    words += ["--change"] if layout.may_change else []
    url = _http(layout.ports.dashboard)
    return Role(
        name="dashboard",
        command=_module(
            *(
                "deployments.cli",
                "dashboard",
                "--host",
                LOOPBACK,
                "--port",
                str(layout.ports.dashboard),
            ),
            *map(str, words),
        ),
        environment=client_settings(layout),
        look=lambda: answers(f"{url}{HEALTH}"),
        port=layout.ports.dashboard,
        after=("ledger",),
        address=f"{url}/",
        page=layout.dashboard_page,
    )


def _module(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


def _http(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _there(layout: Layout, part: Part) -> tuple[str, ...]:
    return (part,) if part in layout.parts else ()


def _workers(layout: Layout) -> tuple[str, ...]:
    return ("dask-workers",) if "dask" in layout.parts else ()
