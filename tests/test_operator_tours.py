"""The tours of the operator's guide: every block, with real servers, workers and databases."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import URL, create_engine, make_url, text

from calib.simulate.programme import build_programme
from tests.played import play

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

PAGES = Path(__file__).parents[1] / "docs"
DATABASES = ("hstflow", "prefect")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the tutorial, as far as the tours need it."""
    build_programme(tmp_path / "demo" / "observatory")
    return tmp_path


def left_over(folder: Path) -> list[psutil.Process]:
    """Return what still runs with a setting that names the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in value for value in process.environ().values()):
                found.append(process)
        except psutil.Error:
            continue
    return [each for each in found if each.pid != os.getpid()]


def assert_in_order(said: str, promised: tuple[str, ...]) -> None:
    """Each of these is said, one after the other."""
    place = 0
    for words in promised:
        assert words in said[place:], words
        place = said.index(words, place)


def before_the_loss(page: str) -> str:
    """Return the page up to the stop; one test of all of it would take minutes."""
    return page.partition("## Restore")[0]


def after_the_loss(page: str) -> str:
    """Return the rest of the page."""
    return page.partition("## Restore")[2]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tour."""
    folder = tmp_path_factory.mktemp("host")
    build_programme(folder / "demo" / "observatory")
    return folder


def test_one_host(host: Path) -> None:
    """Start, deploy, process, look, copy, stop; nothing is left running."""
    toured = play(PAGES / "operations-tour.md", host, choose=before_the_loss).stdout

    assert_in_order(
        toured,
        (
            "up to date, schema",
            "up: ready",
            "/api/health: well",
            "/health: well",
            "changes to make",
            "changes made",
            "0 changes made",
            "finished successfully",
            "jsky01aaq processed",
            "exit code 21",
            "1 of 2 done, 1 failed",
            "later finished",
            "exit code 21",
            'hstflow_errors{campaign="watch",class="CorruptFile"} 1.0',
            "jsky04aaq,",
            "hst-campaign-failing",
            "all is well",
            "nothing is up at",
            "exit code 1",
        ),
    )
    assert (host / "watch-report" / "index.html").exists()
    assert (host / "watch-report.zip").stat().st_size > 0
    assert left_over(host) == []


def test_restore_of_one_host(host: Path) -> None:
    """A lost ledger comes back from three kinds of copies, Prefect's deployments from nothing."""
    if not (host / "operator.jsonl.gz").exists():
        play(PAGES / "operations-tour.md", host, choose=before_the_loss)
    toured = play(PAGES / "operations-tour.md", host, choose=after_the_loss).stdout

    assert_in_order(
        toured,
        (
            "up to date, schema",
            "all is well",
            "1 of 2 done, 1 failed",
            "1 of 2 done, 1 failed",
            "jsky02aaq processed",
            "rebuilt from the manifest",
        ),
    )
    assert left_over(host) == []


@pytest.fixture
def server() -> Iterator[URL]:
    """Return where the PostgreSQL server of the tests is; the databases of the page are not."""
    if "HSTFLOW_TEST_POSTGRES" not in os.environ:
        pytest.skip("no PostgreSQL: HSTFLOW_TEST_POSTGRES is not set")
    url = make_url(os.environ["HSTFLOW_TEST_POSTGRES"]).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        there = set(connection.scalars(text("select datname from pg_database")))
        if there & {*DATABASES}:
            pytest.skip("the server has a database hstflow or prefect: it is somebody's")
        yield url
        for name in DATABASES:
            connection.execute(text(f"drop database if exists {name} with (force)"))
    engine.dispose()


def free_ports(number: int) -> list[str]:
    """Return ports that nothing listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_many_hosts(folder: Path, server: URL) -> None:
    """The ledger and Prefect's rows move to PostgreSQL; campaigns run on a scheduler, and stay."""
    dask, prefect = free_ports(2)
    variables = {
        "PGHOST": str(server.host),
        "PGPORT": str(server.port or 5432),
        "PGUSER": str(server.username),
        "DASK_PORT": dask,
        "PREFECT_PORT": prefect,
    }
    if server.password:
        variables["PGPASSWORD"] = str(server.password)
    toured = play(PAGES / "operations-scaling.md", folder, variables).stdout

    assert_in_order(
        toured,
        (
            "jsky01aaq  processed",
            "up to date, schema",
            "jsky01aaq processed",
            "/api/health: well",
            "hand finished",
            "finished successfully",
            "night finished",
            "all is well",
            "night finished",
            "hand finished",
        ),
    )
    assert re.search(r"4 publications, .*: all is well", toured), toured[-2000:]
    assert left_over(folder) == []
