"""The ledger of benchmarks/campaign.py: a SQLite file, or a database of its own in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import create_engine, make_url, text


@dataclass(frozen=True)
class LedgerPlace:
    """Where a ledger is.

    Attributes
    ----------
    url
        For HSTFLOW_LEDGER.
    server
        Process of the database server, where it is on this host.
    """

    url: str
    server: int | None = None

    def cpu(self) -> float:
        """Return CPU seconds of the database server so far; 0 where there is none to see."""
        return 0.0 if self.server is None else tree_cpu(self.server, with_ended=True)

    def size(self) -> int:
        """Return bytes of the database."""
        if self.url.startswith("sqlite"):
            path = Path(self.url.removeprefix("sqlite:///"))
            return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
        return int(self.ask("SELECT pg_database_size(current_database())"))

    def ask(self, query: str) -> int:
        """Return the one number that a query gives."""
        engine = create_engine(driver_url(self.url))
        with engine.connect() as connection:
            found = int(connection.scalar(text(query)) or 0)
        engine.dispose()
        return found


@contextmanager
def ledger_at(
    url: str | None, folder: Path, *, template: str | None = None
) -> Iterator[LedgerPlace]:
    """Give an empty ledger, and remove it in the end.

    Parameters
    ----------
    url
        A PostgreSQL database in which others may be made; None: SQLite.
    folder
        Where a SQLite file goes.
    template
        Name of a database of the same server that is copied; None: it is empty.
    """
    if url is None:
        (folder / "ledger").mkdir()
        yield LedgerPlace(f"sqlite:///{folder / 'ledger' / 'ledger.db'}")
        return
    name = f"hstflow_benchmark_{os.getpid()}"
    engine = create_engine(driver_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}"))
        try:
            backend = int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)
            own = make_url(url).set(database=name).render_as_string(hide_password=False)
            yield LedgerPlace(own, server_of(backend))
        finally:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    engine.dispose()


def driver_url(url: str) -> str:
    """Return a URL that names the driver."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def server_of(backend: int) -> int | None:
    """Return the process that a PostgreSQL backend belongs to; None where it is elsewhere."""
    try:
        process = psutil.Process(backend)
        return process.ppid() if "postgres" in process.name() else None
    except psutil.Error:
        return None


def tree_cpu(pid: int, *, with_ended: bool = False) -> float:
    """Return CPU seconds of a process and its children, 0 for one that is gone.

    Parameters
    ----------
    pid
        The process.
    with_ended
        Count its children that have ended too.
    """
    return sum(each for each in tree_times(pid, with_ended=with_ended).values())


def tree_times(pid: int, *, with_ended: bool = False) -> dict[int, float]:
    """Return CPU seconds by process: this one and all below it that live."""
    found: dict[int, float] = {}
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return found
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        ended = times.children_user + times.children_system if with_ended else 0.0
        found[process.pid] = times.user + times.system + ended
    return found
