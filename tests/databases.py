"""Ledgers to test on: SQLite always, PostgreSQL where HSTFLOW_TEST_POSTGRES names a database.

Fixtures, for the conftest of every folder whose tests need a ledger.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.schema import CreateSchema, DropSchema

from calib.ledger.ledger import Ledger, open_ledger

__all__ = ["ledger", "template", "url"]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty ledger file, to be copied: migrating for every test takes long."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    open_ledger(str(path)).close()
    return path


# Where a PostgreSQL database is given, every test of a ledger runs on it too (in `make full`: a
# schema of its own for each takes time); where it is not, test_postgresql.py says so once.
_POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.slow)
DATABASES = ["sqlite", *([_POSTGRESQL] if "HSTFLOW_TEST_POSTGRES" in os.environ else [])]


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
