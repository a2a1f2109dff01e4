"""`hstflow dashboard`: the ledger as web pages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from calib.errors import DONE
from calib.ledger.location import hide_credentials, ledger_url
from deployments.cli.console import Flag, Several, err

if TYPE_CHECKING:
    from pydantic import SecretStr

    from deployments.dashboard.settings import DashboardSettings
    from tasks.settings import DashboardVariables

_Port = Annotated[int | None, Parameter(validator=validators.Number(gte=0, lte=65_535))]


@dataclass(frozen=True)
class Place:
    """Where it is found, and what it links to.

    Attributes
    ----------
    host
        Address to listen at; the default, 127.0.0.1, answers this machine alone.
    port
        Port to listen at; default 8080; 0 takes any that is free.
    name
        A name by which browsers call it, beside localhost; may be repeated.
    root
        Path below which a proxy serves it, such as /hst.
    prefect
        Address of Prefect's pages, for links; default PREFECT_UI_URL or PREFECT_API_URL.
    dask
        Address of Dask's pages, for links.
    """

    host: str | None = None
    port: _Port = None
    name: Several = None
    root: str | None = None
    prefect: str | None = None
    dask: str | None = None


def dashboard(
    *,
    place: Annotated[Place | None, Parameter(name="*")] = None,
    change: Flag = False,
    without_password: Flag = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> int:
    """Serve pages of campaigns, datasets and errors, read from the ledger.

    It reads the ledger only, so it may run anywhere the ledger can be reached, and as often as
    you like. Stop it with Ctrl-C. Host, port, root, change and the addresses may be set once as
    HSTFLOW_DASHBOARD_ and the name, such as HSTFLOW_DASHBOARD_PORT.

    This machine alone can look, and nobody is asked who they are. For other machines set
    HSTFLOW_DASHBOARD_PASSWORD=USER:PASSWORD, or HSTFLOW_DASHBOARD_PROXY_HEADER to the header in
    which a proxy in front names the person.

    Parameters
    ----------
    change
        Let people rescue datasets and approve reprocessings: forms are shown.
    without_password
        Let other machines look without a password.
    quiet
        Do not say where it listens.
    """
    from deployments.dashboard.serving import serve
    from tasks.settings import load_dashboard, load_settings

    place = place or Place()
    given = {key: value for key, value in vars(place).items() if key != "name"}
    options = {key: value for key, value in given.items() if value is not None}
    options |= {"change": True} if change else {}
    variables = load_dashboard().model_copy(update=options)
    work = load_settings().work.expanduser().absolute()
    settings = settings_of(
        variables, os.environ, work=str(work), names=place.name or (), is_open=without_password
    )
    shown = hide_credentials(settings.ledger)
    serve(settings, lambda address: None if quiet else err.print(f"{address}  ledger {shown}"))
    return DONE


def settings_of(
    found: DashboardVariables,
    environ: Mapping[str, str],
    *,
    work: str | None = None,
    names: Sequence[str] = (),
    is_open: bool = False,
) -> DashboardSettings:
    """Return the settings of the dashboard.

    Parameters
    ----------
    found
        Variables and options.
    environ
        Environment variables: the ledger, and where Prefect is.
    work
        The work folder, where logs and bundles of failed jobs are.
    names
        Names of the host that were said on the command line.
    is_open
        Whether other machines may look without a password.
    """
    from deployments.dashboard.settings import DashboardSettings

    hosts = [each.strip() for each in found.hosts.split(",")]
    return DashboardSettings(
        ledger=ledger_url(environ),
        host=found.host,
        port=found.port,
        hosts=tuple(each for each in (*hosts, *names, found.host) if each),
        may_change=found.change,
        password=_secret(found.password),
        proxy_header=found.proxy_header or None,
        proxies=tuple(each.strip() for each in found.proxies.split(",") if each.strip()),
        metrics_token=_secret(found.metrics_token),
        is_open=is_open,
        root=found.root.rstrip("/"),
        prefect=found.prefect or prefect_pages(environ),
        dask=found.dask or None,
        work=work,
    )


def prefect_pages(environ: Mapping[str, str]) -> str | None:
    """Return the address of Prefect's pages, None where there is no server that stays."""
    found = environ.get("PREFECT_UI_URL") or environ.get("PREFECT_API_URL")
    return found.rstrip("/").removesuffix("/api").rstrip("/") if found else None


def _secret(value: SecretStr | None) -> str | None:
    return (value.get_secret_value() or None) if value is not None else None
