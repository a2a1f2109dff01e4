"""What an operator says of the dashboard: command line and HSTFLOW_* settings, joined."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DashboardSettings:
    """How the dashboard is served.

    Attributes
    ----------
    ledger
        URL of the ledger.
    host, port
        Where it listens.
    hosts
        Names by which browsers may call it, beside those of the loopback interface; others are
        refused, so that no page of elsewhere reaches it by a name of its own (DNS rebinding).
    may_change
        Whether forms may rescue datasets and approve reprocessings; else it only shows.
    password
        ``USER:PASSWORD`` that browsers are asked for; None: nobody is asked.
    proxy_header
        Header in which a proxy in front names the person; None: no proxy is trusted.
    proxies
        Addresses from which the proxy calls; needed where other machines reach the port, since
        anybody can send a header.
    metrics_token
        What a collector of metrics sends instead; None: it needs what everybody needs.
    is_open
        Whether the operator said that other machines may look without a password.
    root
        Path below which a proxy serves it, such as ``/hst``.
    prefect, dask
        Addresses of the pages of Prefect and of Dask, for links; None: no link.
    work
        The work folder: where logs and bundles of failed jobs are.
    differences
        Folder where comparisons of products are kept; None: one in the user's cache.
    period
        Seconds for which a page is kept: what many readers ask is asked of the ledger once.
    """

    ledger: str
    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    may_change: bool = False
    password: str | None = field(default=None, repr=False)
    proxy_header: str | None = None
    proxies: tuple[str, ...] = ()
    metrics_token: str | None = field(default=None, repr=False)
    is_open: bool = False
    root: str = ""
    prefect: str | None = None
    dask: str | None = None
    work: str | None = None
    differences: str | None = None
    period: float = 2.0
