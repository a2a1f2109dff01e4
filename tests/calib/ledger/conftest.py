"""Ledgers to test on: SQLite always, PostgreSQL where HSTFLOW_TEST_POSTGRES names a database."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.schema import CreateSchema, DropSchema

from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Attempt, Ledger, current_owner, open_ledger

RunAsUser = Callable[..., "subprocess.CompletedProcess[str]"]
Begin = Callable[..., Attempt]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty ledger file, to be copied: migrating for every test takes long."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    open_ledger(str(path)).close()
    return path


# Where a PostgreSQL database is given, every test of a ledger runs on it too; where it is not,
# test_postgresql.py says so once.
DATABASES = ["sqlite", *(["postgresql"] if "HSTFLOW_TEST_POSTGRES" in os.environ else [])]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path, template: Path) -> Iterator[str]:
    """Return the URL of an empty ledger, on each kind of database."""
    if request.param == "sqlite":
        shutil.copy(template, tmp_path / "ledger.db")
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    with _postgresql_schema() as found:
        yield found


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Return an open, empty ledger."""
    with open_ledger(url) as opened:
        yield opened


@pytest.fixture
def dataset() -> DatasetId:
    """Return an ACS exposure."""
    return parse_dataset("j8bt05njq")


@pytest.fixture
def begin(ledger: Ledger, dataset: DatasetId) -> Begin:
    """Return a function that submits a job and begins an attempt, ours by default."""

    def submit_and_begin(name: DatasetId = dataset, **changes: Any) -> Attempt:
        job = ledger.submit("adhoc", name, "r1", context="hst_1.pmap")
        return ledger.begin_attempt(job, replace(current_owner(), **changes))

    return submit_and_begin


@pytest.fixture
def python_as_user() -> RunAsUser:
    """Return a function that runs Python code as somebody whom file permissions bind.

    The superuser writes everywhere: as superuser the code gives its rights up after importing
    the ledger, since another user may not be able to read the interpreter.
    """
    prelude = (
        "import os, sys, alembic.config, sqlalchemy.dialects.sqlite, deployments.cli.status\n"
        "from calib.errors import ConfigError\n"
        "from calib.ledger.ledger import open_ledger\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
    )

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", prelude + code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    return run


@contextmanager
def _postgresql_schema() -> Iterator[str]:
    """Make a schema of its own in the test database, and drop it."""
    base = make_url(os.environ["HSTFLOW_TEST_POSTGRES"]).set(drivername="postgresql+psycopg")
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(base)
    try:
        with engine.begin() as connection:
            connection.execute(CreateSchema(name))
        shown = base.set(drivername="postgresql").render_as_string(hide_password=False)
        yield f"{shown}?options=-csearch_path%3D{name}"
        with engine.begin() as connection:
            connection.execute(DropSchema(name, cascade=True))
    finally:
        engine.dispose()
